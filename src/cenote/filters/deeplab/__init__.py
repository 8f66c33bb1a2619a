"""DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and Fully Connected CRFs (arXiv 1606.00915): listed, its method is not here yet."""  # noqa: E501
