"""Don't Think It Twice: Exploit Shift Invariance for Efficient Online Streaming Inference of CNNs (arXiv 2408.03223): listed, its method is not here yet."""  # noqa: E501
