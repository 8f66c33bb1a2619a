"""Mask-Adapter: The Devil is in the Masks for Open-Vocabulary Segmentation (arXiv 2412.04533): listed, its method is not here yet."""  # noqa: E501
