"""Whatever is wrong with a file of a quadratic program, the answer is one line with its place."""

from __future__ import annotations

import contextlib
import gzip
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal.errors import FormatError, InputError
from fnanneal.problems.quadratic.formats import formats, read, sniff
from fnanneal.problems.quadratic.load import load_qp

from .test_qp_formats import BINARY, FILES, LP, MPS, PROGRAM, QPLIB, mat, npz, written


def cut(text, old, new, count=1):
    assert old in text, old
    return text.replace(old, new, count).encode()


WRONG = {
    "mps": [
        (b"hello world\n", "line 1: unknown section 'hello'"),
        (b" X R 1\n", "line 1: expected the name of a section, such as ROWS"),
        (cut(MPS, "ENDATA\n", ""), "the file ends before ENDATA"),
        (b"ROWS\n N C\nCOLUMNS\nENDATA\n", "no columns"),
        (cut(MPS, "ROWS", "OBJSENSE\n  LARGE\nROWS"), "line 4: OBJSENSE must be MIN or MAX, not 'large'"),
        (cut(MPS, "ROWS", "OBJNAME\n  SUM\nROWS"), "no row 'SUM' of type N, which OBJNAME wants for the objective"),
        (cut(MPS, "COLUMNS", "OBJNAME\n  SUM\nCOLUMNS"), "line 7: section OBJNAME comes after ROWS"),
        (cut(MPS, "NAME", "RHS\nNAME"), "line 1: section RHS comes before ROWS"),
        (cut(MPS, "RANGES", "RHS"), "line 15: a second section RHS"),
        (cut(MPS, " G  DIFF", " X  DIFF"), "line 6: expected a row's type (N, L, G or E) and its name"),
        (cut(MPS, " G  DIFF", " G  SUM"), "line 6: a second row 'SUM'"),
        (cut(MPS, "X         DIFF               1.0", "X         DIFF"), "line 9: expected a column and one or two pairs of row and value"),
        (cut(MPS, "X         DIFF               1.0", "X         DIFG               1.0"), "line 9: no row 'DIFG'"),
        (cut(MPS, "X         DIFF               1.0", "X         SUM               1.0"), "line 9: a second entry of column 'X' in row 'SUM'"),
        (cut(MPS, "X         DIFF               1.0", "X         DIFF               nan"), "line 9: the number 'nan' is not a number"),
        (cut(MPS, "X         DIFF               1.0", "X         DIFF               -inf"), "line 9: the number '-inf' is not finite"),
        (cut(MPS, "X         DIFF               1.0", "X         DIFF               1e400"), "line 9: the number '1e400' is too large"),
        (cut(MPS, "X         DIFF               1.0", "X         DIFF               1_0"), "line 9: the number '1_0' is not a number"),
        (cut(MPS, "RHS\n", "    X  DIFF  1\nRHS\n"), "line 12: column 'X' comes again: its entries must stand together"),
        (cut(MPS, "    X  ", "    M1  'MARKER'  'INTORG'\n    X  "), "line 8: integer variables ('INTORG') are not supported"),
        (cut(MPS, "    X  ", "    M1  'MARKER'  'SOSORG'\n    X  "), "line 8: special ordered sets ('SOSORG') are not supported"),
        (cut(MPS, "    RHS       DIFF", "    RHX       DIFF"), "line 14: a second vector 'RHX' in RHS, beside 'RHS': one can be read"),
        (cut(MPS, "    RHS       DIFF", "    RHS       SUM"), "line 14: a second right-hand side of row 'SUM'"),
        (cut(MPS, "    RHS       DIFF", "    RHS       DIGG"), "line 14: no row 'DIGG'"),
        (cut(MPS, "COST              -7.0", "COST               inf"), "line 13: the objective's constant is not finite"),
        (cut(MPS, "DIFF              -1.0\nRANGES", "DIFF              1e30\nRANGES"), "row 'DIFF': the right-hand side 1e+30 counts as infinite"),
        (cut(MPS, "RNG       DIFF", "RNG       COST"), "line 16: a range of 'COST', which is no constraint"),
        (cut(MPS, "    RNG       DIFF               3.0", "    RNG DIFF 3 DIFF 4"), "line 16: a second range of row 'DIFF'"),
        (cut(MPS, " UP BND       Y", " UP BND       W"), "line 19: no column 'W'"),
        (cut(MPS, " UP BND       Y", " UP BND       X"), "line 19: a second upper bound of 'X'"),
        (cut(MPS, " UP BND       Y", " UP BNE       Y"), "line 19: a second vector 'BNE' in BOUNDS, beside 'BND': one can be read"),
        (cut(MPS, " UP BND       Y", " UQ BND       Y"), "line 19: unknown type of bound 'UQ'"),
        (cut(MPS, " UP BND       Y", " BV BND       Y"), "line 19: binary variables are not supported: 'Y' has a bound of type BV"),
        (cut(MPS, " UP BND       Y", " LI BND       Y"), "line 19: integer variables are not supported: 'Y' has a bound of type LI"),
        (cut(MPS, " UP BND       Y", " SC BND       Y"), "line 19: semi-continuous variables are not supported: 'Y' has a bound of type SC"),
        (cut(MPS, " UP BND       Y                  0.7", " UP BND Y"), "line 19: no column 'BND'"),
        (cut(MPS, " UP BND       Y                  0.7", " UP BND Y 0.7 3"), "line 19: expected a bound's type, its vector, a column and a value"),
        (cut(MPS, "Y                  0.7", "Y                 -0.7"),
         "line 19: 'Y' has the upper bound -0.7 and no lower one: some take that for 0, some for -infinity; give one"),
        (cut(MPS, "QUADOBJ", " LO BND X 1\nQUADOBJ"), "column 'X': the lower bound 1 exceeds the upper bound 0.7"),
        (cut(MPS, "    Y         X                  1.0", "    Y         W                  1.0"), "line 22: no column 'W'"),
        (cut(MPS, "    Y         X                  1.0", "    Y  X"), "line 22: expected two columns and a value"),
        (cut(MPS, "    Y         Y", "    X         Y"), "line 23: X Y is also listed as Y X: QUADOBJ lists one triangle, QMATRIX both"),
        (cut(MPS, "    Y         Y", "    X         X"), "line 23: a second entry for X X"),
        (cut(MPS, "QUADOBJ", "QMATRIX"), "QMATRIX is not symmetric: Y X is 1, X Y is 0"),
        (cut(MPS, "ENDATA", "QMATRIX\n X X 1\nENDATA"), "both QUADOBJ and QMATRIX"),
        (cut(MPS, "QUADOBJ", "QSECTION SUM"), "line 20: section QSECTION of the row 'SUM': quadratic constraints are not supported"),
        (cut(MPS, "ENDATA", "QCMATRIX SUM"), "line 24: section QCMATRIX: quadratic constraints are not supported"),
        (cut(MPS, "ENDATA", "SOS"), "line 24: section SOS: special ordered sets are not supported"),
        (cut(MPS, "ENDATA", "CSECTION K 0 QUAD"), "line 24: section CSECTION: cones are not supported"),
        (cut(MPS, "ENDATA", "INDICATORS"), "line 24: section INDICATORS: indicator constraints are not supported"),
    ],
    "lp": [
        (b"hello world\n", "line 1: expected Minimize or Maximize, not 'hello world'"),
        (b"bounds\n x <= 1\n", "line 1: expected Minimize or Maximize first"),
        (cut(LP, "Bounds", "Maximize"), "line 7: a second objective"),
        (cut(LP, "Minimize", "Minimize multi-objectives"), "line 2: several objectives are not supported"),
        (cut(LP, "End\n", ""), "the file ends before End"),
        (cut(LP, "End\n", "End\nx\n"), "line 11: something follows End"),
        (b"min\nend\n", "no variables"),
        (cut(LP, "[ 4", "2 [ 4"), "line 3: expected + or -, not '['"),
        (cut(LP, "] / 2", "]"), "line 3: a bracket of the objective must end with ] / 2"),
        (cut(LP, "] / 2", "] / 3"), "line 3: a bracket of the objective must end with ] / 2"),
        (cut(LP, "x ^ 2", "x ^ 3"), "line 3: only squares are read: expected 2 after ^"),
        (cut(LP, "4 x ^ 2", "4 x"), "line 3: expected ^ 2 or * in a bracket, not '+'"),
        (cut(LP, "2 x * y", "2 x * y * x"), "line 3: products belong in a bracket: [ x ^ 2 + x * y ] / 2"),
        (cut(LP, "x + y +", "x ^ 2 + y +"), "line 3: products belong in a bracket: [ x ^ 2 + x * y ] / 2"),
        (cut(LP, "x + y +", "x y +"), "line 3: expected + or -, not 'y'"),
        (cut(LP, "x + y +", "x + nan y +"), "line 3: the number 'nan' is not a number"),
        (cut(LP, "x + y +", "x + 1e999 y +"), "line 3: the number '1e999' is too large"),
        (cut(LP, "x + y +", "x + inf y +"), "line 3: the number 'inf' is not finite"),
        (cut(LP, "x + y = 1", "x + y"), "line 6: expected + or -, not 'diff'"),
        (cut(LP, "x + y = 1", "x + y 1"), "line 5: expected + or -, not '1'"),
        (cut(LP, "x + y = 1", "x + y = z"), "line 5: expected a number, not 'z'"),
        (cut(LP, "x + y = 1", "x + y = 1 2"), "line 5: expected a new line, not '2'"),
        (cut(LP, "x + y = 1", "x + y = nan"), "line 5: the number 'nan' is not a number"),
        (cut(LP, "x + y = 1", "x + y >= inf"), "line 5: no finite point satisfies this constraint"),
        (cut(LP, "x + y = 1", "2 <= 3"), "line 5: a constraint without a variable"),
        (cut(LP, "x + y = 1", "x + [ y ^ 2 ] <= 1"), "line 5: quadratic constraints are not supported"),
        (cut(LP, "x + y = 1", "x + y * x <= 1"), "line 5: quadratic constraints are not supported"),
        (cut(LP, "x + y = 1", "x = 1 -> y <= 2"), "line 5: indicator constraints are not supported"),
        (cut(LP, "x + y = 1", "x + £ = 1"), "line 5: unexpected '£'"),
        (cut(LP, "<= 2\n", ">= 2\n"), "line 6: a constraint of two sides needs <= twice or >= twice"),
        (cut(LP, "-1 <= x - y", "5 <= x - y"), "line 6: the lower side 5 exceeds the upper side 2"),
        (cut(LP, " x <= 0.7", " z <= 0.7"), "line 8: 'z' is in no constraint and not in the objective"),
        (cut(LP, " x <= 0.7", " x 0.7"), "line 8: expected <=, >=, = or free, not '0.7'"),
        (cut(LP, " x <= 0.7", " 2 x <= 0.7"), "line 8: expected a variable, not '2'"),
        (cut(LP, " x <= 0.7", " x <= -0.7"), "line 8: 'x' has the upper bound -0.7 and no lower one: some take that for 0, some for -infinity; give one"),
        (cut(LP, " x <= 0.7", " 1 <= x <= 0.7"), "line 8: 'x': the lower bound 1 exceeds the upper bound 0.7"),
        (cut(LP, "End", "General\n x\nEnd"), "line 11: integer variables are not supported"),
        (cut(LP, "End", "binary x\nEnd"), "line 10: binary variables are not supported"),
        (cut(LP, "End", "semi-continuous\n x\nEnd"), "line 11: semi-continuous variables are not supported"),
        (cut(LP, "End", "SOS\n s: S1:: x:1\nEnd"), "line 11: special ordered sets are not supported"),
        (cut(LP, "End", "Lazy Constraints\n x <= 1\nEnd"), "line 11: lazy constraints are not supported"),
    ],
    "qplib": [
        (b"x\n", "the file ends before the problem's type"),
        (cut(QPLIB, "CCL", "QQQ"), "line 3: the problem's type must be three letters such as QCL, not 'QQQ'"),
        (cut(QPLIB, "CCL", "CIL"), "line 3: type CIL: integer variables are not supported"),
        (cut(QPLIB, "CCL", "CGL"), "line 3: type CGL: integer variables are not supported"),
        *((cut(QPLIB, "CCL", f"CC{c}"), f"line 3: type CC{c}: quadratic constraints are not supported") for c in "DCQ"),
        (cut(QPLIB, "minimize", "min"), "line 4: the sense must be minimize or maximize, not 'min'"),
        (cut(QPLIB, "2 # variables", "0 # variables"), "line 6: the problem is empty: it has no variables"),
        (cut(QPLIB, "2 # variables", "-2"), "line 6: the number of variables must be an integer from 0, not '-2'"),
        (cut(QPLIB, "2 # variables", "2.5"), "line 6: the number of variables must be an integer from 0, not '2.5'"),
        (cut(QPLIB, "2 # variables", "99999999999"), "line 6: the number of variables is 99999999999: at most 10000000 can be read"),
        (cut(QPLIB, "3 # quadratic", "9 # quadratic"), "line 8: the number of quadratic terms is 9: at most 4 can be read"),
        (cut(QPLIB, "1 1 4\n", "1 3 4\n"), "line 9: index '3' is out of range: expected 1 to 2"),
        (cut(QPLIB, "1 1 4\n", "0 1 4\n"), "line 9: index '0' is out of range: expected 1 to 2"),
        (cut(QPLIB, "1 1 4\n", "1 1\n"), "line 9: quadratic terms: expected 3 values, found 2"),
        (cut(QPLIB, "1 1 4\n", "1 1 nan\n"), "line 9: the number 'nan' is not a number"),
        (cut(QPLIB, "1 1 4\n", "1 2 4\n"), "the quadratic term 2 1 is listed twice, or also as its mirror image"),
        (cut(QPLIB, "7 # constant", "inf # constant"), "line 14: the objective's constant 'inf' is not finite"),
        (cut(QPLIB, "1e30 #", "0 #"), "line 20: the value for infinity is 0: it must be positive"),
        (cut(QPLIB, "1\n2 2\n", "2\n2 2\n2 3\n"), "line 27: right-hand sides: a second value for 2"),
        (cut(QPLIB, "2 0.5\n", "3 0.5\n"), "line 35: index '3' is out of range: expected 1 to 2"),
        (QPLIB[:-10].encode(), "the file ends before the number of names of constraints"),
        (cut(QPLIB, "1 x\n2 y\n0 # names\n", "1 x\n"), "lines are missing: 2 names of variables announced, 1 found"),
        ((QPLIB + "5\n").encode(), "line 42: surplus line"),
    ],
    "mat": [
        (b"hello\n" * 40, "not a MATLAB file of level 5 (versions 5 to 7)"),
        (b"MATLAB 7.3 MAT-file, HDF5", "is a MATLAB 7.3 file: save it with -v7"),
        (mat(P=None), "no variable P: a quadratic program in MATLAB's format holds P, q, r, A, l, u"),
        (mat(q=None), "no variable q: a quadratic program in MATLAB's format holds P, q, r, A, l, u"),
        (mat(q=np.ones(3)), "the shapes do not agree: P is 2 x 2, A is 4 x 2, q has 3 entries"),
        (mat(q=np.ones((2, 2))), "q must be a vector, not 2 x 2"),
        (mat(l=np.ones(3)), "A has 4 rows, l 3 entries and u 4"),
        (mat(P="hello"), "P holds no real numbers"),
        (mat(q=np.array([1j, 2])), "q holds no real numbers"),
        (mat(r=np.ones(2)), "r must be a number, not 1 x 2"),
        (mat(q=np.array([1, np.nan])), "q[1] is nan: it must be finite"),
        (mat(P=np.array([[1, 2], [3, 4.0]])), "P is not symmetric: P[0, 1] = 2, P[1, 0] = 3; give all of it, or its upper triangle alone"),
        (mat(u=np.zeros(4) - 3), "row 0: its lower side 1 exceeds its upper side -3"),
    ],
    "npz": [
        (b"PK\x03\x04 nonsense", "the .npz archive is damaged: File is not a zip file"),
        (written(PROGRAM)[:-30], "the .npz archive is damaged: File is not a zip file"),
        (npz(P=np.eye(2)), "no array q"),
        (npz(q=[1], Q=[1]), "unknown array 'Q': there are P, G, A, q, h, b, lb, ub, constant, sense, binary, name"),
        (npz(q=[1, np.nan]), "q[1] is nan: it must be finite"),
        (npz(q=["a"]), "q must hold real numbers, not <U1"),
        (npz(q=[1j]), "q must hold real numbers, not complex128"),
        (npz(q=np.array([1, None], object)), "an array holds Python objects, which are not read"),
        (npz(q=[1, 2], P=np.eye(3)), "P has shape (3, 3); q has 2 entries, so it must be (2, 2)"),
        (npz(q=[1, 2], lb=3, ub=2), "lb[0] = 3 exceeds ub[0] = 2"),
        (npz(q=[1, 2], G=np.eye(2)), "G and h belong together: h is missing"),
        (npz(q=[1, 2], P_data=[1.0]), "P_indices is missing: a sparse matrix has data, indices, indptr, shape"),
        (npz(q=[1], P=[[1]], P_data=[1.0]), "P is there twice: as an array and as the parts of a sparse matrix"),
        (npz(q=[1], P_data=[1.0], P_indices=[5], P_indptr=[0, 1], P_shape=[1, 1]), "P is no sparse matrix: indices must be < 1"),
        (npz(q=[1], P_data=[1.0], P_indices=[0.5], P_indptr=[0, 1], P_shape=[1, 1]), "P_indices must hold integers, not float64"),
        (npz(q=[1], sense="up"), "sense must be min or max, not 'up'"),
        (npz(q=[1], name=3), "name must be a string"),
        (npz(q=[1], constant=[1, 2]), "constant must be one finite number"),
        (npz(q=[1], constant=np.inf), "constant must be one finite number"),
        (npz(q=[1], binary=[True]), "a binary variable needs two finite bounds"),
        (npz(q=[]), "an empty problem: q has no entries"),
    ],
    "boxqp": [
        (b"x\n", "line 1: expected the number of variables, not 'x'"),
        (b"\n0\n", "line 2: expected the number of variables, not '0'"),
        (b"2\n1 2\n0 1\n1\n", "n = 2 needs 2 + 4 numbers after it, found 5"),
        (b"2\n1 2\n0 1\n1 0 0\n", "n = 2 needs 2 + 4 numbers after it, found 7"),
        (b"2\n1 2\n0 1\n1 x\n", "line 4: the number 'x' is not a number"),
        (b"2\n1 2\n0 nan\n1 3\n", "line 3: the number 'nan' is not a number"),
        (b"2\n1 2\n0 1e999\n1 3\n", "line 3: the number '1e999' is too large"),
        (b"2\n1 2\n0 1\n2 3\n", "Q is not symmetric: row 1 has 1 at 2, row 2 2 at 1"),
        (b"99999999999\n1\n", "n = 99999999999 needs 99999999999 + a number of 22 digits numbers after it, found 1"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [(name, *case) for name, cases in WRONG.items() for case in cases],
    ids=[f"{name}-{k}" for name, cases in WRONG.items() for k in range(len(cases))],
)
def test_wrong_files(name, content, message, tmp_path):
    path = tmp_path / ("file" + formats()[name].suffixes[0])
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: {message}"
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


SOURCES = [
    ("none.mps", None, "no such file"),
    ("folder.mps", ..., "is a directory"),
    ("a.mps", b"", "the file is empty"),
    ("a.lp", b"min x\x00", "line 1: not a text file (it holds the byte 0x00)"),
    ("a.lp", b"min\n \xe9\n", "line 2: not UTF-8 text (byte 0xe9)"),
    ("a.mps", gzip.compress(MPS.encode())[:-9], "the gzip data is cut short"),
    ("a.txt", b"1 2 3\n",
     "the format is not known: neither suffix nor content tell; give a suffix (.mps .qps .lp .qplib .mat .npz .in) or format="),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), SOURCES, ids=[s[2][:20] for s in SOURCES])
def test_bad_sources(name, content, message, tmp_path):
    path = tmp_path / name
    if content is ...:
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    for source in (path, str(path)):
        with pytest.raises(FormatError) as caught:
            load_qp(source)
        assert str(caught.value) == f"{path}: {message}"


def test_what_can_be_loaded():
    assert load_qp(PROGRAM) is PROGRAM
    assert load_qp("gen:portfolio(20, seed=1)").n == 21
    for spec, message in (
        ("", "empty"),
        ("gen:nothing(3)", "gen has no family .* there are portfolio"),
        ("gen:portfolios(3)", "did you mean portfolio"),
        ("gen:portfolio(3, colour=1)", "gen:portfolio: .*colour.*; it is portfolio"),
        ("gen:portfolio(__import__('os'))", "must be plain"),
        (3, "cannot make a quadratic program of int"),
        (None, "cannot make a quadratic program of NoneType"),
    ):
        with pytest.raises(InputError, match=message):
            load_qp(spec)
    with pytest.raises(InputError, match="unknown format 'x': there are mps, lp, qplib, mat, npz, boxqp"):
        read(b"", format="x")


def test_sniff():
    for name, content in FILES.items():
        suffix = name[name.index(".") :]
        assert sniff(content[:200]) == next(k for k, f in formats().items() if suffix in f.suffixes)
    assert sniff(b"2\n1 2\n0 1\n1 0\n") == "boxqp"
    with pytest.raises(InputError, match="not known"):
        sniff(b"")


def test_npz_bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("q.npy", b"x")
    data = bytearray(out.getvalue())
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 2**32 - 2)
    with pytest.raises(FormatError, match=r"damaged|too large|q is no array"):
        read(bytes(data))
    # a header that promises more than there is
    header = npz(q=np.zeros(3)).replace(b"'shape': (3,)", b"'shape': (9,)")
    with pytest.raises(FormatError, match=r"damaged|not an \.npz"):
        read(header)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), name=st.sampled_from([*sorted(FILES), "box.in", "mixed.qplib"]))
