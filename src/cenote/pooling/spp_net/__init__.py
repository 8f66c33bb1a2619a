"""Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition.

arXiv 1406.4729. Listed: its method is not here yet.
"""
