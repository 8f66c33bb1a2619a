"""Mask-Adapter: The Devil is in the Masks for Open-Vocabulary Segmentation.

arXiv 2412.04533. Listed: its method is not here yet.
"""
