"""Box QPs: kernels against slow oracles, the unit box, bounds, certificates, and whole runs against enumeration and known optima."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal.errors import InputError
from fnanneal.fndam import FNTimer
from fnanneal.problems.quadratic.program import QP
from fnanneal.problems.quadratic.synthetic import box, planted_box
from fnanneal.qpresult import QPStatus
from fnanneal.solvers.kernels import boxqp as kernels
from fnanneal.solvers.kernels.box_bound import shifted_bound
from fnanneal.solvers.kernels.box_cross import ALIKE, cross_boxes
from fnanneal.solvers.kernels.box_moves import descend, gradient, noisy_sweep, objective
from fnanneal.solvers.kernels.boxqp import Rules, Search, new_search, search, settle, temperature
from fnanneal.solvers.qp import box_bound, box_certificate, boxqp
from fnanneal.solvers.qp.box_bound import eigenvalue_bound, indefinite, interval_bound
from fnanneal.solvers.qp.box_certificate import certify
from fnanneal.solvers.qp.box_system import BoxSystem, box_system
from fnanneal.solvers.qp.boxqp import BoxQP
from fnanneal.solvers.qp.method import Start, Step, Tolerance
from fnanneal.solvers.qp.solve import solve_qp, solve_qp_problem

from .oracles_qp import box_child, box_minimum, box_noise, box_value, coordinate_minimum

SPAR = Path(__file__).resolve().parents[2] / "shared" / "data" / "boxqp"
TOLERANCE = Tolerance(eps_abs=1e-6, eps_rel=0.0, polish=True)
KINDS = ("bytes", "reals", "sparse")


def matrix(n: int, seed: int, density: float = 1.0) -> np.ndarray:
    """Symmetric, of small integers."""
    rng = np.random.default_rng(seed)
    P = np.triu(rng.integers(-9, 10, (n, n)) * (rng.random((n, n)) < density)).astype(float)
    return P + np.triu(P, 1).T


def system_of(
    P: np.ndarray, c: np.ndarray, kind: str, monkeypatch: pytest.MonkeyPatch, binary: Any = None
) -> BoxSystem:
    """The unit box itself, with its matrix stored in one of three ways."""
    name = "fnanneal.solvers.qp.box_system"
    monkeypatch.setattr(f"{name}._in_rows", lambda *_: kind != "sparse")
    if kind != "bytes":
        monkeypatch.setattr(f"{name}.multiples", lambda *_: False)
        monkeypatch.setattr(f"{name}.sizes", lambda _: (1.0, 1.0))
    s = box_system(QP.of(P, c, lb=0, ub=1, binary=binary), True)
    assert s.unit == 1.0 and s.box.P.rows.shape[0] == (0 if kind == "sparse" else c.size)
    assert s.box.P.rows.dtype == (np.int8 if kind == "bytes" and P.any() else np.float64)
    return s


def run(problem: QP, seed: int = 1, start: Start | None = None, tolerance: Tolerance = TOLERANCE, **kw: Any) -> Step:
    """To the method's own end."""
    method = BoxQP(**kw)
    assert method.accepts(problem) is None
    system = method.prepare(problem, tolerance, 1)
    state = method.init(system, seed=seed, start=start)
    step = method.report(system, state)
    for _ in range(10_000):
        if step.finished:
            return step
        method.advance(system, state, math.inf)
        step = method.report(system, state)
    raise AssertionError("no end")


def value(problem: QP, step: Step) -> float:
    return problem.objective(step.point.x) * (-1.0 if problem.sense == "max" else 1.0)


def assert_certified(problem: QP, step: Step, tolerance: float = 1e-9) -> None:
    p = step.point
    r = problem.residuals(p.x, p.y, p.z, p.z_box)
    assert step.residuals == r
    assert (p.x >= problem.lb).all() and (p.x <= problem.ub).all()
    assert r.worst <= tolerance * max(1.0, r.dual_scale, r.gap_scale)


