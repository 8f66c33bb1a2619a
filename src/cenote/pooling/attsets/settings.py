"""What can be set in the comparison of aggregations, and what of it does not fit together."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from cenote.lab.data.furniture import VIEWS
from cenote.lab.experiment import Settings

R2N2_DATA = "shapenet-r2n2"

SHAPES = frozenset({"furniture", R2N2_DATA})
"""Data sets of objects seen from several sides; the others are images seen through windows."""

SIDES = {"digits": 8, "mnist-5k": 28, "fashion-mnist": 28, "cifar10": 32}
"""Sides of images, where they are known before the data are read."""

LATE = 8
"""Views above which more of them are called late."""


class AttSetsSettings(Settings):
    """Settings of the comparison."""

    train_objects: int = Field(ge=4, description="Objects or images to learn from, at most.")
    test_objects: int = Field(ge=4, description="Objects or images to test on, at most.")
    views: tuple[int, ...] = Field(
        default=(1, 2, 3, 4, 5, 8, 12, 16, 20, 24), description="Numbers of views that are tested, rising from 1."
    )
    train_views: tuple[int, ...] = Field(
        default=(24, 2, 0),
        description="Views of a training set, group by group; the claims are about the first; 0 draws 1 to the most.",
    )
    threshold: float = Field(default=0.4, gt=0, lt=1, description="Probability above which a cell is predicted.")
    network: Literal["small", "r2n2"] = Field(default="small", description="Encoder and decoder; r2n2 is the paper's.")
    dim: int = Field(default=128, ge=4, description="Features of a view in the small network, a multiple of heads.")
    hidden: int = Field(default=256, ge=1, description="Width of the small network's hidden layers.")
    widths: tuple[int, ...] = Field(default=(16, 32, 64), description="Channels of its convolutions, for pictures.")
    heads: int = Field(default=4, ge=1, description="Attention heads of set-transformer.")
    rank: int = Field(default=32, ge=1, description="Features that bilinear forms products of.")
    image_size: int = Field(default=32, ge=8, description="Side of the pictures of furniture in pixels.")
    resolution: int = Field(default=16, ge=8, description="Cells along a side of the grids of furniture.")
    shrink: int = Field(default=2, ge=1, description="Pixels along a side that become one, of images behind windows.")
    window: tuple[int, int] = Field(default=(4, 10), description="Smallest and largest side of a window in pixels.")
    noise: float = Field(default=0.1, ge=0, description="Standard deviation of the noise in a window.")
    single_steps: int = Field(ge=1, description="Training steps on single views.")
    single_batch: int = Field(default=32, ge=1, description="Single views of such a step.")
    set_steps: int = Field(ge=1, description="Training steps on sets, of each aggregation and group.")
    set_batch: int = Field(default=8, ge=1, description="Sets of such a step.")
    # Every arm is trained at each rate and keeps what is best on objects set apart: alike, and not by the test objects.
    single_rates: tuple[float, ...] = Field(default=(3e-3, 1e-2), description="Rates of Adam on single views.")
    set_rates: tuple[float, ...] = Field(default=(3e-4, 1e-3, 3e-3, 1e-2), description="Rates of Adam on sets.")
    set_apart: int = Field(
        default=160, ge=1, description="Objects to learn from that are set apart to choose by, at most half of them."
    )
    spread_objects: int = Field(default=40, ge=1, description="Test objects whose views are put in other orders.")
    spread_orders: int = Field(default=20, ge=1, description="Orders that are tried.")
    shown_objects: int = Field(default=3, ge=1, description="Test objects whose predicted cells are kept.")
    timing_dim: int = Field(default=1024, ge=4, description="Features of the vectors whose aggregation is timed.")
    timing_repeats: int = Field(default=16, ge=2, description="Interleaved repetitions of each aggregation.")
    timing_seconds: float = Field(default=0.05, gt=0, description="Length of one repetition.")

    @property
    def most(self) -> int:
        """The largest number of views."""
        return self.views[-1]

    @property
    def early(self) -> int:
        """The number of views from which the gain of late ones is counted."""
        return max(count for count in self.views[:-1] if count <= LATE)

    def bounds(self, group: int) -> tuple[int, int]:
        """Return the least and the largest number of views in a group's training sets."""
        return (group, group) if group else (1, self.most)

    def arm(self, name: str, group: int) -> str:
        """Name an aggregation trained in a group; in the first, its own name."""
        if group == self.train_views[0]:
            return name
        return f"{name}, sets of {group}" if group else f"{name}, sets of 1 to {self.most}"

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.views[0] != 1 or list(self.views) != sorted(set(self.views)) or len(self.views) < 2:
            raise ValueError(f"views must rise from 1, got {list(self.views)}")
        groups = self.train_views
        if not groups or len(set(groups)) != len(groups) or not all(0 <= each <= self.most for each in groups):
            raise ValueError(f"train_views must be different numbers from 0 to {self.most}, got {list(groups)}")
        for name, rates in (("single_rates", self.single_rates), ("set_rates", self.set_rates)):
            if not rates or len(set(rates)) != len(rates) or min(rates) <= 0:
                raise ValueError(f"{name} must be different numbers above 0, got {list(rates)}")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads ({self.heads}); it is {self.dim}")
        if self.rank > self.dim:
            raise ValueError(f"rank must be at most dim ({self.dim}); it is {self.rank}")
        if self.timing_dim % self.heads or self.timing_dim < self.rank:
            raise ValueError(
                f"timing_dim must be a multiple of heads ({self.heads}) and at least rank ({self.rank}); it is "
                f"{self.timing_dim}"
            )
        self._check_pictures()
        self._check_windows()
        return self

    def _check_pictures(self) -> None:
        """Refuse what does not fit data sets of objects."""
        if self.network == "r2n2" and set(self.data) != {R2N2_DATA}:
            raise ValueError(
                f"network r2n2 needs coloured pictures of 127 pixels, which data {R2N2_DATA} has; data is "
                f"{list(self.data)}"
            )
        if "furniture" in self.data and self.most > VIEWS:
            raise ValueError(f"views must be at most the {VIEWS} of a piece of furniture, got {list(self.views)}")
        halvings = self.image_size.bit_length() - 1  # each convolution halves a side, whose last must not be empty
        too_many = "furniture" in self.data and len(self.widths) > halvings
        if not self.widths or min(self.widths) < 1 or too_many:
            raise ValueError(
                f"widths must be 1 to {halvings} positive numbers for image_size {self.image_size}, got "
                f"{list(self.widths)}"
            )

    def _check_windows(self) -> None:
        """Refuse windows that no image has room for."""
        low, high = self.window
        if not 1 <= low <= high:
            raise ValueError(f"window must be two numbers from 1, the smaller first, got {list(self.window)}")
        for name in (name for name in self.data if name in SIDES):
            side = SIDES[name] // self.shrink
            if high > side:
                raise ValueError(
                    f"window must fit into the {side} pixels that {name} has with shrink {self.shrink}, got "
                    f"{list(self.window)}"
                )
