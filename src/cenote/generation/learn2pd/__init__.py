"""Learning to Parallel: Accelerating Diffusion Large Language Models via Adaptive Parallel Decoding.

arXiv 2509.25188. Listed: its method is not here yet.
"""
