"""MetaFormer Is Actually What You Need for Vision (arXiv 2111.11418): listed, its method is not here yet."""
