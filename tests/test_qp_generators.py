"""The families of quadratic programs: what they promise about sizes, convexity, feasibility, planted solutions and certificates, by linear algebra."""

from __future__ import annotations

import inspect
import time
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal.errors import InputError
from fnanneal.problems.quadratic import drawing, hopeless
from fnanneal.problems.quadratic.applications import huber, lasso, mpc, portfolio, svm
from fnanneal.problems.quadratic.generators import families, from_expression
from fnanneal.problems.quadratic.program import QP
from fnanneal.problems.quadratic.synthetic import box, convex_box, equality, planted_box, random_qp

SMALL = {
    "portfolio": "portfolio(60, 4)",
    "lasso": "lasso(5, 30)",
    "svm": "svm(5, 30)",
    "huber": "huber(5, 30)",
    "mpc": "mpc(6, horizon=4)",
    "random": "random(20, 30)",
    "equality": "equality(20)",
    "box": "box(20, 0.5)",
    "convex_box": "convex_box(30)",
    "infeasible": "infeasible(20)",
    "unbounded": "unbounded(20)",
}


def violation(p: QP, x: Any) -> float:
    """The primal residual."""
    return p.residuals(x, np.zeros(p.b.size), np.zeros(p.h.size), np.zeros(p.n)).primal


def eigenvalues(p: QP) -> Any:
    return np.linalg.eigvalsh(p.P.toarray())


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", families())
def test_the_seed_decides(name: str) -> None:
    text = SMALL[name]
    a, b, c = (from_expression(f"{text[:-1]}, seed={s})") for s in (4, 4, 5))
    assert a.sha256() == b.sha256() != c.sha256()
    assert from_expression(text).sha256() == from_expression(f"{text[:-1]}, seed=0)").sha256()
    assert a.name == f"gen:{text[:-1]}, seed=4)"


@pytest.mark.parametrize("name", families())
def test_every_family_is_documented_and_convex_where_it_says(name: str) -> None:
    make = families()[name]
    assert (inspect.getdoc(make) or "").partition("\n")[0].endswith(".")
    assert inspect.signature(make).parameters["seed"].default == 0
    lowest = eigenvalues(from_expression(SMALL[name]))[0]
    assert lowest < -1 if name == "box" else lowest >= -1e-9


def test_families_are_the_same_for_ever() -> None:
    """Digests written down once, of families without logarithms."""
    assert {text: from_expression(text).sha256()[:16] for text in DIGESTS} == DIGESTS


