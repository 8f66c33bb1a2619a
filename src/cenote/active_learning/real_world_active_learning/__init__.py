"""A Survey on Cost Types, Interaction Schemes, and Annotator Performance Models.

arXiv 2109.11301 (…in Selection Algorithms for Active Learning in Classification). Listed: its method is not here yet.
"""
