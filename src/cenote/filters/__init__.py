"""Filters: which frequencies and patterns a network keeps.

Hands on the public names of the shelf's papers, each loaded when it is used.
"""

from cenote.catalog.shelves import hand_on as _hand_on

__getattr__, __dir__ = _hand_on(__name__)