@pytest.mark.nojit
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 7, 70])
def test_annealed_moves_against_oracle(kind: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    P, rng = matrix(n, n + 1, 0.5), np.random.default_rng(n)
    c, u = rng.integers(-9, 10, n).astype(float), rng.random(n)
    binary = rng.random(n) < 0.3
    b = system_of(P, c, kind, monkeypatch, binary).box
    np.testing.assert_allclose(b.spread, [math.sqrt(sum(P[i][j] ** 2 for j in range(n) if j != i)) for i in range(n)])
    key, T, sweeps = 2**33 + 5, 0.4, 9
    mine, g = u.copy(), np.empty(n)
    gradient(b.P, b.linear, mine, g)
    words, halves, loaded = np.empty((4, 8), np.uint32), np.empty(512, np.uint16), -1
    moves = 0
    for t in range(sweeps):
        # Without the JIT the sums that wrap would warn.
        with np.errstate(over="ignore"):
            more, _, loaded = noisy_sweep(
                b.P, b.diagonal, b.bend, b.spread, mine, g, T, np.uint64(key), t * n, 3, 2, words, halves, loaded
            )
        moves += more
    theirs, changed = list(u), 0
    for draw in range(sweeps * n):
        i = draw % n
        noise = T * b.spread[i] * float(np.float32(box_noise(key, 3, 2, draw)))
        new = coordinate_minimum(P.tolist(), c.tolist(), theirs, i, bool(binary[i]), noise)
        changed += new != theirs[i]
        theirs[i] = new
    np.testing.assert_allclose(mine, theirs, atol=1e-12)
    np.testing.assert_allclose(g, P @ mine + c, atol=1e-10)
    assert objective(b.linear, mine, g) == pytest.approx(box_value(P.tolist(), c.tolist(), mine.tolist()), abs=1e-9)
    assert abs(moves - changed) <= n


@pytest.mark.nojit
@pytest.mark.parametrize("kind", KINDS)
def test_descent_takes_exact_coordinate_minima(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 12
    P, rng = matrix(n, 5), np.random.default_rng(5)
    c, u = rng.integers(-9, 10, n).astype(float), rng.random(n)
    b = system_of(P, c, kind, monkeypatch).box
    mine, g = u.copy(), np.empty(n)
    gradient(b.P, b.linear, mine, g)
    descend(b.P, b.diagonal, b.bend, b.reach, mine, g, 3)
    theirs = list(u)
    for i in (k for k in range(n) if k != 3):
        theirs[i] = coordinate_minimum(P.tolist(), c.tolist(), theirs, i, False)
    np.testing.assert_allclose(mine, theirs, atol=1e-12)
    np.testing.assert_allclose(g, P @ mine + c, atol=1e-10)


@pytest.mark.nojit
def test_equal_ends_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    b = system_of(np.array([[-2.0, 0], [0, 1]]), np.array([1.0, 0]), "reals", monkeypatch).box
    for end in (0.0, 1.0):
        u, g = np.array([end, 0.0]), np.empty(2)
        gradient(b.P, b.linear, u, g)
        assert descend(b.P, b.diagonal, b.bend, b.reach, u, g, -1)[1] == 0
        assert u[0] == end


def test_noise_is_logistic() -> None:
    drawn = np.array([box_noise(7, 1, 0, d) for d in range(40_000)])
    for x in (-3.0, -1.0, 0.0, 0.5, 2.0):
        expected = 1 / (1 + math.exp(-x))
        assert np.mean(drawn <= x) == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / drawn.size))


@pytest.mark.nojit
def test_temperature_is_the_fn_timer() -> None:
    t = np.linspace(0, 1, 11)
    for hot, cold, kappa in ((0.5, 0.025, 0.1), (3.0, 0.1, 4.0)):
        mine = [temperature(hot, cold, kappa, x) for x in t]
        np.testing.assert_allclose(mine, FNTimer.between(hot, cold, kappa).voltage(t), rtol=1e-12)
    assert temperature(0.1, 0.1, 0.1, 0.3) == 0.1


