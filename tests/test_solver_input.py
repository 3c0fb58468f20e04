"""Settings that cannot be used, and weights at the edges of what the kernels' numbers hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fnanneal import Ising, Status, solve
from fnanneal.errors import InputError
from fnanneal.solvers import names
from fnanneal.solvers.system import spin_system

from . import oracles as oracle
from .cases import ising, random_problem
from .test_solvers import one_line, run, small

PROBLEM = small(50, 10, "pm1")

ANY_SOLVER: list[tuple[dict[str, Any], str]] = [
    ({"seed": -1}, "seed"),
    ({"seed": 2**64}, "seed"),
    ({"seed": 1.0}, "seed"),
    ({"seed": "1"}, "seed"),
    ({"seed": True}, "seed"),
    ({"threads": 0}, "threads"),
    ({"threads": -1}, "threads"),
    ({"threads": 10**6}, "threads"),
    ({"threads": 1.5}, "threads"),
    ({"threads": "2"}, "threads"),
    ({"time_limit": 0}, "time_limit"),
    ({"time_limit": -1.0}, "time_limit"),
    ({"time_limit": math.nan}, "time_limit"),
    ({"time_limit": math.inf}, "time_limit"),
    ({"time_limit": "1"}, "time_limit"),
    ({"target": math.nan}, "target"),
    ({"target": "best"}, "target"),
    ({"backend": "gpu"}, "backend"),
    ({"backend": None}, "backend"),
    ({"nonsense": 3}, "takes no nonsense"),
    ({"max_memory": 10}, "memory"),
]


@pytest.mark.parametrize(("arguments", "what"), ANY_SOLVER, ids=lambda v: str(v))
@pytest.mark.parametrize("name", names())
def test_arguments_of_solve(name: str, arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError) as e:
        run(PROBLEM, name, **arguments)
    assert what in one_line(e)


READS_AND_SWEEPS: list[Any] = [0, -1, 2**70, 1.5, math.nan, math.inf, "3"]


@pytest.mark.parametrize("what", ["num_reads", "num_sweeps", "num_steps"])
@pytest.mark.parametrize("value", READS_AND_SWEEPS, ids=str)
@pytest.mark.parametrize("name", ["sa", "neurosa"])
def test_counts(name: str, value: Any, what: str) -> None:
    others = {"num_steps": None} if name == "neurosa" and what == "num_sweeps" else {}
    with pytest.raises(InputError) as e:
        run(PROBLEM, name, **{**others, what: value})
    assert what in one_line(e)


SA: list[tuple[dict[str, Any], str]] = [
    ({"schedule": "cubic"}, "geometric, linear, fn"),
    ({"rule": "glauber"}, "metropolis, heat-bath"),
    ({"kappa": 0}, "kappa"),
    ({"kappa": math.nan}, "kappa"),
    ({"kappa": math.inf}, "kappa"),
    ({"kappa": "x"}, "kappa"),
    ({"beta_range": (1.0, 0.1)}, "beta_range"),
    ({"beta_range": (0, 1)}, "beta_range"),
    ({"beta_range": (-1, 1)}, "beta_range"),
    ({"beta_range": (math.nan, 1)}, "beta_range"),
    ({"beta_range": (1, math.inf)}, "beta_range"),
    ({"beta_range": (1,)}, "beta_range"),
    ({"beta_range": (1, 2, 3)}, "beta_range"),
    ({"beta_range": 1.0}, "beta_range"),
    ({"beta_range": ("a", "b")}, "beta_range"),
    ({"num_steps": 3}, "takes no num_steps"),
]


@pytest.mark.parametrize(("arguments", "what"), SA, ids=lambda v: str(v))
def test_settings_of_sa(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError) as e:
        run(PROBLEM, "sa", **arguments)
    assert what in one_line(e)


NEUROSA: list[tuple[dict[str, Any], str]] = [
    ({"num_sweeps": 3}, "num_steps or num_sweeps"),
    ({"k2": 0.0}, "FN timer"),
    ({"k2": math.nan}, "FN timer"),
    ({"k0_minus_1": -1.0}, "FN timer"),
    ({"k1": math.inf}, "FN timer"),
    ({"k1": "fast"}, "k1"),
    ({"scale": 0.0}, "scale"),
    ({"scale": math.nan}, "scale"),
    ({"floor": 0.0}, "floor"),
    ({"floor": 1.0}, "floor"),
    ({"floor": None}, "floor"),
    ({"self_coupling": True}, "self_coupling"),
    ({"beta_range": (1, 2)}, "takes no beta_range"),
]


@pytest.mark.parametrize(("arguments", "what"), NEUROSA, ids=lambda v: str(v))
def test_settings_of_neurosa(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError) as e:
        run(PROBLEM, "neurosa", **arguments)
    assert what in one_line(e)


INITIAL: list[Any] = [
    [1] * 9,
    [1] * 11,
    [2] * 10,
    [[1] * 10, [1] * 9],
    [],
    np.ones((2, 2, 10)),
    np.zeros((0, 10)),
    [math.nan] * 10,
    ["up"] * 10,
    [1, 0, -1, 1, 1, 1, 1, 1, 1, 1],
]


@pytest.mark.parametrize("states", INITIAL, ids=range(len(INITIAL)))
@pytest.mark.parametrize("name", ["sa", "neurosa"])
def test_initial_states(name: str, states: Any) -> None:
    with pytest.raises(InputError) as e:
        run(PROBLEM, name, initial_states=states)
    one_line(e)


def test_an_unknown_solver_is_told_what_there_is() -> None:
    with pytest.raises(InputError) as e:
        solve(PROBLEM, "neuro")
    text = one_line(e)
    assert "did you mean neurosa" in text
    assert all(name in text for name in names())


def test_an_empty_name_is_no_solver() -> None:
    with pytest.raises(InputError) as e:
        solve(PROBLEM, "", seed=1)
    one_line(e)


@pytest.mark.parametrize("name", names())
def test_the_largest_seed(name: str) -> None:
    assert run(PROBLEM, name, seed=2**64 - 1).seed == 2**64 - 1
    assert run(PROBLEM, name, seed=np.int64(7)).seed == 7


def exact_value(pairs: oracle.Pairs, fields: Sequence[oracle.Number], spins: Any) -> int:
    value = -oracle.value(pairs, fields, spins.tolist())
    assert isinstance(value, int)
    return value


def near(rng: np.random.Generator, limit: int, n: int) -> tuple[list[tuple[int, int, int]], list[int]]:
    """A full graph whose weights differ by a little, and whose rows add up to `limit` or just less."""
    base = limit // n
    pairs = [(i, j, int(rng.choice([-1, 1])) * (base - int(rng.integers(0, 50)))) for i in range(n) for j in range(i)]
    return pairs, [int(rng.choice([-1, 1])) * (base - int(rng.integers(0, 50))) for _ in range(n)]


@pytest.mark.parametrize("limit", [2**29 - 1, 2**29 + 1000, 2**33, 2**52, 2**53 - 1])
@pytest.mark.parametrize("name", names())
def test_large_integers_have_exact_objectives(name: str, limit: int) -> None:
    pairs, fields = near(np.random.default_rng(limit % 1000), limit, 10)
    problem = ising(pairs, fields)
    assert spin_system(problem, coloured=False).integral == (limit < 2**29)
    more = {"k2": 0.3125 * limit / 10} if name == "neurosa" else {}
    r = run(problem, name, **more)
    assert type(r.objective) is int
    assert r.objective == exact_value(pairs, fields, r.spins)
    assert r.objectives.tolist() == [exact_value(pairs, fields, s) for s in r.states]
    optimum = -oracle.optima(pairs, fields)[0]
    if name == "exact":
        assert (r.status, r.objective) == (Status.OPTIMAL, optimum)
    # The weights differ by less than 50, so states as good as the best but for these differences abound.
    assert 0 <= r.objective - optimum <= max(1000, 1e-12 * limit)


def test_exact_tells_large_integers_apart() -> None:
    # Ten large pairs, all satisfied, and a triangle of ones that tells the optima apart: less than a float64 of that size can hold.
    big = 2**52 - 2**20 - 1
    pairs = [(k, k + 1, big) for k in range(0, 20, 2)] + [(0, 2, 1), (2, 4, -1), (0, 4, 1)]
    r = run(ising(pairs, [0] * 21), "exact")
    assert r.status is Status.OPTIMAL
    assert r.objective == -10 * big - 3


@pytest.mark.parametrize("name", names())
def test_integers_beyond_the_kernels_are_refused_or_right(name: str) -> None:
    for limit in (2**53 + 10**6, 2**57):
        pairs, fields = near(np.random.default_rng(1), limit, 6)
        try:
            r = run(ising(pairs, fields), name)
        except InputError as e:
            assert "too large" in str(e)
            continue
        assert r.objective == exact_value(pairs, fields, r.spins)


def scaled(factor: float) -> Ising:
    pairs, fields = random_problem(np.random.default_rng(3), 12, 5, "real", True)
    return ising([(i, j, w * factor) for i, j, w in pairs], [h * factor for h in fields])


@pytest.mark.parametrize("factor", [1e-300, 1e-200, 1e-50, 1e-10, 1.0, 1e10, 1e50, 1e150, 1e200, 1e300])
@pytest.mark.parametrize("name", ["exact", "sa"])
def test_the_scale_of_real_weights_does_not_matter(name: str, factor: float) -> None:
    best = run(scaled(1.0), "exact")
    assert run(scaled(factor), name).spins.tolist() == best.spins.tolist()


@pytest.mark.parametrize("factor", [1e-200, 1.0, 1e200])
def test_neurosa_at_any_scale(factor: float) -> None:
    best = run(scaled(1.0), "exact")
    assert run(scaled(factor), "neurosa", k2=0.3125 * factor).spins.tolist() == best.spins.tolist()


@pytest.mark.parametrize("beta_range", [(1e-300, 1e300), (1e-300, 1e-300), (1e300, 1e300), (1e-40, 1e40)])
@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_extreme_temperatures(weights: str, beta_range: tuple[float, float]) -> None:
    r = run(small(51, 10, weights), "sa", beta_range=beta_range)
    assert r.verify()
