"""Global Features are All You Need for Image Retrieval and Reranking.

arXiv 2308.06954. Listed: its method is not here yet.
"""
