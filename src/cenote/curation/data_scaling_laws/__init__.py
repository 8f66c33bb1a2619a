"""Scaling Laws for Data Filtering -- Data Curation cannot be Compute Agnostic.

arXiv 2404.07177. Listed: its method is not here yet.
"""
