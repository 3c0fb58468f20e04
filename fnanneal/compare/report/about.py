"""What was run, on what, with which versions and settings, and what to know before trusting it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from ..records import Record
from ..rules import budget_rule
from ..statistics import by_solver
from .elements import Column, Row, Table, Value
from .material import Material
from .numbers import NONE, count, objective, seconds

# Above this many processes a core that wanted to run before a cell began, its times are suspect.
BUSY = 1.25
_SHOWN = 8


def facts(material: Material) -> tuple[tuple[str, str], ...]:
    """The comparison in figures."""
    records = material.records
    planned = len(records) + len(material.missing)
    done = sum(r.outcome == "done" for r in records)
    return (
        ("Problems", str(len({r.problem for r in records}))),
        ("Solvers", str(len(material.solvers))),
        ("Seeds", str(len({r.seed for r in records}))),
        ("Budget", ", ".join(dict.fromkeys(r.budget.label for r in records)) or NONE),
        ("Threads a run", ", ".join(str(t) for t in sorted({r.threads for r in records})) or NONE),
        ("Runs done", f"{done} of {planned}"),
        ("Solving time", _long(sum(r.solve_s for r in records))),
    )


def _long(t: float) -> str:
    return seconds(t) if t < 120 else f"{t / 60:.0f} min" if t < 7200 else f"{t / 3600:.1f} h"


def warnings(material: Material) -> Iterator[str]:
    """One line each."""
    records = material.records
    if not records:
        yield "No run is finished yet."
        return
    if material.missing:
        total = len(records) + len(material.missing)
        yield f"The plan is not finished: {len(material.missing)} of {total} runs are missing."
    for outcome, what in (("failed", "failed"), ("unfit", "could not be run")):
        reasons: dict[tuple[str, str], list[Record]] = {}
        for r in records:
            if r.outcome == outcome:
                # What differs in numbers alone is one reason.
                reasons.setdefault((r.solver, re.sub(r"[\d.]+", "#", _line(r.error))), []).append(r)
        for (solver, _), group in list(reasons.items())[:_SHOWN]:
            reason = _line(group[0].error)
            where = list(dict.fromkeys(r.problem for r in group))
            on = ", ".join(where[:3]) + (f" and {len(where) - 3} more problems" if len(where) > 3 else "")
            yield f"{count(len(group), 'run')} of {solver} {what} on {on}: {reason}"
        if len(reasons) > _SHOWN:
            yield f"{len(reasons) - _SHOWN} more reasons why runs {what} stand in the table of all runs."
    yield from _mixed(records)
    yield from _busy(records)


def _line(text: str | None) -> str:
    line = " ".join((text or "no reason given").split())
    return line if len(line) <= 200 else line[:199] + "…"


def _mixed(records: Sequence[Record]) -> Iterator[str]:
    revisions = dict.fromkeys(r.revision for r in records if r.revision)
    if len(revisions) > 1:
        yield f"Runs are of {len(revisions)} git revisions: {', '.join(revisions)}."
    changed = [v for v in revisions if v.endswith("+")]
    if changed:
        yield f"The checkout held uncommitted changes: {', '.join(changed)}."
    found: dict[str, dict[str, None]] = {}
    for r in records:
        for name, version in r.versions.items():
            found.setdefault(name, {})[str(version)] = None
    for name, several in found.items():
        if len(several) > 1:
            yield f"Runs are of several versions of {name}: {', '.join(several)}."
    machines = hosts(records)
    if len(machines) > 1:
        yield f"Runs are from {len(machines)} machines or systems: their times are comparable only if the machines are."


def _busy(records: Sequence[Record]) -> Iterator[str]:
    loads = [(_load(r.host), float(r.host.get("cores") or 1)) for r in records]
    busy = [(load, cores) for load, cores in loads if load is not None and load > BUSY * cores]
    if busy:
        load, cores = max(busy, key=lambda pair: pair[0] / pair[1])
        yield (
            f"The machine was busy before {count(len(busy), 'run')}: a load of up to {load:g} on {count(int(cores), 'core')}. "
            "Times and results under a time limit may be worse than they should be."
        )


def _load(host: Mapping[str, Any]) -> float | None:
    load = host.get("load")
    return float(load) if isinstance(load, int | float) else None


def hosts(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by what is said of their machine, apart from what changes from run to run there."""
    found: dict[str, list[Record]] = {}
    for r in records:
        about = (
            f"{k}: {v}" for k, v in r.host.items() if k not in ("load", "affinity", "name", "workers") and v is not None
        )
        text = ", ".join((*([str(r.host["name"])] if r.host.get("name") else []), *about))
        found.setdefault(text or "unknown", []).append(r)
    return found


