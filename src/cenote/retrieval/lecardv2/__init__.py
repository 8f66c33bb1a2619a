"""LeCaRDv2: A Large-Scale Chinese Legal Case Retrieval Dataset.

arXiv 2310.17609. Listed: its method is not here yet.
"""
