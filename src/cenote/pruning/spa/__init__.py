"""Structurally Prune Anything: Any Architecture, Any Framework, Any Time (arXiv 2403.18955): listed, its method is not here yet."""  # noqa: E501