DIGESTS = {
    "box(8, 1, seed=3)": "92de08241e993259",
    "infeasible(6, 'bounds', seed=1)": "ef5d463a8bce5dff",
    "unbounded(2, 'linear', seed=1)": "0509f7b994601cea",
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("portfoli(10)", "did you mean portfolio"),
        ("nothing()", "there are portfolio, lasso, svm"),
        ("lasso()", "missing a required argument: 'n'; it is lasso(n, m=None, density=0.15, seed=0)"),
        ("lasso(0)", "from 1 to 1e7, not 0"),
        ("lasso(2.0)", "must be an integer"),
        ("lasso(5, density=2)", "at most 1"),
        ("lasso(10000)", "at most 1e8"),
        ("svm(5, penalty=0)", "must be positive"),
        ("huber(5, threshold=-1)", "must be positive"),
        ("portfolio(10, risk_aversion=0)", "must be positive"),
        ("portfolio(10000000, 10000)", "at most 1e8"),
        ("mpc(0)", "from 1 to 2000"),
        ("mpc(1000, horizon=1000)", "at most 1e8"),
        ("random(100000)", "P = MM' would have 1e+10 entries"),
        ("equality(10, 11)", "from 0 to 10"),
        ("box(10, -1)", "at least 0"),
        ("box(100000)", "at most 1e8"),
        ("convex_box(10, condition=0.5)", "at least 1"),
        ("infeasible(1)", "from 2"),
        ("infeasible(10, 'fark')", "kind must be equalities, farkas"),
        ("infeasible(10, [])", "kind must be"),
        ("infeasible(10, spread=13)", "at most 12"),
        ("unbounded(10, 3)", "kind must be linear, null, cone"),
        ("unbounded(10, seed=-1)", "seed must be"),
        ("box(10, seed=1.5)", "seed must be"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(InputError) as e:
        from_expression(text)
    assert message in str(e.value)
    assert "\n" not in str(e.value)


# --- drawing ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(0, 40), cols=st.integers(1, 40), density=st.floats(0, 1), seed=st.integers(0, 99))
def test_drawn_matrices_are_canonical(rows: int, cols: int, density: float, seed: int) -> None:
    m = drawing.draw(rows, cols, density, np.random.RandomState(seed))
    assert m.shape == (rows, cols)
    again = sp.csr_array((m.data, m.indices, m.indptr), shape=m.shape)
    assert again.has_canonical_format
    n = max(rows, 1)
    upper = drawing.draw_upper(n, density, np.random.RandomState(seed), np.ones)
    assert sp.csr_array((upper.data, upper.indices, upper.indptr), shape=upper.shape).has_canonical_format
    assert (sp.triu(upper) != upper).nnz == 0


def test_entries_come_independently_with_their_probability() -> None:
    """Counts by row, column and pair of neighbours against the binomial, within five standard deviations."""
    n, p = 400, 0.03
    m = drawing.draw(n, n, p, np.random.RandomState(2)).toarray() != 0
    for count, trials in ((m.sum(), n * n), (m[:, 0].sum() + m[:, -1].sum(), 2 * n), ((m[:, 1:] & m[:, :-1]).sum(), 0)):
        probability = p if trials else p * p
        trials = trials or n * (n - 1)
        assert abs(count - trials * probability) < 5 * np.sqrt(trials * probability)
    spread = m.sum(axis=0).std() / np.sqrt(n * p * (1 - p))
    assert 0.8 < spread < 1.2
    upper = drawing.draw_upper(n, p, np.random.RandomState(3), np.ones)
    assert abs(upper.nnz - p * n * (n + 1) / 2) < 5 * np.sqrt(p * n * n / 2)
    assert drawing.draw(7, 9, 1, np.random.RandomState(0)).nnz == 63
    assert drawing.draw(7, 9, 0, np.random.RandomState(0)).nnz == 0
    assert drawing.draw_upper(7, 1, np.random.RandomState(0), np.ones).nnz == 28


def test_blocks_beside_and_below() -> None:
    m = drawing.draw(4, 3, 0.5, np.random.RandomState(1))
    wide = drawing.beside(m, (-1.0, 2.0))
    assert (wide.toarray() == np.hstack([m.toarray(), -np.eye(4), 2 * np.eye(4)])).all()
    assert wide.has_sorted_indices
    assert drawing.beside(m, (5.0,), cols=9).shape == (4, 9)
    assert (drawing.below(m, np.arange(3.0)).toarray() == np.vstack([m.toarray(), [0, 1, 2]])).all()


def test_ten_million_entries_are_made_in_seconds() -> None:
    t = time.perf_counter()
    p = lasso(816, density=0.15)
    assert 9.9e6 < p.A.nnz < 1.02e7
    assert time.perf_counter() - t < 20


# --- applications ----------------------------------------------------------------------------------------------------


def test_portfolio_is_what_its_formula_says() -> None:
    n, k = 80, 5
    p = portfolio(n, k, risk_aversion=2.0, seed=1)
    assert (p.n, p.b.size, p.h.size) == (n + k, k + 1, 0)
    A = p.A.toarray()
    F = A[:k, :n].T
    assert 0.4 < (F != 0).mean() < 0.6
    x = np.full(n, 1 / n)
    point = np.concatenate([x, F.T @ x])
    assert violation(p, point) < 1e-14
    D = p.P.diagonal()[:n]
    assert (D >= 0).all() and (np.sqrt(k) > D).all()
    mu = -p.q[:n] * 4
    assert p.objective(point) == pytest.approx(0.5 * (x @ (D * x) + F.T @ x @ (F.T @ x) - mu @ x / 2))
    assert (p.lb[:n] == 0).all() and np.isinf(p.lb[n:]).all() and np.isinf(p.ub).all()
    assert portfolio(1000).b.size == 11


def test_lasso_at_zero_and_its_penalty() -> None:
    n, m = 6, 50
    p = lasso(n, m, density=0.4, seed=2)
    assert (p.n, p.b.size, p.h.size) == (2 * n + m, m, 2 * n)
    D = p.A.toarray()[:, :n]
    x = np.linspace(-1, 1, n)
    point = np.concatenate([x, D @ x - p.b, np.abs(x)])
    assert violation(p, point) < 1e-14
    weight = p.q[-1]
    assert weight == pytest.approx(np.abs(D.T @ p.b).max() / 5)
    assert p.objective(point) == pytest.approx(0.5 * ((D @ x - p.b) ** 2).sum() + weight * np.abs(x).sum())
    assert lasso(3).b.size == 300


def test_svm_is_the_hinge_loss() -> None:
    n, m = 4, 60
    p = svm(n, m, density=1, penalty=3.0, seed=1)
    D = p.G.toarray()[:, :n]
    x = np.linspace(-1, 1, n)
    t = np.maximum(D @ x + 1, 0)
    assert violation(p, np.concatenate([x, t])) < 1e-14
    assert p.objective(np.concatenate([x, t])) == pytest.approx(0.5 * x @ x + 1.5 * t.sum())
    assert violation(p, np.concatenate([x, t - 0.01])) == pytest.approx(0.01)
    big = svm(4, 20000, density=1).G[:, :4].toarray()
    assert abs(big.mean() - 1 / 4) < 0.02 and abs(big.std() - 1 / 2) < 0.02


def test_huber_is_hubers_loss() -> None:
    n, m, M = 3, 40, 0.7
    p = huber(n, m, density=0.6, threshold=M, seed=1)
    D = p.A.toarray()[:, :n]
    x = np.linspace(-1, 1, n)
    r = D @ x - p.b
    u = np.clip(r, -M, M)
    point = np.concatenate([x, u, np.maximum(r - u, 0), np.maximum(u - r, 0)])
    assert violation(p, point) < 1e-14
    loss = np.where(np.abs(r) <= M, r**2, M * (2 * np.abs(r) - M)).sum()
    assert 2 * p.objective(point) == pytest.approx(loss)


@pytest.mark.parametrize(("states", "inputs", "horizon", "seed"), [(1, 1, 1, 0), (4, None, 10, 1), (12, 3, 20, 2)])
def test_control_is_feasible_at_rest_input(states: int, inputs: int | None, horizon: int, seed: int) -> None:
    p = mpc(states, inputs, horizon, seed)
    nu = max(states // 2, 1) if inputs is None else inputs
    assert (p.n, p.b.size) == ((horizon + 1) * states + horizon * nu, (horizon + 1) * states)
    A = p.A.toarray()
    trajectory = [-p.b[:states]]
    if horizon:
        step = A[states : 2 * states, :states]
        assert np.abs(np.linalg.eigvals(step)).max() < 1
        for _ in range(horizon):
            trajectory.append(step @ trajectory[-1])
    point = np.concatenate([*trajectory, np.zeros(horizon * nu)])
    assert violation(p, point) < 1e-12
    assert p.boxed is False and np.isfinite(p.ub).all()


# --- synthetic -------------------------------------------------------------------------------------------------------


def test_random_and_equality_are_feasible() -> None:
    p = random_qp(30, seed=1)
    assert p.h.size == 2 * 300
    assert violation(p, np.zeros(30)) == 0
    assert eigenvalues(p)[0] > 0.0099
    e = equality(40, seed=1)
    assert e.b.size == 20
    assert violation(e, np.linalg.lstsq(e.A.toarray(), e.b)[0]) < 1e-10
    # One linear system gives the answer and its multipliers.
    kkt = np.block([[e.P.toarray(), e.A.toarray().T], [e.A.toarray(), np.zeros((20, 20))]])
    s = np.linalg.lstsq(kkt, np.concatenate([-e.q, e.b]))[0]
    assert e.residuals(s[:40], s[40:], np.zeros(0), np.zeros(40)).worst < 1e-8


def test_box_is_like_spar() -> None:
    p = box(60, 0.3, seed=2)
    assert p.boxed and p.sense == "max" and (p.lb == 0).all() and (p.ub == 1).all()
    Q = -p.P.toarray()
    assert (Q == Q.T).all() and (np.round(Q) == Q).all() and np.abs(Q).max() == 50
    assert 0.25 < (Q != 0).mean() < 0.35
    x = np.linspace(0, 1, 60)
    assert p.objective(x) == pytest.approx(0.5 * x @ Q @ x - p.q @ x)
    values = -box(300, 1, seed=1).P.toarray()[np.triu_indices(300)]
    assert set(values) == set(range(-50, 51))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), condition=st.floats(1, 1e8), seed=st.integers(0, 999))
def test_planted_solutions_solve(n: int, condition: float, seed: int) -> None:
    p, x, z_box = planted_box(n, None, condition, seed)
    assert p.sha256() == convex_box(n, None, condition, seed).sha256()
    assert p.boxed
    found = p.residuals(x, np.zeros(0), np.zeros(0), z_box)
    assert found.worst < 1e-12 * max(1, found.dual_scale, found.gap_scale)
    assert (z_box[np.abs(x) < 1] == 0).all()


# --- without an optimum ----------------------------------------------------------------------------------------------


def feasible_point(p: QP) -> Any:
    """By a linear program: or None."""
    from scipy.optimize import linprog

    bounds = np.stack([p.lb, p.ub], axis=1)
    r = linprog(np.zeros(p.n), p.G if p.h.size else None, p.h if p.h.size else None, p.A if p.b.size else None,
                p.b if p.b.size else None, bounds, method="highs")  # fmt: skip
    return r.x


@settings(max_examples=120, deadline=None)
@given(
    n=st.integers(2, 60),
    kind=st.sampled_from(hopeless.INFEASIBLE),
    spread=st.sampled_from([0.0, 1.0, 4.0, 12.0]),
    seed=st.integers(0, 9999),
)
def test_infeasible_programs_come_with_farkas_rays(n: int, kind: str, spread: float, seed: int) -> None:
    p, ray = hopeless.infeasible_with_ray(n, kind, spread, seed)
    y, z, s = ray["y"], ray["z"], ray["z_box"]
    assert (y.size, z.size, s.size) == (p.b.size, p.h.size, n)
    assert (z >= 0).all()
    assert (s[np.isinf(p.lb)] >= 0).all() and (s[np.isinf(p.ub)] <= 0).all()
    # Exactly: integers and powers of two.
    assert np.abs(p.A.T @ y + p.G.T @ z + s).max() == 0
    up, down = s > 0, s < 0
    value = p.b @ y + p.h @ z + p.ub[up] @ s[up] + p.lb[down] @ s[down]
    assert value == (-hopeless.TILT if kind == "parallel" else -1)


@pytest.mark.parametrize("kind", hopeless.INFEASIBLE)
def test_infeasible_programs_are_infeasible_to_others_too(kind: str) -> None:
    for n, seed in ((2, 1), (20, 2)):
        p = hopeless.infeasible(n, kind, seed=seed)
        assert feasible_point(p) is None
        # And not unbounded as well: the right answer is one.
        assert eigenvalues(p)[0] > 0


@pytest.mark.parametrize("kind", ["equalities", "farkas", "parallel"])
def test_an_infeasible_program_is_feasible_without_its_last_contradiction(kind: str) -> None:
    p = hopeless.infeasible(24, kind, seed=3)
    keep_G, keep_A = np.ones(p.h.size, bool), np.ones(p.b.size, bool)
    (keep_A if kind == "equalities" else keep_G)[1 if kind == "parallel" else -1] = False
    without = QP.of(p.P, p.q, p.G[keep_G], p.h[keep_G], p.A[keep_A], p.b[keep_A], p.lb, p.ub)
    assert feasible_point(without) is not None


@settings(max_examples=120, deadline=None)
@given(
    n=st.integers(2, 60),
    kind=st.sampled_from(hopeless.UNBOUNDED),
    spread=st.sampled_from([0.0, 1.0, 4.0, 12.0]),
    seed=st.integers(0, 9999),
)
def test_unbounded_programs_come_with_their_direction(n: int, kind: str, spread: float, seed: int) -> None:
    p, ray = hopeless.unbounded_with_ray(n, kind, spread, seed)
    d = ray["x"]
    assert np.abs(p.P @ d).max() == 0
    assert p.q @ d == -1
    assert np.abs(p.A @ d).max(initial=0) == 0 and (p.G @ d <= 0).all()
    assert (d[np.isfinite(p.lb)] >= 0).all() and (d[np.isfinite(p.ub)] <= 0).all()


@pytest.mark.parametrize("kind", hopeless.UNBOUNDED)
def test_unbounded_programs_are_feasible(kind: str) -> None:
    for n, seed in ((2, 1), (20, 2)):
        p, ray = hopeless.unbounded_with_ray(n, kind, 1.0, seed)
        x = feasible_point(p)
        assert x is not None
        values = [p.objective(x + t * ray["x"]) for t in (0, 1e3, 1e6)]
        assert values[0] > values[1] > values[2]
        assert eigenvalues(p)[0] > -1e-9 * max(1, eigenvalues(p)[-1])


@pytest.mark.parametrize("make", [hopeless.infeasible, hopeless.unbounded])
def test_spread_is_in_decades(make: Any) -> None:
    entries = np.abs(make(200, "mixed" if make is hopeless.infeasible else "cone", spread=3, seed=1).G.data)
    assert 1e6 < entries.max() / entries.min() < 1e12
