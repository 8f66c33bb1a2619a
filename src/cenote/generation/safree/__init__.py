"""SAFREE: Training-Free and Adaptive Guard for Safe Text-to-Image And Video Generation (arXiv 2410.12761): listed, its method is not here yet."""  # noqa: E501
