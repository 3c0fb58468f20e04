"""What the tables say of stored runs: medians, gaps, times to a target with runs that never got there, in Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from store import Row


def median_time(rows: Sequence[Row]) -> float:
    """Median seconds to the target; a run without it counts as infinity, which is exact while fewer than half are."""
    return statistics.median(r["to_best_s"] if reached(r) else math.inf for r in rows)


def reached(row: Row) -> bool:
    """Whether a run got to its best known cut (or target)."""
    return row["best_known"] is not None and row["cut"] >= row["best_known"]


def tts99(rows: Sequence[Row]) -> float:
    """Seconds to reach the target with probability 0.99: ln(100) x (seconds of all runs together)/(runs that reached it).

    This is the maximum-likelihood estimate for exponentially distributed times, with runs that ended without the target as censored: they
    count with all the time that they ran. Where times spread less than that, as with a start-up that every run needs, it is too long.
    """
    hits = [r["to_best_s"] for r in rows if reached(r)]
    total = sum(hits) + sum(r["solve_s"] for r in rows if not reached(r))
    return math.log(100) * total / len(hits) if hits else math.inf


def gap(rows: Sequence[Row]) -> float:
    """(best known - median cut)/|best known|."""
    known = rows[0]["best_known"]
    return float((known - statistics.median(r["cut"] for r in rows)) / abs(known))


def seconds(t: float) -> str:
    """A time for people; infinity is a run that never got there."""
    return "-" if math.isinf(t) else f"{t:.2f}"


def verdict(met: bool) -> str:
    """One word on a target."""
    return "met" if met else "**not met**"


def markdown(heads: Sequence[str], body: Iterable[Sequence[object]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(str(x) for x in row) + " |" for row in body]
    return "\n".join(lines)


def by_graph(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of each graph, in the order met."""
    out: dict[str, list[Row]] = {}
    for r in rows:
        out.setdefault(r["graph"], []).append(r)
    return out


def provenance(rows: Sequence[Row]) -> str:
    """Where and when the rows come from."""

    def several(k: str) -> str:
        return ", ".join(sorted({str(r.get(k)) for r in rows}))

    days = sorted({str(r["date"])[:10] for r in rows})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return (
        f"{several('cpu')}; threads {several('threads')}; fnanneal {several('version')}, revision {several('revision')}; {when}; "
        f"load of the machine before a run: {max(r['load'] for r in rows):.1f} at most"
    )


def cuts_table(rows: Sequence[Row], targets: dict[str, float]) -> str:
    """Cut, gap and seconds to the best known cut of each graph, the totals, and whether they meet the targets `hits`, `mean`, `worst`."""
    body, gaps, hits = [], [], 0
    for graph, mine in by_graph(rows).items():
        gaps.append(gap(mine))
        hits += gaps[-1] <= 0
        cuts = ", ".join(str(r["cut"]) for r in mine)
        times = ", ".join(seconds(r["to_best_s"] if reached(r) else math.inf) for r in mine)
        body.append((graph, mine[0]["best_known"], cuts, f"{gaps[-1]:.4%}", times))
    # A record makes up for no other graph.
    mean, worst = statistics.mean(max(g, 0.0) for g in gaps), max(gaps)
    out = markdown(("graph", "best known", "cuts", "gap of the median", "seconds to the best known"), body)
    out += (
        f"\n\n{hits} of {len(body)} at the best known cut (median over seeds), mean gap {mean:.4%}, worst {worst:.3%}."
    )
    checks = {
        "hits": hits >= targets.get("hits", 0),
        "mean": mean <= targets.get("mean", 1),
        "worst": worst <= targets.get("worst", 1),
    }
    for what, met in checks.items():
        if what in targets:
            out += f" Target {what} {targets[what]:g}: {verdict(met)}."
    return out