@pytest.mark.nojit
@pytest.mark.parametrize("seed", range(20))
def test_crossover_against_oracle(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, n = np.random.default_rng(seed), 14
    P = matrix(n, seed, 0.12)
    c = rng.integers(-9, 10, n).astype(float)
    binary = rng.random(n) < 0.2
    u, v = (np.where(rng.random(n) < 0.6, rng.integers(0, 2, n), rng.random(n)) for _ in range(2))
    u[binary], v[binary] = np.rint(u[binary]), np.rint(v[binary])
    b = system_of(P, c, "sparse", monkeypatch, binary).box
    child, g = u.copy(), np.empty(n)
    gradient(b.P, b.linear, child, g)
    fall, parts, _ = cross_boxes(
        b.P, b.bend, child, g, v, np.empty(n, np.int8), np.empty(n, np.int32), np.empty(n + 1, np.int32), np.empty(n)
    )
    before, after = (box_value(P.tolist(), c.tolist(), x.tolist()) for x in (u, child))
    theirs, count = box_child(P.tolist(), c.tolist(), u.tolist(), v.tolist(), ALIKE, (b.bend == 0).tolist())
    assert parts == count
    assert after == pytest.approx(before - fall, abs=1e-9)
    assert after <= before + 1e-12
    assert after <= box_value(P.tolist(), c.tolist(), theirs) + 1e-9
    np.testing.assert_allclose(g, P @ child + c, atol=1e-10)
    if parts > 1 and (np.abs(u - v) > ALIKE).sum() == (u != v).sum():
        assert after <= box_value(P.tolist(), c.tolist(), v.tolist()) + 1e-9


@pytest.mark.parametrize("kind", KINDS[1:])
def test_settling_an_ill_conditioned_box(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    n, rng = 30, np.random.default_rng(2)
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    P = (Q * np.logspace(0, -5, n)) @ Q.T
    P = (P + P.T) / 2
    inside = rng.uniform(0.3, 0.7, n)
    s = system_of(P, -P @ inside, kind, monkeypatch)
    scratch = new_search(n, 0, 0.0)
    scratch.u[:] = 0.5
    settle(s.box, scratch, 20_000)
    assert np.abs((P @ scratch.u - P @ inside) / s.box.reach).max() <= 1e-12


@pytest.mark.nojit
def test_settling_leaves_a_saddle() -> None:
    # Both diagonal entries are positive, and the centre is stationary: only the direction (1, -1) goes down.
    s = box_system(QP.of([[1.0, 2.0], [2.0, 1.0]], [-1.5, -1.5], lb=0, ub=1), True)
    scratch = new_search(2, 0, 0.0)
    scratch.u[:] = 0.5 + np.array([1e-3, -1e-3])
    settle(s.box, scratch, 1000)
    assert sorted(scratch.u) == [0.0, 1.0]


def test_chunks_change_nothing() -> None:
    for problem in (box(25, 0.8, 3), QP.of(sp.csr_array(matrix(120, 3, 0.03)), np.ones(120), lb=-1, ub=1)):
        s = box_system(problem, True)
        rules = Rules(0.5, 0.025, 0.1, 40.0, 20, 10**6, -math.inf)

        def whole(budget: int, s: BoxSystem = s, rules: Rules = rules) -> Search:
            state = new_search(s.n, 8, 20.0)
            while not search(s.box, rules, state, np.uint64(11), budget)[0]:
                pass
            return state

        one, many = whole(10**9), whole(1)
        assert one.numbers[kernels.ROUND] == 20
        for a, b in zip(one[:9], many[:9], strict=True):
            np.testing.assert_array_equal(a, b)
        # A round more goes on where the last one ended.
        other = new_search(s.n, 8, 20.0)
        for rounds in (13, 20):
            search(s.box, rules._replace(rounds=rounds), other, np.uint64(11), 10**9)
        np.testing.assert_array_equal(one.best, other.best)


def test_target_and_repeats_end_a_search() -> None:
    s = box_system(box(30, 1.0, 4), True)
    rules = Rules(0.5, 0.025, 0.1, 50.0, 10_000, 5, -math.inf)
    state = new_search(s.n, 16, 20.0)
    assert search(s.box, rules, state, np.uint64(1), 10**9)[0]
    assert state.numbers[kernels.HITS] == 5 and state.numbers[kernels.ROUND] < 10_000
    again = new_search(s.n, 16, 20.0)
    target = rules._replace(hits=10**6, target=float(state.levels[kernels.BEST]))
    assert search(s.box, target, again, np.uint64(2), 10**9)[0]
    assert again.levels[kernels.BEST] == pytest.approx(target.target)


@pytest.mark.parametrize("budget", [1, 10**9])
def test_probing_leaves_a_point_that_no_single_move_improves(budget: int) -> None:
    # 0 is worth 0 and 1 is worth -1 in each pair; one coordinate alone costs 1.
    P = np.kron(np.eye(3), [[0.0, -3.0], [-3.0, 0.0]])
    s = box_system(QP.of(P, np.ones(6), lb=0, ub=1), True)
    state = new_search(6, 4, 20.0)
    state.numbers[kernels.STAGE], state.levels[kernels.BEST] = kernels.PROBE, 0.0
    rules = Rules(0.5, 0.025, 0.1, 50.0, 0, 1000, -math.inf)
    for _ in range(100):
        if search(s.box, rules, state, np.uint64(1), budget)[0]:
            break
    # One improvement is kept; the anneals after it lead to the next time.
    assert s.unit * state.levels[kernels.BEST] == -1.0 and state.numbers[kernels.PROBED] == 0
    best = np.array([1.0, 1, 1, 1, 1, 1])
    again = new_search(6, 4, 20.0)
    again.best[:] = best
    again.numbers[kernels.STAGE], again.levels[kernels.BEST] = kernels.PROBE, -3.0 / s.unit
    assert search(s.box, rules, again, np.uint64(1), 10**9)[0]
    assert again.numbers[kernels.PROBED] == 6 and (again.best == best).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from(["even", "uneven", "fixed"]))
def test_unit_box(seed: int, n: int, bounds: str) -> None:
    rng = np.random.default_rng(seed)
    P, q = matrix(n, seed, 0.7), rng.normal(size=n)
    lb = rng.normal(size=n)
    ub = lb + (2.0 if bounds == "even" else rng.random(n) + 0.1)
    if bounds == "fixed":
        ub = np.where(rng.random(n) < 0.5, lb, ub)
    p = QP.of(P, q, lb=lb, ub=ub)
    s = box_system(p, True)
    u = rng.random(s.n)
    x = s.outwards(u)
    assert (x[p.lb == p.ub] == lb[p.lb == p.ub]).all()
    np.testing.assert_allclose(s.inwards(x), u, atol=1e-12)
    f = 0.5 * u @ (s.R @ u) + s.box.linear @ u
    assert s.base + s.unit * f == pytest.approx(p.objective(x), abs=1e-9)
    assert (s.outwards(np.ones(s.n)) == ub).all() and (s.outwards(np.zeros(s.n)) == lb).all()
    g = np.empty(s.n)
    gradient(s.box.P, s.box.linear, u, g)
    np.testing.assert_allclose(g, s.R @ u + s.box.linear, atol=1e-12)
    assert (np.abs(g) <= s.box.reach * (1 + 1e-12)).all()


@pytest.mark.nojit
def test_byte_rows_only_where_exact() -> None:
    P = matrix(20, 1)
    for scale, lb, ub, exact in ((1.0, 0, 1, True), (0.3, -1, 2, True), (20.0, 0, 1, True)):
        s = box_system(QP.of(scale * P, np.ones(20), lb=lb, ub=ub), True)
        assert (s.box.P.rows.dtype == np.int8) == exact
        np.testing.assert_array_equal(s.box.P.rows, P)
    for other in (P * np.pi * np.arange(1, 21) * np.arange(1, 21)[:, None], P * 20 + np.eye(20)):
        assert box_system(QP.of(other, np.ones(20), lb=0, ub=1), True).box.P.rows.dtype == np.float64
    uneven = QP.of(P, np.ones(20), lb=0, ub=np.arange(1.0, 21))
    assert box_system(uneven, True).box.P.rows.dtype == np.float64


def test_an_objective_beyond_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="too large for a number"):
        box_system(QP.of([[1e300]], [0.0], lb=-1e18, ub=1e18), True)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.booleans(), st.sampled_from(["dense", "lanczos"]))
