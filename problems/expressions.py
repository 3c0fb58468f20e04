"""The language of ``nx:`` and ``gen:``: ``NAME(arguments);weights=...;wseed=N``, read as literals and never evaluated."""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from .couplings import Couplings, Weights, as_weights

MAX_EDGES = 5 * 10**7
MAX_VERTICES = 10**8
_NUMBER = r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*"
_WEIGHTS = re.compile(rf"(unit|pm1|gauss)|(int|gauss)\({_NUMBER},{_NUMBER}\)")
_FORMS = "unit, pm1, int(lo,hi), gauss or gauss(mean,std)"


def check_size(n: int, m: int, what: str) -> None:
    """Refuse an empty graph, and one too large to make: more than 1e8 vertices or 5e7 edges."""
    if n < 1:
        raise InputError(f"{what} needs at least 1 vertex, not {n}")
    if n > MAX_VERTICES:
        raise InputError(f"{what} would have {n:.4g} vertices: at most 1e8 are made")
    if m > MAX_EDGES:
        raise InputError(f"{what} would have {m:.4g} edges: at most 5e7 are made")


def _parse(text: str) -> ast.expr | None:
    """The syntax tree, or None where the text is no expression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes and literals
        try:
            return ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def split(text: str) -> tuple[str, str]:
    """``NAME(...)`` and what follows its semicolon (empty if there is none)."""
    at = text.find(";")
    while at >= 0:
        if _parse(text[:at]) is not None:
            return text[:at], text[at + 1 :]
        at = text.find(";", at + 1)
    return text, ""


def _literal(node: ast.expr, where: str) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise InputError(
            f"{where} must be plain: a number, string, list, tuple, dict, True, False or None, not an expression"
        ) from None
    _plain(value, where)
    return value


def _plain(value: Any, where: str) -> None:
    if isinstance(value, list | tuple):
        for x in value:
            _plain(x, where)
    elif isinstance(value, dict):
        for k, x in value.items():
            _plain(k, where)
            _plain(x, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} is {value}: numbers must be finite")
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise InputError(f"{where} is too large an integer: it does not fit in 64 bits")
    elif not (value is None or isinstance(value, int | float | str)):
        raise InputError(
            f"{where} must be a number, string, list, tuple, dict, True, False or None, not {type(value).__name__}"
        )


def parse_call(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Take ``NAME(arguments)`` apart; nothing in it is ever run.

    Parameters
    ----------
    text
        A name, or a call of one whose arguments are literals: numbers, strings, lists, tuples, dicts, booleans, None.

    Returns
    -------
    name : str
    arguments : list
    keywords : dict

    Raises
    ------
    InputError
        For anything else.
    """
    shown = text.strip()
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    body = _parse(text)
    if isinstance(body, ast.Name):
        return body.id, [], {}
    if not (isinstance(body, ast.Call) and isinstance(body.func, ast.Name)):
        raise InputError(f"expected NAME(arguments), such as torus2d(8, 8, seed=1), not {shown!r}")
    name = body.func.id
    arguments = [_literal(x, f"argument {k} of {name}") for k, x in enumerate(body.args, 1)]
    keywords: dict[str, Any] = {}
    for k in body.keywords:
        if k.arg is None:
            raise InputError(f"{name}: arguments must be written out, not as **...")
        if k.arg in keywords:
            raise InputError(f"{name}: argument {k.arg} is given twice")
        keywords[k.arg] = _literal(k.value, f"argument {k.arg} of {name}")
    return name, arguments, keywords


def parse_options(text: str) -> dict[str, Any]:
    """Read ``weights=FORM;wseed=N``.

    Returns
    -------
    dict
        ``weights`` (str) and ``wseed`` (int), as far as given.

    Raises
    ------
    InputError
        For other options, one given twice, a wrong form, or ``wseed`` without ``weights``.
    """
    options: dict[str, Any] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        key, equals, value = (x.strip() for x in part.partition("="))
        if not equals or key not in ("weights", "wseed"):
            raise InputError(f"unknown option {part.strip()[:40]!r}: after ';' come weights=... and wseed=N")
        if key in options:
            raise InputError(f"{key} is given twice")
        if key == "weights":
            draw_weights(value, 0, 0)
            options[key] = value
        elif re.fullmatch("[0-9]{1,10}", value):
            options[key] = check_seed(int(value), "wseed")
        else:
            raise InputError(f"wseed must be an integer from 0 to 2**32 - 1, not {value[:40]!r}")
    if "wseed" in options and "weights" not in options:
        raise InputError(f"wseed needs weights= beside it: {_FORMS}")
    return options


def check_seed(seed: Any, what: str = "seed") -> int:
    """A seed that `numpy.random.RandomState` takes."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError(f"{what} must be an integer from 0 to 2**32 - 1, not {seed!r}"[:200])
    return seed


def draw_weights(form: str, count: int, seed: int | np.random.RandomState) -> Weights:
    """Random weights, the same for ever: from NumPy's frozen `numpy.random.RandomState` stream.

    Parameters
    ----------
    form
        ``unit`` (all 1), ``pm1`` (-1 or +1 with even chances), ``int(lo,hi)`` (uniform, both ends included), ``gauss`` (normal, 0 and 1)
        or ``gauss(mean,std)``.
    count
        How many.
    seed
        0 to 2**32 - 1, or the stream to go on with.

    Returns
    -------
    (count,) int64 or float64

    Raises
    ------
    InputError
        For another form.
    """
    match = _WEIGHTS.fullmatch(form.strip()) if isinstance(form, str) else None
    if match is None:
        raise InputError(f"weights must be {_FORMS}, not {form!r}"[:200])
    kind = match[1] or match[2]
    stream = np.random.RandomState(seed) if isinstance(seed, int) else seed
    if kind == "unit":
        return np.ones(count, np.int64)
    if kind == "pm1":
        return 2 * stream.randint(0, 2, size=count, dtype=np.int64) - 1
    if kind == "int":
        if not all(re.fullmatch("[+-]?[0-9]{1,18}", x) for x in (match[3], match[4])) or int(match[3]) > int(match[4]):
            raise InputError(f"weights=int(lo,hi) needs integers lo <= hi, not {form!r}"[:200])
        return stream.randint(int(match[3]), int(match[4]) + 1, size=count, dtype=np.int64)
    mean, std = (float(match[3]), float(match[4])) if match[3] else (0.0, 1.0)
    if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
        raise InputError(f"weights=gauss(mean,std) needs finite numbers and std >= 0, not {form!r}"[:200])
    return mean + std * stream.standard_normal(count)


def reweighted(couplings: Couplings, options: Mapping[str, Any]) -> Couplings:
    """The couplings with the weights that the options ask for, if any.

    The draws go to the pairs sorted by (smaller index, larger index), so that they do not depend on the order in which a generator made them.
    """
    if "weights" not in options:
        return couplings
    c = couplings
    order = np.lexsort((np.maximum(c.rows, c.cols), np.minimum(c.rows, c.cols)))
    drawn = draw_weights(options["weights"], c.m, check_seed(options.get("wseed", 0), "wseed"))
    weights = np.empty_like(drawn)
    weights[order] = drawn
    return c.replace_weights(as_weights(weights))
