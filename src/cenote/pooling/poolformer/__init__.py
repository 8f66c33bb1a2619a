"""MetaFormer Is Actually What You Need for Vision.

arXiv 2111.11418. Listed: its method is not here yet.
"""
