"""On filter design in deep convolutional neural network.

arXiv 2410.21644. Listed: its method is not here yet.
"""
