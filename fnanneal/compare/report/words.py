"""The headline: who wins where and by how much, in sentences made of the statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..statistics import Duel, Headline, Interval, ProgramSummary, Reference, Summary
from .material import Experiment, Material, goal, objective_name
from .numbers import count, objective, percent, probability, seconds
from .results import ends, ratio_text, verdict


def listed(items: Sequence[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"


def spins(head: Headline, summaries: Sequence[Summary], material: Material, experiment: Experiment) -> str:
    """One paragraph on one experiment: who wins, who is fastest, and what of it is significant."""
    sentences = [_winners(head, material, experiment)]
    if head.duels:
        sentences += [_fastest(summaries), *_verdicts(head.duels)]
    sentences += [_record(problem, material.known[problem]) for problem in head.records]
    return " ".join(sentences)


def _winners(head: Headline, material: Material, experiment: Experiment) -> str:
    name, total = objective_name(experiment), len(head.winners)
    seeds = len({r.seed for r in experiment.records})
    setting = f"With {experiment.budget} a run and {count(seeds, 'seed')}"
    wins = sorted(head.wins.items(), key=lambda item: -item[1])
    if not wins:
        return f"{setting}, no run succeeded on {count(total, 'problem')}."
    alone = {s: sum(w == (s,) for w in head.winners.values()) for s, _ in wins}
    if len(experiment.solvers) == 1:
        best = sum(
            material.known[p].gap(_best(experiment, p, material)) <= 0 for p in head.winners if p in material.known
        )
        return f"{setting}, {wins[0][0]} reached the reference value on {best} of {count(total, 'problem')}."
    most = wins[0][1]
    leaders = [s for s, k in wins if k == most]
    has = "has" if len(leaders) == 1 else "have each"
    where = f"on {most} of {count(total, 'problem')}" if total > 1 else "on the one problem"
    text = f"{setting}, {listed(leaders)} {has} the best median {name} {where}"
    if len(leaders) == 1:
        text += ", each time alone" if alone[leaders[0]] == most else f", alone on {alone[leaders[0]]}"
    others = [f"{s} on {k}" for s, k in wins if k < most]
    first = material.solvers[0]
    if first in experiment.solvers and first not in head.wins:
        others.append(f"{first}, the first solver of the plan, on none")
    return f"{text}; {listed(others)}." if others else f"{text}."


def _best(experiment: Experiment, problem: str, material: Material) -> float | None:
    found = [r.objective for r in experiment.records if r.problem == problem and r.objective is not None]
    return None if not found else max(found) if material.known[problem].sense == "max" else min(found)


def _fastest(summaries: Sequence[Summary]) -> str:
    least: dict[str, tuple[float, str]] = {}
    for s in summaries:
        if s.tts is not None and s.tts.value is not None:
            least[s.problem] = min(least.get(s.problem, (math.inf, "")), (s.tts.value, s.solver))
    fastest: dict[str, int] = {}
    for _, solver in least.values():
        fastest[solver] = fastest.get(solver, 0) + 1
    to = goal(summaries[0].theta)
    if not fastest:
        return f"No run reached {to}."
    each = [f"{s} on {k}" for s, k in sorted(fastest.items(), key=lambda item: -item[1])]
    return f"To {to}, reached on {len(least)} of {count(len({s.problem for s in summaries}), 'problem')}, the fastest is {listed(each)}."


def _verdicts(duels: Sequence[Duel]) -> Iterator[str]:
    """A loss is said as plainly as a win."""
    groups: dict[str, list[str]] = {}
    for d in duels:
        groups.setdefault(verdict(d.pair), []).append(d.pair.second)
    sentences = {
        "better": "{first} is significantly better than {others}.",
        "worse": "{first} is significantly worse than {others}.",
        "not significant": "Between {first} and {others} the difference is not significant.",
        "too few problems to tell": "Between {first} and {others} no difference could be significant on so few problems.",
    }
    for word, sentence in sentences.items():
        if word in groups:
            yield sentence.format(first=duels[0].pair.first, others=listed(groups[word]))


def duel(d: Duel, theta: float) -> str:
    """One line of figures: better or worse, and how much faster."""
    pair = d.pair
    if not pair.problems:
        return f"{pair.first} against {pair.second}: no problem in common"
    facts = [f"{pair.wins} won, {pair.ties} tied, {pair.losses} lost"]
    if pair.difference is not None:
        facts.append(_difference(pair.difference, pair.interval))
    if pair.wilcoxon_holm is not None:
        facts.append(f"corrected p = {probability(pair.wilcoxon_holm)}")
    if d.ratio is not None:
        facts.append(f"{ratio_text(d.ratio, d.interval)} as fast to {goal(theta)}")
    for k, name in ((d.only_first, pair.first), (d.only_second, pair.second)):
        if k:
            facts.append(f"{goal(theta)} reached by {name} alone on {count(k, 'problem')}")
    return f"{pair.first} against {pair.second}: {'; '.join(facts)}"


def _difference(difference: float, around: Interval | None) -> str:
    if difference >= 0:
        return f"gap less by {percent(difference)}{ends(around, percent)}"
    turned = None if around is None else Interval(low=-around.high, high=-around.low, level=around.level)
    return f"gap more by {percent(-difference)}{ends(turned, percent)}"


def _record(problem: str, ref: Reference) -> str:
    return (
        f"On {problem} {listed(ref.found_by)} found {objective(ref.found)}, better than the best known value {objective(ref.value)} "
        f"({ref.source}); the gaps are to the latter."
    )


def programs(summaries: Sequence[ProgramSummary], experiment: Experiment) -> str:
    """One paragraph on programs."""
    ran = [s for s in summaries if s.solved is not None]
    if not ran:
        return f"Of the quadratic programs none was run within {experiment.budget}."
    ranked = sorted(ran, key=lambda s: (-s.solved.k / s.solved.n if s.solved else 0.0, s.mean_s))
    facts = [
        f"{s.solver} solved {s.solved.k} of {s.solved.n} runs{ends(s.solved.interval, percent)} "
        f"in a mean time of {'at least ' if s.bound else ''}{seconds(s.mean_s)}"
        for s in ranked
        if s.solved is not None
    ]
    return f"Quadratic programs with {experiment.budget} a run, on residuals that we computed: {'; '.join(facts)}."
