"""SAFREE: Training-Free and Adaptive Guard for Safe Text-to-Image And Video Generation.

arXiv 2410.12761. Listed: its method is not here yet.
"""
