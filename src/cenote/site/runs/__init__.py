"""Runs that readers start from a paper's page: asked for in the store, done one at a time in a process of their own."""
