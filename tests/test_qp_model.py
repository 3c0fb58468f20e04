"""`QP`: what it accepts, what it makes of it, and how it judges."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from fnanneal import QP, InputError
from fnanneal.qpresult import Residuals

INF = np.inf


def test_upper_triangle_and_full_matrix_are_the_same_program():
    full = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 4.0]])
    whole = QP.of(full, np.ones(3))
    for given_P in (np.triu(full), sp.triu(full), sp.csc_matrix(full), sp.coo_array(full), sp.lil_matrix(full)):
        assert (QP.of(given_P, np.ones(3)).P != whole.P).nnz == 0
    diagonal = QP.of(np.diag([1.0, 2.0]), np.ones(2))
    assert diagonal.P.toarray().tolist() == [[1, 0], [0, 2]]


def test_duplicates_are_summed_and_indices_sorted():
    P = sp.coo_array(([1.0, 2.0, 3.0], ([0, 0, 1], [0, 0, 1])), shape=(2, 2))
    A = sp.csr_array((np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([0, 3])), shape=(1, 2))
    p = QP.of(P, np.ones(2), A=A, b=[1.0])
    assert p.P.toarray().tolist() == [[3, 0], [0, 3]]
    assert p.A.indices.tolist() == [0, 1] and p.A.data.tolist() == [2, 4]


def test_the_callers_arrays_are_copied():
    P, q, lb = np.eye(2), np.ones(2), np.zeros(2)
    p = QP.of(P, q, lb=lb)
    P[0, 0], q[0], lb[0] = 9, 9, 9
    assert p.P[0, 0] == 1 and p.q[0] == 1 and p.lb[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"q": []}, "an empty problem: q has no entries"),
        ({"q": [1.0, np.nan]}, "q[1] is nan: it must be finite"),
        ({"q": "ab"}, "q must be a vector of numbers"),
        ({"q": np.ones((2, 2))}, "q must be a vector, not of shape (2, 2)"),
        ({"P": np.eye(3)}, "P has shape (3, 3); q has 2 entries, so it must be (2, 2)"),
        ({"P": np.ones(4)}, "P must be a matrix, not of shape (4,)"),
        ({"P": [["a", "b"], ["c", "d"]]}, "P must be a matrix of numbers, dense or SciPy sparse"),
        ({"P": [[1, np.inf], [np.inf, 1]]}, "P[0, 1] is inf: it must be finite"),
        (
            {"P": [[1, 2], [3, 4]]},
            "P is not symmetric: P[0, 1] = 2, P[1, 0] = 3; give all of it, or its upper triangle alone",
        ),
        (
            {"P": [[1, 0], [3, 4]]},
            "P is not symmetric: P[0, 1] = 0, P[1, 0] = 3; give all of it, or its upper triangle alone",
        ),
        ({"G": np.ones((1, 2))}, "G and h belong together: h is missing"),
        ({"b": [1.0]}, "A and b belong together: A is missing"),
        ({"G": np.ones((1, 3)), "h": [1.0]}, "G has shape (1, 3); q has 2 entries, so it must be (any, 2)"),
        ({"G": np.ones((2, 2)), "h": [1.0]}, "G has 2 rows, h has 1 entries"),
        ({"G": np.ones((1, 2)), "h": [np.nan]}, "h[0] is not a number"),
        ({"G": np.ones((1, 2)), "h": [-np.inf]}, "h[0] is -infinity: no point satisfies that row"),
        ({"A": np.ones((1, 2)), "b": [np.inf]}, "b[0] is inf: it must be finite"),
        ({"lb": [0, np.nan]}, "lb[1] is not a number"),
        ({"lb": [0, 2], "ub": [1, 1]}, "lb[1] = 2 exceeds ub[1] = 1"),
        ({"lb": [0, np.inf]}, "lb[1] is infinity: no value is left"),
        ({"ub": [0, -np.inf]}, "ub[1] is -infinity: no value is left"),
        ({"lb": [0, 0, 0]}, "lb has 3 entries, there are 2"),
        ({"binary": [1, 0]}, "binary must be 2 booleans"),
        ({"binary": [True, False]}, "a binary variable needs two finite bounds"),
    ],
)
def test_bad_input_gets_one_line(arguments, message):
    with pytest.raises(InputError) as e:
        QP.of(**{"P": np.eye(2), "q": np.ones(2), **arguments})
    assert str(e.value) == message


def test_what_is_nearly_symmetric_is_made_so():
    P = np.array([[1.0, 0.5], [0.5 + 1e-13, 1.0]])
    p = QP.of(P, np.ones(2))
    assert p.P[0, 1] == p.P[1, 0]


def test_huge_bounds_are_infinite():
    p = QP.of(np.eye(2), np.ones(2), np.ones((1, 2)), [1e20], lb=-1e30, ub=[1e20, 5.0])
    assert p.h[0] == INF and (p.lb == -INF).all() and p.ub.tolist() == [INF, 5.0]


def test_two_sided_rows():
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    p = QP.of_ranges(np.eye(2), np.ones(2), rows, [1, -INF, 0, -INF], [1, 2, 3, INF])
    assert p.A.toarray().tolist() == [[1, 0]] and p.b.tolist() == [1]
    assert p.G.toarray().tolist() == [[0, 1], [1, 1], [-1, -1]] and p.h.tolist() == [2, 3, 0]
    with pytest.raises(InputError, match=r"row 1: its lower side 3 exceeds its upper side 2"):
        QP.of_ranges(np.eye(2), np.ones(2), rows[:2], [0, 3], [1, 2])


def test_residuals_by_hand():
    # min (x1^2 + x2^2)/2 - x1, x1 + x2 = 1, x2 <= 0.25 (as a row), x1 >= 0: at (0.9, 0.2) with y = 0.5, z = 0.1, z_box = (-0.3, 0).
    p = QP.of(np.eye(2), [-1.0, 0.0], [[0.0, 1.0]], [0.25], [[1.0, 1.0]], [1.0], [0.0, -INF], None)
    r = p.residuals([0.9, 0.2], [0.5], [0.1], [-0.3, 0.0])
    assert r.primal == pytest.approx(0.1, abs=1e-15)
    # Stationarity: (0.9 - 1 + 0.5 - 0.3, 0.2 + 0.5 + 0.1) = (0.1, 0.8).
    assert r.dual == pytest.approx(0.8)
    # x'Px = 0.85, q'x = -0.9, b'y = 0.5, h'z = 0.025, lb'z_box = 0.
    assert r.gap == pytest.approx(0.475)
    assert r.sign == 0
    assert (r.primal_scale, r.dual_scale) == pytest.approx((1.1, 1.0))


@pytest.mark.parametrize(
    ("z", "z_box", "wrong"),
    [([-0.2], [0, 0], 0.2), ([0], [0, 0.3], 0.3), ([0], [-0.1, 0], 0.0), ([0], [0.4, 0], 0.4)],
)
def test_signs_are_judged(z, z_box, wrong):
    p = QP.of(np.eye(2), np.ones(2), [[1.0, 0.0]], [5.0], lb=[0.0, -INF])
    assert p.residuals(np.zeros(2), [], z, z_box).sign == pytest.approx(wrong)


def test_a_wrong_sign_that_the_other_residuals_accept():
    # min x^2/2, x <= 1: x = 1 with z = -1 has no primal, dual or gap residual.
    p = QP.of([[1.0]], [0.0], [[1.0]], [1.0])
    r = p.residuals([1.0], [], [-1.0], [0.0])
    assert (r.primal, r.dual, r.gap, r.sign) == (0, 0, 0, 1)
    assert r.excess(1e-6, 0) == pytest.approx(1e6)


def test_multipliers_of_infinite_rows_count_as_signs():
    p = QP.of([[1.0]], [0.0], [[1.0]], [INF])
    assert p.residuals([0.0], [], [0.5], [0.0]).sign == 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_no_numbers_are_infinitely_wrong(bad):
    p = QP.of(np.eye(2), np.ones(2))
    r = p.residuals([bad, 0], [], [], [0, 0])
    assert r.worst == INF and r.excess(1.0, 1.0) == INF


def test_overflow_is_infinitely_wrong():
    p = QP.of(np.eye(2) * 1e300, np.ones(2))
    assert p.residuals([1e200, 0], [], [], [0, 0]).worst == INF


def test_sense_and_constant():
    p = QP.of([[2.0]], [1.0], constant=3.0, sense="max")
    assert p.objective([1.0]) == -5.0
    assert QP.of([[2.0]], [1.0], constant=3.0).objective([1.0]) == 5.0


def test_excess():
    r = Residuals(primal=2e-6, dual=1e-7, gap=0, sign=0, primal_scale=10, dual_scale=1, gap_scale=1)
    assert r.excess(1e-6, 0) == pytest.approx(2)
    assert r.excess(0, 1e-6) == pytest.approx(0.2)
    exact = Residuals(primal=0, dual=0, gap=0, sign=0, primal_scale=0, dual_scale=0, gap_scale=0)
    assert exact.excess(0, 1e-6) == 0


def test_the_digest_is_of_the_numbers():
    p = QP.of(np.eye(2), np.ones(2), lb=0)
    assert p.sha256() == QP.of(sp.eye(2), [1, 1], lb=[0, 0], name="other").sha256()
    assert p.sha256() != QP.of(np.eye(2), np.ones(2), lb=1).sha256()


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_residuals_vanish_at_constructed_solutions(n, seed):
    rng = np.random.default_rng(seed)
    F = rng.integers(-3, 4, (n, n)).astype(float)
    x = rng.integers(-3, 4, n).astype(float)
    A = rng.integers(-2, 3, (1, n)).astype(float)
    y = rng.integers(-3, 4, 1).astype(float)
    z_box = rng.integers(-3, 4, n).astype(float)
    q = -(F.T @ F @ x) - A.T @ y - z_box
    lb, ub = np.where(z_box < 0, x, x - 1), np.where(z_box > 0, x, x + 1)
    p = QP.of(F.T @ F, q, A=A, b=A @ x, lb=lb, ub=ub)
    assert p.residuals(x, y, [], z_box).worst <= 1e-9
