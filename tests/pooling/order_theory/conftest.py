"""What all tests of poset pooling share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def short_collections() -> Iterator[None]:
    """Take torch's objects out of garbage collection: numba's compiler triggers many, a quarter of its time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
