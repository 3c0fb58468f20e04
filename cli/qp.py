"""``fnanneal qp``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .solve import Backend, WeightKind, analog_weights, own_settings

if TYPE_CHECKING:
    from ..problems.quadratic.program import QP
    from ..qpresult import QPProgress, QPResult, Residuals


def qp(
    file: Annotated[
        str,
        typer.Argument(
            help="An .mps, .qps, .lp, .qplib, .mat, .npz or .in (boxqp) file, perhaps with .gz; 'gen:NAME(args)'; or - for standard input.",
            show_default=False,
        ),
    ],
    solver: Annotated[
        str, typer.Option(help="Solver: see `fnanneal solvers list`; auto looks at the problem.")
    ] = "auto",
    format: Annotated[str | None, typer.Option(help="The file's format, where suffix and content do not tell.")] = None,
    eps: Annotated[float, typer.Option(help="Largest residual of a solution: primal, dual, gap and signs.")] = 1e-6,
    eps_rel: Annotated[
        float, typer.Option(help="Added to it: this times the size of what the residual is made of.")
    ] = 0.0,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds of building and solving; loading and compiling apart.")
    ] = None,
    max_iter: Annotated[int | None, typer.Option(help="Iterations of the first-order method.")] = None,
    no_polish: Annotated[bool, typer.Option("--no-polish", help="Never factorise: local updates only.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same solution. Drawn and shown if not given.", show_default=False)
    ] = None,
    backend: Annotated[Backend, typer.Option(help="Where to run.")] = Backend.auto,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Default: the processors this process may use; of other people's solvers, 1.", show_default=False
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the solver, such as population=32. Repeatable."),
    ] = None,
    weights: Annotated[
        WeightKind, typer.Option(help="What holds the variables: ideal numbers, or analog FN-DAM cells.")
    ] = WeightKind.ideal,
    bits: Annotated[
        int | None, typer.Option(help="FN-DAM: resolution, 1 to 14. [default: 8]", show_default=False)
    ] = None,
    technology: Annotated[
        str | None,
        typer.Option(help="Prices the events: see `fnanneal energy --list`. [default: cmos-45nm]", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write the solution: .json and .npz with multipliers, else x, one number a line."
        ),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, and nothing else, on standard output.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the objective alone; no progress.")] = False,
) -> int:
    """Solve a quadratic program to residuals that are recomputed."""
    import time

    from .display import check_output

    held = analog_weights(weights, bits=bits)
    if output is not None:
        check_output(output)
    started = time.perf_counter()
    problem = _read(file, format)
    load_s = time.perf_counter() - started
    from ..solvers.qp.solve import solve_qp_problem

    with _progress(problem, quiet) as callback, _kept_clean(solver):
        result = solve_qp_problem(
            problem, solver=solver, eps_abs=eps, eps_rel=eps_rel, time_limit=time_limit, max_iter=max_iter, callback=callback, seed=seed,
            backend=backend.value, polish=not no_polish, threads=threads, weights=held, technology=technology, load_s=load_s,
            **own_settings(setting, solve_qp_problem),
        )  # fmt: skip
    if output is not None:
        write_solution(result, output)
    if json_:
        typer.echo(json.dumps(_plain(result.to_dict()), allow_nan=False))
    elif quiet:
        typer.echo(result.status.value if result.ray else repr(result.objective))
    else:
        _show(result, output, backend.value)
    status = type(result.status)
    return {status.FAILED: 1, status.INTERRUPTED: 130}.get(result.status, 0)


def _read(spec: str, format: str | None) -> QP:
    """The problem of a command line; ``-`` is standard input."""
    from ..errors import FormatError
    from ..problems.quadratic.load import load_qp

    source: Any = spec
    if spec == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise FormatError("<stdin>", None, "standard input is closed")
        try:
            source = sys.stdin.buffer.read()
        except OSError as e:
            raise FormatError("<stdin>", None, e.strerror or str(e)) from e
    return load_qp(source, format=format)


def _plain(value: Any) -> Any:
    """As JSON has it: NumPy's numbers and arrays as Python's, and what is not finite as null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


@contextmanager
def _progress(problem: QP, quiet: bool) -> Iterator[Callable[[QPProgress], Any] | None]:
    """A callback that keeps one line on the terminal up to date; None where standard error is no terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.markup import escape
    from rich.text import Text

    from .display import number

    label = escape(problem.name or "problem")
    with Live(
        Text(f"{problem.name or 'problem'}: preparing", style="dim"),
        console=Console(stderr=True),
        refresh_per_second=10,
        transient=True,
    ) as live:

        def update(p: QPProgress) -> None:
            parts = (
                f"[bold]{label}[/]",
                f"{p.elapsed:.1f} s",
                f"[cyan]{escape(p.phase)}[/]",
                f"{p.iterations} iterations",
                _residuals(p.residuals, "  "),
                f"objective [bold green]{number(p.objective)}[/]",
            )
            live.update(Text.from_markup("  ".join(parts), overflow="ellipsis"), refresh=False)

        yield update


@contextmanager
def _kept_clean(solver: str) -> Iterator[None]:
    """What another's solver prints goes to standard error: some greet, whatever they are told."""
    import ctypes
    import os
    from contextlib import suppress

    from ..solvers.qp.method import peer_names

    if solver not in peer_names() or sys.stdout is None:
        yield
        return
    sys.stdout.flush()
    try:
        out = os.dup(1)
        os.dup2(2, 1)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError, TypeError, AttributeError):
            ctypes.CDLL(None).fflush(None)
        sys.stdout.flush()
        os.dup2(out, 1)
        os.close(out)


