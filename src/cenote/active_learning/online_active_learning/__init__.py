"""A survey on online active learning (arXiv 2302.08893): listed, its method is not here yet."""
