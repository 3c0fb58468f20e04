"""`solve_qp` and `QPSolver` as a caller sees them."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import fnanneal
from fnanneal import QP, InputError, QPSolver, QPStatus, solve_qp
from fnanneal.problems.quadratic.formats import read
from fnanneal.problems.quadratic.hopeless import INFEASIBLE, UNBOUNDED, infeasible, unbounded
from fnanneal.solvers.qp.certificate import dual_certificate, primal_certificate
from fnanneal.solvers.qp.method import Point
from fnanneal.solvers.qp.solve import solve_qp_problem

from .cases_qp import COLLECTION, feasible_qp

INF = np.inf
METHODS = ["hpr", "rapdhg"]


def test_the_first_example():
    r = solve_qp(np.eye(2), -np.ones(2), lb=np.zeros(2), ub=0.5 * np.ones(2))
    assert r.x.tolist() == [0.5, 0.5]
    assert r.status is QPStatus.SOLVED and r.objective == -0.75
    assert r.z_box.tolist() == [0.5, 0.5] and r.y.shape == (0,) and r.z.shape == (0,)
    assert r.verify()


def test_all_multipliers_have_full_size_and_the_signs_of_qpsolvers():
    P = np.array([[1.0, 2, 0], [-8, 3, 2], [0, 1, 1]])
    P = P.T @ P
    q = np.array([3.0, 2, 3]) @ np.array([[1.0, 2, 0], [-8, 3, 2], [0, 1, 1]])
    G, h = np.array([[1.0, 2, 1], [2, 0, 1], [-1, 2, -1]]), np.array([3.0, 2, -2])
    r = solve_qp(P, -q, G, h, np.ones((1, 3)), np.ones(1), lb=-0.6 * np.ones(3), ub=INF)
    assert r.y.shape == (1,) and r.z.shape == (3,) and r.z_box.shape == (3,)
    assert (r.z >= 0).all() and (r.z_box <= 0).all()
    np.testing.assert_allclose(P @ r.x - q + r.y[0] + G.T @ r.z + r.z_box, 0, atol=1e-6)
    assert (r.primal_residual, r.dual_residual, r.duality_gap, r.sign_residual) == (
        r.residuals.primal, r.residuals.dual, r.residuals.gap, r.residuals.sign,
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("polish", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_random_programs(method, polish, seed):
    p = feasible_qp(np.random.default_rng(seed), 25, 12, 5, rank=25)
    r = solve_qp_problem(p, solver=method, polish=polish, eps_abs=1e-6 if polish else 1e-5, time_limit=60)
    assert r.status is QPStatus.SOLVED
    assert r.residuals == p.residuals(r.x, r.y, r.z, r.z_box) and r.residuals.worst <= 1e-5
    if not polish:
        assert r.factorisations == 0 and not r.polished
    assert r.events.multiply_adds > 0
    assert r.energy.account.technology == "cmos-45nm" and r.energy.account.joules > 0
    assert r.time.solve_s > 0 and r.time.load_s is None


@pytest.mark.parametrize("seed", range(10))
def test_linear_programs(seed):
    p = feasible_qp(np.random.default_rng(seed), 20, 15, 4, rank=0)
    p = QP.of(None, p.q, p.G, p.h, p.A, p.b, np.maximum(p.lb, -5), np.minimum(p.ub, 5))
    r = solve_qp_problem(p, time_limit=30)
    assert r.status is QPStatus.SOLVED and r.residuals.worst <= 1e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(0, 5), st.integers(0, 3))
def test_nothing_solved_is_wrong(seed, n, k, m):
    p = feasible_qp(np.random.default_rng(seed), n, k, min(m, n), rank=seed % (n + 1))
    r = solve_qp_problem(p, time_limit=10)
    assert r.status in (QPStatus.SOLVED, QPStatus.DUAL_INFEASIBLE)
    if r.status is QPStatus.SOLVED:
        assert p.residuals(r.x, r.y, r.z, r.z_box).worst <= 1e-6
    else:
        assert dual_certificate(p, r.ray["x"]) is not None


@pytest.mark.parametrize("kind", INFEASIBLE)
@pytest.mark.parametrize("n", [5, 60])
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_infeasible_programs_are_proved_so(kind, n, spread):
    p = infeasible(n, kind=kind, spread=spread, seed=1)
    r = solve_qp_problem(p, time_limit=30)
    assert r.status is QPStatus.PRIMAL_INFEASIBLE
    y, z, box = r.ray["y"], r.ray["z"], r.ray["z_box"]
    assert (z >= 0).all() and (box[~np.isfinite(p.ub)] <= 0).all() and (box[~np.isfinite(p.lb)] >= 0).all()
    sizes = abs(p.A).T @ abs(y) + abs(p.G).T @ z
    assert (np.abs(p.A.T @ y + p.G.T @ z + box) <= 1e-8 + 1e-11 * sizes).all()
    lower, upper = np.isfinite(p.lb), np.isfinite(p.ub)
    value = (
        p.b @ y
        + p.h[z > 0] @ z[z > 0]
        + p.lb[lower] @ np.minimum(box, 0)[lower]
        + p.ub[upper] @ np.maximum(box, 0)[upper]
    )
    assert value == pytest.approx(-1)
    assert np.isfinite(r.x).all()


@pytest.mark.parametrize("kind", UNBOUNDED)
@pytest.mark.parametrize("n", [5, 60])
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_unbounded_programs_are_proved_so(kind, n, spread):
    p = unbounded(n, kind=kind, spread=spread, seed=1)
    r = solve_qp_problem(p, time_limit=30)
    assert r.status is QPStatus.DUAL_INFEASIBLE
    x = r.ray["x"]
    assert p.q @ x == pytest.approx(-1)
    for M in (p.P, p.A):
        assert (np.abs(M @ x) <= 1e-8 + 1e-11 * (abs(M) @ abs(x))).all()
    assert (x[np.isfinite(p.lb)] >= 0).all() and (x[np.isfinite(p.ub)] <= 0).all()


def test_certificates_are_not_taken_on_trust():
    p = QP.of(np.eye(2), np.ones(2), A=[[1.0, 1.0]], b=[5.0], lb=0, ub=3)
    nothing = np.zeros(0)
    for y, box in (
        ([1.0], [-1.0, -1.0]),
        ([-1.0], [1.0, 1.0]),
        ([-1.0], [0.0, 0.0]),
        ([0.0], [0.0, 0.0]),
        ([np.nan], [1.0, 1.0]),
    ):
        assert primal_certificate(p, Point(x=np.zeros(2), y=np.array(y), z=nothing, z_box=np.array(box))) is None
    wrong = QP.of(np.eye(2), np.ones(2), A=[[1.0, 1.0]], b=[7.0], lb=0, ub=3)
    assert primal_certificate(wrong, Point(x=np.zeros(2), y=np.array([-1.0]), z=nothing, z_box=np.ones(2))) is not None
    line = QP.of(np.diag([1.0, 0.0]), [0.0, 1.0], G=[[0.0, -1.0]], h=[10.0])
    assert dual_certificate(line, np.array([0.0, -1.0])) is None
    free = QP.of(np.diag([1.0, 0.0]), [0.0, 1.0])
    assert dual_certificate(free, np.array([0.0, -1.0])) is not None
    for direction in ([0.0, 1.0], [-1.0, -1.0], [0.0, 0.0], [0.0, np.inf]):
        assert dual_certificate(free, np.array(direction)) is None


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ({"P": -np.eye(2)}, {"solver": "hpr"}, "P is not positive semidefinite, and hpr solves convex programs; boxqp would take it if it had two finite bounds a variable and nothing else"),
        ({"P": -np.eye(2), "lb": 0, "ub": 1}, {"solver": "rapdhg"}, "P is not positive semidefinite, and rapdhg solves convex programs; solver='boxqp' takes it, since it has only bounds"),
        ({}, {"solver": "hrp"}, "unknown solver 'hrp' (did you mean hpr?); for quadratic programs there are: auto, boxqp, cells, growth, hpr, rapdhg"),
        ({}, {"solver": 3}, "a solver is chosen by its name, not by 3"),
        ({}, {"eps_abs": -1}, "eps_abs must be a finite number, at least 0, not -1"),
        ({}, {"eps_abs": 0}, "eps_abs and eps_rel are both 0: no computed point is exact"),
        ({}, {"time_limit": 0}, "time_limit must be positive and finite, not 0"),
        ({}, {"max_iter": 0}, "max_iter must be an integer from 1 to 2**63 - 1, not 0"),
        ({}, {"seed": -1}, "seed must be an integer from 0 to 2**64 - 1, not -1"),
        ({}, {"backend": "tpu"}, "unknown backend 'tpu'; there are: auto, cpu, cuda"),
        ({}, {"polish": 1}, "polish must be True or False, not 1"),
        ({}, {"callback": 1}, "callback must be a function, not 1"),
        ({}, {"x0": [1.0]}, "x0 has shape (1,), it must be (2,)"),
        ({}, {"y0": [1.0]}, "y0 has shape (1,), it must be (0,)"),
        ({}, {"x0": [1.0, np.nan]}, "x0[1] is not finite"),
        ({}, {"x0": "ab"}, "x0 must be a vector of numbers"),
        ({}, {"solver": "hpr", "speed": 3}, "hpr takes no speed; its settings are presolve, check"),
        ({}, {"solver": "hpr", "check": 0}, "check must be an integer from 1 to 1e6, not 0"),
        ({}, {"solver": "hpr", "presolve": 2}, "presolve must be True or False, not 2"),
        ({"lb": 0, "ub": 1}, {"solver": "hpr", "binary": [True, False]}, "1 variables are binary, and hpr is continuous; boxqp takes them where there are only bounds"),
        ({}, {"weights": "wood"}, "unknown weights 'wood'; there are: ideal, fn-dam, or an FNDAMArray"),
        ({"lb": 0, "ub": 1}, {"weights": "fn-dam", "solver": "hpr"}, "analog weights are for the solver cells, not hpr"),
        ({}, {"technology": "steam"}, "unknown technology"),
    ],
)  # fmt: skip
def test_bad_arguments_get_one_line(arguments, options, message):
    with pytest.raises(InputError) as e:
        solve_qp(**{"P": np.eye(2), "q": np.ones(2), **arguments}, **options)
    assert str(e.value).startswith(message) and "\n" not in str(e.value)


def test_all_variables_fixed():
    r = solve_qp(np.eye(2), np.ones(2), A=[[1.0, 1.0]], b=[3.0], lb=[1, 2], ub=[1, 2])
    assert r.status is QPStatus.SOLVED and r.x.tolist() == [1, 2] and r.residuals.worst == 0
    r = solve_qp(np.eye(2), np.ones(2), A=[[1.0, 1.0]], b=[4.0], lb=[1, 2], ub=[1, 2])
    assert r.status is QPStatus.PRIMAL_INFEASIBLE


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scale_of_the_objective_does_not_matter(method, scale):
    p = feasible_qp(np.random.default_rng(3), 10, 5, 2)
    r = solve_qp_problem(p, solver=method, time_limit=30)
    s = solve_qp(
        p.P * scale, p.q * scale, p.G, p.h, p.A, p.b, p.lb, p.ub, solver=method, eps_abs=0, eps_rel=1e-7, time_limit=30
    )
    assert s.status is QPStatus.SOLVED
    assert s.objective / scale == pytest.approx(r.objective, rel=1e-5, abs=1e-5)


def test_huge_numbers_are_no_traceback():
    r = solve_qp(np.eye(2) * 1e300, np.ones(2) * 1e300, lb=-1e10, ub=1e10, time_limit=2)
    assert isinstance(r.status, QPStatus) and r.x.shape == (2,)


def test_time_limit_and_iteration_limit():
    p = feasible_qp(np.random.default_rng(0), 60, 40, 10, rank=30)
    r = solve_qp_problem(p, eps_abs=1e-30, time_limit=0.3)
    assert r.status is QPStatus.TIME_LIMIT and r.time.build_s + r.time.solve_s < 2
    r = solve_qp_problem(p, eps_abs=1e-30, polish=False, max_iter=500)
    assert r.status is QPStatus.ITERATION_LIMIT and r.iterations == 500


def test_a_run_without_limits_ends():
    r = solve_qp_problem(feasible_qp(np.random.default_rng(0), 5, 3, 1), eps_abs=1e-30)
    assert r.status is QPStatus.FAILED and r.residuals.worst < 1e-9
    r = solve_qp_problem(feasible_qp(np.random.default_rng(0), 5, 3, 1), eps_abs=1e-17)
    assert r.status in (QPStatus.SOLVED, QPStatus.SOLVED_LOWER_ACCURACY)


@pytest.mark.parametrize("method", METHODS)
def test_callback_sees_progress_and_stops(method):
    seen = []
    p = feasible_qp(np.random.default_rng(0), 30, 20, 5)
    solve_qp_problem(p, solver=method, callback=seen.append, time_limit=10)
    assert [s.iterations for s in seen] == sorted(s.iterations for s in seen)
    assert [s.residuals.worst for s in seen] == sorted((s.residuals.worst for s in seen), reverse=True)
    assert seen[-1].residuals.worst <= 1e-6
    r = solve_qp_problem(p, solver=method, callback=lambda s: s.iterations >= 100, eps_abs=1e-30)
    assert r.status is QPStatus.INTERRUPTED and r.x.shape == (30,)


def test_ctrl_c_returns_the_best_so_far():
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.perf_counter()
    r = solve_qp_problem(feasible_qp(np.random.default_rng(0), 60, 40, 10, rank=20), eps_abs=1e-30, time_limit=20)
    assert r.status is QPStatus.INTERRUPTED and time.perf_counter() - started < 10


@pytest.mark.parametrize("method", METHODS)
def test_a_start_at_the_optimum_ends_at_once(method):
    p = feasible_qp(np.random.default_rng(1), 20, 10, 4)
    first = solve_qp_problem(p, solver=method, eps_abs=1e-8, time_limit=20)
    again = solve_qp_problem(p, solver=method, x0=first.x, y0=first.y, z0=first.z)
    assert again.status is QPStatus.SOLVED and again.iterations == 0 and again.factorisations == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_start_nearby_helps(method):
    p = feasible_qp(np.random.default_rng(1), 20, 10, 4)
    first = solve_qp_problem(p, solver=method, eps_abs=1e-8, time_limit=20)
    cold = solve_qp_problem(p, solver=method, polish=False, eps_abs=1e-5, time_limit=20)
    warm = solve_qp_problem(
        p, solver=method, polish=False, eps_abs=1e-5, x0=first.x + 1e-6, y0=first.y, z0=first.z, time_limit=20
    )
    assert warm.status is QPStatus.SOLVED and warm.iterations < cold.iterations


def test_same_seed_same_point():
    p = feasible_qp(np.random.default_rng(5), 20, 10, 4)
    a, b = (solve_qp_problem(p, polish=False, eps_abs=1e-5, seed=1) for _ in range(2))
    assert a.x.tolist() == b.x.tolist() and a.iterations == b.iterations


def test_dense_and_sparse_give_the_same():
    p = feasible_qp(np.random.default_rng(5), 12, 6, 2)
    dense = [M.toarray() for M in (p.P, p.G, p.A)]
    a = solve_qp(np.triu(dense[0]), p.q, dense[1], p.h, dense[2], p.b, p.lb, p.ub, polish=False)
    b = solve_qp(sp.csc_matrix(p.P), p.q, sp.coo_array(p.G), p.h, sp.lil_array(p.A), p.b, p.lb, p.ub, polish=False)
    assert a.x.tolist() == b.x.tolist()


# --- QPSolver ---


@pytest.mark.parametrize("method", METHODS)
def test_solver_object_follows_its_updates(method):
    rng = np.random.default_rng(2)
    p = feasible_qp(rng, 15, 8, 3)
    s = QPSolver(p.P, p.q, p.G, p.h, p.A, p.b, p.lb, p.ub, solver=method)
    first = s.solve(time_limit=20)
    assert first.status is QPStatus.SOLVED
    assert s.solve().iterations == 0
    for change in (
        {"q": p.q + 0.1},
        {"h": p.h + 0.2},
        {"lb": p.lb - 0.1, "ub": p.ub + 0.1},
        {"P": p.P * 2.0},
        {"A": p.A * 1.5, "b": p.b * 1.5},
        {"G": p.G * 0.5},
    ):
        s.update(**change)
        r = s.solve(time_limit=20)
        fresh = solve_qp_problem(s.problem, eps_abs=1e-8, time_limit=20)
        assert r.status is QPStatus.SOLVED
        assert r.objective == pytest.approx(fresh.objective, abs=1e-5)


def test_updates_repeat_neither_scaling_nor_power_iterations(monkeypatch):
    p = feasible_qp(np.random.default_rng(2), 15, 8, 3)
    s = QPSolver(p.P, p.q, p.G, p.h, p.A, p.b, p.lb, p.ub, polish=False)
    s.solve(time_limit=20)

    def refuse(*args, **kwargs):
        raise AssertionError("repeated")

    monkeypatch.setattr("fnanneal.solvers.qp.scaling.Scaling.of", refuse)
    monkeypatch.setattr("fnanneal.solvers.qp.norms._largest", refuse)
    s.update(q=p.q + 0.1, b=p.b, h=p.h)
    assert s.solve(time_limit=20).status is QPStatus.SOLVED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": [1.0]}, "P has shape"),
        ({"h": [1.0]}, "G has 8 rows, h has 1 entries"),
        ({"A": np.ones((3, 15))}, "A has an entry where there was none: build a new QPSolver"),
        ({"P": -np.eye(15)}, "P is not positive semidefinite"),
        ({"lb": np.full(15, np.nan)}, "lb[0] is not a number"),
        ({"A": np.zeros((2, 15)), "b": np.zeros(2)}, "b has 2 entries, the program had 3"),
    ],
)
def test_bad_updates_change_nothing(change, message):
    p = feasible_qp(np.random.default_rng(2), 15, 8, 3)
    s = QPSolver(p.P + sp.eye_array(15), p.q, p.G, p.h, p.A, p.b, p.lb, p.ub)
    before = s.problem
    with pytest.raises(InputError) as e:
        s.update(**change)
    assert str(e.value).startswith(message)
    assert s.problem is before and s.solve(time_limit=20).status is QPStatus.SOLVED


def test_solver_object_takes_convex_methods_only():
    with pytest.raises(InputError, match="QPSolver takes the solvers hpr and rapdhg, not 'boxqp'"):
        QPSolver(np.eye(2), np.ones(2), solver="boxqp")


# --- the collection ---

EASY = "AUG3DC CVXQP1_S DUAL4 DUALC1 GENHS28 HS21 HS268 HS35MOD HS52 KSIP LISWET4 MOSARQP2 PRIMALC5 QBRANDY QCAPRI QPCBLEND QSCAGR7 QSHARE2B STADAT2 TAME UBH1"


@pytest.mark.skipif(not COLLECTION.exists(), reason="the shared data are not here")
@pytest.mark.parametrize("name", EASY.split())
def test_collection(name):
    path = COLLECTION / f"{name}.mat"
    if not path.exists():
        pytest.skip("not among those that are given")
    p = read(path)
    r = solve_qp_problem(p, time_limit=60)
    assert r.status is QPStatus.SOLVED and r.residuals.worst <= 1e-6


@pytest.mark.skipif(not COLLECTION.exists(), reason="the shared data are not here")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["HS35", "DUAL1", "CVXQP1_S", "AUG3DCQP", "STCQP1", "QPCBLEND"])
def test_collection_by_products_alone(name, method):
    p = read(COLLECTION / f"{name}.mat")
    r = solve_qp_problem(p, solver=method, polish=False, eps_abs=1e-6, eps_rel=1e-6, time_limit=60)
    exact = solve_qp_problem(p, time_limit=60)
    assert r.status is QPStatus.SOLVED and r.factorisations == 0
    assert r.objective == pytest.approx(exact.objective, rel=1e-4, abs=1e-4)


def test_public_names():
    assert fnanneal.solve_qp is solve_qp and fnanneal.QPSolver is QPSolver
