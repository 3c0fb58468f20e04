"""What the tables say of stored runs on quadratic programs: counts at tolerances, mean times, false claims, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from store import Row
from tables import markdown, verdict

SHIFT_S = 1.0
CERTIFICATE = 1e-6
OURS, LOCAL = "fnanneal", "fnanneal-nopolish"
RESIDUALS = ("primal", "dual", "gap", "sign")
# Of `OURS`, and of `LOCAL` at the relative tolerance; from the issue.
TARGETS = {1e-3: 93, 1e-6: 88, 1e-9: 65}
LOCAL_TARGET = 75


def taken(row: Row) -> float:
    """Seconds: of the processor where there was one thread, so that other people's work on the machine does not count, else on the clock."""
    one = row["threads"] == 1 and row.get("cpu_s") is not None
    return float(row["cpu_s"] if one else row.get("wall_s", math.inf))


def in_time(row: Row) -> bool:
    """Within the limit, and the tenth of a second by which a last step may overshoot it."""
    return taken(row) <= 1.01 * float(row["seconds"]) + 0.1


def solved(row: Row, eps: float, measure: str = "absolute") -> bool:
    """Whether the residuals computed here are within eps, whatever the solver says, and it took no longer than the limit."""
    return row.get(measure) is not None and row[measure] <= eps and in_time(row)


def excess(row: Row) -> float:
    """The worst residual as a multiple of the tolerance that was asked for: at most 1 for a true claim."""
    if row.get("primal") is None:
        return math.inf
    over = [0.0]
    for k in RESIDUALS:
        allowed = row["eps_abs"] + (0.0 if k == "sign" else row["eps_rel"] * row["scales"][k])
        over.append(row[k] / allowed)
    return max(over)


def false_claims(rows: Sequence[Row]) -> list[Row]:
    """Runs that report a solution which is none at the tolerance asked for (or at the lower one that they own up to)."""
    return [r for r in rows if r["claims"] and not excess(r) <= r.get("allowance", 1.0)]


def shifted_mean(rows: Sequence[Row], eps: float, measure: str = "absolute") -> float:
    """exp(mean(log(t + 1 s))) - 1 s, a run that did not solve counting with its limit."""
    times = [min(taken(r), r["seconds"]) if solved(r, eps, measure) else r["seconds"] for r in rows]
    return math.exp(sum(math.log(t + SHIFT_S) for t in times) / len(times)) - SHIFT_S


def groups(rows: Sequence[Row]) -> dict[tuple[str, float, float, float], list[Row]]:
    """Rows by (solver, eps_abs, eps_rel, limit); of several versions of a solver, the one with the most problems, and of those the last."""
    found: dict[tuple[str, float, float, float], list[Row]] = {}
    for r in rows:
        found.setdefault((r["solver"], r["eps_abs"], r["eps_rel"], r["seconds"]), []).append(r)
    for k, mine in found.items():
        versions: dict[str, list[Row]] = {}
        for r in mine:
            versions.setdefault(r["solver_version"], []).append(r)
        found[k] = max(versions.values(), key=lambda rs: (len(rs), max(r["date"] for r in rs)))
    return found


def counts_table(rows: Sequence[Row]) -> str:
    """How many problems each solver solved to each tolerance."""
    body = []
    for (solver, eps, rel, limit), mine in groups(rows).items():
        measure = "relative" if rel else "absolute"
        wrong = false_claims(mine)
        body.append(
            (
                solver,
                f"{eps:g}" + (" relative" if rel else ""),
                f"{limit:g}",
                len(mine),
                *(sum(solved(r, t) for r in mine) for t in (1e-3, 1e-6, 1e-9)),
                sum(solved(r, 1e-6, "relative") for r in mine),
                f"{shifted_mean(mine, eps, measure):.3f}",
                len(wrong),
                sum(not excess(r) <= 1000 for r in wrong),
                mine[0]["solver_version"],
            )
        )
    heads = (
        "solver", "asked for", "limit, s", "problems", "all <= 1e-3", "<= 1e-6", "<= 1e-9", "1e-6 relative", "shifted mean, s",
        "claims not true", "by over 1000", "version",
    )  # fmt: skip
    return markdown(heads, body)


def targets(rows: Sequence[Row]) -> str:
    """Our counts against the targets: at each tolerance the run that was asked for it, else the one asked for a finer one, else any."""
    ours = {k: v for k, v in groups(rows).items() if k[0] == OURS and not k[2]}
    body: list[tuple[object, ...]] = []
    for t, wanted in TARGETS.items():
        best = max((sum(solved(r, t) for r in mine) for k, mine in ours.items() if k[1] == t), default=None)
        if best is None:
            best = max((sum(solved(r, t) for r in mine) for mine in ours.values()), default=None)
        if best is not None:
            body.append((f"all residuals and signs <= {t:g}", f"at least {wanted}", best, verdict(best >= wanted)))
    local = [mine for k, mine in groups(rows).items() if k[0] == LOCAL and k[2]]
    if local:
        best = max(sum(solved(r, 1e-6, "relative") for r in mine) for mine in local)
        body.append(("products only, 1e-6 relative", f"at least {LOCAL_TARGET}", best, verdict(best >= LOCAL_TARGET)))
    mine = [r for k, v in groups(rows).items() if k[0] in (OURS, LOCAL) for r in v]
    if mine:
        wrong = len(false_claims(mine))
        body.append(("claims that are not true", "none", wrong, verdict(wrong == 0)))
    return markdown(("target", "wanted", "found", ""), body) if body else ""


