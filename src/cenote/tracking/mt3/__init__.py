"""Next Generation Multitarget Trackers: Random Finite Set Methods vs Transformer-based Deep Learning (arXiv 2104.00734): listed, its method is not here yet."""  # noqa: E501
