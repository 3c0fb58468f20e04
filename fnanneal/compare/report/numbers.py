"""Numbers for people: the same digits on every machine."""

from __future__ import annotations

import math

from ...result import Number

# Numbers and units stay on one line.
SPACE = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
_JOULES = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ"), (1e-15, "fJ"), (1e-18, "aJ"))


def signed(text: str) -> str:
    """With a proper minus."""
    return MINUS + text[1:] if text.startswith("-") else text


def objective(x: Number | None) -> str:
    """Integers whole, others to ten digits."""
    if x is None:
        return NONE
    return signed(str(int(x)) if isinstance(x, int) or (x.is_integer() and abs(x) < 1e15) else f"{x:.10g}")


def short(x: float | None, digits: int = 3) -> str:
    """Some digits, without needless zeros."""
    if x is None or math.isnan(x):
        return NONE
    if math.isinf(x):
        return "∞" if x > 0 else MINUS + "∞"
    if x == 0:
        return "0"
    if 1e-4 <= abs(x) < 10**6:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(x))))
        text = f"{x:.{decimals}f}"
        return signed(text.rstrip("0").rstrip(".") if "." in text else text)
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    return signed(f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}").replace(
        "e-", "e" + MINUS
    )


def seconds(t: float | None) -> str:
    """A time with its unit."""
    if t is None or math.isnan(t):
        return NONE
    if math.isinf(t):
        return "∞"
    if t == 0:
        return f"0{SPACE}s"
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if abs(t) >= 0.9995 * size:
            return f"{short(t / size)}{SPACE}{unit}"
    return f"{short(t / 1e-6)}{SPACE}µs"


def percent(x: float | None) -> str:
    """A share or gap."""
    if x is None or math.isnan(x):
        return NONE
    return f"{short(100 * x)}{SPACE}%"


def joules(x: float | None) -> str:
    """An energy with its unit."""
    if x is None or math.isnan(x):
        return NONE
    for size, unit in _JOULES:
        if abs(x) >= 0.9995 * size:
            return f"{short(x / size)}{SPACE}{unit}"
    return f"{short(x)}{SPACE}J"


def probability(p: float | None) -> str:
    """A p-value: two digits, and never 0."""
    if p is None or math.isnan(p):
        return NONE
    return short(p, 2) if p > 1e-300 else f"< 1e{MINUS}300"


def interval(low: str, high: str) -> str:
    """Two ends."""
    return f"[{low}, {high}]"


def count(n: int, noun: str, plural: str = "") -> str:
    """ "1 run", "2 runs"."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
