"""Group Generalized Mean Pooling for Vision Transformer.

arXiv 2212.04114. Listed: its method is not here yet.
"""
