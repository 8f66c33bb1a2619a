"""How numbers of claims are written, in sentences, tables and on pages alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cenote.catalog.card import Claim, Kind

MINUS = "−"

_POINTS = frozenset({"fraction", "%", "percent"})
_FINEST = 6  # decimals, beyond which a number is written with an exponent
_MOST_DECIMALS = 8  # in a table; a value that is nothing even then is written with an exponent
_FINER = 3  # decimals more than the spread asks for, to show on which side of a threshold an end lies


@dataclass(frozen=True)
class Scale:
    """How numbers of a claim are written.

    Attributes:
        factor: What a value is multiplied with: 100 for a fraction, which is written in points.
        unit: The unit behind the number, empty if it has none.
        signed: Whether a plus is written.
    """

    factor: float = 1.0
    unit: str = ""
    signed: bool = True

    @classmethod
    def of(cls, claim: Claim) -> Scale:
        """Return the scale of a claim's differences or statistics."""
        if claim.kind is Kind.RATIO:
            return cls(signed=False)
        if claim.kind is Kind.RANK:
            return cls()
        unit = "points" if claim.metric_unit in _POINTS else claim.metric_unit
        if claim.kind is Kind.TREND:
            unit = f"{unit} per unit of x".strip()
        return cls(100.0 if claim.metric_unit == "fraction" else 1.0, unit)

    def number(self, value: float) -> str:
        """Write a number as it was declared: '0.5 points'."""
        return self._with_unit(f"{value * self.factor:.6g}".replace("-", MINUS))

    def interval(self, low: float, high: float, against: Sequence[float]) -> str:
        """Write an interval so finely that its side of each threshold shows: '+0.4 to +1.9 points'."""
        if low == high:
            return f"exactly {self._with_unit(self._written(low, '.6g'))}"
        form = self._form((low, high), against, high - low)
        return self._with_unit(f"{self._written(low, form)} to {self._written(high, form)}")

    def end(self, value: float, against: Sequence[float], spread: float) -> str:
        """Write one end of an interval as finely: '+0.4 points'."""
        form = self._form((value,), against, spread) if spread > 0 else ".6g"
        return self._with_unit(self._written(value, form))

    def _form(self, ends: Sequence[float], against: Sequence[float], spread: float) -> str:
        """Two digits of the spread, and more where an end lies closer to a threshold."""
        decimals = 1 - _magnitude(spread * self.factor)
        gaps = [abs(end - threshold) * self.factor for end in ends for threshold in against if end != threshold]
        closest = max([-_magnitude(gap) for gap in gaps], default=0)
        decimals = max(decimals, min(closest, decimals + _FINER), 0)
        return f",.{decimals}f" if decimals <= _FINEST else ".3e"

    def _written(self, value: float, form: str) -> str:
        sign = "+" if self.signed else ""
        return f"{value * self.factor:{sign}{form}}".replace("-", MINUS)

    def _with_unit(self, text: str) -> str:
        if self.unit == "points" and text.lstrip(f"+{MINUS}") == "1":
            return f"{text} point"
        return f"{text} {self.unit}".strip()


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it must be: ``1 seed``, ``1,000 queries``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun.removesuffix('y')}ies" if noun.endswith("ry") else f"{count:,} {noun}s"


def write_duration(seconds: float) -> str:
    """Write a time as one says it.

    Example:
        >>> write_duration(7.4), write_duration(95), write_duration(5460)
        ('7 s', '1 min 35 s', '1 h 31 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(value))


def level_scale(unit: str) -> Scale:
    """Return what a measured value is written in: a fraction in per cent."""
    return Scale(100.0, "%", signed=False) if unit == "fraction" else Scale(unit=unit, signed=False)


def effect_scale(claim: Claim) -> Scale:
    """Return what a comparison is written in: as in the verdict's sentence, a ratio with its sign."""
    if claim.kind is Kind.RATIO:
        return Scale(unit="×", signed=False)
    if claim.kind is Kind.BOUND:
        return level_scale("fraction")
    return level_scale(claim.metric_unit) if claim.kind is Kind.EQUAL else Scale.of(claim)


def decimals_of(spread: float) -> int | None:
    """Return the decimals that give a spread two digits; None, for four digits of the value, where it has none."""
    if not math.isfinite(spread) or spread <= 0:
        return None
    return min(_MOST_DECIMALS, max(0, 1 - math.floor(math.log10(spread))))


def decimals_apart(
    ends: Sequence[float], thresholds: Sequence[float], scale: Scale, decimals: int | None
) -> int | None:
    """As many decimals as show on which side of a threshold an end lies, so that no table contradicts its verdict."""
    if decimals is None:
        return None
    pairs = [(scale.factor * end, scale.factor * other) for end in ends for other in thresholds if end != other]
    finer = range(decimals, decimals + 4)
    return next((n for n in finer if all(round(end, n) != round(other, n) for end, other in pairs)), finer[-1])


def write_number(value: float, scale: Scale, decimals: int | None = None) -> str:
    """Write a value in its scale, without the unit; with four digits where no decimals are given."""
    if math.isnan(value):
        return "diverged"
    scaled = scale.factor * value + 0.0  # turns −0 into 0
    if decimals is not None:
        lost = decimals >= _MOST_DECIMALS and 0 < abs(scaled) < 0.5 * 10**-decimals
        text = f"{scaled:.2g}" if lost else f"{scaled:,.{decimals}f}"
    elif scaled.is_integer():
        text = f"{scaled:,.0f}"
    else:
        text = f"{scaled:.4g}" if abs(scaled) < 1e-4 else f"{float(f'{scaled:.4g}'):,}".removesuffix(".0")
    text = text.replace("inf", "∞").replace("-", "−")
    return f"+{text}" if scale.signed and scaled > 0 else text


def write_with_unit(value: float, scale: Scale, decimals: int | None = None) -> str:
    """Write a value in its scale with the unit: '1 point', '2 points'."""
    text = write_number(value, scale, decimals)
    if math.isnan(value) or not scale.unit:
        return text
    return f"{text} {'point' if scale.unit == 'points' and text.lstrip('+−') == '1' else scale.unit}"
