"""What the parts of a report draw on: the records in their experiments, and the order and names of what was compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..cells import Cell, Kind
from ..records import Record
from ..statistics import Reference, by_problem, references
from .elements import Value
from .numbers import percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Records of one kind under one budget: only such are compared with each other."""

    budget: str
    kind: Kind
    records: tuple[Record, ...]

    @property
    def problems(self) -> list[str]:
        return list(dict.fromkeys(r.problem for r in self.records))

    @property
    def solvers(self) -> list[str]:
        return list(dict.fromkeys(r.solver for r in self.records))


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All of a store.

    Attributes
    ----------
    records
        In the plan's order; problems of one name and several contents are told apart by name.
    missing
        Planned cells without a record.
    solvers
        All labels; a label's place is its colour.
    thresholds
        Gaps that count as solved, the first one being the report's.
    known
        References by problem; programs have none, since a point that is not feasible may have any objective.
    experiments
        Those of spins before those of programs.
    """

    plan: Mapping[str, Any]
    records: tuple[Record, ...]
    missing: tuple[Cell, ...]
    solvers: tuple[str, ...]
    thresholds: tuple[float, ...]
    known: Mapping[str, Reference]
    experiments: tuple[Experiment, ...]

    @classmethod
    def of(cls, records: Sequence[Record], plan: Mapping[str, Any], planned: Sequence[Cell]) -> Material:
        """Sort it."""
        loaded = _identified(records, planned)
        names = {id(r): name for name, group in by_problem(loaded).items() for r in group}
        told = tuple(r if r.problem == names[id(r)] else replace(r, problem=names[id(r)]) for r in loaded)
        there = {r.cell for r in told}
        labels = [*map(str, plan.get("solvers", ())), *(c.solver.label for c in planned), *(r.solver for r in told)]
        used = {r.solver for r in told}
        groups: dict[tuple[str, Kind], list[Record]] = {}
        for r in told:
            groups.setdefault((r.budget.label, r.kind), []).append(r)
        experiments = [Experiment(budget=b, kind=k, records=tuple(g)) for (b, k), g in groups.items()]
        return cls(
            plan=plan,
            records=told,
            missing=tuple(c for c in planned if c.key not in there),
            solvers=tuple(s for s in dict.fromkeys(labels) if s in used),
            thresholds=tuple(dict.fromkeys(map(float, plan.get("thresholds") or (0.0,)))),
            known=references([r for r in told if r.kind == "spins"]),
            experiments=tuple(sorted(experiments, key=lambda e: e.kind != "spins")),
        )

    def of_kind(self, kind: Kind) -> list[Experiment]:
        """The experiments of a kind."""
        return [e for e in self.experiments if e.kind == kind]

    def solver(self, label: str) -> Value:
        """A solver's name beside its colour."""
        return Value(text=label, series=self.solvers.index(label))


def _identified(records: Sequence[Record], planned: Sequence[Cell]) -> list[Record]:
    """A run that failed before its problem was loaded is told what other runs know of that problem."""
    identities = {c.key: (c.identity, c.kind) for c in planned}
    known = {identities[r.cell]: r for r in reversed(records) if r.sha256 is not None and r.cell in identities}
    found = []
    for r in records:
        other = known.get(identities.get(r.cell, ("", r.kind))) if r.sha256 is None else None
        shared = ("problem", "sha256", "size", "sense", "best_known", "best_known_source")
        found.append(r if other is None else replace(r, **{name: getattr(other, name) for name in shared}))
    return found


def under(experiment: Experiment, material: Material) -> str:
    """Which experiment it is, where there are several of its kind: to be put behind a title."""
    return f", {experiment.budget}" if len(material.of_kind(experiment.kind)) > 1 else ""


def goal(theta: float) -> str:
    """A threshold in words."""
    return "the reference" if theta == 0 else f"a gap of {percent(theta)}"


def objective_name(experiment: Experiment) -> str:
    """What is compared: cuts, or energies."""
    kinds = {r.size.get("kind") for r in experiment.records if r.size}
    return "cut" if kinds == {"maxcut"} else "objective" if len(kinds) != 1 else "energy"
