"""The worker of the search by meaning: exports the encoder once, and gives every paper its vector."""
