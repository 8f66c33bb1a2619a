"""DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and Fully Connected CRFs.

arXiv 1606.00915. Listed: its method is not here yet.
"""
