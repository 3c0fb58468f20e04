"""``fnanneal solve``."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..problems.models import Problem
    from ..result import Result


class Kind(enum.StrEnum):
    """What a problem is solved as."""

    maxcut = "maxcut"
    ising = "ising"
    qubo = "qubo"


class Backend(enum.StrEnum):
    """Where a solve runs."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class WeightKind(enum.StrEnum):
    """What holds the problem's numbers during a solve."""

    ideal = "ideal"
    fn_dam = "fn-dam"


PROBLEM_HELP = "gset:G22, K2000, 'rudy:EXPR', 'nx:NAME(args)', 'gen:NAME(args)', a file (FILE#2: its second instance), or - for standard input."


def solve(
    problem: Annotated[str, typer.Argument(help=PROBLEM_HELP, show_default=False)],
    solver: Annotated[
        str | None, typer.Option(help="Solver: see `fnanneal solvers list`. [default: ensemble]", show_default=False)
    ] = None,
    as_: Annotated[Kind | None, typer.Option("--as", help="Convert the problem first, exactly.")] = None,
    format: Annotated[str | None, typer.Option(help="The file's format, where content and suffix do not tell.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of solving; loading and compiling apart.")] = None,
    num_sweeps: Annotated[int | None, typer.Option(help="Sweeps of one read.")] = None,
    spin_tests: Annotated[
        int | None, typer.Option(help="A budget of so many spin tests, over all reads and sweeps.", show_default=False)
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="X|best-known",
            help="Stop once the objective is this good; exit code 3 if it never is.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same spins. Drawn and shown if not given.", show_default=False)
    ] = None,
    num_reads: Annotated[int | None, typer.Option(help="Independent reads.")] = None,
    backend: Annotated[Backend, typer.Option(help="Where to run.")] = Backend.auto,
    threads: Annotated[
        int | None, typer.Option(help="Default: the processors this process may use.", show_default=False)
    ] = None,
    initial: Annotated[
        Path | None, typer.Option(help="A solution file to start from: one spin (+1/-1) or bit (0/1) a line.")
    ] = None,
    weights: Annotated[
        WeightKind, typer.Option(help="What holds the couplings: ideal numbers, or analog FN-DAM cells.")
    ] = WeightKind.ideal,
    bits: Annotated[
        int | None, typer.Option(help="FN-DAM: resolution, 1 to 14. [default: 8]", show_default=False)
    ] = None,
    mismatch: Annotated[
        float | None,
        typer.Option(help="FN-DAM: relative sigma of the cells' parameters. [default: 0]", show_default=False),
    ] = None,
    read_noise: Annotated[
        float | None, typer.Option(help="FN-DAM: sigma of a reading, in volts. [default: 0]", show_default=False)
    ] = None,
    technology: Annotated[
        str | None,
        typer.Option(help="Prices the events: see `fnanneal energy --list`. [default: cmos-45nm]", show_default=False),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Refuse what needs more, such as 4GiB. [default: 90 % of free memory]"),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="E",
            help="Run ensemble's islands on processes, dask:tcp://HOST:PORT or mpi. With --num-sweeps the result is the same.",
            show_default=False,
        ),
    ] = None,
    islands: Annotated[
        int | None,
        typer.Option(
            help="Islands of ensemble, which exchange elites. [default with --executor: 8, or with a limit alone one a worker]",
            show_default=False,
        ),
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Save the run here, every second.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on from a checkpoint; solver, seed and settings come from it.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the solver, such as schedule=fn. Repeatable."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the best solution, one number a line.")
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, and nothing else, on standard output.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the objective alone; no progress.")] = False,
) -> int:
    """Solve a problem, and recompute what is found before it is shown."""
    import time

    from ..result import Status
    from .display import check_output, progress, show, write_solution

    memory = None if max_memory is None else _size(max_memory)
    held = analog_weights(weights, bits=bits, mismatch=mismatch, read_noise=read_noise)
    if output is not None:
        check_output(output)
    started = time.perf_counter()
    model = read_problem(problem, as_, format)
    load_s = time.perf_counter() - started
    goal = _target(target, model)
    states = None if initial is None else [read_solution(model, initial)]
    from dataclasses import replace

    from ..solvers.solve import solve as run

    with progress(model, quiet) as callback:
        result = run(
            model, solver, time_limit=time_limit, spin_tests=spin_tests, target=goal, seed=seed,
            backend=backend.value, threads=threads, initial_states=states, weights=held, technology=technology, max_memory=memory, callback=callback, checkpoint=checkpoint,
            resume=resume, executor=executor, islands=islands, **own_settings(setting, run, num_sweeps=num_sweeps, num_reads=num_reads),
        )  # fmt: skip
    result = replace(result, time=replace(result.time, load_s=load_s))
    if output is not None:
        write_solution(result, output)
    if json_:
        typer.echo(json.dumps(result.to_dict()))
    elif quiet:
        typer.echo(result.objective)
    else:
        show(result, output, backend.value)
    return _exit_code(result, goal, Status)


