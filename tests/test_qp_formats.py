"""Files of quadratic programs: one problem in every format, conventions with known optima, round trips."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal.errors import FormatError, InputError
from fnanneal.problems.quadratic.formats import formats, read, write
from fnanneal.problems.quadratic.load import load_qp
from fnanneal.problems.quadratic.program import INFINITE, QP

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
inf = np.inf

# The example of OSQP's documentation with a constant and a row of two sides, which does not bind: optimum 1.88 + 7 at (0.3, 0.7).
PROGRAM = QP.of_ranges(
    [[4, 1], [1, 2]], [1, 1], [[1, 1], [1, -1]], [1, -1], [1, 2], [0, 0], [0.7, 0.7], constant=7, name="demo"
)
MPS = """\
NAME          demo
* a comment
ROWS
 N  COST
 E  SUM
 G  DIFF
COLUMNS
    X         COST               1.0   SUM                1.0
    X         DIFF               1.0
    Y         COST               1.0   SUM                1.0
    Y         DIFF              -1.0
RHS
    RHS       COST              -7.0   SUM                1.0
    RHS       DIFF              -1.0
RANGES
    RNG       DIFF               3.0
BOUNDS
 UP BND       X                  0.7
 UP BND       Y                  0.7
QUADOBJ
    X         X                  4.0
    Y         X                  1.0
    Y         Y                  2.0
ENDATA
"""
LP = """\
\\ a comment
Minimize
 cost: x + y + [ 4 x ^ 2 + 2 x * y + 2 y ^ 2 ] / 2 + 7
Subject To
 sum: x + y = 1
 diff: -1 <= x - y <= 2
Bounds
 x <= 0.7
 0 <= y <= 0.7
End
"""
QPLIB = """\
! a comment
demo  with more words
CCL
minimize