def test_noise(data, name):
    """Whatever is done to a file, it is read or refused in one line."""
    content = bytearray({**FILES, "box.in": b"2\n1 2\n0 1\n1 0\n", "mixed.qplib": BINARY.encode()}[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        what = data.draw(st.sampled_from(["cut", "drop", "byte", "word", "line"]))
        if what == "cut":
            del content[at:]
            content = content or bytearray(b"x")
        elif what == "drop":
            del content[at : at + data.draw(st.integers(1, 9))]
            content = content or bytearray(b"x")
        elif what == "byte":
            content[at] = data.draw(st.integers(0, 255))
        elif what == "word":
            words = [
                b" ",
                b"\n",
                b"0",
                b"-1",
                b"1e400",
                b"nan",
                b"[",
                b"]",
                b":",
                b"X",
                b"<=",
                b"999999999",
                b"End",
                b"free",
            ]
            content[at:at] = data.draw(st.sampled_from(words))
        else:
            lines = content.split(b"\n")
            k = data.draw(st.integers(0, len(lines) - 1))
            lines.insert(data.draw(st.integers(0, len(lines))), lines[k])
            content = bytearray(b"\n".join(lines))
    form = next(k for k, f in formats().items() if name[name.index(".") :] in f.suffixes)
    with contextlib.suppress(FormatError):
        read(bytes(content), format=form)