def times_table(rows: Sequence[Row]) -> str:
    """Median seconds to the best known cut of each graph, against the runs' own limit."""
    body = []
    for graph, mine in by_graph(rows).items():
        limit, t = mine[0]["seconds"], median_time(mine)
        body.append((graph, f"{limit:g}", seconds(t), f"{sum(map(reached, mine))} of {len(mine)}", verdict(t <= limit)))
    met = sum(row[-1] == "met" for row in body)
    table = markdown(("graph", "limit, s", "median s to the best known", "runs there", "target"), body)
    return f"{table}\n\n{met} of {len(body)} graphs within their limit."


def tts_table(rows: Sequence[Row], median_target: float, tts_target: float) -> str:
    """Median time and TTS99 on one graph."""
    median, tts = median_time(rows), tts99(rows)
    head = f"{rows[0]['graph']} to {rows[0]['best_known']}, {sum(map(reached, rows))} of {len(rows)} runs of at most {rows[0]['seconds']:g} s there: "
    return (
        f"{head}median {seconds(median)} s (target {median_target:g} s: {verdict(median <= median_target)}), TTS99 {seconds(tts)} s "
        f"(target {tts_target:g} s: {verdict(tts <= tts_target)}). TTS99 = ln 100 x seconds of all runs / runs that got there: maximum likelihood for "
        "exponential times, unfinished runs censored."
    )


def mis_table(rows: Sequence[Row], below: int, at_least: int, better: int) -> str:
    """Independent sets against the Tabu target and NeuroSA's best of five, by (n, density); an infeasible answer counts as an empty set."""
    groups: dict[tuple[int, float], list[Row]] = {}
    for r in rows:
        groups.setdefault((r["n"], r["density"]), []).append(r)
    body = []
    for (n, density), mine in sorted(groups.items()):
        rise = [r["cut"] - r["neurosa"] for r in mine]
        counts = (sum(r["cut"] < r["tabu"] for r in mine), sum(d < 0 for d in rise), sum(d > 0 for d in rise))
        body.append((n, density, *counts, ", ".join(f"{d:+d}" if d else "0" for d in rise)))
    totals = [sum(int(row[k]) for row in body) for k in (2, 3, 4)]
    feasible = sum(bool(r["feasible"]) for r in rows)
    heads = (
        "n",
        "density",
        "below Tabu",
        "below NeuroSA",
        "above NeuroSA",
        "size minus NeuroSA's best of five, by seed",
    )
    return (
        f"{markdown(heads, body)}\n\n{len(rows)} workloads, {feasible} answers feasible: {totals[0]} below the Tabu target (target {below}: "
        f"{verdict(totals[0] <= below)}), {len(rows) - totals[1]} at least NeuroSA's best of five (target {at_least} of 180: "
        f"{verdict(len(rows) - totals[1] >= at_least)}), {totals[2]} better (target {better}: {verdict(totals[2] >= better)})."
    )


def spin_table(rows: Sequence[Row]) -> str:
    """Median CPU nanoseconds a spin test by graph and cooling."""
    targets = {"G22": 0.6, "G55": 0.3, "G81": 0.5}
    body = []
    for graph, mine in by_graph(rows).items():
        for shape in dict.fromkeys(r["settings"] for r in mine):
            ns = [r["ns"] for r in mine if r["settings"] == shape]
            median = statistics.median(ns)
            target = f"{targets[graph]:g}: {verdict(median <= targets[graph])}" if graph in targets else "none"
            body.append((graph, mine[0]["engine"], shape, f"{median:.3f}", f"{min(ns):.3f} to {max(ns):.3f}", target))
    return markdown(("graph", "engine", "cooling", "ns a spin test (CPU time, median)", "range", "target, ns"), body)


def million_table(rows: Sequence[Row]) -> str:
    """Seconds and memory of the large graph."""
    body = [
        (r["graph"], r["threads"], f"{r['prepare_s']:.1f}", f"{r['solve_s']:.1f}", f"{r['peak_gib']:.2f}",
         verdict(r["solve_s"] <= 20 and r["peak_gib"] <= 4))
        for r in rows
    ]  # fmt: skip
    return markdown(
        ("graph", "threads", "preparing, s", "with 100 sweeps of 64 replicas, s", "peak GiB", "20 s, 4 GiB"), body
    )
