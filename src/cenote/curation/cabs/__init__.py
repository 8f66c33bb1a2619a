"""Concept-Aware Batch Sampling Improves Language-Image Pretraining.

arXiv 2511.20643. Listed: its method is not here yet.
"""
