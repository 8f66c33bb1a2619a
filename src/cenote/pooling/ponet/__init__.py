"""PoNet: Pooling Network for Efficient Token Mixing in Long Sequences.

arXiv 2110.02442. Listed: its method is not here yet.
"""
