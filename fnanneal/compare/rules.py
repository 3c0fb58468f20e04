"""How each solver spends a budget, in its own words."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from ..errors import InputError
from .cells import Kind


def budget_rule(name: str, kinds: Iterable[Kind]) -> str:
    """One sentence for each of these kinds of problems that it takes, for plans and reports; empty for a solver that does not say.

    A name may be a solver's with settings (`SolverSpec.label`).
    """
    from ..solvers import registry
    from ..solvers.qp import method

    name = name.partition(":")[0]
    if name == "auto":
        return "the method that suits the program"
    told = []
    for kind in sorted(set(kinds)):
        with suppress(InputError):
            told.append(str(getattr((registry if kind == "spins" else method).get(name), "budget_rule", "")))
    return "; ".join(t for t in told if t)
