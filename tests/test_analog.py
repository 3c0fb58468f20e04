"""Solves on analog weights: the dynamics see what the cells hold, the objective is the true problem's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import fnanneal
from fnanneal import InputError, Result, Status, load, solve
from fnanneal.fndam import FNDAMArray
from fnanneal.problems.models import Ising
from fnanneal.solvers.analog import AnalogProblem

from . import oracles as oracle
from .cases import ising, random_problem

SOLVERS: dict[str, dict[str, Any]] = {
    "sa": {"num_sweeps": 300, "num_reads": 3}, "neurosa": {"num_sweeps": 400, "num_reads": 2, "k0_minus_1": 1e-2, "k1": 1e-3}, "ensemble": {"num_sweeps": 300, "num_reads": 2}
}  # fmt: skip
SETTINGS = FNDAMArray(bits=6, mismatch=0.02, read_noise=2e-5)


def problem(weights: str = "pm1", fields: bool = True, n: int = 60) -> Ising:
    return ising(*random_problem(np.random.default_rng(5), n, 5, weights, fields))


@pytest.mark.parametrize("kind", ["ising", "qubo", "maxcut"])
def test_each_number_has_a_cell(kind: str) -> None:
    model: Any = problem("real")
    model = {"ising": model, "qubo": model.to_qubo(), "maxcut": replace(model, fields=None).to_maxcut()}[kind]
    held = AnalogProblem.program(model, replace(SETTINGS, scaling="largest"), seed=3, threads=1)
    linear, offset = model.terms()
    assert held.array.cells == model.m + np.count_nonzero(linear)
    seen = held.at(0.0)
    assert type(seen) is type(model) and seen.ideal is model and seen.terms()[1] == offset
    step = 1.01 * held.array.settings.lsb * held.array.gain + 5 * held.array.settings.read_noise * held.array.gain
    assert np.array_equal(seen.couplings.rows, model.couplings.rows)
    assert 0 < np.abs(seen.couplings.weights - model.couplings.weights).max() <= step
    terms = seen.terms()[0]
    assert np.all((terms == 0) == (linear == 0)) and np.abs(terms - linear).max() <= step


@pytest.mark.parametrize("solver", sorted(SOLVERS))
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
def test_objectives_are_the_true_problems(solver: str, weights: str) -> None:
    model = problem(weights)
    r = solve(model, solver, seed=2, weights=SETTINGS, **SOLVERS[solver])
    assert r.problem is model and r.verify() and r.status is Status.COMPLETED
    pairs = list(
        zip(*(a.tolist() for a in (model.couplings.rows, model.couplings.cols, model.couplings.weights)), strict=True)
    )
    assert r.objective == pytest.approx(-oracle.value(pairs, model.fields.tolist(), r.spins.tolist()), rel=1e-12)
    assert type(r.objective) is (float if weights == "real" else int)
    assert r.objective <= r.objectives.min() + 1e-9, "the best of the reads by the true problem, not by the cells"
    assert r.events.weight_pulses > 0 and r.energy.real_numbers


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_the_dynamics_see_the_analog_weights(solver: str) -> None:
    # A solve on analog weights visits the states that a solve of the analog problem itself visits.
    model = problem("real")
    seen = AnalogProblem.program(model, SETTINGS, seed=2, threads=1).at(0.0)
    one, other = (
        solve(model, solver, seed=2, weights=SETTINGS, **SOLVERS[solver]),
        solve(seen, solver, seed=2, **SOLVERS[solver]),
    )
    assert one.events == replace(other.events, weight_pulses=one.events.weight_pulses)
    assert {s.tobytes() for s in one.states} == {s.tobytes() for s in other.states}
    ideal = solve(model, solver, seed=2, **SOLVERS[solver])
    assert ideal.events.spikes != one.events.spikes and ideal.weights == "ideal" and ideal.events.weight_pulses == 0


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_exact_cells_change_nothing(solver: str) -> None:
    """Weights of +1 and -1 on cells that hit them to a millionth: cuts as with ideal weights."""
    graph = nx.random_regular_graph(4, 80, seed=3)
    budget = {"num_sweeps": 2000, "num_reads": 4}
    ideal, analog = (
        solve(graph, solver, seed=1, weights=w, **budget) for w in ("ideal", FNDAMArray(bits=14, tolerance=0.01))
    )
    assert analog.objective >= ideal.objective - 1


def test_two_bits_are_visibly_worse_on_a_gaussian_graph_and_fourteen_are_not() -> None:
    model = load("nx:random_regular_graph(d=6,n=200,seed=1);weights=gauss(0,1);wseed=3")
    cuts = {}
    for bits in (2, 14):
        cuts[bits] = np.mean(
            [
                float(solve(model, "sa", seed=s, weights=FNDAMArray(bits=bits), num_sweeps=400, num_reads=8).objective)
                for s in range(4)
            ]
        )
    best = float(solve(model, "ensemble", seed=1, num_sweeps=4000).objective)
    assert cuts[14] > 0.998 * best and cuts[2] < 0.985 * best


@pytest.mark.parametrize("solver", sorted(SOLVERS))
@pytest.mark.parametrize(
    "array", [SETTINGS, replace(SETTINGS, sweep_seconds=50.0, reread_sweeps=30)], ids=["still", "drifting"]
)
def test_threads_do_not_matter(solver: str, array: FNDAMArray) -> None:
    one, two = (solve(problem(), solver, seed=4, threads=t, weights=array, **SOLVERS[solver]) for t in (1, 2))
    assert np.array_equal(one.spins, two.spins) and one.objective == two.objective and one.events == two.events
    assert np.array_equal(one.states, two.states)


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_drift_reaches_the_dynamics(solver: str) -> None:
    still, slow, fast = (
        solve(
            problem(), solver, seed=4, weights=replace(SETTINGS, sweep_seconds=s, reread_sweeps=20), **SOLVERS[solver]
        )
        for s in (0.0, 1e-9, 1e4)
    )
    assert still.events.spikes != fast.events.spikes
    assert abs(slow.events.spikes - still.events.spikes) < 0.3 * still.events.spikes
    assert fast.verify() and fast.events.spin_tests >= still.events.spin_tests * 0.99


def test_the_weights_are_those_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    plain = AnalogProblem.at

    def at(self: AnalogProblem, seconds: float, threads: int = 1) -> Any:
        seen.append(seconds)
        return plain(self, seconds, threads)

    monkeypatch.setattr(AnalogProblem, "at", at)
    solve(
        problem(),
        "sa",
        seed=1,
        weights=FNDAMArray(sweep_seconds=3.0, reread_sweeps=40, hold_seconds=500.0),
        num_sweeps=100,
        num_reads=2,
    )
    assert seen == [500.0, 620.0, 740.0]


@pytest.mark.parametrize("solver", sorted(SOLVERS))
@pytest.mark.parametrize(
    "array", [SETTINGS, replace(SETTINGS, sweep_seconds=50.0, reread_sweeps=30)], ids=["still", "drifting"]
)
def test_a_resumed_run_has_the_same_cells(solver: str, array: FNDAMArray, tmp_path: Path) -> None:
    whole = solve(problem(), solver, seed=6, threads=1, weights=array, **SOLVERS[solver])
    path = tmp_path / "run"
    stop = stopping(5)
    part = solve(problem(), solver, seed=6, threads=1, weights=array, checkpoint=path, callback=stop, **SOLVERS[solver])
    rest = solve(problem(), resume=path, threads=1)
    assert rest.weights == whole.weights == part.weights
    assert np.array_equal(rest.states, whole.states) and rest.objective == whole.objective
    assert solve(problem(), resume=path, threads=1, weights=array).objective == whole.objective
    with pytest.raises(InputError, match="other weights"):
        solve(problem(), resume=path, weights=replace(array, bits=7))


def stopping(after: int) -> Callable[[Any], bool]:
    seen = []

    def callback(progress: Any) -> bool:
        seen.append(progress)
        return len(seen) >= after

    return callback


def test_exact_on_cells_proves_nothing() -> None:
    model = problem(n=12)
    r: Result = solve(model, "exact", weights=FNDAMArray(bits=2, mismatch=0.05), seed=1)
    assert r.status is Status.COMPLETED and r.verify()
    assert solve(model, "exact").status is Status.OPTIMAL


def test_a_target_is_the_true_problems() -> None:
    model = load("nx:petersen_graph()")
    r = solve(model, "sa", seed=1, weights="fn-dam", target=12, time_limit=20)
    assert r.status is Status.TARGET and r.objective == 12


def test_what_a_result_says() -> None:
    r = solve(problem(), "sa", seed=8, weights=SETTINGS, **SOLVERS["sa"])
    assert not isinstance(r.weights, str)
    assert r.weights["kind"] == "fn-dam" and r.weights["settings"]["bits"] == 6 and r.weights["settings"]["seed"] == 8
    assert r.weights["programming"]["pulses"] == r.events.weight_pulses > r.weights["programming"]["cells"]
    d = json.loads(json.dumps(r.to_dict()))
    assert (
        d["weights"] == json.loads(json.dumps(r.weights))
        and d["energy"]["events"]["weight_pulses"] == r.events.weight_pulses
    )


@pytest.mark.parametrize("weights", ["analog", 3, None, "FN-DAM"])
def test_unknown_weights(weights: Any) -> None:
    with pytest.raises(InputError, match="unknown weights"):
        solve(problem(), weights=weights)


def test_a_solver_that_cannot_follow_drift_says_so() -> None:
    with pytest.raises(InputError, match="exact cannot follow weights that drift"):
        solve(problem(n=10), "exact", weights=FNDAMArray(sweep_seconds=1.0), seed=1)


def test_schedules_are_made_for_the_ideal_problem() -> None:
    # Readings turn gains of exactly 0 into tiny ones; a range of temperatures taken from those would be far too cold.
    model = load("nx:random_regular_graph(d=5,n=300,seed=2)")
    seen = AnalogProblem.program(model, FNDAMArray(bits=8, mismatch=0.02), seed=1, threads=1).at(0.0)
    for solver in ("sa", "ensemble"):
        chosen = fnanneal.solvers.get(solver)(num_sweeps=10, num_reads=1)
        states = []
        for m in (model, seen):
            system = chosen.prepare(m)
            state = chosen.init(system, 1, open_ended=False, threads=1, initial=None)
            unit = system.unit if solver == "sa" else system.system.unit
            hot = state.hot if solver == "sa" else state.hottest
            states.append((hot * unit, state.cold * unit))
        assert states[0] == pytest.approx(states[1], rel=1e-12)


def test_all_lineages_are_judged_by_the_true_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("nx:random_regular_graph(d=8,n=200,seed=1);weights=gauss(0,1);wseed=3")
    budget = {"seed": 1, "num_sweeps": 300, "weights": FNDAMArray(bits=2)}
    all_of_them = solve(model, "ensemble", **budget)
    plain = fnanneal.solvers.get("ensemble").report

    def without(self: Any, system: Any, state: Any) -> Any:
        return replace(plain(self, system, state), candidates=None)

    monkeypatch.setattr(fnanneal.solvers.get("ensemble"), "report", without)
    reads = solve(model, "ensemble", **budget)
    assert all_of_them.events == reads.events
    assert all_of_them.objective > reads.objective and all_of_them.objective == model.objective(all_of_them.spins)
