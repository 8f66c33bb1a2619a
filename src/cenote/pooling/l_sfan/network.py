"""L-SFAN (arXiv 2406.16913): four small convolutions, a mean along one axis, attention between the maps."""

from __future__ import annotations

from numbers import Integral
from typing import Literal

from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.l_sfan.pooling import oriented_avg_pool

Pool = Literal["tap", "sap"]
"""The mean over time, which keeps the sensors, or over the sensors, which keeps time."""

LEAST_FRAMES = 16
"""Frames that the four convolutions and two poolings leave one of."""


class LSFAN(nn.Module):
    """Classify windows of sensor readings (arXiv 2406.16913).

    Four 3×3 convolutions see the window as an image of time by sensor; time is halved after every second one. The mean
    over time (``tap``) keeps a value for each map and sensor; ``sap`` is the mean over the sensors instead. One
    transformer layer, after the norm, in which the maps are the tokens and the sensors the features, and a linear layer
    follow. No step mixes up time: with ``tap`` the network takes windows of any length from 16 frames.

    The two ablations are ``attention=False`` with ``pool="tap"`` (2D-CNN-TAP) or ``"sap"`` (2D-CNN-SAP).

    Differs from the paper: nothing in the forward pass. The released code builds the convolutions once for all models,
    keeps a second copy of the transformer layer that is never used, and its "spatial" pooling averages over time.

    Shapes:
        ``x``: (B, T, S) or (B, 1, T, S) with T frames of S sensors; the result is (B, K), logits.

    Args:
        n_sensors: S.
        n_frames: T, from 16; read with ``pool="sap"`` alone, where the weights belong to the frames.
        num_classes: K.
        channels: Maps of the four convolutions.
        nhead: Heads of the attention, a divisor of S (of the frames that remain, with ``sap``).
        ff: Width of the transformer layer's feed-forward part; that of its features if None.
        pool: ``"tap"`` or ``"sap"``.
        attention: Whether the transformer layer is there.
        dropout: Of the transformer layer.

    Raises:
        ArgumentError: If there are too few frames or sensors, or the heads do not divide them.

    Example:
        >>> import torch
        >>> model = LSFAN(n_sensors=30, n_frames=180)
        >>> model(torch.randn(4, 180, 30)).shape
        torch.Size([4, 2])
        >>> sum(weight.numel() for weight in model.parameters())
        8282
    """

    def __init__(
        self,
        n_sensors: int = 30,
        n_frames: int = 180,
        num_classes: int = 2,
        channels: tuple[int, int, int, int] = (2, 4, 8, 16),
        nhead: int = 5,
        ff: int | None = None,
        pool: Pool = "tap",
        attention: bool = True,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        _check(n_sensors, n_frames, num_classes, channels, pool, ff, dropout)
        self.n_sensors = n_sensors
        self.n_frames = n_frames
        self.axis: Literal["time", "sensor"] = "time" if pool == "tap" else "sensor"
        self.cnn = convolutions(channels)
        kept = n_sensors if pool == "tap" else frames_after(n_frames)
        self.encoder = _encoder(kept, nhead, ff, dropout) if attention else nn.Identity()
        self.head = nn.Linear(channels[-1] * kept, num_classes)

    def maps(self, x: Tensor) -> Tensor:
        """Return the feature maps (B, C, T', S) that are pooled; T' is 42 for 180 frames.

        Raises:
            ArgumentError: If the windows have another shape than the network was made for.
        """
        sensors, fixed = self.n_sensors, self.n_frames if self.axis == "sensor" else None
        image = x.unsqueeze(1) if x.dim() == 3 else x
        if image.dim() != 4 or image.shape[1] != 1 or image.shape[3] != sensors:
            raise ArgumentError(f"x: got shape {tuple(x.shape)}, allowed is (B, T, {sensors}) or (B, 1, T, {sensors})")
        if image.shape[2] != fixed and (fixed is not None or image.shape[2] < LEAST_FRAMES):
            allowed = f"{fixed}, as the sensors are pooled" if fixed is not None else f"{LEAST_FRAMES} or more"
            raise ArgumentError(f"x: got {image.shape[2]} frames, allowed is {allowed}")
        maps: Tensor = self.cnn(image)
        return maps

    def classify(self, maps: Tensor) -> Tensor:
        """Return the logits (B, K) of feature maps (B, C, T', S)."""
        logits: Tensor = self.head(self.encoder(oriented_avg_pool(maps, self.axis)).flatten(1))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, K) of windows (B, T, S) or (B, 1, T, S)."""
        return self.classify(self.maps(x))


def convolutions(channels: tuple[int, int, int, int] = (2, 4, 8, 16)) -> nn.Sequential:
    """Return the two blocks of convolutions, which see every sensor's neighbours and leave the sensors' number alone.

    Shapes:
        (B, 1, T, S) becomes (B, C, T', S) with T' as ``frames_after`` says.
    """
    layers: list[nn.Module] = []
    before = 1
    for index, after in enumerate(channels):
        layers += [nn.Conv2d(before, after, 3, padding=(0, 1)), nn.BatchNorm2d(after), nn.ReLU()]
        if index % 2:
            layers.append(nn.MaxPool2d((2, 1)))
        before = after
    return nn.Sequential(*layers)


def frames_after(n_frames: int) -> int:
    """Return the number of frames that the convolutions leave of a window: 42 of 180."""
    return ((n_frames - 4) // 2 - 4) // 2


def _encoder(width: int, nhead: int, ff: int | None, dropout: float) -> nn.TransformerEncoderLayer:
    if not _whole(nhead, 1) or width % nhead:
        divisors = ", ".join(str(number) for number in range(1, width + 1) if width % number == 0)
        raise ArgumentError(f"nhead: got {nhead}, which does not divide {width}; choose from {divisors}")
    return nn.TransformerEncoderLayer(width, nhead, width if ff is None else ff, dropout, batch_first=True)


def _check(
    n_sensors: int,
    n_frames: int,
    num_classes: int,
    channels: tuple[int, ...],
    pool: str,
    ff: int | None,
    dropout: float,
) -> None:
    maps = channels if isinstance(channels, list | tuple) else ()
    for name, value, allowed, fits in (
        ("n_sensors", n_sensors, "a whole number from 1", _whole(n_sensors, 1)),
        ("n_frames", n_frames, f"a whole number from {LEAST_FRAMES}", _whole(n_frames, LEAST_FRAMES)),
        ("num_classes", num_classes, "a whole number from 1", _whole(num_classes, 1)),
        ("channels", channels, "four whole numbers from 1", len(maps) == 4 and all(_whole(each, 1) for each in maps)),
        ("pool", repr(pool), "'tap' or 'sap'", pool in ("tap", "sap")),
        ("ff", ff, "None or a whole number from 1", ff is None or _whole(ff, 1)),
        ("dropout", dropout, "0 up to, but not, 1", isinstance(dropout, int | float) and 0 <= dropout < 1),
    ):
        if not fits:
            raise ArgumentError(f"{name}: got {value}, allowed is {allowed}")


def _whole(value: object, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
