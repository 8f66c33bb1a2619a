"""The store of the site: papers, their text index and vectors, and how far imports have come."""
