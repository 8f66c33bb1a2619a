"""Open-Qwen2VL: Compute-Efficient Pre-Training of Fully-Open Multimodal LLMs on Academic Resources.

arXiv 2504.00595. Listed: its method is not here yet.
"""
