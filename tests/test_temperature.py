"""The range of temperatures: penalties are told from the losses that matter, and from weak edges."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from fnanneal import load
from fnanneal.problems.combinatorial import neurobench_mis
from fnanneal.solvers.ensemble import SPAN, Ensemble
from fnanneal.solvers.temperature import HOT, soft_temperature, temperature_range


def scattered(k: int, n: int, soft: int, penalty: float) -> NDArray[np.float64]:
    """(k, n) losses, `soft` of them 1 and the others a penalty, in another place of each row."""
    rng = np.random.default_rng(7)
    losses = np.full((k, n), penalty)
    for row in losses:
        row[rng.permutation(n)[:soft]] = 1.0
    return losses


@pytest.mark.parametrize("penalty", [15.0, 100.0, 1e4])
def test_losses_far_below_the_penalties_set_the_temperature(penalty: float) -> None:
    # One kind of loss, 1, has slope 1/T: 0.75 at T = 4/3, and the grid's next temperature is at most 2**0.25 times that.
    t = soft_temperature(scattered(16, 1000, 20, penalty), penalty / 2)
    assert t is not None
    assert 4 / 3 <= t < 4 / 3 * 2**0.25 * 1.01


def test_spins_that_are_soft_in_every_optimum_do_not() -> None:
    losses = np.full((16, 1000), 15.0)
    losses[:, :20] = 1.0
    assert soft_temperature(losses, 7.5) is None


def test_a_few_soft_spins_are_an_accident() -> None:
    assert soft_temperature(scattered(16, 1000, 2, 15.0), 7.5) is None


def test_losses_of_one_scale_keep_half_their_mean() -> None:
    rng = np.random.default_rng(3)
    for draw in (rng.random, rng.exponential, lambda size: np.abs(rng.normal(size=size))):
        losses = draw(size=(16, 500))
        assert soft_temperature(losses, HOT * float(losses.mean())) is None


@pytest.mark.parametrize("graph", ["G1", "G14", "G22", "G32", "G39", "G55", "K2000"])
def test_max_cut_graphs_have_no_penalties(graph: str) -> None:
    solver = Ensemble()
    plan = solver.prepare(load(graph))
    optima = solver.optima(plan)
    losses = -(optima[0] * plan.system.local_fields(optima[0]).astype(float))
    hot, cold = temperature_range(plan.system, optima, SPAN)
    assert hot == HOT * losses[losses > 0].mean()
    assert cold <= hot / SPAN


@pytest.mark.parametrize(("n", "density"), [(250, 0.25), (1000, 0.05), (2500, 0.25)])
def test_independent_sets_are_annealed_at_the_scale_of_a_vertex(n: int, density: float) -> None:
    solver = Ensemble()
    plan = solver.prepare(neurobench_mis(n, density, 0).qubo)
    optima = solver.optima(plan)
    hot, cold = (2 * plan.system.unit * t for t in temperature_range(plan.system, optima, SPAN))
    # To leave a vertex out costs 1, to break an edge 7: neurosa's published schedule ends at 0.25.
    assert 0.7 < hot < 1.0
    assert 0.15 < cold < 0.25


def test_no_losses_at_all() -> None:
    plan = Ensemble().prepare(load(nx.empty_graph(5)))
    assert temperature_range(plan.system, np.ones((3, 5), np.int8), SPAN) == (1.0, 0.1)
