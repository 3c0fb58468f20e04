"""The tables of results: at a glance, in full, pair by pair, and in joules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..statistics import (
    Duel,
    EnergyToSolution,
    Headline,
    Interval,
    Pair,
    Ratio,
    Summary,
    TimeToSolution,
    compare_pairs,
    overall_gaps,
)
from .elements import Column, Row, Table, Value
from .material import Experiment, Material, goal, objective_name, under
from .numbers import NONE, TIMES, interval, joules, objective, percent, probability, seconds, short

_NOTHING = Value(text=NONE, key=math.inf, tone="muted")


def ends(of: Interval | None, show: Callable[[float], str]) -> str:
    """An interval with its level where that is not 95 %."""
    if of is None:
        return ""
    level = "" if abs(of.level - 0.95) < 5e-4 else f" at {percent(round(of.level, 3))}"
    return f" {interval(show(of.low), show(of.high))}{level}"


def gap_text(summary: Summary) -> str:
    """Its median gap: a share, or a difference where the reference is 0."""
    if summary.gap is None:
        return NONE
    show = short if summary.reference is not None and summary.reference.absolute else percent
    return show(summary.gap.median) if summary.gap.median < math.inf else "failed"


def _state(s: Summary) -> str:
    parts = [f"{s.runs} runs" if s.runs != 1 else "1 run"]
    parts += [f"{n} {what}" for n, what in ((s.failed, "failed"), (s.unfit, "unfit"), (s.overran, "over time")) if n]
    return ", ".join(parts)


def _grid(summaries: Sequence[Summary]) -> dict[str, dict[str, Summary]]:
    grid: dict[str, dict[str, Summary]] = {}
    for s in summaries:
        grid.setdefault(s.problem, {})[s.solver] = s
    return grid


def _solver_columns(solvers: Iterable[str]) -> tuple[Column, ...]:
    return tuple(Column(title=s, number=True) for s in solvers)


def objectives(summaries: Sequence[Summary], head: Headline, material: Material, experiment: Experiment) -> Table:
    """Problems x solvers: median objectives."""
    solvers = [s for s in material.solvers if s in experiment.solvers]
    rows = []
    for problem, line in _grid(summaries).items():
        ref = material.known.get(problem)
        values = [Value(text=problem), Value(text=objective(ref.value), about=ref.source) if ref else _NOTHING]
        values += [_objective(line.get(s), head.winners.get(problem, ())) for s in solvers]
        rows.append(Row(values=tuple(values)))
    overall = overall_gaps(experiment.records, material.known)
    wins = head.wins
    gaps = [overall.get(s) for s in solvers]
    foot = (
        Row(values=(Value(text="Median gap"), Value(text=""), *(Value(text=percent(q.median) if q else NONE) for q in gaps))),
        Row(values=(Value(text="Best on"), Value(text=""), *(Value(text=str(wins.get(s, 0))) for s in solvers))),
    )  # fmt: skip
    return Table(
        caption=f"Median {objective_name(experiment)}{under(experiment, material)}",
        columns=(Column(title="Problem"), Column(title="Reference", number=True), *_solver_columns(solvers)),
        rows=tuple(rows),
        foot=foot,
        note="The best median of each problem is marked, ties too. The reference is the best known value, or else the best of these runs. A failed run counts as worse than all. "
        "Columns are sorted by the gap to the reference.",
    )


def _objective(s: Summary | None, winners: Sequence[str]) -> Value:
    if s is None:
        return _NOTHING
    if not s.runs:
        return Value(text="unfit", key=math.inf, tone="muted", about=_state(s))
    if s.median is None or s.gap is None:
        return Value(text="failed", key=math.inf, tone="bad", about=_state(s))
    return Value(
        text=objective(s.median),
        key=s.gap.median,
        about=f"gap {gap_text(s)}, {_state(s)}",
        tone="best" if s.solver in winners else "",
    )


def times(summaries: Sequence[Summary], material: Material, experiment: Experiment) -> Table:
    """Problems x solvers: time to solution."""
    theta = summaries[0].theta
    solvers = [s for s in material.solvers if s in experiment.solvers]
    rows = []
    reached = dict.fromkeys(solvers, 0)
    for problem, line in _grid(summaries).items():
        found = [s.tts.value for s in line.values() if s.tts is not None and s.tts.value is not None]
        least = min(found, default=None)
        values = [Value(text=problem), _target(next(iter(line.values())))]
        for name in solvers:
            s = line.get(name)
            reached[name] += bool(s is not None and s.hits is not None and s.hits.k)
            values.append(_tts(s.tts if s else None, least, about=_hits(s)))
        rows.append(Row(values=tuple(values)))
    foot = Row(values=(Value(text="Reached on"), Value(text=""), *(Value(text=str(reached[s])) for s in solvers)))
    return Table(
        caption=f"Time to reach {goal(theta)} with 99 % confidence (TTS99){under(experiment, material)}",
        columns=(Column(title="Problem"), Column(title="Target", number=True), *_solver_columns(solvers)),
        rows=tuple(rows),
        foot=(foot,),
        note="Expected time with restarts, at the best run length. The least of each problem is marked. “>” is a lower bound where no run reached the target.",
    )


def _target(s: Summary) -> Value:
    return Value(text=objective(s.target)) if s.target is not None else _NOTHING


def _hits(s: Summary | None) -> str:
    return "" if s is None or s.hits is None else f"{s.hits.k} of {s.hits.n} runs reached it"


def _tts(of: TimeToSolution | None, least: float | None, *, about: str = "", full: bool = False) -> Value:
    if of is None:
        return _NOTHING
    if of.value is None:
        text = f"> {seconds(of.bound)}" if of.bound is not None else "∞"
        return Value(text=text, key=math.inf, about=about, tone="muted")
    text = seconds(of.value)
    around = ends(of.interval, seconds)
    return Value(
        text=text + around if full else text,
        key=of.value,
        about=f"if times are exponential: {seconds(of.exponential)}" if full else f"{text}{around}, {about}",
        tone="best" if of.value == least else "",
    )


def in_full(summaries: Sequence[Summary], material: Material, experiment: Experiment) -> Table:
    """One row a problem and solver, at one threshold, with every interval."""
    rows = []
    for s in summaries:
        values = (
            Value(text=s.problem),
            material.solver(s.solver),
            Value(text=_state(s), key=s.runs, link=f"cell-{s.cells[0]}" if s.cells else ""),
            Value(text=objective(s.median), key=s.gap.median if s.gap else math.inf),
            Value(text=objective(s.best)),
            _gap(s),
            _spread(s),
            _NO_RUNS if s.hits is None else Value(text=f"{s.hits.k}/{s.hits.n}", key=s.hits.value),
            _NO_RUNS if s.hits is None else Value(text=percent(s.hits.value) + ends(s.hits.interval, percent), key=s.hits.value),
            _median_time(s),
            _tts(s.tts, None, full=True),
            _NOTHING if s.tts is None or s.tts.run_length is None else Value(text=seconds(s.tts.run_length), key=s.tts.run_length),
        )  # fmt: skip
        rows.append(Row(values=values))
    theta = summaries[0].theta
    heads = (
        "Runs",
        f"Median {objective_name(experiment)}",
        "Best",
        "Median gap",
        "Quartiles, worst",
        "Hits",
        "Success",
        "Median time to target",
        "TTS99",
        "Best run length",
    )
    return Table(
        caption=f"Solver by solver: reaching {goal(theta)}{under(experiment, material)}",
        columns=(Column(title="Problem"), Column(title="Solver"), *(Column(title=h, number=h != "Runs") for h in heads)),
        rows=tuple(rows),
        note="Intervals are at 95 % unless another level stands beside them: of the median gap by order statistics, of the success probability Jeffreys', of TTS99 by BCa bootstrap over runs. "
        "Columns of objectives are sorted by gap.",
    )  # fmt: skip


_NO_RUNS = Value(text=NONE, key=-1.0, tone="muted")


def _gap(s: Summary) -> Value:
    if s.gap is None:
        return _NOTHING
    show = short if s.reference is not None and s.reference.absolute else percent
    return Value(text=gap_text(s) + ends(s.gap.interval, show), key=s.gap.median)


def _spread(s: Summary) -> Value:
    if s.gap is None:
        return _NOTHING
    show = short if s.reference is not None and s.reference.absolute else percent
    parts = [show(g) if g < math.inf else "failed" for g in (s.gap.q1, s.gap.q3, s.gap.worst)]
    return Value(text=f"{interval(*parts[:2])}, {parts[2]}", key=s.gap.worst)


def _median_time(s: Summary) -> Value:
    middle = None if s.curve is None else s.curve.median
    return Value(text="not reached", key=math.inf, tone="muted") if middle is None else Value(text=seconds(middle), key=middle)  # fmt: skip


def ratio_text(ratio: float | None, around: Interval | None) -> str:
    """How many times as fast."""
    if ratio is None:
        return NONE
    return f"{short(ratio)} {TIMES}{ends(around, short)}"


def duels(head: Headline, material: Material, experiment: Experiment, theta: float) -> Table:
    """The first solver against each other."""
    columns = (
        *(Column(title=t) for t in ("Against", "Verdict")),
        *(Column(title=t, number=True) for t in ("Wins", "Ties", "Losses", "Gap less by", "p Wilcoxon", "p sign", "Times as fast", "Only it", "Only the other")),
    )  # fmt: skip
    rows = [_duel(d, material) for d in head.duels]
    first = head.duels[0].pair.first
    return Table(
        caption=f"{first} against the others{under(experiment, material)}",
        columns=columns,
        rows=tuple(rows),
        note=f"By the median over seeds of each problem. p is two-sided, exact and Holm-corrected over the rows. “Gap less by”: Hodges-Lehmann estimate of the difference of gaps, positive where {first} is better. "
        f"“Times as fast”: geometric mean over problems of the ratio of TTS99 to {goal(theta)}; “only”: problems on which only one of the two reached it.",
    )


def verdict(pair: Pair) -> str:
    """In a word."""
    if not pair.problems:
        return "no problem in common"
    if not pair.significant:
        return "not significant" if pair.enough else "too few problems to tell"
    return "better" if (pair.difference or 0.0) > 0 or pair.wins > pair.losses else "worse"


def _pair_values(pair: Pair) -> tuple[Value, ...]:
    word = verdict(pair)
    return (
        Value(text=word, tone="best" if word == "better" else "bad" if word == "worse" else "muted"),
        Value(text=str(pair.wins), key=pair.wins),
        Value(text=str(pair.ties), key=pair.ties),
        Value(text=str(pair.losses), key=pair.losses),
        _NOTHING if pair.difference is None else Value(text=percent(pair.difference) + ends(pair.interval, percent), key=pair.difference),
        *(
            _NOTHING if p is None else Value(text=probability(p), key=p, about=f"{probability(raw)} uncorrected")
            for p, raw in ((pair.wilcoxon_holm, pair.wilcoxon_p), (pair.sign_holm, pair.sign_p))
        ),
    )  # fmt: skip


def _duel(d: Duel, material: Material) -> Row:
    speed = _NOTHING if d.ratio is None else Value(text=ratio_text(d.ratio, d.interval), key=d.ratio)
    only = (Value(text=str(k), key=k) for k in (d.only_first, d.only_second))
    return Row(values=(material.solver(d.pair.second), *_pair_values(d.pair), speed, *only))


def all_pairs(material: Material, experiment: Experiment) -> Table:
    """Every solver against every other, corrected over all of them."""
    columns = (
        *(Column(title=t) for t in ("Solver", "Against", "Verdict")),
        *(Column(title=t, number=True) for t in ("Wins", "Ties", "Losses", "Gap less by", "p Wilcoxon", "p sign")),
    )
    pairs = compare_pairs(experiment.records, material.known)
    return Table(
        caption=f"All pairs{under(experiment, material)}",
        columns=columns,
        rows=tuple(Row(values=(material.solver(p.first), material.solver(p.second), *_pair_values(p))) for p in pairs),
        note="p is Holm-corrected over all pairs, and so larger than where only one solver's pairs are compared.",
    )


def speedups(head: Headline, material: Material, experiment: Experiment) -> Table:
    """Problem by problem: how many times as fast the first solver is."""
    first = head.duels[0].pair.first
    problems = dict.fromkeys(p for d in head.duels for p in d.ratios)
    rows = [
        Row(values=(Value(text=p), *(_ratio(d.ratios.get(p)) for d in head.duels)))
        for p in problems
    ]  # fmt: skip
    return Table(
        caption=f"How many times as fast {first} is, problem by problem{under(experiment, material)}",
        columns=(Column(title="Problem"), *_solver_columns(d.pair.second for d in head.duels)),
        rows=tuple(rows),
        note="TTS99 of the other solver over that of the first; ∞ where only the first reached the target, 0 where only the other did.",
    )


def _ratio(r: Ratio | None) -> Value:
    if r is None or r.value is None:
        return _NOTHING
    return Value(text=ratio_text(r.value, r.interval), key=r.value)


def modelled(summaries: Sequence[Summary], material: Material, experiment: Experiment) -> Table | None:
    """Joules to solution under each technology; None where nobody counts events."""
    names = list(dict.fromkeys(e.technology for s in summaries for e in s.energy if e.technology is not None))
    if not names:
        return None
    rows, silent = [], dict.fromkeys(s.solver for s in summaries)
    for s in summaries:
        by_name: Mapping[str | None, EnergyToSolution] = {e.technology: e for e in s.energy if e.source == "modelled"}
        if by_name:
            silent.pop(s.solver, None)
            values = (Value(text=s.problem), material.solver(s.solver), *(_energy(by_name.get(n)) for n in names))
            rows.append(Row(values=values))
    return Table(
        caption=f"Modelled energy to reach {goal(summaries[0].theta)} with 99 % confidence{under(experiment, material)}",
        columns=(Column(title="Problem"), Column(title="Solver"), *_solver_columns(names)),
        rows=tuple(rows),
        note="Counted events priced under each technology; what this machine has drawn is in another table. * marks a partial sum: some of the events have no price there, and it must not be compared "
        "with a complete one."
        + (f" Not counted, since they do not count their events: {', '.join(silent)}." if silent else ""),
    )


def _energy(e: EnergyToSolution | None) -> Value:
    if e is None or e.run_j is None:
        return Value(text="not priced", key=math.inf, tone="muted")
    about = f"a run: {joules(e.run_j)}" + (f"; not priced: {', '.join(e.partial)}" if e.partial else "")
    star = "*" if e.partial else ""
    if e.solution is None:
        return Value(text=NONE, key=math.inf, about=about, tone="muted")
    if e.solution.value is None:
        bound = "∞" if e.solution.bound is None else f"> {joules(e.solution.bound)}"
        return Value(text=bound + star, key=math.inf, about=about, tone="muted")
    return Value(
        text=joules(e.solution.value) + star,
        key=e.solution.value,
        about=f"{joules(e.solution.value)}{ends(e.solution.interval, joules)}; {about}",
    )


def measured(summaries: Sequence[Summary], material: Material, experiment: Experiment) -> Table | None:
    """Joules by the machine's counters; None where it has none."""
    rows = [
        Row(
            values=(
                Value(text=s.problem),
                material.solver(s.solver),
                Value(text=f"{e.counted}/{e.n}", key=e.counted),
                Value(text=joules(e.run_j), key=e.run_j),
                _energy(e),
            )
        )
        for s in summaries
        for e in s.energy
        if e.source == "measured" and e.counted
    ]
    heads = ("Runs measured", "A run", "To the target, 99 %")
    return Table(
        caption=f"Measured energy{under(experiment, material)}",
        columns=(Column(title="Problem"), Column(title="Solver"), *(Column(title=h, number=True) for h in heads)),
        rows=tuple(rows),
        note="By the machine's own counters: the whole package, whatever else it was doing.",
    ) if rows else None  # fmt: skip
