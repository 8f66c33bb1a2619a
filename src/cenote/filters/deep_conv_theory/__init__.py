"""A Mathematical Theory of Deep Convolutional Neural Networks for Feature Extraction.

arXiv 1512.06293. Listed: its method is not here yet.
"""
