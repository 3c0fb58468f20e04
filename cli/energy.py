"""``fnanneal energy``: what a solve would dissipate, technology by technology."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..energy import Technology

UNCOUNTED = "another solver's events are not counted, and there is nothing to price"


def energy(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="RESULT|PROBLEM",
            help="What `fnanneal solve --json` printed (a file, or - for standard input), or a problem to solve now.",
            show_default=False,
        ),
    ] = None,
    technology: Annotated[
        list[str] | None,
        typer.Option(
            help="A technology's name or TOML file; repeatable. [default: all that there are]", show_default=False
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the technologies, figure by figure, with their sources.")
    ] = False,
    solver: Annotated[str | None, typer.Option(help="For a problem: the solver.", show_default=False)] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="For a problem: seconds of solving. [default: 2]", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For a problem: the seed.", show_default=False)] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the table: a .png, .svg or .pdf file.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """What a solve would dissipate, technology by technology.

    Modelled from sourced figures, beside lower bounds and what was measured.
    """
    from ..energy import technologies
    from ..energy import technology as find
    from ..errors import InputError
    from . import figures

    figures.check(plot)
    chosen = [find(t) for t in technology] if technology else list(technologies().values())
    if list_:
        if what is not None or plot is not None:
            raise InputError("--list takes no result, no problem and no --plot")
        _list(chosen, json_)
        return
    if what is None:
        raise InputError("give a result (what solve --json printed), a problem, or --list")
    found = _result(what)
    if found is None:
        found = _solve(what, solver, time_limit, seed)
    elif (solver, time_limit, seed) != (None, None, None):
        raise InputError("--solver, --time-limit and --seed are for a problem; this is a result")
    rows = _accounts(found, chosen)
    if json_:
        typer.echo(
            json.dumps({"problem": found["problem"], "solver": found["solver"], "technologies": rows, **_facts(found)})
        )
    else:
        _show(found, rows)
    if plot is not None:
        figures.save(figures.energies(found, rows), plot)


def _list(chosen: list[Technology], json_: bool) -> None:
    from dataclasses import asdict

    from .display import joules

    if json_:
        typer.echo(json.dumps([asdict(t) for t in chosen]))
        return
    for t in chosen:
        typer.echo(f"{t.name}: {t.title}; node {t.node}, {t.temperature:g} K")
        typer.echo(f"    {t.source}")
        for event, f in t.figures.items():
            real = "" if f.joules_real == f.joules else f" ({joules(f.joules_real)} on real numbers)"
            why = "" if f.derivation == "-" else f": {f.derivation}"
            typer.echo(f"    {event:20} {joules(f.joules):>8}{real}  {f.status}{why}  [{f.source}]")
        typer.echo("")


def _result(what: str) -> dict[str, Any] | None:
    """A solve's JSON; None where `what` is something else."""
    from ..errors import FormatError

    if what == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise FormatError("<stdin>", None, "standard input is closed")
        raw, where = sys.stdin.buffer.read(), "<stdin>"
    else:
        try:
            raw = Path(what).read_bytes()
        except OSError:
            return None
        if not raw.lstrip().startswith(b"{"):
            return None
        where = what
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as e:
        # Undecodable bytes, numbers of thousands of digits and bottomless nesting are no JSON either.
        line, why = (e.lineno, e.msg) if isinstance(e, json.JSONDecodeError) else (None, str(e))
        raise FormatError(where, line, f"no valid JSON: {why}") from e
    if what != "-" and isinstance(found, dict) and "schema" not in found:
        return None
    if _uncounted(found):
        raise FormatError(where, None, UNCOUNTED)
    if not _is_result(found):
        raise FormatError(where, None, "this is not what `fnanneal solve --json` prints")
    return dict(found)


def _uncounted(found: Any) -> bool:
    """Whether a result is another solver's."""
    energy = found.get("energy") if isinstance(found, dict) else None
    return isinstance(energy, dict) and energy.get("status") == "not counted"


def _is_result(found: Any) -> bool:
    """Whether all that is read from a result is there, and of the right kind."""
    try:
        e, problem = found["energy"], found["problem"]
        seconds, n = found["time"]["solve_s"], problem["n"]
        numbers = [seconds, found["objective"], n, *e["bounds"].values()]
        if e["measured"] is not None:
            numbers.append(e["measured"]["joules"])
        return (
            all(isinstance(x, int | float) and math.isfinite(x) for x in numbers)
            and seconds >= 0
            and isinstance(n, int)
            and n > 0
            and isinstance(e["events"], dict)
            and isinstance(e["events_to_best"], dict)
            and isinstance(e["real_numbers"], bool)
            and isinstance(problem["name"], str)
            and isinstance(found["solver"], str)
        )
    except (KeyError, TypeError, AttributeError, OverflowError):
        return False


def _solve(problem: str, solver: str | None, time_limit: float | None, seed: int | None) -> dict[str, Any]:
    from ..errors import InputError
    from ..solvers.solve import solve
    from .display import progress
    from .solve import read_problem

    model = read_problem(problem, None, None)
    with progress(model, quiet=False) as callback:
        limit = 2.0 if time_limit is None else time_limit
        found = solve(model, solver, time_limit=limit, seed=seed, callback=callback).to_dict()
    if _uncounted(found):
        raise InputError(f"{found['solver']}: {UNCOUNTED}")
    return found


def _accounts(found: dict[str, Any], chosen: list[Technology]) -> list[dict[str, Any]]:
    from ..energy import account

    rows = []
    for t in chosen:
        whole, best = (
            account(found["energy"][k], t, real_numbers=bool(found["energy"]["real_numbers"]))
            for k in ("events", "events_to_best")
        )
        rows.append(
            {
                "technology": t.name,
                "status": whole.status,
                "joules": whole.joules,
                "joules_to_best": best.joules,
                "items": dict(whole.items),
                "not_covered": dict(whole.not_covered),
            }
        )
    return rows


def _facts(found: dict[str, Any]) -> dict[str, Any]:
    return {k: found["energy"][k] for k in ("events", "events_to_best", "real_numbers", "bounds", "measured")}


def _show(found: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    from .display import joules, number, quantity

    e = found["energy"]
    typer.echo(
        f"{found['problem']['name'] or 'unnamed'}, {found['solver']}, objective {number(found['objective'])}, {found['time']['solve_s']:.2f} s"
    )
    typer.echo("events      " + " · ".join(f"{quantity(v)} {k.replace('_', ' ')}" for k, v in e["events"].items() if v))
    typer.echo("")
    typer.echo(f"{'modelled under':16} {'in all':>10} {'to best':>10}  {'status':8}  not covered")
    for row in rows:
        whole, best = ("-" if row[k] is None else joules(row[k]) for k in ("joules", "joules_to_best"))
        typer.echo(
            f"{row['technology']:16} {whole:>10} {best:>10}  {row['status']:8}  {', '.join(row['not_covered'])}".rstrip()
        )
    typer.echo("")
    typer.echo("lower bounds (no technology)")
    names = {
        "landauer": "Landauer, kT ln 2 a spike",
        "update_wall": "static barrier, all updates (our reconstruction)",
        "matched_barrier": "learning in memory, barrier matched to the annealing (our reconstruction)",
        "consolidation": "holding the answer for ten years (our reconstruction)",
    }
    for key, value in e["bounds"].items():
        typer.echo(f"{joules(value):>10}  {names.get(key, key)}")
    typer.echo("")
    m = e["measured"]
    typer.echo(
        "measured    "
        + (
            "nothing: no counter that this process may read, or a solve of less than a second"
            if m is None
            else f"{joules(m['joules'])} above the idle baseline"
        )
    )
