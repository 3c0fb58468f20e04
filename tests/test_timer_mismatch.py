"""Timers that differ, inside the solvers: each neuron, read or lineage has a cell of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fnanneal import InputError, load, solve
from fnanneal.fndam import FNTimer, Mismatch
from fnanneal.solvers.ensemble import Ensemble
from fnanneal.solvers.neurosa import NeuroSA
from fnanneal.solvers.populations import lineages
from fnanneal.solvers.sa import SimulatedAnnealing

GRAPH = "nx:random_regular_graph(d=4,n=300,seed=2)"
SOLVERS: dict[str, dict[str, Any]] = {
    "sa": {"num_sweeps": 200, "num_reads": 3, "schedule": "fn"},
    "neurosa": {"num_sweeps": 300, "num_reads": 2, "k0_minus_1": 1e-2, "k1": 1e-3},
    "ensemble": {"num_sweeps": 200, "num_reads": 2},
}


def test_each_lineage_has_a_timer() -> None:
    hot, cold, kappa = np.array([3.0, 2.0, 1.0]), 0.2, 0.1
    drawn = Mismatch.of(0.05).deviations(3, np.random.default_rng(1))
    cells = np.stack([drawn[k] for k in ("area", "capacitance", "oxide", "initial")])
    t = lineages.timers(hot, cold, kappa, 50, 0, 53, cells)
    x = np.arange(50) / 49
    for r in range(3):
        own = FNTimer.between(hot[r], cold, kappa).scaled(**{k: float(v[r]) for k, v in drawn.items()})
        assert t[:50, r] == pytest.approx(own.voltage(x), rel=1e-6)
    assert np.all(t[50:] == 0)
    assert np.array_equal(t[20:30], lineages.timers(hot, cold, kappa, 50, 20, 30, cells)), "in pieces as at once"
    alike = lineages.timers(hot, cold, kappa, 50, 0, 53, np.ones((4, 3)))
    assert np.array_equal(alike, lineages.timers(hot, cold, kappa, 50, 0, 53))
    nearly = lineages.timers(hot, cold, kappa, 50, 0, 53, np.full((4, 3), 1 + 1e-12))
    assert nearly == pytest.approx(alike, rel=1e-6), "both ways of computing them are one"


def test_each_island_has_cells_of_its_own() -> None:
    solver = Ensemble(timer_mismatch=0.03, num_reads=2, num_sweeps=10)
    plan = solver.prepare(load(GRAPH))
    state = solver.init(plan, 5, open_ended=False, threads=1, initial=None)
    assert state.cells.shape == (2, 4, 64) and len(np.unique(state.cells)) == state.cells.size
    assert np.std(np.log(state.cells)) == pytest.approx(0.03, rel=0.1)
    alike = Ensemble(num_reads=2, num_sweeps=10)
    assert np.all(alike.init(plan, 5, open_ended=False, threads=1, initial=None).cells == 1)


def test_each_read_has_a_timer() -> None:
    solver = SimulatedAnnealing(schedule="fn", timer_mismatch=0.05)
    t = solver.temperatures(2.0, 0.2, 100, 0, 100, 4, 9)
    assert t.shape == (4, 100) and len({row.tobytes() for row in t}) == 4
    cells = FNTimer.between(2.0, 0.2, 0.1).mismatched(0.05, (4, 1), 9)
    assert t[:, :90] == pytest.approx(cells.voltage(np.minimum(np.arange(90) / 94, 1)), rel=1e-6)
    assert SimulatedAnnealing(schedule="fn").temperatures(2.0, 0.2, 100, 0, 100, 4, 9).shape == (1, 100)


def test_each_neuron_has_a_timer() -> None:
    solver = NeuroSA(timer_mismatch=0.05, num_steps=10)
    neurons = solver.prepare(load(GRAPH))
    timers = solver.init(neurons, 3, open_ended=False, threads=1, initial=None).timers
    cells = solver.timer().mismatched(0.05, 300, 3)
    assert timers.shape == (300, 3)
    assert np.array_equal(timers, np.stack([cells.k2, cells.k0_minus_1, cells.k1], axis=1))


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_solves(solver: str) -> None:
    budget = SOLVERS[solver]
    alike = solve(GRAPH, solver, seed=4, **budget)
    one, two = (solve(GRAPH, solver, seed=4, threads=t, timer_mismatch=0.1, **budget) for t in (1, 2))
    assert np.array_equal(one.states, two.states) and one.events == two.events and one.verify()
    assert one.events.spikes != alike.events.spikes
    nothing = solve(GRAPH, solver, seed=4, timer_mismatch=0.0, **budget)
    assert np.array_equal(nothing.states, alike.states)


@pytest.mark.parametrize("solver", sorted(SOLVERS))
@pytest.mark.parametrize("bad", [-0.1, 0.6, float("nan"), "large", True])
def test_refusals(solver: str, bad: Any) -> None:
    with pytest.raises(InputError, match="timer_mismatch must be a finite number"):
        solve(GRAPH, solver, timer_mismatch=bad, **SOLVERS[solver])


def test_other_schedules_have_no_cells() -> None:
    with pytest.raises(InputError, match="timer_mismatch is for schedule=fn"):
        solve(GRAPH, "sa", timer_mismatch=0.1)
