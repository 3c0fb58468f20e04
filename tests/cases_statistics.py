"""Records for tests of statistics: all that a test does not care about is filled in."""

from __future__ import annotations

from typing import Any

from fnanneal.compare.cells import Budget
from fnanneal.compare.records import Record


def run(problem: str = "P", solver: str = "a", seed: int = 0, objective: Any = 90, **more: Any) -> Record:
    """A finished run of a Max-Cut problem whose best known cut is 100; one point of the trace, at `to_best_s`."""
    best_s = more.get("to_best_s", 1.0)
    about: dict[str, Any] = {
        "cell": f"{problem}-{solver}-{seed}",
        "kind": "spins",
        "problem": problem,
        "sha256": "0" * 64,
        "size": {},
        "sense": "max",
        "best_known": 100,
        "best_known_source": "a book",
        "solver": solver,
        "settings": {},
        "seed": seed,
        "budget": Budget(seconds=10.0),
        "threads": 1,
        "outcome": "done",
        "status": "time_limit",
        "command": "",
        "objective": objective,
        "trace": ((best_s, objective),),
        "solve_s": 10.0,
        "to_best_s": best_s,
    }
    return Record(**{**about, **more})


def failed(problem: str = "P", solver: str = "a", seed: int = 0, **more: Any) -> Record:
    """A run that crashed."""
    lost = {"outcome": "failed", "status": "died", "trace": (), "to_best_s": None, "solve_s": 0.0, "error": "signal 9"}
    return run(problem, solver, seed, None, **{**lost, **more})


def unfit(problem: str = "P", solver: str = "a", seed: int = 0) -> Record:
    """A cell that the solver cannot take."""
    return failed(problem, solver, seed, outcome="unfit", status="unfit")


def hit(at: float, solver: str = "a", seed: int = 0, problem: str = "P", **more: Any) -> Record:
    """A run that reached 100 at a time."""
    return run(problem, solver, seed, 100, **{"to_best_s": at, **more})


def miss(length: float = 10.0, solver: str = "a", seed: int = 0, problem: str = "P", **more: Any) -> Record:
    """A run that never did."""
    return run(problem, solver, seed, 90, **{"solve_s": length, **more})


def program(problem: str, solver: str, seconds: float | None, **more: Any) -> Record:
    """A run of a quadratic program; None: not solved within its 10 s."""
    about: dict[str, Any] = {
        "kind": "qp",
        "sense": "min",
        "best_known": None,
        "best_known_source": None,
        "solved": seconds is not None,
        "solve_s": 10.0 if seconds is None else seconds,
        "residuals": {"primal": 1e-8, "dual": 2e-8} if seconds is not None else {"primal": 1.0, "dual": 1.0},
    }
    return run(problem, solver, **{"objective": -1.5, **about, **more})
