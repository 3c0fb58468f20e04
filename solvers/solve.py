"""`solve`: load, choose the solver, run the driver."""

from __future__ import annotations

import math
import os
import platform
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import fields, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import ArrayLike

from ..checkpoint import Checkpoint
from ..checks import integer, positive
from ..energy import Technology
from ..energy import technology as find_technology
from ..errors import InputError
from ..fndam import FNDAMArray
from ..memory import check_memory
from ..parallel.cores import available_threads
from ..problems.load import load
from ..problems.model import Model
from ..protocols import Progress
from ..result import Number, Result, Spins
from ..run import drive
from . import registry
from .analog import AnalogProblem
from .cuda import compiling
from .peers.drive import drive as drive_peer
from .peers.peer import Peer
from .placing import check_backend, check_islands, cuda_versions, placed

DEFAULT_SOLVER = "ensemble"
CELL_BYTES = 100
# Where an executor or islands are given: how many there are, and the sweeps between two exchanges of their elites.
ISLANDS, EXCHANGE = 8, 2000
WeightsArgument = Literal["ideal", "fn-dam"] | FNDAMArray


def solve(
    problem: Any,
    solver: str | None = None,
    *,
    time_limit: float | None = None,
    num_sweeps: int | None = None,
    num_reads: int | None = None,
    spin_tests: int | None = None,
    target: Number | None = None,
    seed: int | None = None,
    backend: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    initial_states: ArrayLike | None = None,
    weights: WeightsArgument = "ideal",
    technology: str | os.PathLike[str] | Technology | None = None,
    max_memory: int | None = None,
    callback: Callable[[Progress], Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    executor: str | Executor | None = None,
    islands: int | None = None,
    **settings: Any,
) -> Result:
    """Solve an Ising, QUBO or Max-Cut problem.

    Parameters
    ----------
    problem
        A `Model`, or anything that `fnanneal.load` takes.
    solver
        Its name: ours (`fnanneal.solvers.names`), or another's (`fnanneal.solvers.peer_names`, docs/peers.md); "ensemble" by default.
    time_limit
        Seconds, compiling and loading apart; a sweep or so is done in any case.
    num_sweeps, num_reads
        Sweeps of one lane; independent reads. With neither these nor a limit, each solver's default budget.
    spin_tests
        A budget of so many spin tests, of all reads together: reads and sweeps are chosen to use it up as nearly as they can.
    target
        Stop as soon as the objective is at least this good.
    seed
        In [0, 2**64); drawn, and given in the result, if None.
    backend
        "cpu"; "cuda", an NVIDIA GPU through CuPy (docs/gpu.md); or "auto": a GPU where there is one that can be used, the solver has kernels for it and the
        problem 500 spins or more, else the CPU. The spins of a run that a budget of sweeps ends are the same.
    threads
        Default: the processors that this process may use. The result depends on them only in a run that a limit stops.
    initial_states : (n,) or (k, n)
        First states of the reads, in turn; +1/-1 or 0/1.
    weights
        "ideal"; or an `FNDAMArray` ("fn-dam": one of its default settings), whose cells are programmed with the problem's numbers before the solve. The solver
        then sees what is read from the cells, and the result is judged by the problem itself.
    technology
        Prices the events: a name of `fnanneal.energy.technologies`, a TOML file, or a `Technology`; "cmos-45nm" by default.
    max_memory
        Bytes that the solve may take; default 90 % of the memory that is free.
    callback
        Called about 30 times a second with a `Progress`, of islands on an executor and of other people's solvers more seldom; a true return value stops the solve.
    checkpoint
        A file to which the run is saved about every second.
    resume
        A checkpoint to go on from: it ends in the same spins as a run that was never stopped. Solver, seed and settings come from it.
    executor
        Runs the islands of `ensemble` on its workers: any `concurrent.futures.Executor`, which stays open, or "processes" (of this machine, as many as threads),
        "dask:tcp://HOST:PORT", "mpi". With a seed, `islands` and a budget of sweeps the result is that of the same call without it.
    islands
        Of `ensemble`, which then exchange elites every 2000 sweeps unless `exchange` says otherwise: another name of num_reads. Default with an executor: 8, or with a limit
        alone one a worker.
    settings
        The solver's own (see its class).

    Returns
    -------
    Result

    Raises
    ------
    InputError
        For anything that cannot be used as given; a `ValueError` of one line.

    Notes
    -----
    Ctrl-C ends the run and returns the best so far, with status "interrupted".
    """
    started = time.perf_counter()
    loaded = not isinstance(problem, Model)
    model: Model = load(problem) if loaded else problem
    load_s = time.perf_counter() - started if loaded else None
    check_backend(backend)
    if time_limit is not None:
        time_limit = positive(time_limit, "time_limit")
    if target is not None and (not isinstance(target, int | float | np.number) or math.isnan(target)):
        raise InputError(f"target must be a number, not {target!r:.40}")
    if max_memory is not None:
        max_memory = integer(max_memory, "max_memory", 1, 2**62)
    if callback is not None and not callable(callback):
        raise InputError(f"callback must be a function, not {callback!r:.40}")
    if weights == "fn-dam":
        weights = FNDAMArray()
    if weights != "ideal" and not isinstance(weights, FNDAMArray):
        raise InputError(f"unknown weights {weights!r:.40}; there are: ideal, fn-dam, or an FNDAMArray")
    priced = find_technology(technology)
    threads = _threads(threads)
    if islands is not None and num_reads not in (None, islands):
        raise InputError("islands are the reads of ensemble: give islands or num_reads, not both")
    num_reads = num_reads if islands is None else islands
    saved = None if resume is None else Checkpoint.read(_path(resume, "resume"))
    if saved is not None:
        _same("problem", saved.problem, model.sha256(), resume)
        solver = _same("solver", saved.solver, solver, resume)
        seed = _same("seed", saved.seed, seed, resume)
        for key, value in {"num_sweeps": num_sweeps, "num_reads": num_reads, **settings}.items():
            _same(key, saved.settings.get(key), value, resume)
        settings = {k: tuple(v) if isinstance(v, list) else v for k, v in saved.settings.items()}
        weights = _same_weights(saved, weights)
        if initial_states is not None:
            raise InputError("initial_states cannot be given with resume")
    else:
        settings |= {k: v for k, v in (("num_sweeps", num_sweeps), ("num_reads", num_reads)) if v is not None}
    seed = secrets.randbits(32) if seed is None else integer(seed, "seed", 0, 2**64 - 1)
    limited = (time_limit is not None or target is not None) and spin_tests is None
    open_ended = saved.open_ended if saved else limited and settings.get("num_sweeps") is None
    kind = registry.get(DEFAULT_SOLVER if solver is None else solver)
    if islands is not None or executor is not None:
        check_islands(kind)
        if saved is None:
            settings = {"exchange": EXCHANGE, **({} if open_ended else {"num_reads": ISLANDS}), **settings}
    chosen = build_solver(kind, settings)
    if spin_tests is not None:
        if saved is not None:
            raise InputError("spin_tests cannot be given with resume: the budget comes from the checkpoint")
        chosen = within_tests(chosen, model, spin_tests)
    if isinstance(chosen, Peer):
        if backend == "cuda":
            raise InputError(f"{chosen.name} runs on the CPU: backend must be auto or cpu")
        for what, given in (("initial_states", initial_states), ("checkpoint", checkpoint), ("resume", resume)):
            if given is not None:
                raise InputError(f"{chosen.name} is another program: it takes no {what}")
        if weights != "ideal":
            raise InputError(f"{chosen.name} is another program: its weights are ideal")
        return drive_peer(
            model,
            chosen,
            seed=seed,
            time_limit=time_limit,
            target=target,
            open_ended=limited,
            callback=callback,
            load_s=load_s,
            max_memory=max_memory,
            versions=versions(),
            technology=priced,
        )
    with placed(chosen, backend, model.n, executor, threads) as (chosen, where):
        needed = chosen.memory(model, open_ended=open_ended, threads=threads)
        # The cells, and the ideal problem beside the analog one.
        check_memory(needed if weights == "ideal" else 2 * needed + CELL_BYTES * (model.m + model.n), max_memory)
        analog = None
        if isinstance(weights, FNDAMArray):
            analog = AnalogProblem.program(model, weights, seed=seed, threads=threads).analog(threads)
        return drive(
            model,
            chosen,
            seed=seed,
            time_limit=time_limit,
            target=target,
            open_ended=open_ended,
            threads=threads,
            callback=callback,
            checkpoint=None if checkpoint is None else _path(checkpoint, "checkpoint"),
            resume=saved,
            initial=None if initial_states is None else _initial(model, initial_states),
            load_s=load_s,
            versions={**versions(), **cuda_versions()} if where == "cuda" else versions(),
            backend=where,
            compiled=getattr(chosen, "warming_s", compiling.seconds),
            analog=analog,
            technology=priced,
        )


def within_tests(solver: Any, problem: Model, tests: int) -> Any:
    """The solver with a budget of so many spin tests.

    Raises
    ------
    InputError
        Where it cannot count them, or cannot do with so few.
    """
    tests = integer(tests, "spin_tests", 1, 2**62)
    if not hasattr(solver, "for_tests"):
        raise InputError(f"{solver.name} takes no budget of spin tests")
    return solver.for_tests(problem, tests)


@cache
def versions() -> Mapping[str, str]:
    """What a result depends on."""
    return {
        "fnanneal": version("fnanneal"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def _path(given: Any, what: str) -> Path:
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"{what} must be a path, not {given!r:.40}")
    return Path(given)


def _threads(given: int | None) -> int:
    if given is None:
        return available_threads()
    return integer(given, "threads", 1, 1024)


def _same(what: str, saved: Any, given: Any, where: Any) -> Any:
    """The checkpoint's value; refuses another one."""
    if given is not None and given != saved and list(np.atleast_1d(given)) != saved:
        raise InputError(f"{where} was made with another {what}: resume it with the same, or leave it out")
    return saved


def _same_weights(saved: Checkpoint, given: WeightsArgument) -> WeightsArgument:
    """The checkpoint's weights, which nothing else need say; refuses others."""
    held: WeightsArgument = "ideal" if isinstance(saved.weights, str) else FNDAMArray.from_settings(saved.weights)
    if isinstance(given, FNDAMArray):
        given = replace(given, seed=saved.seed if given.seed is None else given.seed)
        if given != held:
            raise InputError(f"{saved.path} was made with other weights: resume it with the same, or leave them out")
    return held


def build_solver(cls: Any, settings: dict[str, Any]) -> Any:
    """The solver with these settings; refuses those that it does not take."""
    known = [f.name for f in fields(cls)]
    for key in settings:
        if key not in known:
            there = f"its settings are {', '.join(known)}" if known else "it has no settings"
            raise InputError(f"{cls.name} takes no {key}; {there}")
    try:
        return cls(**settings)
    except TypeError as e:
        raise InputError(f"{cls.name}: {e}") from e


def _initial(model: Model, states: ArrayLike) -> Spins:
    try:
        a = np.atleast_2d(np.asarray(states))
    except ValueError as e:
        raise InputError("initial_states must be (n,) or (k, n) numbers") from e
    if a.ndim != 2 or not a.shape[0]:
        raise InputError(f"initial_states of shape {a.shape}: give (n,) or (k, n)")
    return np.array([model.spins(row) for row in a])