2 # variables
2 # constraints
3 # quadratic terms
1 1 4
2 1 2
2 2 2
1 # default linear coefficient
0
7 # constant
4 # linear terms
1 1 1
1 2 1
2 1 1
2 2 -1
1e30 # infinity
1 # left
1
2 -1
1 # right
1
2 2
0 # lower
0
7D-1 # upper
0
0 # x
0
0 # y
1
2 0.5
0 # z
0
2 # names
1 x
2 y
0 # names
"""


def mat(**changes):
    out = io.BytesIO()
    held = {
        "P": sp.csc_matrix([[4.0, 1], [1, 2]]),
        "q": np.array([[1], [1]]),
        "r": np.array([[7]], np.uint8),
        "A": sp.csc_matrix([[1.0, 1], [1, -1], [1, 0], [0, 1]]),
        "l": np.array([[1.0], [-1], [0], [0]]),
        "u": np.array([[1.0], [2], [0.7], [0.7]]),
        "n": 2,
    }
    scipy.io.savemat(out, {k: v for k, v in (held | changes).items() if v is not None})
    return out.getvalue()


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def written(problem):
    out = io.BytesIO()
    write(problem, out)
    return out.getvalue()


FILES = {
    "demo.mps": MPS.encode(),
    "demo.qps": MPS.encode(),
    "demo.lp": LP.encode(),
    "demo.qplib": QPLIB.encode(),
    "demo.mat": mat(),
    "demo.npz": written(PROGRAM),
}


def same(a, b):
    """Equal to the last bit, in the order of the rows, whatever the names."""
    assert a.summary() | {"name": ""} == b.summary() | {"name": ""}
    assert (a.sense, a.constant) == (b.sense, b.constant)


def both(low, high, rows, **others):
    """A program of rows and sides, without objective."""
    rows = np.atleast_2d(np.asarray(rows, float))
    return QP.of_ranges(None, np.zeros(rows.shape[1]), rows, low, high, **others)


# ---------------------------------------------------------------- one problem in all formats


def test_registry():
    assert tuple(formats()) == ("mps", "lp", "qplib", "mat", "npz", "boxqp")
    suffixes = [s for f in formats().values() for s in f.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert [f.name for f in formats().values() if f.writer] == ["npz"]


@pytest.mark.parametrize("name", FILES)
def test_one_problem_in_every_format(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    problem = read(path)
    same(problem, PROGRAM)
    assert problem.name == "demo" and read(path, name="other").name == "other"
    assert problem.objective([0.3, 0.7]) == pytest.approx(8.88, abs=1e-14)
    x = np.array([2.0, 3.0])
    assert problem.objective(x) == 0.5 * (4 * 4 + 2 * 6 + 2 * 9) + 5 + 7
    packed = tmp_path / (name.upper() + ".GZ")
    packed.write_bytes(gzip.compress(FILES[name]))
    same(read(packed, name="demo"), PROGRAM)
    # standard input has no suffix
    same(load_qp(FILES[name]), PROGRAM)
    with path.open("rb") as f:
        same(load_qp(f), PROGRAM)
    odd = tmp_path / "odd.name"
    odd.write_bytes(FILES[name])
    same(read(odd, format=next(k for k, f in formats().items() if path.suffix in f.suffixes), name="demo"), PROGRAM)
    same(read(odd, name="demo"), PROGRAM)


MAXIMISED = {
    "mps": MPS.replace("ROWS", "OBJSENSE\n    MAX\nROWS").encode(),
    "lp": LP.replace("Minimize", "Maximize").encode(),
    "qplib": QPLIB.replace("minimize", "Maximize").encode(),
    "npz": npz(
        P=np.array([[4, 1], [1, 2]]), q=np.ones(2, np.uint8), G=np.array([[1, -1], [-1, 1]]), h=np.array([2, 1]), A=np.ones((1, 2)), b=[1],
        lb=np.zeros(2), ub=np.array(0.7), constant=7, sense="max", name="demo",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MAXIMISED)
def test_maximised(name):
    problem = read(MAXIMISED[name])
    flipped = QP.of_ranges(
        [[-4, -1], [-1, -2]], [-1, -1], [[1, 1], [1, -1]], [1, -1], [1, 2], [0, 0], [0.7, 0.7], constant=-7, name="demo", sense="max"
    )  # fmt: skip
    same(problem, flipped)
    assert problem.objective([0.3, 0.7]) == pytest.approx(8.88, abs=1e-14)


# ---------------------------------------------------------------- MPS

SHORT = "NAME T\nROWS\n N C\n L R\nCOLUMNS\n X R 1\n Y R 1\n Z R 1\nRHS\n V R 4\n"


def mps(*sections):
    return (SHORT + "\n".join(sections) + "\nENDATA\n").encode()


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (["QUADOBJ", " X X 2", " X Y 3"], [[2, 3, 0], [3, 0, 0], [0, 0, 0]]),
        (["QUADOBJ", " X X 2", " Y X 3"], [[2, 3, 0], [3, 0, 0], [0, 0, 0]]),
        (["QUADOBJ", " Z Y 1", " X Z 1e-300"], [[0, 0, 1e-300], [0, 0, 1], [1e-300, 1, 0]]),
        (["QSECTION C", " X X 2", " X Y 3"], [[2, 3, 0], [3, 0, 0], [0, 0, 0]]),
        (["QMATRIX", " X X 2", " X Y 3", " Y X 3"], [[2, 3, 0], [3, 0, 0], [0, 0, 0]]),
        ([], np.zeros((3, 3))),
    ],
)
def test_mps_quadratic(sections, expected):
    assert (read(mps(*sections)).P.toarray() == expected).all()


@pytest.mark.parametrize(
    ("sections", "lb", "ub"),
    [
        ([], [0, 0, 0], [inf, inf, inf]),
        (["BOUNDS", " UP B X 3", " LO B X -1", " FX B Y 2", " FR B Z"], [-1, 2, -inf], [3, 2, inf]),
        (["BOUNDS", " MI B X", " UP B X -3", " PL B Y", " LO B Z -1D20"], [-inf, 0, -inf], [-3, inf, inf]),
        (["BOUNDS", " UP X 3", " FR Y", " FR B Z 0"], [0, -inf, -inf], [3, inf, inf]),
        (["BOUNDS", " UP B X 1e30", " UP B Y 0", " LO B Z -Infinity"], [0, 0, -inf], [inf, 0, inf]),
    ],
)
def test_mps_bounds(sections, lb, ub):
    problem = read(mps(*sections))
    assert (problem.lb.tolist(), problem.ub.tolist()) == (lb, ub)


@pytest.mark.parametrize(
    ("kind", "rhs", "span", "low", "high"),
    [
        ("E", 3, 2, 3, 5), ("E", 3, -2, 1, 3), ("E", 3, 0, 3, 3), ("L", 3, 2, 1, 3), ("L", 3, -2, 1, 3), ("G", 3, 2, 3, 5), ("G", 3, -2, 3, 5),
        ("E", 3, None, 3, 3), ("L", 3, None, -inf, 3), ("G", 3, None, 3, inf), ("G", None, None, 0, inf), ("L", 1e30, None, -inf, inf),
    ],
)  # fmt: skip
def test_mps_sides(kind, rhs, span, low, high):
    text = SHORT.replace(" L R", f" {kind} R").replace(" V R 4", "" if rhs is None else f" V R {rhs}")
    text += "" if span is None else f"RANGES\n R {span}\n"
    same(read((text + "ENDATA\n").encode()), both([low], [high], [1, 1, 1], lb=np.zeros(3), name="T"))


def test_mps_fixed_format_with_blanks_in_names():
    text = """\
