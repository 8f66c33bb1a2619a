"""Beta-Rank: A Robust Convolutional Filter Pruning Method For Imbalanced Medical Image Analysis.

arXiv 2304.07461. Listed: its method is not here yet.
"""
