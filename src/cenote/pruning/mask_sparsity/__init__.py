"""Pruning-aware Sparse Regularization for Network Pruning (arXiv 2201.06776): listed, its method is not here yet."""
