"""What people see: the live line and the result."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..problems.model import Model
    from ..protocols import Progress
    from ..result import Result

KINDS = {"maxcut": "Max-Cut", "ising": "Ising", "qubo": "QUBO"}


def quantity(x: float) -> str:
    """A count for people: 1.2e8 as 120 M."""
    for size, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, " k")):
        if x >= size:
            return f"{x / (size if letter != ' k' else 1e3):.3g}{letter}"
    return f"{x:.0f}"


def seconds(t: float) -> str:
    """A time for people."""
    return f"{t:.2f} s" if t < 100 else f"{t:.0f} s"


def number(x: float) -> str:
    """An objective: integers whole, others to ten digits."""
    return str(x) if isinstance(x, int) else f"{x:.10g}"


def word(kind: str) -> str:
    """What a kind's objective is called."""
    return "cut" if kind == "maxcut" else "energy"


def joules(x: float) -> str:
    """An energy: 1.2e-7 as 120 nJ."""
    for size, letter in (
        (1.0, "J"),
        (1e-3, "mJ"),
        (1e-6, "uJ"),
        (1e-9, "nJ"),
        (1e-12, "pJ"),
        (1e-15, "fJ"),
        (1e-18, "aJ"),
    ):
        # Three digits: 999.6 of a unit is 1 of the next.
        if abs(x) >= 0.9995 * size:
            return f"{x / size:.3g} {letter}"
    return f"{x:.3g} J"


@contextmanager
def progress(model: Model, quiet: bool) -> Iterator[Callable[[Progress], Any] | None]:
    """A callback that keeps one line on the terminal up to date; None where standard error is no terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)
    label = model.name or "problem"
    with Live(Text(f"{label}: preparing", style="dim"), console=console, refresh_per_second=10, transient=True) as live:

        def update(p: Progress) -> None:
            live.update(Text.from_markup(_line(label, model.kind, p), overflow="ellipsis"), refresh=False)

        yield update


def _line(label: str, kind: str, p: Progress) -> str:
    from rich.markup import escape

    parts = [f"[bold]{escape(label)}[/]"]
    if p.fraction is not None:
        filled = round(16 * p.fraction)
        parts.append(f"[cyan]{'━' * filled}[/][dim]{'━' * (16 - filled)}[/] {p.fraction:4.0%}")
    parts.append(f"{p.elapsed:.1f} s")
    best = f"best {word(kind)} [bold green]{number(p.objective)}[/]"
    if p.best_known is not None:
        left = abs(p.best_known.value - p.objective)
        best += f" ({number(left)} from best known)" if left else " (= best known)"
    parts.append(best)
    if p.temperature is not None:
        parts.append(f"T {p.temperature:.3g}")
    if p.elapsed > 0:
        parts.append(f"{quantity(p.spin_tests / p.elapsed)} spin tests/s")
    return "  ".join(parts)


def place(backend: str, asked: str, could: bool) -> str:
    """Where a solve ran; and where "auto" found no GPU for a solver that could have used one, why."""
    if (backend, asked, could) != ("cpu", "auto", True):
        return backend
    from ..solvers.cuda import finding

    reason = finding.find().reason
    return backend if reason is None else f"{backend} (no GPU: {reason})"


def show(result: Result, output: Path | None, asked: str) -> None:
    """The result, on standard output; `asked` is the backend that was asked for."""
    import typer

    from ..solvers import registry
    from ..solvers.placing import could

    about = result.problem.summary()
    kind = about["kind"]

    def row(left: str, right: str, **style: Any) -> None:
        typer.echo(typer.style(f"{left:12}", dim=True) + typer.style(right, **style))

    pairs = "edges" if kind == "maxcut" else "couplings"
    row("problem", f"{about['name'] or 'unnamed'}: {KINDS[kind]}, {about['n']} variables, {about['m']} {pairs}")
    row(word(kind), f"{number(result.objective)}  (recomputed from the spins)", bold=True, fg="green")
    if result.best_known is not None:
        known = result.best_known
        how = "better" if (result.objective > known.value) == (result.sense == "max") else "worse"
        off = abs(known.value - result.objective)
        by = "equal" if not off else f"{number(off)} {how}" + (f", gap {result.gap:.3%}" if result.gap else "")
        row("best known", f"{number(known.value)}: {by}  ({known.source})")
    row(
        "solver",
        f"{result.solver}, seed {result.seed}, {result.num_reads} read{'s' * (result.num_reads != 1)} "
        f"on {place(result.backend, asked, could(registry.get(result.solver), result.problem.n))}",
    )
    row("status", result.status.message)
    t = result.time
    load = "" if t.load_s is None else f"load {seconds(t.load_s)} · "
    counted = result.energy.account.status != "not counted"
    build = "" if counted else f" · build {seconds(t.build_s)}"
    row(
        "time",
        f"{load}compile {seconds(t.compile_s)}{build} · solve {seconds(t.solve_s)}, {seconds(t.prepare_s)} of it preparing · best after {seconds(t.to_best_s)}",
    )
    e = result.events
    rate = f" ({quantity(e.spin_tests / t.solve_s)}/s)" if t.solve_s > 0 else ""
    tests = f"{quantity(e.spin_tests)} spin tests{rate}"
    others = f"{quantity(e.spikes)} spikes · {quantity(e.synaptic_events)} synaptic events · {quantity(e.threshold_draws)} threshold draws"
    row(
        "events",
        f"{tests} · {others}" if counted else f"{tests}, others not counted" if e.spin_tests else "not counted",
    )
    if not isinstance(result.weights, str):
        done = result.weights["programming"]
        row(
            "weights",
            f"{result.weights['kind']}, {result.weights['settings']['bits']} bits: {done['cells']} cells programmed by {quantity(done['pulses'])} pulses, "
            f"{done['failures']} failed, rms error {done['rms_error']:.2g}",
        )
    a = result.energy.account
    amount = "no covered event" if a.joules is None else joules(a.joules)
    partial = f", partial: {', '.join(a.not_covered)} not covered" if a.not_covered else ""
    modelled = f"{amount} modelled ({a.technology}{partial})" if counted else "not counted"
    row("energy", f"{modelled} · {_measured(result)}")
    if output is not None:
        row("solution", str(output))


def _measured(result: Result) -> str:
    m = result.energy.measured
    return (
        "not measured"
        if m is None
        else f"{joules(m.joules)} measured, above {m.baseline_watts:.1f} W idle ({', '.join(m.counters)})"
    )


def check_output(path: Path) -> None:
    """Refuse, before the solve and not after it, a path that cannot be written."""
    from ..errors import InputError

    if path.is_dir():
        raise InputError(f"{path} is a directory")
    try:
        if not path.exists() or path.is_file():
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            os.close(handle)
            os.unlink(temporary)
    except OSError as e:
        raise InputError(f"cannot write {path}: {e.strerror or e}") from e


def write_solution(result: Result, path: Path) -> None:
    """One number a line: +1/-1, or 1/0 for a QUBO. The file appears whole or not at all."""
    from ..errors import InputError

    if result.problem.summary()["kind"] == "qubo":
        lines = ["1" if s > 0 else "0" for s in result.spins.tolist()]
    else:
        lines = ["+1" if s > 0 else "-1" for s in result.spins.tolist()]
    text = "\n".join(lines) + "\n"
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as f:
            f.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as e:
        raise InputError(f"cannot write {path}: {e.strerror or e}") from e
