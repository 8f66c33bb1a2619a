"""Robust Attentional Aggregation of Deep Feature Sets for Multi-view 3D Reconstruction.

arXiv 1808.00758. Listed: its method is not here yet.
"""