def test_bounds_are_below(seed: int, n: int, some_binary: bool, how: str) -> None:
    rng = np.random.default_rng(seed)
    P, q = matrix(n, seed, 0.8), rng.integers(-9, 10, n).astype(float)
    lb, ub = -rng.random(n), rng.random(n)
    binary = rng.random(n) < 0.5 if some_binary else None
    p = QP.of(P, q, lb=lb, ub=ub, binary=binary)
    s = box_system(p, True)
    least = box_minimum(P.tolist(), q.tolist(), lb, ub, [False] * n if binary is None else binary.tolist())
    with pytest.MonkeyPatch.context() as m:
        if how == "lanczos":
            m.setattr(box_bound, "DENSE", 0)
        for bound in (interval_bound(s), eigenvalue_bound(s, rng.random(s.n))):
            assert bound <= least + 1e-12


@pytest.mark.parametrize("dense", [300, 5])
def test_negative_curvature_is_found(dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_bound, "DENSE", dense)
    n, rng = 60, np.random.default_rng(1)
    M = rng.normal(size=(n, n))
    for P, negative in (
        (M @ M.T, False),
        (M[:, :9] @ M[:, :9].T, False),
        (np.zeros((n, n)), False),
        (-np.eye(n), True),
        (M @ M.T - 20 * np.eye(n), dense == 5),
    ):
        assert indefinite(box_system(QP.of(P, np.ones(n), lb=-1, ub=1), True)) == negative
    assert (np.diag(M @ M.T - 20 * np.eye(n)) > 0).all()


