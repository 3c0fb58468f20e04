"""Quadratic programs: solver against solver, and joules."""

from __future__ import annotations

import math

from ..statistics import ProgramPair, program_energies, program_pairs
from .elements import Column, Row, Table, Tone, Value
from .material import Experiment, Material, under
from .numbers import NONE, joules, probability
from .results import ratio_text

_NOTHING = Value(text=NONE, key=math.inf, tone="muted")


def duels(material: Material, experiment: Experiment) -> Table | None:
    """The first solver against each other; None of one alone."""
    first = next(s for s in material.solvers if s in experiment.solvers)
    pairs = program_pairs(experiment.records, baseline=first)
    if not pairs:
        return None
    heads = ("Faster", "Ties", "Slower", "Times as fast", "p Wilcoxon", "p sign", "Only it", "Only the other")
    return Table(
        caption=f"{first} against the others{under(experiment, material)}",
        columns=(Column(title="Against"), Column(title="Verdict"), *(Column(title=h, number=True) for h in heads)),
        rows=tuple(_duel(p, material) for p in pairs),
        note="By the median time over seeds of each program, unsolved ones slower than all. p is two-sided, exact and Holm-corrected over the rows. "
        "“Times as fast”: Hodges-Lehmann estimate over the programs that both solved, with its interval.",
    )


def _duel(p: ProgramPair, material: Material) -> Row:
    better = p.faster > p.slower
    word = (
        ("faster" if better else "slower")
        if p.significant
        else "not significant"
        if p.enough
        else "too few programs to tell"
    )
    tone: Tone = ("best" if better else "bad") if p.significant else "muted"
    tests = ((p.wilcoxon_holm, p.wilcoxon_p), (p.sign_holm, p.sign_p))
    return Row(
        values=(
            material.solver(p.second),
            Value(text=word, tone=tone),
            *(Value(text=str(k), key=k) for k in (p.faster, p.ties, p.slower)),
            _NOTHING if p.ratio is None else Value(text=ratio_text(p.ratio, p.interval), key=p.ratio),
            *(
                _NOTHING if x is None else Value(text=probability(x), key=x, about=f"{probability(raw or 0)} uncorrected")
                for x, raw in tests
            ),
            *(Value(text=str(k), key=k) for k in (p.only_first, p.only_second)),
        )
    )  # fmt: skip


def energy(material: Material, experiment: Experiment) -> Table | None:
    """Modelled joules of each solved program; None where nobody counts events."""
    found = program_energies(experiment.records)
    if not found:
        return None
    names = list(found[0].joules)
    silent = [s for s in material.solvers if s in experiment.solvers and s not in {e.solver for e in found}]
    rows = [
        Row(
            values=(
                Value(text=e.problem),
                material.solver(e.solver),
                *(_joules(e.joules[n], n in e.partial) for n in names),
            )
        )
        for e in found
    ]
    return Table(
        caption=f"Modelled energy of solved programs{under(experiment, material)}",
        columns=(Column(title="Program"), Column(title="Solver"), *(Column(title=n, number=True) for n in names)),
        rows=tuple(rows),
        note="Counted events priced under each technology, the median over solved runs; nothing here was measured. * marks a partial sum, which must not be compared with a complete one."
        + (f" Not counted, since they do not count their events: {', '.join(silent)}." if silent else ""),
    )


def _joules(value: float | None, partial: bool) -> Value:
    if value is None:
        return Value(text="not priced", key=math.inf, tone="muted")
    return Value(text=joules(value) + "*" * partial, key=value)
