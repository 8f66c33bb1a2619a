"""Dr.LLM: Dynamic Layer Routing in LLMs.

arXiv 2510.12773. Listed: its method is not here yet.
"""
