"""Cases of the network and of pooling along one axis for the contract every paper inherits."""

from __future__ import annotations

from typing import Any

from cenote.pooling import LSFAN, oriented_avg_pool
from tests.conformance.case import Case, normal


def _network(name: str, *shape: int, **arguments: Any) -> Case:
    own = {"n_sensors": 4, "n_frames": 17, "nhead": 2, "channels": (2, 2, 3, 3), **arguments}
    return Case(name, LSFAN, normal(*(shape or (17, 4))), own, bfloat16_tolerance=2**-4)


CASES = (
    _network("tap"),
    _network("tap-one-map", 1, 16, 6, n_sensors=6, nhead=3, ff=5, num_classes=3),
    _network("tap-without-attention", attention=False, dropout=0.0),
    _network("sap", 20, 3, n_sensors=3, n_frames=20, nhead=1, pool="sap", channels=(1, 2, 2, 4)),
    Case("time", oriented_avg_pool, normal(2, 4, 3)),
    Case("sensor", oriented_avg_pool, normal(2, 4, 3), {"axis": "sensor"}),
    Case("maps", oriented_avg_pool, normal(3, 2), {"axis": 1}),
)
