"""The web site: a feed of papers, its store, what it reads and what it serves. No module here loads torch."""
