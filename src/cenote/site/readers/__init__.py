"""Readers: signing in by mail, votes, comments, and what operators may do."""
