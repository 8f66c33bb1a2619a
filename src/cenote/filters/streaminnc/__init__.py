"""Don't Think It Twice: Exploit Shift Invariance for Efficient Online Streaming Inference of CNNs.

arXiv 2408.03223. Listed: its method is not here yet.
"""
