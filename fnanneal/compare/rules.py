"""How each solver spends a budget, in its own words."""

from __future__ import annotations

from ..errors import InputError


def budget_rule(name: str) -> str:
    """One sentence, for plans and reports; empty for a solver that does not say.

    A name may be a solver's with settings (`SolverSpec.label`).
    """
    from ..solvers import registry
    from ..solvers.qp import method

    for get in (registry.get, method.get):
        try:
            return str(getattr(get(name.partition(":")[0]), "budget_rule", ""))
        except InputError:
            continue
    return "the method that suits the program" if name == "auto" else ""
