"""Performance-aware Approximation of Global Channel Pruning for Multitask CNNs (arXiv 2303.11923): listed, its method is not here yet."""  # noqa: E501
