"""The eight shelves as a reader meets them."""

from __future__ import annotations

from dataclasses import dataclass

from cenote.catalog.card import Shelf


@dataclass(frozen=True)
class ShelfView:
    """A shelf's name, and what stands on it."""

    shelf: Shelf
    sentence: str

    @property
    def name(self) -> str:
        """The name as a reader knows it: 'active learning'."""
        return self.shelf.value.replace("_", " ")


SHELVES = {
    view.shelf.value: view
    for view in (
        ShelfView(Shelf.POOLING, "Many values into few."),
        ShelfView(Shelf.FILTERS, "Which frequencies and patterns a network keeps."),
        ShelfView(Shelf.PRUNING, "Which parts of a network are kept."),
        ShelfView(Shelf.CURATION, "Which training data are kept."),
        ShelfView(Shelf.ACTIVE_LEARNING, "Which examples are worth a label."),
        ShelfView(Shelf.RETRIEVAL, "Which items are found, and how fast."),
        ShelfView(Shelf.GENERATION, "Which tokens, layers and concepts are kept while generating."),
        ShelfView(Shelf.TRACKING, "Which measurements belong to which object."),
    )
}
"""By the shelf's value, in the order of the catalog."""
