"""PLLaVA : Parameter-free LLaVA Extension from Images to Videos for Video Dense Captioning.

arXiv 2404.16994. Listed: its method is not here yet.
"""
