"""The growth-transform dynamics: kernel, invariants, spikes as multipliers, refusals."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal.errors import InputError
from fnanneal.problems.quadratic.program import QP
from fnanneal.qpresult import QPResult, QPStatus
from fnanneal.solvers.kernels.growth import growth_steps
from fnanneal.solvers.qp import growth as module
from fnanneal.solvers.qp.growth import Growth, State, System
from fnanneal.solvers.qp.method import Tolerance
from fnanneal.solvers.qp.safe_box import Box, safe_box
from fnanneal.solvers.qp.solve import solve_qp_problem

from .oracles_qp import growth_step

TOLERANCE = Tolerance(eps_abs=1e-6, eps_rel=0.0, polish=False)


def random_box(n: int, seed: int, *, convex: bool = True, density: float = 1.0) -> QP:
    rng = np.random.default_rng(seed)
    M = rng.normal(size=(n, n)) * (rng.random((n, n)) < density)
    P = M @ M.T / n if convex else (M + M.T) / 2
    return QP.of(P, rng.normal(size=n), lb=rng.uniform(-2, 0, n), ub=rng.uniform(0.1, 2, n))


def constrained(n: int = 12, seed: int = 3) -> QP:
    rng = np.random.default_rng(seed)
    M, G, A = rng.normal(size=(n, n)), rng.normal(size=(4, n)), rng.normal(size=(2, n))
    x = rng.uniform(-0.5, 0.5, n)
    return QP.of(
        M @ M.T / n + 0.2 * np.eye(n), 2 * rng.normal(size=n), G, G @ x + 0.05, A, A @ x, -np.ones(n), 2 * np.ones(n)
    )


def solve(problem: QP, **kw: Any) -> QPResult:
    return solve_qp_problem(problem, solver="growth", seed=kw.pop("seed", 1), **kw)


def run(method: Growth, problem: QP, steps: int, seed: int = 0) -> tuple[System, State]:
    system = method.prepare(problem, TOLERANCE, 1)
    state = method.init(system, seed=seed, start=None)
    while state.step < steps:
        method.advance(system, state, 1.0)
    return system, state


@pytest.mark.nojit
@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("n", [1, 3, 6])
def test_kernel_against_oracle(n: int, dense: bool) -> None:
    rng = np.random.default_rng(n)
    M, D = rng.normal(size=(n, n)), rng.normal(size=(3, n))
    Q, b, c = M + M.T, rng.normal(size=n), 0.1 * rng.normal(size=3)
    two_sided, psi = np.array([False, False, True]), rng.uniform(0.5, 2, 3)
    lam = np.abs(b) + np.abs(Q).sum(axis=1) + np.abs(D).T @ psi
    v = rng.uniform(-0.5, 0.5, n)
    slow, sums, counts = v.tolist(), np.zeros(n), np.zeros(3)
    stored = tuple((m.indptr, m.indices, m.data) for m in (sp.csr_array(Q), sp.csr_array(D)))
    record_v, record_f, record_s = np.zeros((10, n)), np.zeros(10), np.zeros((11, 3), np.int64)
    kept, fired, met = growth_steps(
        stored[0], Q if dense else np.zeros((0, 0)), b, stored[1], c, two_sided, psi, lam, 0.7, v, 0, 40,
        sums, counts, 4, 0, record_v, record_f, record_s,
    )  # fmt: skip
    total, spikes_seen, means = np.zeros(n), np.zeros(3), []
    args = (Q.tolist(), b.tolist(), D.tolist(), c.tolist(), two_sided.tolist(), psi.tolist(), lam.tolist(), 0.7)
    fired_slowly = 0
    for k in range(40):
        before = slow
        slow, spikes, objective = growth_step(*args, slow)
        if k % 4 == 0:
            assert record_f[k // 4] == pytest.approx(objective, rel=1e-11, abs=1e-11)
            assert record_v[k // 4] == pytest.approx(before, abs=1e-12)
            means.append(spikes_seen.copy())
        spikes_seen += spikes
        total += slow
        fired_slowly += sum(s != 0 for s in spikes)
    assert v == pytest.approx(slow, abs=1e-11) and sums == pytest.approx(total, abs=1e-10)
    assert np.array_equal(counts, spikes_seen) and (kept, fired, met) == (10, fired_slowly, fired_slowly * n)
    assert np.array_equal(np.cumsum(record_s[:10], axis=0), means)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10**6), st.booleans(), st.sampled_from([0.1, 0.5, 1.0]), st.booleans())
def test_potentials_stay_inside_and_the_objective_never_rises(
    n: int, seed: int, convex: bool, mix: float, one: bool
) -> None:
    problem = random_box(n, seed, convex=convex, density=0.7)
    lam = None
    if one:
        system = Growth().prepare(problem, TOLERANCE, 1)
        lam = float(system.hold.max()) or 1.0
    _, state = run(Growth(mix=mix, lam=lam, record=1, max_steps=1500), problem, 1500, seed)
    assert state.kept == 1500 and np.abs(state.record_v[:1500]).max() < 1
    f = state.record_f[:1500]
    assert np.all(np.diff(f) <= 1e-11 * (1 + np.abs(f[1:])))


@pytest.mark.parametrize("mix", [0.5, 1.0])
@pytest.mark.parametrize(("n", "seed"), [(1, 0), (5, 1), (30, 2)])
def test_boxes_are_solved(n: int, seed: int, mix: float) -> None:
    problem = random_box(n, seed)
    result = solve(problem, mix=mix)
    assert result.status is QPStatus.SOLVED and result.verify() and result.residuals.worst <= 1e-6
    assert result.residuals.primal == 0 and result.factorisations == 0 and not result.polished


def test_a_known_solution() -> None:
    # Separable: the optimum is the clipped minimum of each parabola.
    p, q = np.array([1.0, 2.0, 4.0, 0.5]), np.array([1.0, -1.0, 12.0, 0.0])
    lb, ub = np.array([-5.0, -1.0, -2.0, -1.0]), np.array([5.0, 0.25, 1.0, 3.0])
    result = solve(QP.of(np.diag(p), q, lb=lb, ub=ub), eps_abs=1e-10)
    assert result.x == pytest.approx(np.clip(-q / p, lb, ub), abs=1e-5)
    assert result.x[1] == 0.25 and result.x[2] == -2.0, "at its bound, exactly"
    assert result.z_box == pytest.approx([0, 0.5, -4, 0], abs=1e-8)


def test_fixed_variables_and_a_zero_problem() -> None:
    fixed = solve(QP.of(np.eye(3), [1.0, 1.0, 1.0], lb=[0.5, -2, 0], ub=[0.5, 2, 0]))
    assert fixed.x == pytest.approx([0.5, -1, 0], abs=1e-6) and fixed.status is QPStatus.SOLVED
    nothing = solve(QP.of(np.zeros((2, 2)), [0.0, 0.0], lb=-np.ones(2), ub=np.ones(2)))
    assert nothing.status is QPStatus.SOLVED and nothing.objective == 0


@pytest.mark.parametrize("seed", range(3))
def test_indefinite_boxes_end_at_local_optima(seed: int) -> None:
    result = solve(random_box(20, seed, convex=False))
    assert result.status is QPStatus.SOLVED and result.convex is False
    p = result.problem
    assert isinstance(p, QP)
    for i in range(20):
        for side in (p.lb[i], p.ub[i]):
            x = result.x.copy()
            x[i] += 1e-3 * (side - x[i])
            assert p.objective(x) >= result.objective - 1e-8


def test_a_saddle_is_left() -> None:
    result = solve(QP.of(-np.eye(2), np.zeros(2), lb=-np.ones(2), ub=np.ones(2)))
    assert np.abs(result.x) == pytest.approx([1, 1]) and result.status is QPStatus.SOLVED


def test_spike_rates_are_multipliers() -> None:
    # min 1/2 (x - 2)^2 + 1/2 (y + 1)^2, x <= 1, x + y = 0.5: x = 1, y = -0.5; gradient (-1, 0.5): equality -0.5, inequality 1.5.
    problem = QP.of(np.eye(2), [-2.0, 1.0], [[1.0, 0.0]], [1.0], [[1.0, 1.0]], [0.5], -3 * np.ones(2), 3 * np.ones(2))
    result = solve(problem, max_steps=200_000)
    assert result.x == pytest.approx([1, -0.5], abs=5e-3)
    assert result.z == pytest.approx([1.5], abs=5e-3) and result.y == pytest.approx([-0.5], abs=5e-3)
    assert result.residuals.sign == 0 and result.residuals.dual < 1e-12 and np.all(result.z >= 0)
    assert 0 < result.details["largest_rate"] < 1 and result.events.spikes > 0


def test_constraints_against_the_fast_method() -> None:
    problem = constrained()
    exact = solve_qp_problem(problem, seed=1, eps_abs=1e-9)
    result = solve(problem, max_steps=300_000)
    assert exact.status is QPStatus.SOLVED
    assert result.x == pytest.approx(exact.x, abs=5e-3)
    assert np.concatenate([result.y, result.z]) == pytest.approx(np.concatenate([exact.y, exact.z]), abs=5e-3)
    # Inactive rows do not spike at all in the last window.
    assert np.all(result.z[exact.z < 1e-9] < 1e-3)


def test_the_error_falls_with_the_steps() -> None:
    worst = [solve(constrained(), max_steps=k).residuals.worst for k in (8_000, 64_000, 512_000)]
    assert worst[1] < 0.4 * worst[0] and worst[2] < 0.4 * worst[1]


def test_a_penalty_that_is_too_small_is_refused() -> None:
    problem = QP.of(np.eye(1), [-5.0], [[1.0]], [0.5], lb=[-1], ub=[6])
    with pytest.raises(InputError, match=r"psi = 3 does not hold row 0 of G.*leave psi out") as e:
        solve(problem, psi=3.0)
    assert "\n" not in str(e.value)
    # The force on the surface is 4.5 in x, and x is 3.5 v.
    held = solve(problem, psi=20.0, max_steps=100_000)
    assert held.x == pytest.approx([0.5], abs=1e-2) and held.z == pytest.approx([4.5], abs=0.05)
    found = solve(problem, max_steps=100_000)
    assert found.z == pytest.approx([4.5], abs=0.05) and found.details["psi"] >= 4.5 * 3.5
    with pytest.raises(InputError, match="row 0 of A"):
        solve(QP.of(np.eye(1), [-5.0], A=[[1.0]], b=[0.5], lb=[-1], ub=[6]), psi=3.0)


def test_spikes_that_never_stop_prove_infeasibility() -> None:
    n = 5
    rng = np.random.default_rng(0)
    A = rng.normal(size=(2, n))
    for problem in (
        QP.of(np.eye(n), np.ones(n), A=A, b=[50.0, 0.0], lb=-np.ones(n), ub=np.ones(n)),
        QP.of(np.eye(n), np.ones(n), [[1.0] * n, [-1.0] * n], [-1.0, -1.0], lb=-np.ones(n), ub=np.ones(n)),
        QP.of(np.eye(1), [1.0], [[0.0]], [-1.0], lb=[-1], ub=[1]),
    ):
        result = solve(problem)
        assert result.status is QPStatus.PRIMAL_INFEASIBLE and result.ray is not None
        y, z, s = (result.ray[k] for k in ("y", "z", "z_box"))
        assert problem.A.T @ y + problem.G.T @ z + s == pytest.approx(np.zeros(problem.n), abs=1e-9)
        reached = problem.lb @ np.minimum(s, 0) + problem.ub @ np.maximum(s, 0)
        assert problem.b @ y + problem.h @ z + reached < 0


def test_infinite_rows_are_ignored() -> None:
    result = solve(QP.of(np.eye(2), [-1.0, -1.0], np.eye(2), [np.inf, 0.5], lb=[-2, -2], ub=[2, 2]), max_steps=60_000)
    assert (
        result.x == pytest.approx([1, 0.5], abs=5e-3)
        and result.z[0] == 0
        and result.z[1] == pytest.approx(0.5, abs=5e-3)
    )


def test_unbounded_variables_are_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"x\[1\] has no upper bound.*give lb and ub") as e:
        solve(QP.of(np.diag([1.0, 0.0]), [1.0, -1.0], lb=[0, 0], ub=[1, np.inf]))
    assert "\n" not in str(e.value)


def test_a_box_that_follows() -> None:
    from_rows = QP.of(np.zeros((2, 2)), [-1.0, -1.0], [[1.0, 2.0], [-1.0, 0.0]], [4.0, 3.0], lb=[-np.inf, 0])
    box = safe_box(from_rows)
    assert isinstance(box, Box) and np.isfinite(box.lb).all() and np.isfinite(box.ub).all()
    assert box.lb == pytest.approx([-3, 0], abs=1e-6) and box.ub == pytest.approx([4, 3.5], abs=1e-6)
    rng = np.random.default_rng(4)
    M = rng.normal(size=(8, 8))
    free = QP.of(M @ M.T + np.eye(8), rng.normal(size=8), ub=np.full(8, 0.1))
    result = solve(free)
    assert result.status is QPStatus.SOLVED and result.details["box"] == "derived" and result.residuals.sign == 0
    assert np.all(result.z_box >= 0), "no multiplier where there is no bound"
    # Contradictions leave a box, not an error.
    assert isinstance(safe_box(QP.of(np.eye(1), [0.0], [[1.0], [-1.0]], [-1.0, -1.0])), Box)


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_box_from_rows_holds_every_feasible_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    G = rng.integers(-1, 2, size=(6, 3)).astype(float)
    x = rng.normal(size=3)
    lb = np.where(rng.random(3) < 0.5, x - 1, -np.inf)
    problem = QP.of(np.zeros((3, 3)), np.ones(3), G, G @ x + rng.random(6), lb=lb)
    box = safe_box(problem)
    if isinstance(box, Box):
        for _ in range(50):
            y = x + rng.normal(size=3) * 3
            if np.all(G @ y <= problem.h) and np.all(y >= lb):
                assert np.all(box.lb <= y) and np.all(y <= box.ub)
        assert np.all(box.lb <= x) and np.all(x <= box.ub)


def test_the_seed_decides() -> None:
    problem = constrained()
    one, two, three = (solve(problem, seed=s, max_steps=20_000) for s in (5, 5, 6))
    assert np.array_equal(one.x, two.x) and np.array_equal(one.z, two.z) and one.events == two.events
    assert not np.array_equal(one.x, three.x)


def test_pieces_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    method = Growth(record=3, max_steps=9000)
    _, whole = run(method, constrained(), 9000)
    monkeypatch.setattr(module, "CHUNK", 3e4)
    _, pieces = run(method, constrained(), 9000)
    for f in fields(State):
        if f.name != "still":
            assert np.array_equal(getattr(whole, f.name), getattr(pieces, f.name)), f.name


def test_a_trajectory_is_recorded() -> None:
    problem = constrained()
    result = solve(problem, record=10, max_steps=5000)
    t = result.details["trajectory"]
    assert (
        t["v"].shape == (500, 12) and np.array_equal(t["step"], 10 * np.arange(500)) and t["spikes"].shape == (500, 6)
    )
    x = (problem.lb + problem.ub) / 2 + (problem.ub - problem.lb) / 2 * t["v"]
    assert t["objective"] == pytest.approx([problem.objective(row) for row in x], abs=1e-10)
    assert np.abs(t["spikes"]).max() <= 10 and np.all(t["spikes"][0] == 0)
    assert "trajectory" not in solve(problem, max_steps=5000).details


def test_a_long_trajectory_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    _, full = run(Growth(record=1, max_steps=4000), constrained(), 4000)
    monkeypatch.setattr(module, "RECORDED", 18 * 500)
    for steps in (3985, 3990):
        _, thin = run(Growth(record=1, max_steps=steps), constrained(), steps)
        assert thin.stride == 8 and thin.kept == 499 and thin.record_f.size <= 500
        assert np.array_equal(thin.record_v[:499], full.record_v[:3985:8])
        assert np.array_equal(np.cumsum(thin.record_s[:499], axis=0), np.cumsum(full.record_s, axis=0)[:3985:8])


def test_a_start_is_used() -> None:
    problem = random_box(15, 7)
    cold = solve(problem, eps_abs=1e-9)
    warm = solve(problem, x0=cold.x, eps_abs=1e-9)
    assert warm.iterations == 0, "the driver judges the start before any step"
    wrong = solve(problem, x0=np.where(cold.x > (problem.lb + problem.ub) / 2, problem.lb, problem.ub))
    assert wrong.status is QPStatus.SOLVED, "a vertex with the wrong signs is left"


def test_events_by_hand() -> None:
    result = solve(constrained(), max_steps=3000)
    e, p = result.events, result.problem
    assert isinstance(p, QP)
    entries = p.P.nnz + p.G.nnz + p.A.nnz
    assert e.multiply_adds == 3000 * (entries + 5 * 12) and e.synaptic_events == 12 * e.spikes and e.weight_pulses == 0


BAD: list[tuple[dict[str, Any], str]] = [
    ({"mix": 0.0}, "mix must be positive"), ({"mix": 1.5}, "mix"), ({"lam": -1.0}, "lam must be positive"), ({"psi": np.nan}, "psi"),
    ({"record": -1}, "record"), ({"max_steps": 0}, "max_steps"), ({"lam": 1e-3}, "lam = 0.001 may leave the box"), ({"speed": 1}, "growth takes no speed"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "says"), BAD)
def test_bad_settings(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as e:
        solve(random_box(4, 0), **wrong)
    assert "\n" not in str(e.value)


def test_binary_variables_are_refused() -> None:
    with pytest.raises(InputError, match="growth moves continuous variables"):
        solve(QP.of(np.eye(2), np.zeros(2), lb=[0, 0], ub=[1, 1], binary=[True, False]))
