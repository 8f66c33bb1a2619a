"""CoLoR-Filter: Conditional Loss Reduction Filtering for Targeted Language Model Pre-training.

arXiv 2406.10670. Listed: its method is not here yet.
"""
