"""Structurally Prune Anything: Any Architecture, Any Framework, Any Time.

arXiv 2403.18955. Listed: its method is not here yet.
"""