def test_bounds_are_tight_where_they_should_be() -> None:
    rng = np.random.default_rng(1)
    separable = box_system(QP.of(np.diag(rng.normal(size=30)), rng.normal(size=30), lb=-1, ub=1), True)
    state = new_search(30, 4, 20.0)
    search(separable.box, Rules(0.5, 0.025, 0.1, 50.0, 3, 9, -math.inf), state, np.uint64(1), 10**9)
    best = separable.base + separable.unit * state.levels[kernels.BEST]
    assert interval_bound(separable) == pytest.approx(best, rel=1e-12)
    p, x, _ = planted_box(40, 0.3, 1e2, seed=3)
    s = box_system(p, True)
    assert eigenvalue_bound(s, s.inwards(x), convex=True) == pytest.approx(p.objective(x), rel=1e-9)
    # min -u^2: D = 2, and u^2 <= u is exact at both ends.
    edge = box_system(QP.of([[-2.0, 0.1], [0.1, -2.0]], [0.0, 0.0], lb=0, ub=1), True)
    assert -2.0 <= eigenvalue_bound(edge, np.zeros(2)) <= -1.9


@pytest.mark.nojit
def test_a_tangent_plane_bounds_a_convex_function() -> None:
    P, rng = matrix(9, 8), np.random.default_rng(8)
    shift = np.full(9, 1e-9 - np.linalg.eigvalsh(P)[0])
    c = rng.normal(size=9)
    s = box_system(QP.of(P, c, lb=0, ub=1), True)
    H = P + np.diag(shift)
    found = so.minimize(
        lambda v: 0.5 * v @ H @ v + (c - shift / 2) @ v, np.full(9, 0.5), method="L-BFGS-B", bounds=[(0, 1)] * 9,
        options={"ftol": 1e-14, "gtol": 1e-10},
    )  # fmt: skip
    for sweeps in (0, 1, 10, 1000):
        bound, _ = shifted_bound(s.box.P, s.box.diagonal, s.box.linear, shift, np.full(9, 0.5), np.empty(9), sweeps)
        assert bound <= found.fun + 1e-9
    assert bound == pytest.approx(found.fun, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from(["integers", "reals", "sparse", "concave"]))
