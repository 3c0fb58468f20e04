"""Arguments that must be numbers in a range; `InputError` names them if they are not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import InputError


def integer(value: Any, what: str, low: int, high: int) -> int:
    """An integer from low to high (NumPy's too; no booleans)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        top = (
            f"{high:.0e}".replace("e+0", "e")
            if high % 10**6 == 0
            else f"2**{high.bit_length()} - 1"
            if high > 10**6
            else high
        )
        raise InputError(f"{what} must be an integer from {low} to {top}, not {value!r:.40}")
    return int(value)


def real(value: Any, what: str, low: float, high: float = math.inf) -> float:
    """A finite number, at least low and at most high."""
    if not _finite(value) or not low <= value <= high:
        most = "" if high == math.inf else f" and at most {high:g}"
        raise InputError(f"{what} must be a finite number, at least {low:g}{most}, not {value!r:.40}")
    return float(value)


def positive(value: Any, what: str) -> float:
    """A finite number above 0."""
    if not _finite(value) or value <= 0:
        raise InputError(f"{what} must be positive and finite, not {value!r:.40}")
    return float(value)


def _finite(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and isinstance(value, int | float | np.number) and math.isfinite(value)
    except OverflowError:
        return False