NAME          FIX
ROWS
 N  COST
 L  LIM 1
 G  LIM 2
COLUMNS
    MY X      COST               1.0   LIM 1              1.0
    MY X      LIM 2              1.0
    Y         COST               2.0   LIM 1              1.0
RHS
              LIM 1              4.0   LIM 2              1.0
BOUNDS
 UP BND       MY X               4.0
 MI BND       Y
QUADOBJ
    MY X      Y                  3.0
ENDATA
"""
    problem = read(text.encode())
    expected = QP.of_ranges(
        [[0, 3], [3, 0]], [1, 2], [[1, 1], [1, 0]], [-inf, 1], [4, inf], [0, -inf], [4, inf], name="FIX"
    )
    same(problem, expected)


def test_mps_objective_rows():
    text = SHORT.replace(" N C\n", " N C\n N D\n").replace(" X R 1", " X R 1 C 5\n X D 6")
    assert read(f"{text}ENDATA\n".encode()).q.tolist() == [5, 0, 0]
    assert read(f"{text}ENDATA\n".replace("ROWS", "OBJNAME\n D\nROWS").encode()).q.tolist() == [6, 0, 0]
    for sense in ("MAX", "\n MAXIMISE", "\nMAXIMIZE", "\n max"):
        problem = read(f"{text}ENDATA\n".replace("ROWS", f"OBJSENSE {sense}\nROWS").encode())
        assert (problem.sense, problem.objective([1, 0, 0]), problem.q[0]) == ("max", 5, -5)


# ---------------------------------------------------------------- LP


def lp(objective, rows="x + y >= 1", bounds=""):
    return f"Minimize\n obj: {objective}\nSubject To\n {rows}\nBounds\n {bounds}\nEnd\n".encode()


@pytest.mark.parametrize(
    ("objective", "value"),
    [
        ("x + y", lambda x, y: x + y),
        ("3 x + 4 x - 2y + 0 y", lambda x, y: 7 * x - 2 * y),
        ("-x + -3 y - - 2", lambda x, y: -x - 3 * y + 2),
        ("5 + x - 3", lambda x, y: x + 2),
        ("x + [ 2 x^2 + 3 x*y ]/2", lambda x, y: x + x * x + 1.5 * x * y),
        ("- [ 2 x ^ 2 - 4 y * x + x*y + 4 x^2 ] / 2 + y", lambda x, y: -3 * x * x + 1.5 * x * y + y),
        ("[ x^2 ]/2 + [ y^2 \n + 3 x^2 ] / 2", lambda x, y: 2 * x * x + y * y / 2),
        ("1e-300 x + .5 y + 2.e1", lambda x, y: 1e-300 * x + 0.5 * y + 20),
        ("", lambda x, y: 0.0),
    ],
)
def test_lp_objective(objective, value):
    problem = read(lp(objective))
    order = [0, 1] if "x" not in objective or objective.index("x") < objective.find("y") % 99 else [1, 0]
    for point in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, -3.0]):
        assert problem.objective(np.array(point)[order]) == value(*point)


@pytest.mark.parametrize(
    ("rows", "low", "high"),
    [
        ("x + y <= 3", -inf, 3), ("c: x + y >= 3", 3, inf), ("x + y = 3", 3, 3), ("x + y =< 3", -inf, 3), ("x + y => 3", 3, inf), ("x + y < 3", -inf, 3),
        ("x + y > -3", -3, inf), ("3 <= x + y", 3, inf), ("3 >= x + y", -inf, 3), ("-1 <= x + y <= 2", -1, 2), ("c: 2 >= x + y >= -1", -1, 2),
        ("-inf <= x + y <= 2", -inf, 2), ("x + y + 3 <= 5", -inf, 2), ("2 x - x + y - 1 = 0", 1, 1), ("x + y >= - - 4", 4, inf), ("x\n + y\n <= 3", -inf, 3),
        ("x + y >= -1e30", -inf, inf), ("x + y <= infinity", -inf, inf),
    ],
)  # fmt: skip
def test_lp_constraint(rows, low, high):
    same(read(lp("x + y", rows)), QP.of_ranges(None, [1, 1], [[1, 1]], [low], [high], 0))


def test_lp_constraints_follow_each_other():
    rows = "a: x + y <= 3 b: x >= 1\n 2 <= y\n c: x + 2\n y = 3\n - x - y >= -9"
    with pytest.raises(FormatError, match=r"line 7: expected \+ or -, not 'y'"):
        read(lp("x + y", rows))
    problem = read(lp("x + y", rows.replace("2\n y", "2\n + y")))
    expected = [[1, 1], [1, 0], [0, 1], [1, 1], [-1, -1]], [-inf, 1, 2, 1, -9], [3, inf, inf, 1, inf]
    same(problem, QP.of_ranges(None, [1, 1], *expected, 0))


@pytest.mark.parametrize(
    ("bounds", "lb", "ub"),
    [
        ("", 0, inf), ("x <= 4", 0, 4), ("x >= -4", -4, inf), ("-1 <= x <= 4", -1, 4), ("4 >= x >= -1", -1, 4), ("x free", -inf, inf), ("x FREE\n x <= 3", -inf, 3),
        ("x = 3", 3, 3), ("3 <= x", 3, inf), ("x >= -inf", -inf, inf), ("-infinity <= x <= +infinity", -inf, inf), ("x <= 3\n x <= 4", 0, 4),
        ("x >= -1\n x <= -0.5", -1, -0.5), ("x <= 1e20", 0, inf), ("x <= 5\n x >= -inf", -inf, 5), ("x <= inf", 0, inf), ("-inf <= x <= 4", -inf, 4), ("x >= -2\n x <= inf", -2, inf), ("x <= 0", 0, 0),
    ],
)  # fmt: skip
def test_lp_bounds(bounds, lb, ub):
    problem = read(lp("x + y", bounds=bounds))
    assert (problem.lb.tolist(), problem.ub.tolist()) == ([lb, 0], [ub, inf])


def test_lp_words():
    text = "\\ hi\nMAXIMUM  x + y\ns.t.\n max.1: x + Y_#(1) <= 3\n\nEND\n"
    problem = read(text.encode())
    assert (problem.n, problem.sense, problem.q.tolist()) == (3, "max", [-1, -1, 0])
    assert read(b"minimise\n[ x^2 ] / 2\nend").P.toarray().tolist() == [[1]]


# ---------------------------------------------------------------- QPLIB

# what each type leaves out, in the order of the file
BINARY = "b\nQBN\nmaximize\n2\n1\n2 1 3\n1\n1\n2 -1\n0.5\n1e20\n0\n0\n0\n0\n0\n"
LINEAR = "l\nLCB\nminimize\n2\n1\n1\n2 3\n0\n1e10\n-1e10\n1\n1 0\n1e11\n1\n2 5\n0\n0\n0\n0\n0\n"
MIXED = "m\nQML\nminimize\n3\n1\n1\n1 1 1\n0\n0\n0\n2\n1 1 1\n1 3 1\n1e20\n-1e20\n0\n2\n0\n0\n1\n3 -5\n1\n1\n3 7\n0\n2\n1 2\n2 1\n0\n0\n0\n0\n0\n0\n0\n0\n"


def test_qplib_binary():
    for text in (BINARY, BINARY + "0\n"):
        problem = read(text.encode())
        assert (problem.sense, problem.name, problem.boxed, problem.binary.tolist()) == ("max", "b", True, [True, True])
        assert (problem.lb.tolist(), problem.ub.tolist()) == ([0, 0], [1, 1])
        # half of 3 x2 x1, as it stands below the diagonal
        assert [problem.objective(x) for x in ([0, 0], [1, 0], [0, 1], [1, 1])] == [0.5, 1.5, -0.5, 2.0]


def test_qplib_linear_objective_and_bounds():
    problem = read(LINEAR.encode())
    assert (problem.P.nnz, problem.q.tolist(), problem.rows, problem.binary) == (0, [1, 3], 0, None)
    assert (problem.lb.tolist(), problem.ub.tolist()) == ([0, -inf], [inf, 5])


def test_qplib_mixed():
    problem = read(MIXED.encode())
    assert problem.binary.tolist() == [True, True, False]
    assert (problem.lb.tolist(), problem.ub.tolist()) == ([0, 0, -5], [1, 1, 7])
    assert (problem.G.toarray().tolist(), problem.h.tolist()) == ([[1, 0, 1]], [2])
    for old, new, message in (
        ("2 1\n", "3 1\n", r"variable 3 is an integer in \[-5, 7\]: integer variables are not supported"),
        ("2 1\n", "3 3\n", "variable 3 has the type 3: expected 0, 1 or 2"),
        ("1\n3 7\n", "2\n3 7\n1 -4\n", "variable 1 is binary, and its bounds exclude 0 and 1"),
    ):
        assert old in MIXED
        with pytest.raises(FormatError, match=message):
            read(MIXED.replace(old, new).encode())
    loose = read(MIXED.replace("1\n3 7\n", "3\n3 7\n1 1e20\n2 0\n").encode())
    assert (loose.binary.tolist(), loose.ub.tolist()) == ([True, True, False], [1, 0, 7])


def test_qplib_comments_and_names():
    text = QPLIB.replace("2 # variables", "% one\n   # two\n\n 2 variables").replace(
        "1 x\n", "1 a name of many words\n"
    )
    same(read(text.encode()), PROGRAM)


# ---------------------------------------------------------------- .mat, .npz, box QPs


def test_mat_without_identity_and_with_a_triangle():
    rows = sp.csc_matrix([[1.0, 1], [1, -1]])
    problem = read(mat(A=rows, l=np.array([1.0, -1]), u=np.array([1, 1e20]), P=np.array([[4.0, 1], [0, 2]]), r=None))
    same(problem, QP.of_ranges([[4, 1], [1, 2]], [1, 1], rows, [1, -1], [1, inf]))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8"])
@pytest.mark.parametrize("packed", [False, True])
def test_mat_number_types(dtype, packed):
    out = io.BytesIO()
    held = {
        "P": np.diag([3, 5]).astype(dtype),
        "q": np.array([1, 2], dtype),
        "A": np.ones((3, 2), dtype),
        "l": np.zeros(3, dtype),
        "u": np.arange(1, 4).astype(dtype),
    }
    scipy.io.savemat(out, held | {"A": sp.csc_matrix(held["A"].astype(float))}, do_compression=packed)
    same(read(out.getvalue()), QP.of_ranges(held["P"], held["q"], held["A"], held["l"], held["u"]))


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def test_mat_agrees_with_scipy():
    for path in sorted((DATA / "maros_meszaros").glob("*S*.mat")):
        problem, held = read(path), scipy.io.loadmat(path)
        assert (held["P"] != problem.P).nnz == 0 and np.array_equal(problem.q, held["q"].ravel())
        rows = sp.vstack([problem.A, problem.G])
        assert rows.nnz <= 2 * held["A"].nnz and problem.constant == held["r"].item()


def test_mat_reads_its_own_variables_only():
    out = io.BytesIO()
    held = scipy.io.loadmat(io.BytesIO(mat()))
    scipy.io.savemat(
        out, {k: v for k, v in held.items() if k[0] != "_"} | {"extra": {"a": 1}, "cells": np.array([1, "x"], object)}
    )
    same(read(out.getvalue(), name="demo"), PROGRAM)


def test_npz_dense_sparse_and_absent():
    problem = read(npz(q=[1, 2]))
    same(problem, QP.of(None, [1, 2]))
    parts = sp.csc_array(np.array([[1.0, 0], [5, 6], [0, 3]]))
    held = {f"G_{k}": getattr(parts, k) for k in ("data", "indices", "indptr", "shape")}
    same(
        read(npz(q=[1, 2], h=[1, 2, 3], G_format="csc", P=np.eye(2, dtype=np.float32), lb=0, **held)),
        QP.of(np.eye(2), [1, 2], parts, [1, 2, 3], lb=0),
    )


def test_npz_is_deterministic_and_atomic(tmp_path):
    path = tmp_path / "a.npz"
    write(PROGRAM, path)
    assert path.read_bytes() == written(PROGRAM) and list(tmp_path.iterdir()) == [path]
    same(load_qp(str(path)), PROGRAM)
    with pytest.raises(InputError, match="cannot be written"):
        write(PROGRAM, tmp_path / "none" / "a.npz")
    with pytest.raises(InputError, match="lp files can only be read"):
        write(PROGRAM, tmp_path / "a.lp", format="lp")


real = st.floats(allow_nan=False, allow_infinity=False, width=64).filter(lambda x: abs(x) < 1e150)


@st.composite
def programs(draw):
    n, k, m = draw(st.integers(1, 5)), draw(st.integers(0, 3)), draw(st.integers(0, 3))
    values = st.lists(st.one_of(st.just(0.0), st.just(-0.0), real), min_size=25, max_size=25)

    def matrix(rows):
        return sp.csr_array(np.array(draw(values))[: rows * n].reshape(rows, n))

    def vector(size, *special):
        return np.array(draw(st.lists(st.one_of(real, *map(st.just, special)), min_size=size, max_size=size)), float)

    P = np.triu(matrix(n).toarray())
    sides = np.sort(np.stack([vector(n, -inf, 0.0), vector(n, inf, -0.0)]), axis=0)
    lb, ub = np.minimum(sides[0], 1e300), np.maximum(sides[1], -1e300)
    finite = (np.abs(lb) < INFINITE) & (np.abs(ub) < INFINITE)
    marks = finite & np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    lb, ub = np.where(lb >= INFINITE, -inf, lb), np.where(ub <= -INFINITE, inf, ub)
    return QP.of(
        P, vector(n), matrix(k), np.maximum(vector(k, inf), -0.99 * INFINITE), matrix(m), vector(m), lb, ub, constant=draw(real),
        binary=draw(st.sampled_from([None, marks])), sense=draw(st.sampled_from(["min", "max"])), name=draw(st.text("aé b\n", max_size=4)),
    )  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(programs())
def test_npz_round_trip(problem):
    again = read(written(problem))
    same(again, problem)
    assert again.q.tobytes() == problem.q.tobytes() and again.P.data.tobytes() == problem.P.data.tobytes()
    assert (again.binary is None) == (problem.binary is None)
    assert written(again) == written(problem)


def test_boxqp_maximises():
    problem = read(b"2\n1 -2\n0 3\n3 4\n")
    assert (problem.sense, problem.boxed, problem.lb.tolist(), problem.ub.tolist()) == ("max", True, [0, 0], [1, 1])
    assert [problem.objective(x) for x in ([0, 0], [1, 0], [0, 1], [1, 1])] == [0, 1, 0, 4]
    same(read(b" 2 1 -2 0.0 3 3e0\r\n\r\n+4", format="boxqp"), problem)


def ascent(problem, x):
    """A vertex or a point on an edge where no coordinate improves."""
    P, q = problem.P.toarray(), problem.q
    for _ in range(1000):
        before = x.copy()
        for i in range(problem.n):
            slope = P[i] @ x + q[i] - P[i, i] * x[i]
            points = [0.0, 1.0] + ([min(max(-slope / P[i, i], 0.0), 1.0)] if P[i, i] > 0 else [])
            x[i] = min(points, key=lambda t: 0.5 * P[i, i] * t * t + slope * t)
        if (x == before).all():
            break
    return problem.objective(x)


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
@pytest.mark.parametrize("name", ["spar020-100-1", "spar020-100-2", "spar030-060-2"])
def test_spar_optima(name):
    with (DATA / "boxqp" / "optima.csv").open() as f:
        best = {row["name"]: float(row["optimal_value_of_the_maximisation"]) for row in csv.DictReader(f)}
    problem = read(DATA / "boxqp" / f"{name}.in")
    rng = np.random.default_rng(1)
    found = max(ascent(problem, rng.random(problem.n)) for _ in range(100))
    assert found == pytest.approx(best[name], abs=1e-5)


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def test_all_shared_files_load():
    boxes = [read(path) for path in sorted((DATA / "boxqp").glob("*.in"))]
    assert len(boxes) == 54 and all(p.boxed and p.sense == "max" and p.n == int(p.name[4:7]) for p in boxes)
    collection = [read(path) for path in sorted((DATA / "maros_meszaros").glob("*.mat"))]
    assert len(collection) == 100 and all(p.n and p.sense == "min" and p.binary is None for p in collection)
    bounded = [p.name for p in collection if not np.isfinite(np.concatenate([p.lb, p.ub])).any()]
    assert len(bounded) < 30, "the identity rows are the bounds"


# W. Hock and K. Schittkowski, Test examples for nonlinear programming codes (1981), problems 21, 35, 52, 53, 268
SOLUTIONS = {
    "HS21": ([2, 0], -99.96),
    "HS35": ([4 / 3, 7 / 9, 4 / 9], 1 / 9),
    "HS52": (np.array([-33, 11, 180, -158, 11]) / 349, 1859 / 349),
    "HS53": (np.array([-33, 11, 27, -5, 11]) / 43, 176 / 43),
    "HS268": ([1, 2, -1, 3, -4], 0.0),
}


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
@pytest.mark.parametrize("name", SOLUTIONS)
def test_published_solutions(name):
    x, value = SOLUTIONS[name]
    problem = read(DATA / "maros_meszaros" / f"{name}.mat")
    assert problem.objective(x) == pytest.approx(value, rel=1e-12, abs=1e-9)
    # feasible, and stationary up to multipliers of the rows and bounds that hold with equality
    x = np.asarray(x, float)
    assert (problem.A @ x == pytest.approx(problem.b, abs=1e-12)) and (problem.G @ x <= problem.h + 1e-12).all()
    assert (x >= problem.lb - 1e-12).all() and (x <= problem.ub + 1e-12).all()
    active = problem.G.toarray()[np.abs(problem.G @ x - problem.h) < 1e-9]
    fixed = np.eye(problem.n)[(np.abs(x - problem.lb) < 1e-9) | (np.abs(x - problem.ub) < 1e-9)]
    normals = np.vstack([problem.A.toarray(), active, fixed])
    gradient = problem.P @ x + problem.q
    left = gradient - normals.T @ np.linalg.lstsq(normals.T, gradient, rcond=None)[0] if len(normals) else gradient
    assert np.abs(left).max() < 1e-8


# ---------------------------------------------------------------- an independent reader and writer


def highs_model(path):
    """What HiGHS reads, as a program."""
    highspy = pytest.importorskip("highspy")
    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    assert h.readModel(str(path)) != highspy.HighsStatus.kError
    model = h.getModel()
    lp, H = model.lp_, model.hessian_
    n = lp.num_col_
    lower = sp.csc_array((H.value_, H.index_, H.start_), shape=(n, n)) if H.dim_ else sp.csc_array((n, n))
    P = (lower + sp.tril(lower, -1).T).tocsr()
    A = sp.csc_array((lp.a_matrix_.value_, lp.a_matrix_.index_, lp.a_matrix_.start_), shape=(lp.num_row_, n))
    sense = "max" if lp.sense_ == highspy.ObjSense.kMaximize else "min"
    sign = -1 if sense == "max" else 1
    return QP.of_ranges(
        sign * P, sign * np.array(lp.col_cost_) + 0.0, A, lp.row_lower_, lp.row_upper_, lp.col_lower_, lp.col_upper_, constant=sign * lp.offset_ + 0.0, sense=sense,
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".mps", ".lp"])
@pytest.mark.parametrize("seed", range(12))
def test_files_that_highs_writes_and_reads(seed, suffix, tmp_path):
    highspy = pytest.importorskip("highspy")
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 9)), int(rng.integers(1, 7))
    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    for _ in range(n):
        low, high = np.sort(rng.integers(-5, 5, 2))
        h.addVariable(*[(low, high), (-inf, inf), (0, inf), (low, inf), (-inf, high), (low, low)][rng.integers(6)])
        h.changeColCost(h.getNumCol() - 1, round(float(rng.normal()), 3) or 1.0)
    for _ in range(m):
        low, high = np.sort(rng.normal(size=2))
        low, high = [(low, high), (low, low), (-inf, high), (low, inf)][rng.integers(4)]
        chosen = rng.choice(n, int(rng.integers(1, n + 1)), replace=False).astype(np.int32)
        h.addRow(low, high, len(chosen), chosen, rng.normal(size=len(chosen)))
    full = rng.normal(size=(n, n)) * (rng.random((n, n)) < 0.5)
    full = full @ full.T
    if rng.random() < 0.5:
        h.changeObjectiveSense(highspy.ObjSense.kMaximize)
        full = -full
    lower = sp.csc_array(np.tril(full))
    if lower.nnz:
        h.passHessian(n, lower.nnz, 1, lower.indptr.astype(np.int32), lower.indices.astype(np.int32), lower.data)
    h.changeObjectiveOffset(float(rng.integers(-3, 3)))
    path = tmp_path / f"model{suffix}"
    h.writeModel(str(path))
    ours, theirs = read(path, name="m"), highs_model(path)
    for key in ("P", "G", "A"):
        assert np.allclose(getattr(ours, key).toarray(), getattr(theirs, key).toarray(), rtol=0, atol=1e-15)
    for key in ("q", "h", "b", "lb", "ub", "constant", "sense"):
        assert np.array_equal(getattr(ours, key), getattr(theirs, key)), key


@pytest.mark.parametrize(
    "name", ["HS21", "HS35", "DUALC1", "KSIP", "QSHARE2B", "QPCBLEND", "GENHS28", "QFORPLAN", "DPKLO1", "CVXQP1_S"]
)
def test_the_collection_through_mps(name):
    """Also KSIP, whose 1487 coefficients below 1e-12 HiGHS would drop."""
    path = DATA / "maros_meszaros" / f"{name}.mat"
    if not path.exists():
        pytest.skip("not among the shared data")
    problem = read(path)
    same(read(as_mps(problem).encode(), name=name), problem)


def as_mps(p):
    """MPS text: G as L rows, A as E rows."""
    lines = [
        "NAME T",
        "ROWS",
        " N C",
        *(f" L g{i}" for i in range(p.h.size)),
        *(f" E a{i}" for i in range(p.b.size)),
        "COLUMNS",
    ]
    G, A, P = p.G.tocsc(), p.A.tocsc(), p.P.tocoo()
    for j in range(p.n):
        lines.append(f" x{j} C {p.q[j]!r}")
        for M, letter in ((G, "g"), (A, "a")):
            part = slice(M.indptr[j], M.indptr[j + 1])
            lines += [
                f" x{j} {letter}{i} {v!r}" for i, v in zip(M.indices[part].tolist(), M.data[part].tolist(), strict=True)
            ]
    lines += [
        "RHS",
        f" R C {-p.constant!r}",
        *(f" R g{i} {v!r}" for i, v in enumerate(p.h.tolist())),
        *(f" R a{i} {v!r}" for i, v in enumerate(p.b.tolist())),
    ]
    lines += [
        "BOUNDS",
        *(f" LO B x{j} {v!r}" for j, v in enumerate(p.lb.tolist())),
        *(f" UP B x{j} {v!r}" for j, v in enumerate(p.ub.tolist())),
    ]
    lines += [
        "QMATRIX",
        *(f" x{i} x{j} {v!r}" for i, j, v in zip(P.row.tolist(), P.col.tolist(), P.data.tolist(), strict=True)),
        "ENDATA",
    ]
    return "\n".join(lines).replace("np.float64(", "").replace(")", "")
