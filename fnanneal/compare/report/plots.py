"""The figures: time to target, gap against time, profiles, and the distribution of gaps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ..records import Record
from ..statistics import (
    Curve,
    Profile,
    Reference,
    Summary,
    by_problem,
    by_solver,
    data_profiles,
    gap_profiles,
    gaps,
    mean_curve,
    median_times,
    performance_profiles,
    quantile,
    ran,
)
from .elements import Figures, Plot, Series
from .material import Experiment, Material, goal

# Points of a line that stands for many runs: one for each few units of the panel.
_POINTS = 72
_EARLIEST_S = 1e-4
_SECONDS = "time [s]"


def span(records: Sequence[Record]) -> tuple[float, float]:
    """The time axis that all panels of an experiment share."""
    times = [t for r in records for t, _ in r.trace[1:] if t > 0] or [0.01]
    end = max((r.solve_s for r in records), default=1.0)
    low = max(min(times), _EARLIEST_S)
    return low, max(end, low * 10)


def _stairs(xs: Sequence[float], ys: Sequence[float], start: float, end: float) -> tuple[tuple[float, float], ...]:
    """From 0 at the start, over the steps, to the end."""
    last = ys[-1] if ys else 0.0
    return ((start, 0.0), *zip(xs, ys, strict=True), (max(end, xs[-1] if xs else end), last))


def curve_series(curve: Curve, solver: int, start: float) -> Series:
    """A Kaplan-Meier curve with its band."""
    return Series(
        solver=solver,
        points=_stairs(curve.times, curve.share, start, curve.end),
        low=(0.0, *curve.low, curve.low[-1]) if curve.low else (),
        high=(0.0, *curve.high, curve.high[-1]) if curve.high else (),
    )


def target_curves(summaries: Sequence[Summary], material: Material, experiment: Experiment) -> Figures:
    """Time to target, problem by problem."""
    x_range = span(experiment.records)
    theta = summaries[0].theta
    groups: dict[str, list[Summary]] = {}
    for s in summaries:
        groups.setdefault(s.problem, []).append(s)
    plots = [
        Plot(
            title=name,
            x_label=_SECONDS,
            y_label="runs at target",
            x_scale="log",
            y_scale="share",
            x_range=x_range,
            about=f"Time to target on {name}: share of runs that reached {goal(theta)}, by solver",
            series=tuple(curve_series(s.curve, material.solvers.index(s.solver), x_range[0]) for s in group if s.curve),
        )
        for name, group in groups.items()
    ]
    return Figures(
        caption=f"Time to {goal(theta)}, problem by problem",
        plots=tuple(plots),
        small=True,
        note="Kaplan-Meier: share of runs that have reached the target by a time, with a pointwise 95 % band; runs that a limit ended count as censored.",
    )


def overall(summaries: Sequence[Summary], material: Material, experiment: Experiment) -> Figures:
    """All problems together, at one threshold."""
    theta, x_range = summaries[0].theta, span(experiment.records)
    curves: dict[str, list[Curve]] = {}
    for s in summaries:
        if s.curve is not None:
            curves.setdefault(s.solver, []).append(s.curve)
    times = median_times(experiment.records, theta, material.known)
    means = Plot(
        title="Runs at the target",
        x_label=_SECONDS,
        y_label="runs at target",
        x_scale="log",
        y_scale="share",
        x_range=x_range,
        about=f"Share of runs that reached {goal(theta)} against time, mean over problems",
        series=tuple(
            curve_series(mean, material.solvers.index(s), x_range[0])
            for s, each in curves.items()
            if (mean := mean_curve(each)) is not None
        ),
    )
    return Figures(
        caption=f"Reaching {goal(theta)}",
        plots=(means, *_time_profiles(times, material, x_range)),
        note="Left to right: mean over problems of the Kaplan-Meier curves; problems whose median run has reached the target; "
        "problems on which the median run takes at most so many times the time of the fastest solver (Dolan and Moré).",
    )


def _time_profiles(
    times: Mapping[str, Mapping[str, float]], material: Material, x_range: tuple[float, float]
) -> Iterable[Plot]:
    yield Plot(
        title="Problems solved in time",
        x_label=_SECONDS,
        y_label="problems solved",
        x_scale="log",
        y_scale="share",
        x_range=x_range,
        about="Data profile: share of problems solved against time, by solver",
        series=_profiles(data_profiles(times), material, *x_range),
    )
    ratios = performance_profiles(times)
    largest = max((x for p in ratios.values() for x in p.x if math.isfinite(x)), default=1.0)
    ends = (1.0, max(10.0, 1.3 * largest))
    yield Plot(
        title="Performance profile",
        x_label="time relative to the fastest solver",
        y_label="problems solved",
        x_scale="log",
        y_scale="share",
        x_range=ends,
        about="Performance profile: share of problems solved within a multiple of the fastest solver's time, by solver",
        series=_profiles(ratios, material, *ends),
    )


def _profiles(profiles: Mapping[str, Profile], material: Material, start: float, end: float) -> tuple[Series, ...]:
    return tuple(
        Series(solver=material.solvers.index(s), points=_stairs(p.x, p.share, start, end)) for s, p in profiles.items()
    )


def program_profiles(material: Material, experiment: Experiment) -> Figures:
    """Profiles over programs."""
    times = median_times(experiment.records)
    finite = [t for each in times.values() for t in each.values() if 0 < t < math.inf] or [1.0]
    low = min(finite) / 1.5
    return Figures(
        caption="Solved programs",
        plots=tuple(_time_profiles(times, material, (low, max(1.5 * max(finite), 10 * low)))),
        note="A program counts as solved when all residuals, computed by us on the original data, are within the tolerance.",
    )


def gap_distributions(material: Material, experiment: Experiment) -> Figures:
    """How good the cuts are at the end of the budget."""
    refs = material.known
    profiles = gap_profiles(experiment.records, refs)
    every: dict[str, list[float]] = {}
    for name, group in by_problem(experiment.records).items():
        if name in refs and not refs[name].absolute:
            for s, runs in by_solver(group).items():
                every.setdefault(s, []).extend(gaps(runs, refs[name]))
    pooled = {s: _distribution(values) for s, values in every.items() if values}
    finite = [g for values in every.values() for g in values if 0 < g < math.inf]
    floor, top = min(finite, default=1e-4) / 1.5, max(finite, default=1e-2) * 1.2

    def plot(title: str, share: str, about: str, of: Mapping[str, Profile]) -> Plot:
        return Plot(
            title=title,
            x_label="gap to the reference [%]",
            y_label=share,
            x_scale="floor",
            y_scale="share",
            x_range=(100 * floor, 100 * max(top, 4 * floor)),
            about=about,
            series=tuple(
                Series(
                    solver=material.solvers.index(s),
                    points=tuple(
                        (100 * max(x, floor), y) for x, y in _stairs(p.x, p.share, floor, top) if x < math.inf
                    ),
                )
                for s, p in of.items()
            ),
        )

    return Figures(
        caption="Gaps at the end of the budget",
        plots=(
            plot(
                "Median gaps", "problems", "Share of problems whose median gap is at most so much, by solver", profiles
            ),
            plot("All runs", "runs", "Share of runs whose gap is at most so much, by solver", pooled),
        ),
        note="A line further up and to the left is better. 0 stands for gaps of 0 and for values better than the best known.",
    )


def _distribution(values: Sequence[float]) -> Profile:
    ordered = sorted(v for v in values if v < math.inf)
    return Profile(x=tuple(ordered), share=tuple((k + 1) / len(values) for k in range(len(ordered))), n=len(values))


def gap_against_time(material: Material, experiment: Experiment) -> Figures:
    """The median run's gap as time goes on, with its quartiles, problem by problem."""
    low, end = span(experiment.records)
    plots = []
    for name, group in by_problem(experiment.records).items():
        if name not in material.known:
            continue
        ref = material.known[name]
        scale = 1.0 if ref.absolute else 100.0
        series = [
            trajectory(ran(runs), ref, material.solvers.index(s), low, scale) for s, runs in by_solver(group).items()
        ]
        shown = tuple(s for s in series if s.points)
        positive = [y for s in shown for y in (*s.low, *(y for _, y in s.points)) if 0 < y < math.inf]
        plots.append(
            Plot(
                title=name,
                x_label=_SECONDS,
                y_label="distance to the reference" if ref.absolute else "gap to the reference [%]",
                x_scale="log",
                y_scale="floor",
                x_range=(low, end),
                y_floor=min(positive, default=1e-4) / 1.5,
                about=f"Gap to the reference against time on {name}: median over seeds with quartiles, by solver",
                series=shown,
            )
        )
    return Figures(
        caption="Gap against time, problem by problem",
        plots=tuple(plots),
        small=True,
        note="Median over seeds, with a band from the first to the third quartile; each solver's own clock. On the base line the reference is reached or surpassed.",
    )