def analog_weights(kind: WeightKind, **settings: Any) -> Any:
    """What `fnanneal.solve` takes as weights."""
    from ..errors import InputError

    given = {k: v for k, v in settings.items() if v is not None}
    if kind is WeightKind.ideal:
        if given:
            raise InputError(f"--{next(iter(given)).replace('_', '-')} is for --weights fn-dam")
        return "ideal"
    from ..fndam import FNDAMArray

    return FNDAMArray(**given)


def read_problem(spec: str, kind: Kind | None, format: str | None) -> Problem:
    """The problem of a command line; ``-`` is standard input."""
    from ..errors import FormatError
    from ..problems.load import load

    if spec == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise FormatError("<stdin>", None, "standard input is closed")
        try:
            source: Any = sys.stdin.buffer.read()
        except OSError as e:
            raise FormatError("<stdin>", None, e.strerror or str(e)) from e
    else:
        source = spec
    return load(source, None if kind is None else kind.value, format=format)


def read_solution(model: Problem, path: Path) -> Any:
    """Spins of a solution file: (n,) int8."""
    from ..errors import FormatError, InputError

    where = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as e:
        raise FormatError(where, None, "not a text file") from e
    except OSError as e:
        raise FormatError(where, None, (e.strerror or str(e)).lower()) from e
    values = []
    for number, line in enumerate(text.splitlines(), 1):
        token = line.strip()
        if not token:
            continue
        if token not in ("+1", "1", "-1", "0"):
            raise FormatError(where, number, f"expected one of +1, -1, 1, 0, not {token[:40]!r}")
        values.append(int(token))
    if len(values) != model.n:
        raise FormatError(where, None, f"{len(values)} values for a problem of {model.n} variables")
    try:
        return model.spins(values)
    except InputError as e:
        raise FormatError(where, None, str(e)) from e


def _exit_code(result: Result, target: float | None, status: Any) -> int:
    if result.status == status.INTERRUPTED:
        return 130
    if target is None:
        return 0
    reached = result.objective >= target if result.sense == "max" else result.objective <= target
    return 0 if reached else 3


def _target(text: str | None, model: Problem) -> float | None:
    """The objective to stop at: a number, or the best known one."""
    from ..errors import InputError

    if text is None:
        return None
    if text == "best-known":
        if model.best_known is None:
            raise InputError("--target best-known: no best objective is known for this problem")
        return model.best_known.value
    try:
        value = float(text)
    except ValueError as e:
        raise InputError(f"--target takes a number or best-known, not {text!r:.40}") from e
    return int(value) if value.is_integer() else value


def own_settings(pairs: list[str] | None, run: Callable[..., Any], **options: Any) -> dict[str, Any]:
    """The solver's own settings, which `run` takes beside its arguments; some have options of their own as well."""
    import ast
    from inspect import signature

    from ..errors import InputError

    settings = {k: v for k, v in options.items() if v is not None}
    taken = (signature(run).parameters.keys() - options) | settings.keys()
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        # SCIP's parameters are paths.
        if not equals or not key.replace("/", "_").isidentifier():
            raise InputError(f"--set takes KEY=VALUE, not {pair!r:.60}")
        if key in taken:
            raise InputError(f"--set {key}: that is no solver's own setting, it has an option of its own")
        try:
            settings[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[key] = value
    return settings


def _size(text: str) -> int:
    import re

    from ..errors import InputError

    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([kMGT]?)(i?)B?\s*", text)
    if not found or float(found[1]) <= 0:
        raise InputError(f"--max-memory takes a size such as 500MB or 4GiB, not {text!r}")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** " kMGT".index(found[2] or " "))