def _residuals(r: Residuals, between: str) -> str:
    return between.join(
        f"{name} {value:.1e}"
        for name, value in (("primal", r.primal), ("dual", r.dual), ("gap", r.gap), ("sign", r.sign))
    )


def _could(result: QPResult) -> bool:
    """Whether "auto" would have taken a GPU for it."""
    from ..solvers.qp import method as methods

    cls = methods.get(result.solver)
    entries = sum(result.problem.summary()["nnz"].values())
    return hasattr(cls, "on_cuda") and bool(cls().cuda_pays(float(entries)))


def _show(result: QPResult, output: Path | None, asked: str) -> None:
    """The result, on standard output; `asked` is the backend that was asked for."""
    from .display import joules, number, place, seconds

    about = result.problem.summary()

    def row(left: str, right: str, **style: Any) -> None:
        typer.echo(typer.style(f"{left:12}", dim=True) + typer.style(right, **style))

    def count(k: int, one: str, many: str) -> str:
        return f"{k} {one if k == 1 else many}"

    size = ", ".join(
        (
            count(about["n"], "variable", "variables"),
            count(about["inequalities"], "inequality", "inequalities"),
            count(about["equalities"], "equality", "equalities"),
            count(sum(about["nnz"].values()), "entry", "entries"),
        )
    )
    row("problem", f"{about['name'] or 'unnamed'}: quadratic program, {size}")
    row(
        "status", result.status.message, bold=True, fg="green" if result.status.value.startswith("solved") else "yellow"
    )
    if result.ray:
        row("certificate", f"a ray of {', '.join(result.ray)}")
    else:
        row("objective", f"{number(result.objective)}  (recomputed from x)", bold=True)
        row("residuals", f"{_residuals(result.residuals, ' · ')}  (recomputed on the problem as given)")
    if result.gap is not None and not result.ray:
        row("bound", f"the best possible objective is at most {result.gap:.3g} away")
    if "claim" in result.details:
        row("claim", f"{result.solver} says: {result.details['claim']}")
    did = [f"{result.solver}, seed {result.seed}"]
    if result.iterations is not None:
        did.append(count(result.iterations, "iteration", "iterations"))
    if result.factorisations is not None:
        did.append(count(result.factorisations, "factorisation", "factorisations"))
    if result.polished:
        did.append("polished")
    row("solver", f"{', '.join(did)} on {place(result.backend, asked, _could(result))}")
    t = result.time
    load = "" if t.load_s is None else f"load {seconds(t.load_s)} · "
    row(
        "time",
        f"{load}compile {seconds(t.compile_s)} · build {seconds(t.build_s)} · solve {seconds(t.solve_s)}",
    )
    if not isinstance(result.weights, str):
        w = result.weights
        effective = "" if w["effective_bits"] is None else f", {w['effective_bits']:.1f} effective"
        pulses = f"{w['pulses']} pulses in {seconds(w['chip_seconds'])} on the chip"
        row(
            "cells",
            f"{w['cells']} of {w['bits']} bits{effective} · {pulses} · objective within {w['excess']:.3g} of that of the mean readings",
        )
    a, m = result.energy.account, result.energy.measured
    amount = "no covered event" if a.joules is None else joules(a.joules)
    partial = f", partial: {', '.join(a.not_covered)} not covered" if a.not_covered else ""
    modelled = "not counted" if a.status == "not counted" else f"{amount} modelled ({a.technology}{partial})"
    metered = "not measured" if m is None else f"{joules(m.joules)} measured, above {m.baseline_watts:.1f} W idle"
    row("energy", f"{modelled} · {metered}")
    if output is not None:
        row("solution", str(output))


def write_solution(result: QPResult, path: Path) -> None:
    """The solution, with its certificate where there is one. The file appears whole or not at all.

    ``.json``: one object; ``.npz``: arrays; anything else: x, one number a line, in the fewest digits that read back the same.
    """
    from ..problems.quadratic.formats.base import store

    points = {"x": result.x, "y": result.y, "z": result.z, "z_box": result.z_box}
    rays = dict(result.ray or {})
    suffix = path.suffix.lower()
    if suffix == ".npz":
        import io

        import numpy as np

        out = io.BytesIO()
        arrays: dict[str, Any] = points | {f"ray_{name}": value for name, value in rays.items()}
        np.savez(out, status=np.str_(result.status.value), objective=np.float64(result.objective), **arrays)
        data = out.getvalue()
    elif suffix == ".json":
        about: dict[str, Any] = {"status": result.status.value, "objective": result.objective}
        held = about | points | ({"ray": rays} if rays else {})
        data = (json.dumps(_plain(held), allow_nan=False) + "\n").encode()
    else:
        data = "".join(f"{value!r}\n" for value in result.x.tolist()).encode()
    store(data, path)
