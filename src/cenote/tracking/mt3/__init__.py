"""Next Generation Multitarget Trackers: Random Finite Set Methods vs Transformer-based Deep Learning.

arXiv 2104.00734. Listed: its method is not here yet.
"""
