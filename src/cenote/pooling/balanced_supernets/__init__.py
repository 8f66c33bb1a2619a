"""Balanced Mixture of SuperNets for Learning the CNN Pooling Architecture.

arXiv 2306.11982. Listed: its method is not here yet.
"""
