"""Pooling And Attention: What Are Effective Designs For LLm-Based Embedding Models?.

arXiv 2409.02727. Listed: its method is not here yet.
"""
