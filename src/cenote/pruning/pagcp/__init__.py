"""Performance-aware Approximation of Global Channel Pruning for Multitask CNNs.

arXiv 2303.11923. Listed: its method is not here yet.
"""
