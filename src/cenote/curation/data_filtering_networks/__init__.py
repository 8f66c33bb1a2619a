"""Data Filtering Networks (arXiv 2309.17425): listed, its method is not here yet."""
