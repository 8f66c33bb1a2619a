"""NitroFusion: High-Fidelity Single-Step Diffusion through Dynamic Adversarial Training.

arXiv 2412.02030. Listed: its method is not here yet.
"""
