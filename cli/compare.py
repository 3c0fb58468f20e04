"""``fnanneal compare``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..compare.coordinator import Tally
    from ..compare.plan import Estimate, Plan
    from ..compare.records import Record


def compare(
    problems: Annotated[
        list[str] | None,
        typer.Argument(
            help="Problems as `fnanneal solve` and `fnanneal qp` take them (qp:SPEC says that it is a program), or one PLAN.toml.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="quick, gset, paper, neurobench or qp.", show_default=False)
    ] = None,
    solvers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Solvers, each perhaps with settings: sa,dwave-sa:num_sweeps=1000. [default: ours and the peers that are installed]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="N|A,B,...", help="How many seeds, or which. [default: 5]", show_default=False)
    ] = None,
    time_limit: Annotated[
        list[float] | None,
        typer.Option(help="Seconds of each run; repeatable. [default: 10]", show_default=False),
    ] = None,
    spin_tests: Annotated[
        list[str] | None,
        typer.Option(metavar="N", help="Spin tests of each run, such as 1e9, in place of seconds; repeatable."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Of each run. [default: 1]", show_default=False)] = None,
    stop_at_best: Annotated[
        bool, typer.Option("--stop-at-best", help="End a run once it is as good as the best known value.")
    ] = False,
    thresholds: Annotated[
        str | None,
        typer.Option(metavar="X,Y,...", help="Gaps to report times for. [default: 0,0.001,0.01]", show_default=False),
    ] = None,
    eps: Annotated[
        float | None, typer.Option(help="Tolerance of quadratic programs. [default: 1e-6]", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory of the store; an earlier run there goes on. [default: runs/NAME]", show_default=False
        ),
    ] = None,
    executor: Annotated[
        str | None, typer.Option(help="processes, dask:ADDRESS, or mpi. [default: processes]", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Runs at a time on this machine. [default: one a core]", show_default=False)
    ] = None,
    retries: Annotated[int, typer.Option(help="How often a run is repeated whose worker died.")] = 2,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run again what failed, and what a solver could not take.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the runs and how long they would take.")] = False,
    verify: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Recompute every stored best, and do nothing else.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> int:
    """Compare solvers: every solver on every problem with every seed and budget. What is finished is kept, and the same command goes on."""
    from ..compare.cells import SolverSpec
    from ..errors import InputError

    if verify is not None:
        return _verify(verify, json_, quiet)
    chosen = None if solvers is None else tuple(SolverSpec.parse_list(solvers))
    if chosen == ():
        raise InputError("--solvers names none")
    plan, name, notes = _plan(
        problems or [],
        preset,
        solvers=chosen,
        seeds=None if seeds is None else _seeds(seeds),
        time_limits=tuple(time_limit or ()),
        spin_tests=tuple(_whole(k, "--spin-tests") for k in spin_tests or ()),
        threads=threads,
        stop=stop_at_best or None,
        thresholds=None if thresholds is None else tuple(_number(x, "--thresholds") for x in thresholds.split(",")),
        eps=eps,
    )
    if out is None:
        out = Path("runs", name)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is not a directory")
    plan.checked()
    from ..compare.coordinator import expected

    for note in () if quiet else notes:
        typer.echo(f"fnanneal: left out: {note}", err=True)
    if dry_run:
        _show_plan(plan, expected(plan, out), workers, out, json_)
        return 0
    return _run(plan, out, executor, workers, retries, retry_failed, json_, quiet)


def _plan(given: list[str], preset: str | None, **changes: Any) -> tuple[Plan, str, tuple[str, ...]]:
    """The plan, a name for its directory, and what was left out of it."""
    from dataclasses import replace

    from ..compare.cells import Budget
    from ..compare.plan import ProblemSpec, make_plan, read_plan
    from ..compare.presets import default_solvers
    from ..compare.presets import preset as named
    from ..errors import InputError

    chosen = {k: v for k, v in changes.items() if v not in (None, ())}
    if preset is None and not given:
        raise InputError("nothing to compare: give problems, --preset NAME or a PLAN.toml (--help shows how)")
    if preset is None and not (len(given) == 1 and given[0].endswith(".toml")):
        kinds = {ProblemSpec.of(text).kind for text in given}
        missing: tuple[str, ...] = ()
        if "solvers" not in chosen:
            chosen["solvers"], missing = default_solvers(kinds)
        return make_plan(given, chosen.pop("solvers"), **chosen), "compare", missing
    if preset is not None:
        found = named(preset)
        plan, name, missing = found.plan, preset, found.missing
        if given:
            chosen["problems"] = tuple(ProblemSpec.of(text) for text in given)
    else:
        plan, name, missing = read_plan(given[0]), Path(given[0]).stem, ()
    if "solvers" in chosen:
        missing = ()
    if isinstance(chosen.get("seeds"), int):
        chosen["seeds"] = tuple(range(1, chosen["seeds"] + 1))
    limits, tests = chosen.pop("time_limits", ()), chosen.pop("spin_tests", ())
    if limits or tests:
        chosen["budgets"] = tuple(Budget(seconds=t) for t in limits) + tuple(Budget(spin_tests=k) for k in tests)
    return replace(plan, **chosen), name, missing


def _seeds(text: str) -> int | list[int]:
    parts = [_whole(part, "--seeds") for part in text.split(",")]
    if len(parts) == 1 and "," not in text:
        from ..checks import integer

        return integer(parts[0], "--seeds", 1, 100_000)
    return parts


def _number(text: str, what: str) -> float:
    from ..errors import InputError

    try:
        return float(text)
    except ValueError as e:
        raise InputError(f"{what} takes numbers, not {text!r:.40}") from e


def _whole(text: str, what: str) -> int:
    from ..errors import InputError

    value = _number(text.strip() or "x", what)
    if not abs(value) < 2**63 or value != int(value):
        raise InputError(f"{what} takes whole numbers, not {text!r:.40}")
    return int(text) if text.strip().lstrip("+").isdigit() else int(value)


def _show_plan(plan: Plan, guess: Estimate, workers: int | None, out: Path, json_: bool) -> None:
    from dataclasses import asdict

    from ..compare.rules import budget_rule
    from ..parallel.cores import available_threads

    side_by_side = workers or max(1, available_threads() // plan.threads)
    seconds = guess.seconds / side_by_side
    if json_:
        cells = [asdict(c) | {"key": c.key, "command": c.command, "solver": c.solver.label} for c in plan.cells()]
        typer.echo(
            json.dumps(
                {"plan": plan.about(), "cells": cells, "done": guess.done, "workers": side_by_side, "seconds": round(seconds, 1)}
            )
        )  # fmt: skip
        return
    counts = ((len(plan.problems), "problem"), (len(plan.solvers), "solver"), (len(plan.seeds), "seed"))
    typer.echo(f"{plan.title}: " + ", ".join(f"{k} {what}{'s' * (k > 1)}" for k, what in counts))
    typer.echo(
        f"budgets     {', '.join(b.label for b in plan.budgets)} a run, {plan.threads} thread{'s' * (plan.threads > 1)} each"
    )
    typer.echo("seeds       " + _wrapped([str(k) for k in plan.seeds]))
    typer.echo("problems    " + _wrapped([p.spec for p in plan.problems]))
    for k, s in enumerate(plan.solvers):
        typer.echo(f"{'solvers' if k == 0 else '':12}{s.label}: {budget_rule(s.name, {p.kind for p in plan.problems})}")
    typer.echo(f"cells       {guess.cells}, of which {guess.done} are finished in {out}")
    typer.echo(f"time        about {_duration(seconds)} on {side_by_side} worker{'s' * (side_by_side > 1)}")


def _wrapped(words: list[str], width: int = 100) -> str:
    import textwrap

    return textwrap.fill(", ".join(words), width + 12, subsequent_indent=" " * 12, break_long_words=False)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _run(
    plan: Plan, out: Path, executor: str | None, workers: int | None, retries: int, retry_failed: bool, json_: bool, quiet: bool
) -> int:  # fmt: skip
    from dataclasses import asdict

    from ..compare.coordinator import run, tally_of
    from ..compare.store import Store

    interrupted = False
    try:
        with _progress(quiet) as callback:
            tally = run(
                plan, out, executor=executor, workers=workers, retries=retries, retry_failed=retry_failed, callback=callback
            )  # fmt: skip
    except KeyboardInterrupt:
        interrupted = True
        with Store.open(out) as store:
            tally = tally_of(store, {c.key for c in plan.cells()})
    if json_:
        typer.echo(json.dumps({"out": str(out), **asdict(tally), "interrupted": interrupted}))
    elif not quiet:
        if not interrupted:
            from ..compare.report.brief import brief

            with Store.open(out) as store:
                typer.echo(brief(store.records(), store.plan(), store.planned()))
        _show_tally(tally, out, interrupted)
    return 130 if interrupted else 1 if tally.failed else 0


def _show_tally(tally: Tally, out: Path, interrupted: bool) -> None:
    parts = [f"{tally.finished} of {tally.cells} cells finished in {out}"]
    if not interrupted:
        parts.append(f"{tally.ran} of them now")
    if tally.failed:
        parts.append(f"{tally.failed} failed (--retry-failed runs them again)")
    if tally.unfit:
        parts.append(f"{tally.unfit} not for their solver")
    typer.echo(", ".join(parts))
    typer.echo("interrupted: the same command goes on" if interrupted else f"fnanneal report {out}")


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[Record, Tally], object] | None]:
    """A bar on the terminal; where standard error is none, nothing."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def update(record: Record, tally: Tally) -> None:
            told = record.error or f"{record.objective}"
            text = escape(f"{record.problem} {record.solver}: {told}"[:80])
            failed = f" [red]{tally.failed} failed[/]" if tally.failed else ""
            bar.update(task, total=tally.cells, completed=tally.finished, description=text + failed)

        yield update


def _verify(folder: Path, json_: bool, quiet: bool) -> int:
    from dataclasses import asdict

    from ..compare.verification import verify

    verdicts = list(verify(folder))
    wrong = [v for v in verdicts if v.fault is not None]
    if json_:
        typer.echo(json.dumps({"cells": len(verdicts), "wrong": [asdict(v) for v in wrong]}))
        return 1 if wrong else 0
    for v in wrong:
        typer.echo(f"{v.cell}  {v.label}: {v.fault}")
    if not quiet:
        typer.echo(
            f"{len(verdicts)} bests recomputed: "
            + (f"{len(wrong)} are not what the store says" if wrong else "all as stored")
        )
    return 1 if wrong else 0