def unsolved(rows: Sequence[Row]) -> str:
    """The problems that each solver did not solve, with the residual that is in the way; and its claims that are not true."""
    lines = []
    for (solver, eps, rel, _), mine in groups(rows).items():
        measure = "relative" if rel else "absolute"
        left = [r for r in mine if not solved(r, eps, measure)]
        lines.append(
            f"- {solver} at {eps:g}{' relative' if rel else ''}: {len(left)} unsolved. " + ", ".join(map(why, left))
        )
        wrong = false_claims(mine)
        if wrong:
            lines.append(
                "  Claims that are not true: " + ", ".join(f"{r['graph']} ({excess(r):.1e} times)" for r in wrong) + "."
            )
    return "\n".join(lines)


def why(row: Row) -> str:
    """A problem and what kept it from being solved."""
    if row.get("primal") is None:
        return f"{row['graph']} ({row['status']})"
    worst = max(RESIDUALS, key=lambda k: float(row[k]))
    late = "" if in_time(row) else f", {taken(row):.1f} s"
    return f"{row['graph']} ({worst} {row[worst]:.0e}{late})"


def recognised(row: Row) -> bool:
    """Whether the right kind of infeasibility is reported; by ours, with a ray that proves it."""
    kind = "primal_infeasible" if row["graph"].startswith("gen:infeasible") else "dual_infeasible"
    if row["solver_version"].startswith("fnanneal"):
        return row["status"] == kind and row.get("ray") is not None and bool(row["ray"] <= CERTIFICATE)
    said = f"{row['status']} {row.get('error', '')}".lower()
    words = ("primal",) if kind == "primal_infeasible" else ("dual", "unbounded")
    return "infeasible" in said.replace("unbounded", "infeasible") and any(w in said for w in words)


def hopeless_table(rows: Sequence[Row]) -> str:
    """How many programs without an optimum each solver recognises."""
    body, left = [], []
    for (solver, eps, rel, limit), mine in groups(rows).items():
        parts: list[object] = []
        for kind in ("gen:infeasible", "gen:unbounded"):
            those = [r for r in mine if r["graph"].startswith(kind)]
            parts.append(f"{sum(recognised(r) for r in those)} of {len(those)}")
        known = [r for r in mine if recognised(r)]
        proofs = [r["ray"] for r in known if r.get("ray") is not None]
        slowest = max((taken(r) for r in known), default=math.nan)
        body.append(
            (
                solver,
                f"{eps:g}" + (" relative" if rel else ""),
                f"{limit:g}",
                *parts,
                sum(bool(r["claims"]) for r in mine),
                f"{max(proofs):.1e}" if proofs else "-",
                f"{shifted_mean_of([taken(r) for r in known]):.3f}" if known else "-",
                f"{slowest:.2f}",
            )
        )
        missed = [f"{r['graph']} ({r['status']})" for r in mine if not recognised(r)]
        if missed:
            left.append(f"- {solver}, not recognised: {', '.join(missed)}")
    heads = (
        "solver", "asked for", "limit, s", "infeasible, recognised", "unbounded, recognised", "reported solved", "worst certificate", "shifted mean, s",
        "slowest, s",
    )  # fmt: skip
    return markdown(heads, body) + ("\n\n" + "\n".join(left) if left else "")


def shifted_mean_of(times: Sequence[float]) -> float:
    """exp(mean(log(t + 1 s))) - 1 s."""
    return math.exp(sum(math.log(t + SHIFT_S) for t in times) / len(times)) - SHIFT_S


def large_table(rows: Sequence[Row]) -> str:
    """Seconds, accuracy and memory on large sparse programs."""
    body = []
    for mine in groups(rows).values():
        for r in mine:
            ratio = r["peak"] / r["bytes"] if r.get("peak") else math.nan
            fine = solved(r, r["eps_rel"], "relative")
            body.append(
                (
                    r["graph"],
                    r["solver"],
                    r.get("nnz", "-"),
                    r["threads"],
                    r["status"],
                    f"{taken(r):.1f}",
                    f"{r['relative']:.1e}" if r.get("relative") is not None else "-",
                    f"{r['bytes'] / 2**20:.0f}" if r.get("bytes") else "-",
                    f"{ratio:.2f}",
                    verdict(fine and ratio < 3) if r["solver"] == OURS else ("yes" if fine else "no"),
                )
            )
    heads = (
        "problem", "solver", "entries", "threads", "status", "seconds", "worst relative residual", "data, MiB", "peak memory / data",
        "1e-4 in time, under 3 times the data",
    )  # fmt: skip
    return markdown(heads, body)
