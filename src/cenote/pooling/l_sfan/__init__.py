"""L-SFAN: Lightweight Spatially-focused Attention Network for Pain Behavior Detection.

arXiv 2406.16913. Listed: its method is not here yet.
"""
