"""Beta-Rank: A Robust Convolutional Filter Pruning Method For Imbalanced Medical Image Analysis (arXiv 2304.07461): listed, its method is not here yet."""  # noqa: E501
