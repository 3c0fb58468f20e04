"""The report's content, in order, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..cells import Cell
from ..records import Record
from ..statistics import Headline, Summary, headline, summarise
from ..statistics import programs as summaries_of
from . import about, contests, plots, results, runs, words, workloads
from .elements import Figures, Report, Section, Table, Text
from .material import Experiment, Material, goal, under

# More problems than this are folded away where each has a panel of its own.
_OPEN = 12
_OPEN_RUNS = 60

Part = Text | Table | Figures
Folded = tuple[str, Sequence[Part]]


def build(records: Sequence[Record], plan: Mapping[str, Any], planned: Sequence[Cell] = ()) -> Report:
    """All of it, from a store's records, plan and planned cells."""
    material = Material.of(records, plan, planned)
    told: list[str] = []
    points: list[str] = []
    sections: list[Section] = []
    for number, e in enumerate(material.experiments):
        suffix = under(e, material)
        anchor = f"-{number}" if suffix else ""
        made, paragraph, particulars = (
            _spins(material, e, suffix, anchor) if e.kind == "spins" else _programs(material, e, suffix, anchor)
        )
        sections += made
        told.append(paragraph)
        points += particulars
    return Report(
        title=str(plan.get("title") or "Comparison"),
        solvers=material.solvers,
        headline=tuple(told) or ("Nothing has been run yet.",),
        points=tuple(points),
        facts=about.facts(material),
        warnings=tuple(about.warnings(material)),
        sections=(*sections, *_appendix(material)),
    )


def _spins(material: Material, e: Experiment, suffix: str, anchor: str) -> tuple[list[Section], str, list[str]]:
    theta, *more = material.thresholds
    first = next(s for s in material.solvers if s in e.solvers)
    head = headline(e.records, theta, material.known, first=first)
    tables = {t: summarise(e.records, t, material.known) for t in material.thresholds}
    shown = tables[theta]
    glance: list[Part] = [results.objectives(shown, head, material, e), results.times(shown, material, e)]
    folded: list[Folded] = [(f"Time to reach {goal(t)}", [results.times(tables[t], material, e)]) for t in more]
    folded += [
        (f"All numbers, reaching {goal(t)}", [results.in_full(tables[t], material, e)]) for t in material.thresholds
    ]
    figures: list[Part] = [plots.overall(shown, material, e), plots.gap_distributions(material, e)]
    sections = [
        Section(anchor=f"results{anchor}", title=f"Results{suffix}", parts=glance, folded=folded),
        *_workloads(material, e, suffix, anchor),
        Section(
            anchor=f"figures{anchor}",
            title=f"All problems together{suffix}",
            parts=figures,
            folded=[(f"Reaching {goal(t)}", [plots.overall(tables[t], material, e)]) for t in more],
        ),
        *_tests(material, e, head, theta, suffix, anchor),
        _problems(material, e, tables, suffix, anchor),
        *_energy(material, e, shown, suffix, anchor),
    ]
    return sections, words.spins(head, shown, material, e), [words.duel(d, theta) for d in head.duels]


def _workloads(material: Material, e: Experiment, suffix: str, anchor: str) -> list[Section]:
    table = workloads.latency(material, e)
    return (
        [Section(anchor=f"neurobench{anchor}", title=f"NeuroBench{suffix}", parts=[table])] if table is not None else []
    )


def _tests(material: Material, e: Experiment, head: Headline, theta: float, suffix: str, anchor: str) -> list[Section]:
    if not head.duels:
        return []
    folded: list[Folded] = [("Problem by problem", [results.speedups(head, material, e)])]
    if len(e.solvers) > 2:
        folded.append(("Every solver against every other", [results.all_pairs(material, e)]))
    table = results.duels(head, material, e, theta)
    return [Section(anchor=f"tests{anchor}", title=f"Is it significant?{suffix}", parts=[table], folded=folded)]


def _problems(
    material: Material, e: Experiment, tables: Mapping[float, list[Summary]], suffix: str, anchor: str
) -> Section:
    theta, *more = material.thresholds
    open_ = [plots.gap_against_time(material, e), plots.target_curves(tables[theta], material, e)]
    folded: list[Folded] = [
        (f"Time to {goal(t)}, problem by problem", [plots.target_curves(tables[t], material, e)]) for t in more
    ]
    if len(e.problems) > _OPEN:
        folded = [(f"{f.caption} ({len(f.plots)})", [f]) for f in open_] + folded
    return Section(
        anchor=f"problems{anchor}",
        title=f"Problem by problem{suffix}",
        parts=open_ if len(e.problems) <= _OPEN else [],
        folded=folded,
    )


def _energy(material: Material, e: Experiment, shown: list[Summary], suffix: str, anchor: str) -> list[Section]:
    model, meter = results.modelled(shown, material, e), results.measured(shown, material, e)
    if model is None and meter is None:
        return []
    parts: list[Part] = [
        Text(text="Modelled and measured joules are different things, and never to be compared with each other.")
    ]
    folded: list[Folded] = [("Modelled, under each technology", [model])] if model is not None else []
    folded += [("Measured by this machine's counters", [meter])] if meter is not None else []
    if len(shown) <= _OPEN_RUNS:
        return [
            Section(
                anchor=f"energy{anchor}", title=f"Energy{suffix}", parts=[*parts, *(p for _, ps in folded for p in ps)]
            )
        ]
    return [Section(anchor=f"energy{anchor}", title=f"Energy{suffix}", parts=parts, folded=folded)]


def _programs(material: Material, e: Experiment, suffix: str, anchor: str) -> tuple[list[Section], str, list[str]]:
    duels, energy = contests.duels(material, e), contests.energy(material, e)
    parts: list[Part] = [runs.programs(material, e), *([duels] if duels is not None else [])]
    parts.append(plots.program_profiles(material, e))
    folded: list[Folded] = [("Program by program", [runs.program_times(material, e)])]
    if energy is not None:
        folded.append(("Modelled energy, under each technology", [energy]))
    section = Section(
        anchor=f"programs{anchor}",
        title=f"Quadratic programs{suffix}",
        parts=parts,
        folded=folded,
    )
    return [section], words.programs(summaries_of(e.records), e), []


def _appendix(material: Material) -> list[Section]:
    if not material.records:
        return []
    table, lost = runs.cells(material), runs.errors(material)
    lost_part: list[Part] = [lost] if lost is not None else []
    many = len(table.rows) > _OPEN_RUNS
    return [
        Section(
            anchor="setup",
            title="What was run",
            parts=[
                about.solvers(material),
                about.problems(material),
                about.machines(material),
                about.overheads(material),
            ],
        ),
        Section(
            anchor="runs",
            title="Every run",
            parts=[*lost_part, *([] if many else [table])],
            folded=[(f"All {len(table.rows)} runs, with the commands that repeat them", [table])] if many else [],
        ),
    ]
