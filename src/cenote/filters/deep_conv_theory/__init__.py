"""A Mathematical Theory of Deep Convolutional Neural Networks for Feature Extraction (arXiv 1512.06293): listed, its method is not here yet."""  # noqa: E501
