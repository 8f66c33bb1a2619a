"""Adaptive Frequency Filters As Efficient Global Token Mixers.

arXiv 2307.14008. Listed: its method is not here yet.
"""
