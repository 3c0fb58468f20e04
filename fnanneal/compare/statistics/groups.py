"""Records sorted into what may be compared: one budget, one problem, one solver. Orders are those of first appearance."""

from __future__ import annotations

from collections.abc import Iterable

from ..records import Record


def by_budget(records: Iterable[Record]) -> dict[str, list[Record]]:
    """By `Budget.label`. Runs under different budgets are different experiments: a solver may plan its schedule by its limit."""
    groups: dict[str, list[Record]] = {}
    for r in records:
        groups.setdefault(r.budget.label, []).append(r)
    return groups


def by_problem(records: Iterable[Record]) -> dict[str, list[Record]]:
    """By name; where one name had several contents (a file that was changed), by ``NAME (DIGEST)``.

    Runs that failed before loading know no digest: they belong to the first content of that name.
    """
    records = list(records)
    contents: dict[str, list[str]] = {}
    for r in records:
        digests = contents.setdefault(r.problem, [])
        if r.sha256 is not None and r.sha256 not in digests:
            digests.append(r.sha256)
    groups: dict[str, list[Record]] = {}
    for r in records:
        digests = contents[r.problem]
        name = r.problem if len(digests) < 2 else with_digest(r.problem, r.sha256 or digests[0])
        groups.setdefault(name, []).append(r)
    return groups


def with_digest(name: str, sha256: str) -> str:
    """A problem's name where it is not enough."""
    return f"{name} ({sha256[:8]})"


def by_solver(records: Iterable[Record]) -> dict[str, list[Record]]:
    """By label: a solver under one setting."""
    groups: dict[str, list[Record]] = {}
    for r in records:
        groups.setdefault(r.solver, []).append(r)
    return groups


def ran(records: Iterable[Record]) -> list[Record]:
    """Without those that were not run since the solver cannot take the problem. Failed runs stay."""
    return [r for r in records if r.outcome != "unfit"]
