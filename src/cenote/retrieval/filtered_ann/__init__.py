"""Benchmarking Filtered Approximate Nearest Neighbor Search Algorithms on Transformer-based Embedding Vectors.

arXiv 2507.21989. Listed: its method is not here yet.
"""
