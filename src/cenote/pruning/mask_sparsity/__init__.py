"""Pruning-aware Sparse Regularization for Network Pruning.

arXiv 2201.06776. Listed: its method is not here yet.
"""
