"""Adaptive Frequency Filters As Efficient Global Token Mixers (arXiv 2307.14008): listed, its method is not here yet."""  # noqa: E501