def test_small_boxes_against_enumeration(seed: int, n: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    P, q = matrix(n, seed, 0.4 if kind == "sparse" else 1.0), rng.integers(-9, 10, n).astype(float)
    lb, ub = -rng.integers(1, 4, n).astype(float), rng.integers(0, 3, n).astype(float)
    if kind == "reals":
        P, q = P * np.outer(b := rng.random(n) + 0.1, b), rng.normal(size=n)
    if kind == "concave":
        P = -P @ P
    p = QP.of(P, q, lb=lb, ub=ub)
    step = run(p, seed % 1000)
    least = box_minimum(P.tolist(), q.tolist(), lb, ub, [False] * n)
    assert value(p, step) == pytest.approx(least, abs=1e-8 * max(1, abs(least)))
    assert_certified(p, step)
    assert step.gap is not None and step.gap >= 0


@pytest.mark.parametrize("seed", range(12))
def test_binary_variables_end_at_their_bounds(seed: int) -> None:
    rng, n = np.random.default_rng(seed), 7
    P, q = matrix(n, seed), rng.integers(-9, 10, n).astype(float)
    lb, ub = -rng.integers(0, 3, n).astype(float), rng.integers(0, 3, n).astype(float)
    binary = rng.random(n) < 0.6
    binary[0] = True
    p = QP.of(P, q, lb=lb, ub=ub, binary=binary)
    step = run(p, seed)
    x = step.point.x
    assert ((x == lb) | (x == ub))[binary].all()
    assert value(p, step) == pytest.approx(box_minimum(P.tolist(), q.tolist(), lb, ub, binary.tolist()), abs=1e-8)
    # With the binary variables where they are, it is a local optimum in the others.
    lb2, ub2 = np.where(binary, x, lb), np.where(binary, x, ub)
    held = QP.of(P, q, lb=lb2, ub=ub2)
    z = np.where(binary, 0.0, step.point.z_box)
    assert np.abs((P @ x + q + z)[~binary]).max(initial=0.0) <= 1e-9
    assert held.residuals(x, np.zeros(0), np.zeros(0), step.point.z_box).worst <= 1e-8


def test_binary_variables_without_an_objective() -> None:
    p = QP.of(np.zeros((3, 3)), np.zeros(3), lb=0, ub=1, binary=np.array([True, False, True]))
    assert set(run(p).point.x[[0, 2]]) <= {0.0, 1.0}


@pytest.mark.parametrize(("n", "density", "condition"), [(60, None, 1e4), (300, 0.2, 1e8), (700, None, 1e10)])
@pytest.mark.parametrize("polish", [True, False])
def test_convex_boxes_to_rounding(n: int, density: float | None, condition: float, polish: bool) -> None:
    p, x, _ = planted_box(n, density, condition, seed=2)
    step = run(p, tolerance=Tolerance(eps_abs=1e-9, eps_rel=0.0, polish=polish))
    assert_certified(p, step, 1e-12)
    assert p.objective(step.point.x) == pytest.approx(p.objective(x), rel=1e-9)
    assert step.iterations == 1 and not step.searching
    assert step.gap is not None and step.gap <= 1e-8
    assert polish or step.factorisations == 0


@pytest.mark.parametrize("dense_limit", [600, 0])
def test_newton_finishes_what_steps_cannot(dense_limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_certificate, "DENSE", dense_limit)
    n, rng = 80, np.random.default_rng(4)
    D = sp.diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2], shape=(n - 2, n)).tocsr()
    p = QP.of(D.T @ D, 1e-4 * rng.normal(size=n), lb=-1, ub=1)
    s = box_system(p, True)
    start = new_search(n, 0, 0.0)
    start.u[:] = 0.5
    settle(s.box, start, 30)
    rough = certify(s, start.u, polish=False)
    found = certify(s, start.u, polish=True)
    assert rough.residuals.dual > 1e-9 and rough.factorisations == 0
    assert found.residuals.dual <= 1e-13 and found.factorisations > 0
    assert found.value < rough.value
    without = box_system(p, False)
    assert certify(without, start.u, polish=True).factorisations == 0


def test_an_indefinite_face_is_left_as_it_is() -> None:
    s = box_system(QP.of([[1.0, 2.0], [2.0, 1.0]], [-1.4, -1.5], lb=0, ub=1), True)
    found = certify(s, np.full(2, 0.5), polish=True)
    np.testing.assert_array_equal(found.u, 0.5)


