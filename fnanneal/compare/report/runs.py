"""The table of all cells, and those of quadratic programs."""

from __future__ import annotations

import math

from ..records import Record
from ..statistics import programs as summaries_of
from .elements import Column, Row, Table, Value
from .material import Experiment, Material, under
from .numbers import NONE, TIMES, objective, percent, seconds, short
from .results import ends

_NONE = Value(text=NONE, key=math.inf, tone="muted")


def cells(material: Material) -> Table:
    """Every run, with its anchor and the command that makes it again."""
    heads = (
        ("Run", 0), ("Problem", 0), ("Solver", 0), ("Seed", 1), ("Budget", 0), ("Outcome", 0), ("Objective", 1), ("Gap", 1), ("To its best", 1), ("Solving", 1),
        ("Outside", 1), ("Spin tests", 1), ("Command", 0),
    )  # fmt: skip
    return Table(
        caption="All runs",
        columns=tuple(Column(title=t, number=bool(n)) for t, n in heads),
        rows=tuple(_cell(r, material) for r in material.records),
        note="The command makes the same run again; a run that a clock ends need not end in the same spins. “Outside”: loading, compiling and building the solver's model, none of it in “Solving”.",
    )


def _cell(r: Record, material: Material) -> Row:
    ref = material.known.get(r.problem)
    gap = ref.gap(r.objective) if ref is not None and r.outcome == "done" else math.inf
    outside = r.load_s + r.compile_s + r.build_s
    state = r.status if r.outcome == "done" else r.outcome
    tried = f" ({r.attempts} attempts)" if r.attempts > 1 else ""
    values = (
        Value(text=r.cell, tone="code"),
        Value(text=r.problem),
        material.solver(r.solver),
        Value(text=str(r.seed), key=float(r.seed)),
        Value(text=r.budget.label),
        Value(text=state + tried, about=r.started, tone="" if r.outcome == "done" else "bad"),
        Value(text=objective(r.objective), key=math.inf if r.objective is None else float(r.objective)),
        Value(text=(short if ref is not None and ref.absolute else percent)(gap), key=gap) if gap < math.inf else _NONE,
        Value(text=seconds(r.to_best_s), key=r.to_best_s) if r.to_best_s is not None else _NONE,
        Value(text=seconds(r.solve_s), key=r.solve_s),
        Value(text=seconds(outside), key=outside),
        Value(text=short(r.spin_tests), key=r.spin_tests) if r.spin_tests is not None else _NONE,
        Value(text=r.command, tone="command", about=r.error or ""),
    )
    return Row(values=values, anchor=f"cell-{r.cell}")


def errors(material: Material) -> Table | None:
    """Runs that came to nothing, and why."""
    rows = [
        Row(
            values=(
                Value(text=r.cell, tone="code", link=f"cell-{r.cell}"),
                Value(text=r.problem),
                material.solver(r.solver),
                Value(text=str(r.seed), key=float(r.seed)),
                Value(text=r.outcome, tone="bad"),
                Value(text=r.error or "no reason given", tone="long"),
            )
        )
        for r in material.records
        if r.outcome != "done"
    ]
    heads = (("Run", 0), ("Problem", 0), ("Solver", 0), ("Seed", 1), ("Outcome", 0), ("Why", 0))
    columns = tuple(Column(title=t, number=bool(n)) for t, n in heads)
    return Table(caption="Runs that came to nothing", columns=columns, rows=tuple(rows)) if rows else None


def programs(material: Material, experiment: Experiment) -> Table:
    """Solvers on all programs."""
    rows = []
    for s in summaries_of(experiment.records):
        worst = [s.worst.get(k) for k in ("primal", "dual", "gap", "sign")]
        solved = _NONE if s.solved is None else Value(
            text=f"{s.solved.k}/{s.solved.n}, {percent(s.solved.value)}{ends(s.solved.interval, percent)}", key=-s.solved.value
        )  # fmt: skip
        mean = Value(text=("≥ " if s.bound else "") + seconds(s.mean_s), key=s.mean_s)
        others = (Value(text=str(k), key=k) for k in (s.failed, s.unfit, s.missing))
        residuals = (_NONE if x is None else Value(text=short(x, 2), key=x) for x in worst)
        rows.append(
            Row(
                values=(
                    material.solver(s.solver),
                    solved,
                    mean,
                    Value(text=f"{short(s.relative)} {TIMES}", key=s.relative),
                    *others,
                    *residuals,
                )
            )
        )
    heads = (
        "Solved runs",
        "Mean time",
        "To the least",
        "Failed",
        "Unfit",
        "Missing",
        "Primal",
        "Dual",
        "Duality gap",
        "Sign",
    )
    return Table(
        caption=f"Quadratic programs{under(experiment, material)}",
        columns=(Column(title="Solver"), *(Column(title=h, number=True) for h in heads)),
        rows=tuple(rows),
        note="Mean time: shifted geometric mean over programs (shift 10 ms) of the median over seeds; unsolved programs count with the time limit, and the mean is then a lower bound. "
        "The last four columns are the largest residuals of solved runs, computed by us on the original data.",
    )  # fmt: skip


def program_times(material: Material, experiment: Experiment) -> Table:
    """Programs x solvers."""
    solvers = [s for s in material.solvers if s in experiment.solvers]
    grid: dict[str, dict[str, list[Record]]] = {}
    for r in experiment.records:
        grid.setdefault(r.problem, {}).setdefault(r.solver, []).append(r)
    rows = []
    for problem, line in grid.items():
        best = min((t for s in line for t in _solved(line[s])), default=None)
        rows.append(Row(values=(Value(text=problem), *(_program(line.get(s, []), best) for s in solvers))))
    return Table(
        caption=f"Time to solve each program{under(experiment, material)}",
        columns=(Column(title="Program"), *(Column(title=s, number=True) for s in solvers)),
        rows=tuple(rows),
        note="The fastest solved run; the least of each program is marked.",
    )


def _solved(runs: list[Record]) -> list[float]:
    return [r.solve_s for r in runs if r.solved]


def _program(runs: list[Record], best: float | None) -> Value:
    if not runs:
        return _NONE
    times = _solved(runs)
    link = f"cell-{runs[0].cell}"
    if not times:
        state = next((r.outcome for r in runs if r.outcome != "done"), runs[0].status)
        return Value(text=state, key=math.inf, tone="bad", link=link)
    worst = max((v for r in runs if r.solved for v in (r.residuals or {}).values()), default=0.0)
    return Value(
        text=seconds(min(times)),
        key=min(times),
        link=link,
        tone="best" if min(times) == best else "",
        about=f"{len(times)} of {len(runs)} runs solved, largest residual {short(worst, 2)}",
    )
