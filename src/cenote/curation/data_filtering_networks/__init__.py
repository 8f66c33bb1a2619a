"""Data Filtering Networks.

arXiv 2309.17425. Listed: its method is not here yet.
"""