def trajectory(runs: Sequence[Record], ref: Reference, solver: int, low: float, scale: float) -> Series:
    """Median gap over runs, times `scale`, against time, from when half of them have one."""
    if not runs:
        return Series(solver=solver, points=())
    end = max((r.solve_s for r in runs), default=low)
    ratio = max(end / low, 1.0)
    times = [low * ratio ** (k / _POINTS) for k in range(_POINTS + 1)]
    columns = [_gaps_at(r, ref, times) for r in runs]
    rows = [sorted(row) for row in zip(*columns, strict=True)]
    seen = [(t, row) for t, row in zip(times, rows, strict=True) if quantile(row, 0.5) < math.inf]
    return Series(
        solver=solver,
        points=tuple((t, scale * quantile(row, 0.5)) for t, row in seen),
        low=tuple(scale * quantile(row, 0.25) for _, row in seen),
        high=tuple(scale * quantile(row, 0.75) for _, row in seen),
    )


def _gaps_at(run: Record, ref: Reference, times: Sequence[float]) -> list[float]:
    """The gap of the best so far at ascending times; infinite before there is one."""
    found, gap, k = [], math.inf, 0
    for t in times:
        while k < len(run.trace) and run.trace[k][0] <= t:
            gap = min(gap, ref.gap(run.trace[k][1]))
            k += 1
        found.append(gap)
    return found
