"""Families of quadratic programs by name (``gen:portfolio(1000, seed=3)``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches

from ...errors import InputError
from ..expressions import parse_call
from .applications import huber, lasso, mpc, portfolio, svm
from .hopeless import infeasible, unbounded
from .program import QP
from .synthetic import box, convex_box, equality, random_qp

_FAMILIES: dict[str, Callable[..., QP]] = {
    "portfolio": portfolio,
    "lasso": lasso,
    "svm": svm,
    "huber": huber,
    "mpc": mpc,
    "random": random_qp,
    "equality": equality,
    "box": box,
    "convex_box": convex_box,
    "infeasible": infeasible,
    "unbounded": unbounded,
}


def families() -> dict[str, Callable[..., QP]]:
    """The generators by name."""
    return dict(_FAMILIES)


def from_expression(text: str) -> QP:
    """A problem by the name of its family.

    Parameters
    ----------
    text
        ``lasso(50, 1000, seed=1)``. Arguments are literals; nothing is evaluated.

    Raises
    ------
    InputError
        For an unknown family, and arguments that do not fit.
    """
    name, arguments, keywords = parse_call(text)
    make = _FAMILIES.get(name)
    if make is None:
        close = get_close_matches(name, list(_FAMILIES), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(_FAMILIES)}"
        raise InputError(f"gen has no family of quadratic programs {name[:60]!r}; {hint}")
    try:
        inspect.signature(make).bind(*arguments, **keywords)
    except TypeError as e:
        plain = [p.replace(annotation=p.empty) for p in inspect.signature(make).parameters.values()]
        raise InputError(f"gen:{name}: {e}; it is {name}{inspect.Signature(plain)}") from None
    return replace(make(*arguments, **keywords), name=f"gen:{text.strip()}")
