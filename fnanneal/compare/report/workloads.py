"""NeuroBench's own table: latency and energy to its thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...energy import technology
from ..statistics.neurobench import Latency, latencies
from .elements import Column, Row, Table, Value
from .material import Experiment, Material, under
from .numbers import NONE, joules, percent, seconds

_BLANK = Value(text=NONE, key=math.inf, tone="muted")


def latency(material: Material, experiment: Experiment) -> Table | None:
    """Mean latencies and modelled joules for each solver, size and density; None where no workload of the benchmark was run."""
    thresholds = [t for t in material.thresholds if t > 0]
    found = latencies(experiment.records, thresholds)
    if not found:
        return None
    lines: dict[tuple[str, int, float], list[Latency]] = {}
    for one in found:
        lines.setdefault((one.solver, one.n, one.density), []).append(one)
    rows = [
        Row(
            values=(
                material.solver(solver),
                Value(text=str(n), key=n),
                Value(text=percent(density), key=density),
                *(value for one in line for value in _values(one)),
            )
        )
        for (solver, n, density), line in lines.items()
    ]
    heads = [f"{what}, {percent(t)}" for t in thresholds for what in ("Latency", "Energy")]
    return Table(
        caption=f"NeuroBench: to each threshold{under(experiment, material)}",
        columns=(Column(title="Solver"), *(Column(title=h, number=True) for h in ("Vertices", "Density", *heads))),
        rows=tuple(rows),
        note="Means over the graphs of a size and density, with their standard errors; blank where not all runs got there, as the benchmark has it. Thresholds are gaps to its target. "
        f"Energy: joules modelled under {technology().name}, a run's average power times the latency; blank where events are not counted.",
    )


def _values(one: Latency) -> tuple[Value, Value]:
    if one.seconds is None:
        return Value(
            text=NONE, key=math.inf, tone="muted", about=f"{one.reached} of {one.graphs} runs got there"
        ), _BLANK
    time = Value(
        text=_around(seconds(one.seconds), one.seconds_error, seconds), key=one.seconds, about=f"{one.graphs} runs"
    )
    if one.joules is None:
        return time, _BLANK
    return time, Value(text=_around(joules(one.joules), one.joules_error, joules), key=one.joules)


def _around(text: str, error: float | None, show: Callable[[float], str]) -> str:
    return text if error is None else f"{text} ± {show(error)}"
