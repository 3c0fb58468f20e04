"""The splitting methods' kernels beside slow ones, presolve and its inversion, scaling, and the systems that the finish factorises."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sp

import fnanneal.solvers.qp.kkt as kkt_module
from fnanneal import QP, load_qp
from fnanneal.solvers.kernels.elimination import elimination_cost
from fnanneal.solvers.kernels.pdhg import pdhg_steps
from fnanneal.solvers.qp.accelerated import Accelerated
from fnanneal.solvers.qp.convexity import convex
from fnanneal.solvers.qp.form import Form, PrimalDual
from fnanneal.solvers.qp.gap import close_gap
from fnanneal.solvers.qp.halpern import Halpern
from fnanneal.solvers.qp.interior import Interior
from fnanneal.solvers.qp.kkt import KKT, effort
from fnanneal.solvers.qp.method import Point
from fnanneal.solvers.qp.norms import norm_bounds
from fnanneal.solvers.qp.polish import Guess, Polish
from fnanneal.solvers.qp.presolve import presolve
from fnanneal.solvers.qp.scaling import Scaling
from fnanneal.solvers.qp.solve import solve_qp_problem

from .cases_qp import feasible_qp
from .oracles_splitting import HPROracle, pdhg

KINDS = {"general": 6, "diagonal": None, "zero": 0}


def form_of(kind, seed):
    rng = np.random.default_rng(seed)
    p = feasible_qp(rng, 6, 4, 2, rank=KINDS[kind] or 0)
    if kind == "diagonal":
        p = QP.of(np.diag(rng.random(6) + 0.1), p.q, p.G, p.h, p.A, p.b, p.lb, p.ub)
    return Form.of(p)


@pytest.mark.nojit
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_hpr_steps_match_the_oracle(kind, seed):
    f = form_of(kind, seed)
    h = Halpern(f, check=7)
    o = HPROracle(
        f.P.toarray(), f.c, f.A.toarray(), f.AL, f.AU, f.l, f.u, h.sigma, h.lam_A, h.lam_P,
        np.zeros(f.n), np.zeros(f.n), np.zeros(f.m), diagonal=kind == "diagonal",
    )  # fmt: skip
    point = h.advance()
    for _ in range(7):
        o.step()
    np.testing.assert_allclose(point.x, o.xb, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(point.y, o.yb, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(point.z, o.zb, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(h.x, o.x, rtol=1e-10, atol=1e-12)
    if kind != "zero":
        np.testing.assert_allclose(h.w, o.w, rtol=1e-10, atol=1e-12)
    # The recursion for A'y, which no product confirms, has not drifted.
    np.testing.assert_allclose(h.Aty, f.A.T @ h.y, rtol=1e-9, atol=1e-11)


@pytest.mark.nojit
@pytest.mark.parametrize("seed", range(3))
def test_pdhg_steps_match_the_oracle(seed):
    f = form_of("general", seed)
    x, y = np.clip(np.zeros(f.n), f.l, f.u), np.zeros(f.m)
    expected = pdhg(f.P.toarray(), f.c, f.A.toarray(), f.AL, f.AU, f.l, f.u, 0.05, 0.03, 9, x, y)
    state = x.copy(), y.copy(), x.copy(), x.copy(), y.copy()
    room = [np.zeros(f.n) for _ in range(3)]
    for first, steps in ((1, 4), (5, 5)):
        pdhg_steps(
            steps, first, 0.05, 0.03, f.P.indptr, f.P.indices, f.P.data, f.A.indptr, f.A.indices, f.A.data,
            f.c, f.AL, f.AU, f.l, f.u, *state, *room,
        )  # fmt: skip
    np.testing.assert_allclose(state[3], expected[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(state[4], expected[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_norm_bounds_are_bounds(kind):
    f = form_of(kind, 4)
    norms = norm_bounds(f)
    assert norms.lam_A >= la.norm(f.A.toarray(), 2) ** 2
    assert norms.lam_P >= la.norm(f.P.toarray(), 2) * (1 - 1e-12)
    quick = norm_bounds(f, quickly=True)
    assert quick.lam_A >= norms.lam_A and quick.lam_P >= norms.lam_P


def test_norms_of_clustered_spectra_are_not_underestimated():
    # Power iterations stop too early here, and the splitting then diverges.
    p = load_qp("gen:lasso(20, 400, seed=2)")
    f = Form.of(p)
    f = Scaling.of(f).apply(f)
    assert norm_bounds(f).lam_A >= la.norm(f.A.toarray(), 2) ** 2
    r = solve_qp_problem(p, polish=False, eps_abs=1e-4, eps_rel=1e-4, time_limit=60)
    assert r.status == "solved"


@pytest.mark.parametrize("method", [Halpern, Accelerated])
def test_splittings_converge(method):
    p = feasible_qp(np.random.default_rng(7), 20, 10, 4)
    f = Form.of(p)
    run = method(f, norm_bounds(f))
    for _ in range(600):
        q = run.advance()
    r = p.residuals(q.x, -q.y[:4], -q.y[4:], -q.z)
    assert r.worst < 1e-4
    assert run.events().multiply_adds > 0


def test_scaling_evens_out_rows_and_columns():
    rng = np.random.default_rng(0)
    p = feasible_qp(rng, 30, 10, 5)
    wild = 10.0 ** rng.integers(-4, 5, 30)
    f = Form.of(
        QP.of(p.P * np.outer(wild, wild), p.q * wild, p.G * wild, p.h, p.A * wild, p.b, p.lb / wild, p.ub / wild)
    )
    s = Scaling.of(f)
    scaled = s.apply(f)
    both = sp.vstack([scaled.P, scaled.A]).toarray()
    assert np.abs(both).max(axis=0).min() > 0.05 and np.abs(both).max() < 5
    point = PrimalDual(rng.normal(size=30), rng.normal(size=15), rng.normal(size=30))
    back = s.unscale(s.scale(point))
    for a, b in ((point.x, back.x), (point.y, back.y), (point.z, back.z)):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    # Stationarity scales as it should: D (Px + c - A'y - z).
    x = s.scale(point)
    left = scaled.P @ x.x + scaled.c - scaled.A.T @ x.y - x.z
    np.testing.assert_allclose(left, s.D * (f.P @ point.x + f.c - f.A.T @ point.y - point.z), rtol=1e-9, atol=1e-9)


def brute_fill(pattern, order):
    """Entries of the factor when eliminating in this order."""
    n = pattern.shape[0]
    graph = {i: set(np.flatnonzero(pattern[i]).tolist()) - {i} for i in range(n)}
    total, flops = n, 0
    for p in order:
        touched = graph.pop(p)
        total += len(touched)
        flops += len(touched) ** 2
        for i in touched:
            graph[i] |= touched - {i}
            graph[i].discard(p)
    return total, flops


@pytest.mark.nojit
@pytest.mark.parametrize("seed", range(6))
def test_elimination_cost_is_near_that_of_the_exact_greedy_order(seed):
    rng = np.random.default_rng(seed)
    n = 40
    pattern = rng.random((n, n)) < 0.06
    pattern = pattern | pattern.T | np.eye(n, dtype=bool)
    graph = sp.csr_array(pattern.astype(float))
    flops, entries = elimination_cost(graph.indptr, graph.indices, 1e12, 1e6)
    live = pattern.copy()
    np.fill_diagonal(live, False)
    order, left = [], set(range(n))
    while left:
        p = min(left, key=lambda i: (live[i].sum(), i))
        touched = np.flatnonzero(live[p])
        live[np.ix_(touched, touched)] = True
        live[touched, touched] = False
        live[p, :] = live[:, p] = False
        left.remove(p)
        order.append(p)
    exact, exact_flops = brute_fill(pattern, order)
    assert 0.7 * exact <= entries <= 1.6 * exact
    assert flops <= 3 * exact_flops + 3 * n


@pytest.mark.nojit
def test_elimination_cost_of_known_graphs():
    path = sp.diags_array([np.ones(99), np.ones(99)], offsets=[1, -1], format="csr")
    assert elimination_cost(path.indptr, path.indices, 1e12, 1e6) == (
        pytest.approx(99, abs=2),
        pytest.approx(199, abs=2),
    )
    clique = sp.csr_array(np.ones((30, 30)))
    flops, entries = elimination_cost(clique.indptr, clique.indices, 1e12, 1e6)
    assert entries == pytest.approx(30 * 31 / 2, rel=0.1) and flops == pytest.approx(
        sum(k * k for k in range(30)), rel=0.15
    )
    assert elimination_cost(clique.indptr, clique.indices, 100, 1e6)[0] == np.inf
    star = sp.lil_array((500, 500))
    star[0, 1:] = star[1:, 0] = 1
    star = star.tocsr()
    assert elimination_cost(star.indptr, star.indices, 1e12, 1e6)[1] < 2000


@pytest.mark.parametrize("library", ["qdldl", "superlu"])
def test_kkt_systems(library, monkeypatch):
    if library == "superlu":
        monkeypatch.setattr(kkt_module, "qdldl", None)
    elif kkt_module.qdldl is None:
        pytest.skip("qdldl is not installed")
    rng = np.random.default_rng(3)
    p = feasible_qp(rng, 12, 5, 3)
    f = Form.of(p)
    K = KKT(f.P, f.A)
    for _ in range(2):
        d, e = rng.random(12) + 0.1, rng.random(8) + 0.1
        assert K.factorise(d, e)
        a, b = rng.normal(size=12), rng.normal(size=8)
        u, v = K.solve(a, b)
        np.testing.assert_allclose(f.P @ u + d * u + f.A.T @ v, a, atol=1e-10)
        np.testing.assert_allclose(f.A @ u - e * v, b, atol=1e-10)
    # With the factors of another diagonal as a preconditioner.
    u, v = K.solve(a, b, d * 1.01, e * 1.01)
    np.testing.assert_allclose(f.P @ u + 1.01 * d * u + f.A.T @ v, a, atol=1e-8)
    assert K.count == 2 and K.products > 0


def test_effort_grows_with_the_pattern():
    small = effort(sp.eye_array(10, format="csr"), sp.csr_array(np.ones((1, 10))))
    large = effort(sp.csr_array(np.ones((100, 100))), sp.csr_array(np.ones((50, 100))))
    assert small[0] < large[0] and small[1] < large[1]


@pytest.mark.parametrize("seed", range(8))
def test_interior_point_and_polish(seed):
    p = feasible_qp(np.random.default_rng(seed), 15, 8, 3, rank=15 if seed % 2 else 6)
    f = Form.of(p)
    solver = Interior(f)
    for _ in range(60):
        if not solver.step():
            break
        q = solver.point()
        if p.residuals(q.x, -q.y[:3], -q.y[3:], -q.z).worst < 1e-7:
            break
    assert p.residuals(q.x, -q.y[:3], -q.y[3:], -q.z).worst < 1e-7
    polish = Polish(f)
    exact = polish.round(Guess(f, q), q)
    assert exact is not None
    assert p.residuals(exact.x, -exact.y[:3], -exact.y[3:], -exact.z).worst < 1e-9
    assert polish.round(Guess(f, q), q) is None  # The same guess again.


def test_convexity():
    rng = np.random.default_rng(0)
    F = rng.normal(size=(40, 60))
    semidefinite = F.T @ F
    indefinite = semidefinite - 1e-3 * np.eye(60)
    for P, expected in (
        (np.zeros((3, 3)), True),
        (np.diag([1.0, 0.0]), True),
        (np.diag([1.0, -1e-3]), False),
        ([[0.0, 1.0], [1.0, 1.0]], False),
        (semidefinite, True),
        (indefinite, False),
    ):
        assert convex(QP.of(np.asarray(P, float), np.ones(len(P))).P) is expected


@pytest.mark.parametrize("shift", [0.0, -1e-3])
def test_convexity_of_sparse_matrices(shift):
    n = 900
    rng = np.random.default_rng(1)
    F = sp.random_array((n // 2, n), density=3 / n, rng=rng, format="csr")
    P = (F.T @ F + shift * sp.eye_array(n)).tocsr()
    assert convex(QP.of(P, np.ones(n)).P) is (shift == 0)


# --- presolve ---


def solved(p, presolving):
    """The optimum by the interior point and the polish, through presolve or not, with multipliers."""
    f = Form.of(p)
    reduced = presolve(f) if presolving else None
    small = f if reduced is None else reduced.form
    if small is None:
        empty = np.zeros(0)
        return reduced.back(PrimalDual(empty, empty, empty))
    s = Interior(small)
    best, at = np.inf, None
    for _ in range(80):
        q = s.point()
        whole = q if reduced is None else reduced.back(q)
        m = p.b.size
        worst = p.residuals(whole.x, -whole.y[:m], -whole.y[m:], -whole.z).worst
        if worst < best:
            best, at = worst, whole
        if best < 1e-8 or not s.step():
            break
    return at


def judged(p, q):
    m = p.b.size
    return p.residuals(q.x, -q.y[:m], -q.y[m:], -q.z)


@pytest.mark.parametrize("seed", range(30))
def test_presolve_loses_nothing(seed):
    rng = np.random.default_rng(seed)
    n = 8
    p = feasible_qp(rng, n, 4, 2, rank=int(rng.integers(0, n)))
    lb, ub = np.where(np.isfinite(p.lb), p.lb, -9.0), np.where(np.isfinite(p.ub), p.ub, 9.0)
    fixed = rng.random(n) < 0.2
    ub = np.where(fixed, lb, ub)
    G, h = p.G.toarray(), p.h + 50.0 * (rng.random(4) < 0.3)
    # Singleton rows, a multiple of a row, an empty row.
    single = np.zeros((2, n))
    single[0, 1], single[1, 3] = 2.0, -0.5
    G = np.vstack([G, single, 3 * G[:1], -2 * G[1:2], np.zeros((1, n))])
    h = np.concatenate([h, [1.0, 1.0], 3 * h[:1] - 0.1, [60.0], [1.0]])
    x = np.clip(np.zeros(n), lb, ub)
    A = p.A.toarray()
    problem = QP.of(p.P, p.q, G, np.maximum(h, G @ x), A, A @ x, lb, ub)
    plain, through = solved(problem, False), solved(problem, True)
    assert judged(problem, through).worst < 1e-6
    assert problem.objective(through.x) == pytest.approx(problem.objective(plain.x), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "columns", "rows"),
    [
        # x1 = 2 is fixed by its bounds, and a singleton row bounds x2.
        (
            {
                "P": np.eye(3),
                "q": [0, -1.0, -1.0],
                "G": [[0, 1, 0], [1, 1, 1]],
                "h": [0.5, 3],
                "lb": [2, -9, -9],
                "ub": [2, 9, 9],
            },
            2,
            1,
        ),
        # x1 + x2 + x3 <= 0 with x >= 0 forces all of them.
        ({"P": np.eye(3), "q": [-1.0, -2.0, 1.0], "G": [[1, 1, 1.0]], "h": [0], "lb": 0}, 0, 0),
        # A row that its bounds make redundant.
        ({"P": [[1.0, 0.5], [0.5, 1.0]], "q": [1.0, 1.0], "G": [[1, 1.0]], "h": [100], "lb": -1, "ub": 1}, 2, 0),
        # No cost and no row objects to x2's going down.
        ({"P": np.diag([1.0, 0.0]), "q": [1.0, 1.0], "G": [[1, 1.0]], "h": [1], "lb": 0}, 0, 0),
        # Parallel rows become one with two sides.
        ({"P": [[2.0, 1.0], [1.0, 2.0]], "q": [1.0, 1.0], "G": [[1, 1.0], [-2, -2.0]], "h": [1, 1]}, 2, 1),
    ],
)
def test_what_presolve_finds(arguments, columns, rows):
    p = QP.of(**arguments)
    reduced = presolve(Form.of(p))
    assert (reduced.columns.size, reduced.rows.size) == (columns, rows)
    assert judged(p, solved(p, True)).worst < 1e-6


@pytest.mark.parametrize(
    "arguments",
    [
        {"A": [[0, 0.0]], "b": [1.0]},
        {"A": [[1, 0.0], [1, 0.0]], "b": [1.0, 2.0]},
        {"A": [[1, 1.0], [2, 2.0]], "b": [1.0, 3.0]},
        {"G": [[1, 1.0], [-1, -1.0]], "h": [1.0, -2.0]},
        {"G": [[1, 1.0]], "h": [-3.0], "lb": -1},
        {"G": [[-2, 0.0]], "h": [-3.0], "ub": 1},
        {"G": [[-2, 0.0], [1, 0.0]], "h": [-3.0, 1.0]},
        {"A": [[1, 1.0], [1, 0.0]], "b": [5.0, 1.0], "lb": 0, "ub": 3},
    ],
)
def test_presolve_proves_infeasibility(arguments):
    from fnanneal.solvers.qp.certificate import primal_certificate
    from fnanneal.solvers.qp.method import Point

    p = QP.of(np.eye(2), np.ones(2), **arguments)
    reduced = presolve(Form.of(p))
    assert reduced.ray is not None
    y, z = reduced.ray
    m = p.b.size
    assert primal_certificate(p, Point(x=np.zeros(2), y=-y[:m], z=-y[m:], z_box=-z)) is not None


def test_the_last_digits_of_a_gap_are_closed_by_one_multiplier():
    # The objective is 3e11: its terms are rounded to 3e-5.
    n = 50
    rng = np.random.default_rng(0)
    w = rng.uniform(0.5, 1.5, n)
    p = QP.of(np.diag(rng.uniform(1e6, 2e6, n)), np.zeros(n), A=w[None, :], b=[1.5e4], lb=0)
    r = solve_qp_problem(p, time_limit=20)
    assert abs(r.objective) > 1e9 and r.status == "solved" and r.residuals.worst <= 1e-6
    off = Point(x=r.x, y=r.y * (1 + 1e-13), z=r.z, z_box=r.z_box)
    before = p.residuals(off.x, off.y, off.z, off.z_box)
    allowed = max(before.primal, before.dual, before.sign)
    assert before.gap > allowed
    closed, after = close_gap(p, off, before, allowed)
    assert after.gap < before.gap and after == p.residuals(closed.x, closed.y, closed.z, closed.z_box)


def test_a_gap_is_left_alone_where_it_is_not_rounding():
    p = QP.of(np.eye(2), np.ones(2), A=[[1.0, 1.0]], b=[1.0])
    point = Point(x=np.array([3.0, 0.0]), y=np.zeros(1), z=np.zeros(0), z_box=np.zeros(2))
    residuals = p.residuals(point.x, point.y, point.z, point.z_box)
    assert close_gap(p, point, residuals, 1e-6) == (point, residuals)


def test_nothing_is_factorised_beyond_the_memory_that_it_would_take(monkeypatch):
    monkeypatch.setattr("fnanneal.solvers.qp.pipeline.MOST_STORED", 10)
    p = feasible_qp(np.random.default_rng(0), 20, 10, 4)
    before = p.sha256()
    for presolving in (True, False):
        r = solve_qp_problem(p, solver="hpr", presolve=presolving, eps_abs=1e-4, time_limit=20)
        assert r.status == "solved" and r.factorisations == 0
        assert p.sha256() == before
    # One block of rows alone is the caller's own.
    one = QP.of(p.P, p.q, None, None, p.A, p.b, p.lb, p.ub)
    before = one.sha256()
    assert solve_qp_problem(one, solver="hpr", presolve=False, eps_abs=1e-4, time_limit=20).status == "solved"
    assert one.sha256() == before


def test_a_dear_factorisation_is_not_begun(monkeypatch):
    monkeypatch.setattr("fnanneal.solvers.qp.finish.cost_of", lambda P, A: 1e6)
    monkeypatch.setattr("fnanneal.solvers.qp.polish.cost_of", lambda P, A: 1e6)
    p = feasible_qp(np.random.default_rng(0), 20, 10, 4)
    for limit in (None, 20):
        r = solve_qp_problem(p, eps_abs=1e-4, time_limit=limit)
        assert r.status == "solved" and r.factorisations == 0
