"""Hard Negatives or False Negatives: Correcting Pooling Bias in Training Neural Ranking Models.

arXiv 2209.05072. Listed: its method is not here yet.
"""
