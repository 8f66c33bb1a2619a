"""CNN Filter DB: An Empirical Investigation of Trained Convolutional Filters.

arXiv 2203.15331. Listed: its method is not here yet.
"""
