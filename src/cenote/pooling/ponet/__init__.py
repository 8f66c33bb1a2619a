"""PoNet: Pooling Network for Efficient Token Mixing in Long Sequences (arXiv 2110.02442): listed, its method is not here yet."""  # noqa: E501