def test_convex_against_lbfgsb() -> None:
    rng = np.random.default_rng(6)
    M = rng.normal(size=(25, 25))
    P, q, lb, ub = M @ M.T, rng.normal(size=25), -rng.random(25), rng.random(25)
    found = so.minimize(
        lambda x: (0.5 * x @ P @ x + q @ x, P @ x + q), np.zeros(25), jac=True, method="L-BFGS-B",
        bounds=list(zip(lb, ub, strict=True)), options={"ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    p = QP.of(P, q, lb=lb, ub=ub)
    step = run(p)
    assert p.objective(step.point.x) <= found.fun + 1e-12
    np.testing.assert_allclose(step.point.x, found.x, atol=1e-6)


def test_same_seed_same_answer() -> None:
    p = box(60, 0.6, 5)
    one, again, other = run(p, 3, num_rounds=30), run(p, 3, num_rounds=30), run(p, 4, num_rounds=30)
    np.testing.assert_array_equal(one.point.x, again.point.x)
    assert one.events == again.events and one.details == again.details
    assert one.events != other.events
    q = QP.of(p.P, p.q, lb=0, ub=1)
    np.testing.assert_array_equal(run(q, 3, num_rounds=30).point.x, one.point.x)


def test_scale_does_not_matter() -> None:
    p = box(35, 0.7, 6)
    P, q = p.P.toarray(), p.q
    x = run(p, 2).point.x
    for scale in (1e15, 1e-12):
        step = run(
            QP.of(scale * P, scale * q, lb=0, ub=1), 2, tolerance=Tolerance(eps_abs=0.0, eps_rel=1e-12, polish=True)
        )
        np.testing.assert_allclose(step.point.x, x, atol=1e-12)
    rng = np.random.default_rng(1)
    r, low = 10.0 ** rng.integers(-6, 7, 35), rng.normal(size=35)
    # The same objective in variables low + r x.
    stretched = QP.of(P / np.outer(r, r), q / r - (P / np.outer(r, r)) @ low, lb=low, ub=low + r)
    step = run(stretched, 2)
    np.testing.assert_allclose((step.point.x - low) / r, x, atol=1e-6)


@pytest.mark.parametrize(
    ("P", "q", "lb", "ub", "x"),
    [
        ([[2.0]], [-1.0], [0.0], [1.0], [0.5]),
        ([[-2.0]], [0.5], [-1.0], [1.0], [-1.0]),
        (np.zeros((2, 2)), [1.0, -1.0], [0.0, 0.0], [3.0, 4.0], [0.0, 4.0]),
        ([[1.0, 5.0], [5.0, -3.0]], [1.0, 2.0], [2.0, 3.0], [2.0, 3.0], [2.0, 3.0]),
        ([[1.0, 5.0], [5.0, -3.0]], [1.0, 2.0], [2.0, 3.0], [2.0, 5.0], [2.0, 3.0]),
        ([[2.0, 0.0], [0.0, 2.0]], [-2e15, -2.0], [0.0, 0.0], [2e15, 2.0], [1e15, 1.0]),
        ([[2.0]], [-2e15], [1e15 - 4], [1e15 + 4], [1e15]),
    ],
)
def test_degenerate_boxes(P: Any, q: Any, lb: Any, ub: Any, x: Any) -> None:
    p = QP.of(P, q, lb=lb, ub=ub)
    step = run(p)
    np.testing.assert_allclose(step.point.x, x, rtol=1e-12)
    assert step.finished
    assert p.residuals(step.point.x, step.point.y, step.point.z, step.point.z_box).sign == 0


def test_no_objective_at_all() -> None:
    step = run(QP.of(np.zeros((3, 3)), np.zeros(3), lb=-1, ub=1))
    assert step.finished and step.gap == pytest.approx(0.0, abs=1e-12)


def test_accepts() -> None:
    method, eye = BoxQP(), np.eye(3)
    one, two = np.ones((1, 3)), np.ones((2, 3))
    for problem, text in (
        (QP.of(eye, np.ones(3), None, None, one, [1.0], 0, 1), "the problem has 1 equality"),
        (QP.of(eye, np.ones(3), None, None, two, [1.0, 1.0], 0, 1), "the problem has 2 equalities"),
        (QP.of(eye, np.ones(3), two, [1.0, 1.0], None, None, 0, 1), "the problem has 2 inequalities"),
        (QP.of(eye, np.ones(3), lb=0, ub=[1, np.inf, 1]), "variable 1 has no upper bound"),
        (QP.of(eye, np.ones(3), lb=[0, 0, -np.inf], ub=1), "variable 2 has no lower bound"),
    ):
        assert text in (method.accepts(problem) or "")


@pytest.mark.parametrize(
    ("settings_", "text"),
    [
        ({"num_rounds": 0}, "num_rounds must be an integer"),
        ({"repeats": 1.5}, "repeats must be an integer"),
        ({"population": 0}, "population must be an integer"),
        ({"hot": -1}, "hot must be positive"),
        ({"kappa": math.inf}, "kappa must be positive"),
    ],
)
def test_settings_are_checked(settings_: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        BoxQP(**settings_)


def test_a_start_is_used() -> None:
    p = box(50, 0.5, 9)
    best = run(p, 1)
    # One round is the descent from the start alone.
    given_start = run(p, 2, Start(x=best.point.x), num_rounds=1)
    np.testing.assert_array_equal(given_start.point.x, best.point.x)
    outside = run(p, 2, Start(x=np.where(best.point.x > 0.5, 7.0, -7.0)), num_rounds=1)
    assert value(p, outside) <= value(p, best) + 50
    method = BoxQP()
    system = method.prepare(p, TOLERANCE, 1)
    state = method.init(system, seed=1, start=Start(x=best.point.x))
    first = method.report(system, state)
    np.testing.assert_allclose(first.point.x, best.point.x, atol=1e-12)
    assert first.searching and first.phase == "descending"


def test_events_are_counted() -> None:
    p = box(50, 0.5, 9)
    step = run(p, 1, num_rounds=20, repeats=10**6)
    e = step.events
    assert step.iterations == 20 and step.details is not None
    assert e.threshold_draws == 50 * e.timer_reads
    assert e.spin_tests >= e.threshold_draws and 0 < e.spikes < e.spin_tests
    assert e.multiply_adds >= 50 * e.spikes and e.bytes_moved > e.multiply_adds
    assert e.timer_reads >= 19 * 20 and step.details["rounds"] == 20


def test_the_gap_of_a_larger_box_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxqp, "CHEAP", 0.0)
    monkeypatch.setattr(boxqp, "BOUNDS", math.inf)
    p = box(80, 0.5, 2)
    loose = run(p, 1)
    monkeypatch.undo()
    tight = run(p, 1)
    assert tight.gap is not None and loose.gap is not None
    assert 0 < tight.gap < 0.5 * loose.gap
    assert tight.gap < 0.5 * abs(value(p, tight))


def test_time_limit_is_kept() -> None:
    p = box(400, 0.5, 1)
    solve_qp_problem(p, solver="boxqp", seed=1, num_rounds=1)
    r = solve_qp_problem(p, solver="boxqp", seed=1, time_limit=0.3)
    assert r.status is QPStatus.TIME_LIMIT
    assert r.time.build_s + r.time.solve_s < 1.0
    assert r.residuals.worst < 1e-6
    rng = np.random.default_rng(1)
    P = p.P.toarray()
    others = so.minimize(
        lambda x: (0.5 * x @ P @ x + p.q @ x, P @ x + p.q), rng.random(400), jac=True, method="L-BFGS-B",
        bounds=so.Bounds(np.zeros(400), np.ones(400)),
    )  # fmt: skip
    assert r.objective > -others.fun


def test_through_solve_qp() -> None:
    r = solve_qp([[0.0, 1.0], [1.0, 0.0]], [-0.25, -0.25], lb=-1, ub=1, seed=1)
    assert r.solver == "boxqp" and r.status is QPStatus.SOLVED
    assert r.objective == -1.0 and r.dual_residual == 0.0
    assert r.gap is not None and r.gap >= 0


@pytest.mark.skipif(not SPAR.exists(), reason="the shared data are not here")
def test_spar_optima() -> None:
    with (SPAR / "optima.csv").open() as f:
        optima = {row["name"]: float(row["optimal_value_of_the_maximisation"]) for row in csv.DictReader(f)}
    assert len(optima) == 54
    for name, best in optima.items():
        numbers = np.array((SPAR / f"{name}.in").read_text().split(), float)
        n = int(numbers[0])
        p = QP.of(-numbers[n + 1 :].reshape(n, n), -numbers[1 : n + 1], lb=0, ub=1, sense="max")
        step = run(p, seed=1)
        assert p.objective(step.point.x) == pytest.approx(best, rel=1e-6), name
        assert_certified(p, step, 1e-12)


def test_binary_optima_are_solved_and_judged_through_solve_qp():
    rng = np.random.default_rng(3)
    n = 8
    for seed in range(6):
        M = rng.integers(-9, 10, (n, n)).astype(float)
        P, q = M + M.T, rng.integers(-9, 10, n).astype(float)
        binary = np.ones(n, bool)
        r = solve_qp(P, q, lb=0, ub=1, binary=binary, seed=seed)
        corners = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(float)
        values = 0.5 * np.einsum("ki,ij,kj->k", corners, P, corners) + corners @ q
        assert r.status == "solved" and r.residuals.worst <= 1e-6
        assert r.objective == pytest.approx(values.min()) and set(np.unique(r.x)) <= {0.0, 1.0}


def test_the_gap_that_is_shown_is_the_last_one():
    p = box(60, 0.5, 1)
    r = solve_qp_problem(p, solver="boxqp", seed=1, time_limit=0.5)
    again = solve_qp_problem(p, solver="boxqp", seed=1)
    assert r.gap is not None and again.gap is not None and r.gap <= again.gap * (1 + 1e-9) + 1e-6
