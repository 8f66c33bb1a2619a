"""Group Generalized Mean Pooling for Vision Transformer (arXiv 2212.04114): listed, its method is not here yet."""
