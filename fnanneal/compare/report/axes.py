"""Axes: from data to a place in a panel, and the ticks between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .elements import Scale
from .numbers import MINUS

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Room for what is at or below the floor of a logarithmic axis, as a share of its length.
_BASE = 0.09


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark at a place from 0 to 1; minor ones have no text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """From `low` to `high`, by a scale."""

    scale: Scale
    low: float
    high: float

    @classmethod
    def around(cls, scale: Scale, values: Sequence[float], floor: float = 0.0) -> Axis:
        """An axis that shows all finite values, and something where there are none."""
        finite = [v for v in values if math.isfinite(v)]
        if scale == "share":
            return cls(scale=scale, low=0.0, high=1.0)
        if scale == "linear":
            low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
            if high - low <= 1e-12 * max(abs(low), abs(high)):
                room = abs(high) * 0.05 or 1.0
                return cls(scale=scale, low=low - room, high=high + room)
            return cls(scale=scale, low=low - 0.04 * (high - low), high=high + 0.04 * (high - low))
        above = [v for v in finite if v > max(floor, 0.0)]
        low = floor if scale == "floor" and floor > 0 else min(above, default=0.1)
        high = max(above, default=low * 10)
        return cls(scale=scale, low=low, high=max(high * 1.05, low * 3.2))

    def __call__(self, value: float) -> float:
        """Where a value stands: 0 to 1, values outside at the ends."""
        if self.scale in ("linear", "share"):
            at = (value - self.low) / (self.high - self.low)
        elif value <= 0:
            at = 0.0
        else:
            at = math.log(value / self.low) / math.log(self.high / self.low)
            if self.scale == "floor":
                at = 0.0 if value <= self.low else _BASE + (1 - _BASE) * at
        return min(max(at, 0.0), 1.0)

    @property
    def ticks(self) -> list[Tick]:
        """About five of them, at round values."""
        if self.scale == "share":
            return [Tick(at=k / 4, text=f"{25 * k} %") for k in range(5)]
        if self.scale == "linear":
            return self._linear()
        marks = self._logarithmic()
        return [Tick(at=0.0, text="0"), *marks] if self.scale == "floor" else marks

    def _linear(self) -> list[Tick]:
        rough = (self.high - self.low) / 6
        unit = 10.0 ** math.floor(math.log10(rough))
        step = unit * next(f for f in (1, 2, 5, 10) if f * unit >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        return [
            Tick(at=self(k * step), text=f"{k * step + 0.0:.{places}f}".replace("-", MINUS))
            for k in range(first, last + 1)
        ]

    def _logarithmic(self) -> list[Tick]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        decades = math.log10(self.high / self.low)
        every = max(1, math.ceil(decades / 6))
        with_text = (1,) if decades > 2.3 else (1, 2, 5) if decades > 0.9 else (1, 2, 3, 5, 7)
        marks = []
        for exponent in range(first, last + 1):
            for digit in range(1, 10):
                value = digit * 10.0**exponent
                # On the floor stands the mark of 0.
                lowest = self.low * (1 + (1e-9 if self.scale == "floor" else -1e-9))
                if not lowest <= value <= self.high * (1 + 1e-9):
                    continue
                texted = digit in with_text and (digit > 1 or exponent % every == 0)
                if texted or decades < 3.5:
                    marks.append(Tick(at=self(value), text=power(digit, exponent) if texted else ""))
        return marks


def power(digit: int, exponent: int) -> str:
    """digit x 10^exponent for people."""
    if -3 <= exponent <= 3:
        return f"{digit * 10.0**exponent:g}"
    times = "" if digit == 1 else f"{digit}·"
    return f"{times}10{str(exponent).translate(_SUPERSCRIPTS)}"
