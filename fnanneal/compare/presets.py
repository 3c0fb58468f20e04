"""Plans by name: ``quick``, ``gset``, ``paper``, ``neurobench``, ``qp``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..errors import InputError
from .cells import Kind, SolverSpec
from .plan import Plan, check_solver, make_plan

OURS = ("ensemble", "sa", "neurosa")
PEERS = ("dwave-sa", "dwave-tabu", "dwave-steepest", "openjij-sa", "openjij-sqa", "sb", "mqlib")
QUICK = ("G14", "G22", "G39", "G70")
# Graphs of 800 and 1000 vertices of every family, as in spec and docs/solvers.md.
PAPER = ("G1", "G4", "G6", "G11", "G14", "G15", "G18", "G43", "G51")
STEPS = 100_000_000
MIS_NEUROSA = SolverSpec.of("neurosa", {"scale": 0.99, "self_coupling": True})
PROGRAMS = (
    "gen:portfolio(200, seed=1)",
    "gen:portfolio(2000, seed=2)",
    "gen:lasso(20, seed=1)",
    "gen:lasso(50, seed=2)",
    "gen:svm(20, seed=1)",
    "gen:svm(50, seed=2)",
    "gen:huber(20, seed=1)",
    "gen:huber(50, seed=2)",
    "gen:mpc(10, seed=1)",
    "gen:mpc(30, seed=2)",
    "gen:random(100, seed=1)",
    "gen:random(300, seed=2)",
    "gen:equality(100, seed=1)",
    "gen:equality(1000, seed=2)",
    "gen:convex_box(200, seed=1)",
    "gen:convex_box(2000, seed=2)",
)
QP_PEERS = ("piqp", "clarabel", "osqp", "proxqp", "daqp", "highs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A plan, and the solvers that it would have had if they were installed, each with what is missing."""

    plan: Plan
    missing: tuple[str, ...]


def _problems(graphs: Sequence[str]) -> list[str]:
    return [f"gset:{g}" for g in graphs]


def _there(names: Sequence[str | SolverSpec]) -> tuple[list[SolverSpec], tuple[str, ...]]:
    found, missing = [], []
    for name in names:
        spec = name if isinstance(name, SolverSpec) else SolverSpec.parse(name)
        try:
            check_solver(spec)
            found.append(spec)
        except InputError as e:
            missing.append(str(e))
    return found, tuple(missing)


def default_solvers(kinds: AbstractSet[Kind]) -> tuple[list[SolverSpec], tuple[str, ...]]:
    """Ours and the peers that are installed, for problems of these kinds; and what is missing of the others."""
    wanted = [*((*OURS, *PEERS) if "spins" in kinds else ()), *(("auto", *QP_PEERS) if "qp" in kinds else ())]
    return _there(wanted)


def _quick() -> Preset:
    """Four graphs, three seeds, a second each: two minutes on two cores."""
    solvers, missing = _there((*OURS, *PEERS))
    plan = make_plan(_problems(QUICK), solvers, title="quick look", seeds=3, time_limits=[1.0])
    return Preset(plan=plan, missing=missing)


def _gset() -> Preset:
    """All 71 Gset graphs, three seeds, ten seconds each."""
    from ..problems.known import instances

    graphs = [g for g in instances() if g != "K2000"]
    solvers, missing = _there((*OURS, *PEERS))
    plan = make_plan(_problems(graphs), solvers, title="Gset", seeds=3, time_limits=[10.0])
    return Preset(plan=plan, missing=missing)


def _paper() -> Preset:
    """NeuroSA with its published constants: 1e8 spin tests a run, and everybody else whose spin tests can be counted as many."""
    solvers, missing = _there(("neurosa", "sa", "ensemble", "dwave-sa", "openjij-sa"))
    plan = make_plan(_problems(PAPER), solvers, title="NeuroSA, 1e8 spin tests each", seeds=5, spin_tests=[STEPS])
    return Preset(plan=plan, missing=missing)


def _neurobench() -> Preset:
    """The 180 independent-set workloads; the repetitions are the five graphs of each size and density."""
    from ..problems.workloads import workloads

    solvers, missing = _there(("ensemble", MIS_NEUROSA, "sa", "dwave-sa", "dwave-tabu"))
    plan = make_plan(
        [w.expression for w in workloads()],
        solvers,
        title="NeuroBench QUBO: maximum independent sets",
        seeds=1,
        time_limits=[10.0],
        thresholds=(0.1, 0.05, 0.01),
    )
    return Preset(plan=plan, missing=missing)


def _qp() -> Preset:
    """Convex programs of seven families, to 1e-6 absolute. Your own files: fnanneal compare *.qps --solvers auto,clarabel."""
    solvers, missing = _there(("auto", *QP_PEERS))
    plan = make_plan(PROGRAMS, solvers, title="Quadratic programs", seeds=1, time_limits=[10.0])
    return Preset(plan=plan, missing=missing)


PRESETS: dict[str, Callable[[], Preset]] = {
    "quick": _quick,
    "gset": _gset,
    "paper": _paper,
    "neurobench": _neurobench,
    "qp": _qp,
}


def preset(name: str) -> Preset:
    """The plan of that name, with the solvers that are installed.

    Raises
    ------
    InputError
        For an unknown name.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r:.40}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]()
