"""Trying Bilinear Pooling in Video-QA.

arXiv 2012.10285. Listed: its method is not here yet.
"""
