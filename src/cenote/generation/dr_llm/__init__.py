"""Dr.LLM: Dynamic Layer Routing in LLMs (arXiv 2510.12773): listed, its method is not here yet."""
