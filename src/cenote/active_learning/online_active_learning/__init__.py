"""A survey on online active learning.

arXiv 2302.08893. Listed: its method is not here yet.
"""