def problems(material: Material) -> Table:
    """Names, sizes, references, digests."""
    first: dict[str, Record] = {}
    for r in material.records:
        if r.problem not in first or (first[r.problem].sha256 is None and r.sha256 is not None):
            first[r.problem] = r
    rows = []
    for name, r in first.items():
        ref = material.known.get(name)
        size = ", ".join(f"{k} = {v}" for k, v in sorted(r.size.items(), key=lambda kv: kv[0] != "n") if k != "kind")
        n = r.size.get("n")
        values = (
            Value(text=name),
            Value(text=str(r.size.get("kind", NONE))),
            Value(text=size or NONE, key=float(n) if isinstance(n, int | float) else -1.0),
            Value(text=objective(ref.value) if ref else NONE),
            Value(text=ref.source if ref else NONE, tone="" if ref and ref.known else "muted"),
            Value(text=(r.sha256 or NONE)[:12], about=r.sha256 or "", tone="code"),
        )
        rows.append(Row(values=values))
    heads = (("Problem", 0), ("Kind", 0), ("Size", 0), ("Reference", 1), ("Its source", 0), ("SHA-256", 0))
    return _table("Problems", heads, rows)


def solvers(material: Material) -> Table:
    """Settings, versions, and how each spends its budget."""
    rows = []
    for label in material.solvers:
        runs = [r for r in material.records if r.solver == label]
        done = [r for r in runs if r.outcome == "done"] or runs
        values = (
            material.solver(label),
            Value(text=_common([r.settings for r in done]) or "none", tone="long"),
            Value(text=_common([r.versions for r in done]) or NONE, tone="long"),
            Value(text=budget_rule(label, {r.kind for r in runs}) or NONE, tone="long"),
        )
        rows.append(Row(values=values))
    heads = (("Solver", 0), ("Settings used", 0), ("Versions", 0), ("How it spends its budget", 0))
    return _table("Solvers", heads, rows)


def _common(several: Sequence[Mapping[str, Any]]) -> str:
    """name=value where all runs agree; what differs from run to run is said to."""
    values: dict[str, dict[str, None]] = {}
    for each in several:
        for name, value in each.items():
            values.setdefault(name, {})[str(value)] = None
    return ", ".join(f"{k}={next(iter(v))}" if len(v) == 1 else f"{k} varies" for k, v in sorted(values.items()))


def machines(material: Material) -> Table:
    """Where and when."""
    rows = []
    for text, group in hosts(material.records).items():
        dates = sorted(r.started for r in group if r.started)
        loads = [load for r in group if (load := _load(r.host)) is not None]
        values = (
            Value(text=text, tone="long"),
            Value(text=str(len(group)), key=len(group)),
            Value(text=f"{dates[0]} to {dates[-1]}" if dates else NONE),
            Value(text=f"{min(loads):g} to {max(loads):g}" if loads else NONE),
            Value(text=", ".join(dict.fromkeys(r.revision for r in group if r.revision)) or NONE, tone="code"),
        )
        rows.append(Row(values=values))
    heads = (("Machine", 0), ("Runs", 1), ("Started", 0), ("Load before runs", 0), ("Revision", 0))
    return _table("Machines", heads, rows)


def overheads(material: Material) -> Table:
    """What each solver took beside solving."""
    rows = []
    for label, runs in by_solver(material.records).items():
        done = [r for r in runs if r.outcome == "done"]
        if done:
            columns = ([getattr(r, k) for r in done] for k in ("load_s", "compile_s", "build_s", "solve_s", "wall_s"))
            times = [Value(text=seconds(median(c)), key=median(c), about=f"at most {seconds(max(c))}") for c in columns]
            rows.append(Row(values=(material.solver(label), *times)))
    heads = (
        ("Solver", 0),
        ("Loading", 1),
        ("Compiling, warming up", 1),
        ("Building its model", 1),
        ("Solving", 1),
        ("In all", 1),
    )
    note = "Medians over runs. Only “Solving” counts against the budget and in every other figure of this report."
    return _table("Time outside the budget", heads, rows, note)


def _table(caption: str, heads: Sequence[tuple[str, int]], rows: Sequence[Row], note: str = "") -> Table:
    columns = tuple(Column(title=title, number=bool(number)) for title, number in heads)
    return Table(caption=caption, columns=columns, rows=tuple(rows), note=note)
