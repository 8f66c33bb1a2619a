"""NitroFusion: High-Fidelity Single-Step Diffusion through Dynamic Adversarial Training (arXiv 2412.02030): listed, its method is not here yet."""  # noqa: E501
