"""`load`: every kind of thing that a user may hold."""

from __future__ import annotations

import gzip
import io
import itertools
from fractions import Fraction
from pathlib import Path

import dimod
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from fnanneal import QUBO, FormatError, InputError, Ising, MaxCut, ProblemWarning, load
from fnanneal.problems import formats
from fnanneal.problems.couplings import Couplings

TRIANGLE = b"3 3\n1 2 1\n2 3 -2\n1 3 4\n"


def states(n):
    return [np.array(s, np.int8) for s in itertools.product((-1, 1), repeat=n)]


@st.composite
def matrices(draw, numbers):
    n = draw(st.integers(1, 5))
    q = np.array(draw(st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=n, max_size=n)))
    return np.triu(q) + np.triu(q, 1).T


FORMS = [
    np.asarray,
    np.ndarray.tolist,
    sp.csr_matrix,
    sp.coo_array,
    sp.csc_array,
    sp.dok_array,
    sp.lil_matrix,
    sp.dia_array,
]
FORM_IDS = ["array", "list", "csr", "coo", "csc", "dok", "lil", "dia"]


@pytest.mark.parametrize("form", FORMS, ids=FORM_IDS)
def test_matrix_of_every_form(form):
    w = np.array([[0, 2, 0], [2, 0, -3], [0, -3, 0]])
    graph = load(form(w))
    assert isinstance(graph, MaxCut) and (graph.n, graph.m) == (3, 2)
    assert [graph.objective(s) for s in ([1, 1, 1], [1, -1, 1], [1, -1, -1])] == [0, -1, 2]
    assert load(form(w), "ising").objective([1, -1, 1]) == 1
    assert load(form(w), "qubo").objective([1, 1, 0]) == 4
    assert load(form(w), "qubo").kind == "qubo" and load(form(w), "ising").kind == "ising"


@given(st.sampled_from([st.integers(-9, 9), st.integers(-99, 99).map(lambda k: k / 8)]).flatmap(matrices))
def test_matrix_conventions(q):
    n = len(q)
    off = q - np.diag(np.diag(q))
    cut, ising, qubo = load(off, "maxcut"), load(q, "ising"), load(q, "qubo")
    upper, lower = load(2 * np.triu(q, 1) + np.diag(np.diag(q)), "qubo"), load(np.tril(q), "qubo")
    for s in states(n):
        x = (1 + s.astype(int)) // 2
        assert cut.objective(s) == sum(off[i, j] for i in range(n) for j in range(i) if s[i] != s[j])
        assert ising.objective(s) == s @ off @ s / 2 + np.trace(q)
        assert qubo.objective(s) == upper.objective(s) == x @ q @ x
        assert lower.objective(s) == x @ np.tril(q) @ x


def test_sparse_duplicates_add_up_and_zeros_say_nothing():
    twice = sp.coo_matrix(([1, 1, 1, 1, 0], ([0, 0, 1, 1, 2], [1, 1, 0, 0, 0])), shape=(3, 3))
    assert load(twice) == load([[0, 2, 0], [2, 0, 0], [0, 0, 0]])


def test_diagonal_of_a_graph_is_ignored_with_a_warning():
    with pytest.warns(ProblemWarning, match="1 self-loop ignored"):
        assert load([[5, 1], [1, 0]]).objective([1, -1]) == 1
    with pytest.warns(ProblemWarning, match="2 self-loops ignored"):
        load(np.diag([1, 2]))
    with pytest.warns(ProblemWarning, match="self-loop"):
        load(nx.Graph([(0, 1), (1, 1)]))


MATRICES_REFUSED = [
    ([[0, 1], [2, 0]], "not symmetric"), ([[0, 1], [0, 0]], "not symmetric"), (np.zeros((0, 0)), "empty"), ([], "two-dimensional"),
    ([[]], "square"), (np.zeros((2, 3)), "square"), (np.zeros(4), "two-dimensional"), (np.zeros((2, 2, 2)), "two-dimensional"),
    ([[1, 2], [3]], "different lengths"), ([["a"]], "real"), (np.array([[1j]]), "real"), (np.array([[0, 1], [1, 0]], object), "object"),
    ([[0, None], [None, 0]], "object"), ([[0, 2**70], [2**70, 0]], "object"),
    ([[0, 1, 0], [1, 0, np.nan], [0, np.nan, 0]], "nan at row 1, column 2"), ([[0, 0], [np.inf, 0]], "inf at row 1, column 0"),
    ([[0, 2**61], [2**61, 0]], "too large"), (sp.csr_array([[0.0, np.nan], [np.nan, 0.0]]), "nan at row 0, column 1"),
    (sp.csr_matrix((2, 3)), "square"), (sp.csr_matrix((0, 0)), "empty"), (sp.csr_matrix([[0, 1j], [1j, 0]]), "real"),
    (sp.csr_array([[0, 1], [2, 0]]), "not symmetric"),
]  # fmt: skip


@pytest.mark.parametrize(("matrix", "message"), MATRICES_REFUSED)
def test_matrices_refused(matrix, message):
    with pytest.raises(InputError, match=message) as caught:
        load(matrix)
    assert "\n" not in str(caught.value)


def test_asymmetry_is_refused_for_every_kind():
    for kind in ("maxcut", "ising"):
        with pytest.raises(InputError, match="not symmetric"):
            load([[0, 1], [0, 0]], kind)
    assert load([[1, 3], [0, 0]], "qubo").objective([1, 1]) == 4
    with pytest.raises(InputError, match="not symmetric or triangular"):
        load([[0, 1, 0], [0, 0, 1], [2, 0, 0]], "qubo")


def test_networkx():
    g = nx.Graph()
    g.add_edge("b", "a", weight=2.5)
    g.add_edge("a", ("c", 1))
    model = load(g)
    assert isinstance(model, MaxCut) and model.variables == ("b", "a", ("c", 1))
    assert model.objective({"b": 1, "a": -1, ("c", 1): 1}) == 3.5
    parallel = nx.MultiGraph([(0, 1), (0, 1), (1, 2)])
    assert load(parallel).objective([1, -1, 1]) == 3
    assert load(nx.path_graph([2, 1, 0])).variables is None
    assert load(nx.path_graph([2, 1, 0])).couplings.rows.tolist() == [2, 1]
    assert load(nx.path_graph(["x", "y"]), "ising").variables == ("x", "y")
    assert load(nx.empty_graph(3)).m == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(-5, 5)), min_size=1, max_size=12))
def test_networkx_cut_size(edges):
    g = nx.MultiGraph()
    g.add_nodes_from(range(6))
    g.add_weighted_edges_from((u, v, w) for u, v, w in edges if u != v)
    model = load(g)
    for s in states(6)[::5]:
        assert model.objective(s) == nx.cut_size(g, np.flatnonzero(s > 0).tolist(), weight="weight")


@pytest.mark.parametrize("weight", [np.nan, np.inf, "1", None, 1j, [1]], ids=repr)
def test_networkx_weights_refused(weight):
    g = nx.Graph()
    g.add_edge("u", "v", weight=weight)
    with pytest.raises(InputError, match="edge 'u' to 'v'"):
        load(g)


def test_networkx_refused():
    with pytest.raises(InputError, match="directed"):
        load(nx.DiGraph([(0, 1)]))
    with pytest.raises(InputError, match="empty"):
        load(nx.Graph())


def energies(bqm):
    """dimod's own energy of every state, as {labels' values: energy}."""
    found = dimod.ExactSolver().sample(bqm)
    return {tuple(sorted((str(k), int(v)) for k, v in row.sample.items())): row.energy for row in found.data()}


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
@pytest.mark.parametrize("number", [int, lambda k: k / 4], ids=["integers", "reals"])
def test_bqm(vartype, number):
    bqm = dimod.BQM(
        {"a": number(3), 5: number(-2), ("t", 1): 0},
        {("a", 5): number(7), (5, ("t", 1)): number(-1)},
        number(9),
        vartype,
    )
    model = load(bqm)
    assert isinstance(model, Ising if vartype == "SPIN" else QUBO) and model.integral == (number is int)
    assert model.variables == tuple(bqm.variables)
    for m in (model, load(bqm, "ising"), load(bqm, "qubo")):
        ours = {
            tuple(sorted((str(k), v) for k, v in m.assignment(s).items())): m.objective(m.assignment(s))
            for s in states(3)
        }
        assert ours == energies(bqm.change_vartype("BINARY" if m.kind == "qubo" else "SPIN", inplace=False))
    with pytest.raises(InputError, match="empty"):
        load(dimod.BQM(vartype))


def test_ising_pair():
    pairs = {("a", "b"): 2, ("b", "a"): 1, ("c", "c"): 4}
    model = load(({"a": 1, "b": -1.0}, pairs))
    assert isinstance(model, Ising) and model.variables == ("a", "b", "c") and model.offset == 4
    h, j = {"a": 1, "b": -1, "c": 0}, {("a", "b"): 3}
    assert {m: load((h, j)).objective(s) + 4 for m, s in enumerate(states(3))} == dict(
        enumerate(map(model.objective, states(3)))
    )
    assert load(([1, 2], {(0, 1): 3})).objective([1, -1]) == -4
    assert load((np.array([0.5, 2]), {})).objective([1, 1]) == 2.5
    assert load(({}, {(0, 1): 1})).n == 2 and load(({0: 1}, {}), "maxcut").ancilla


def test_qubo_dictionary():
    model = load({("y", "x"): 2, ("x", "x"): -1, ("x", "y"): 1, ("z", "z"): 5})
    assert isinstance(model, QUBO) and model.variables == ("x", "y", "z")
    assert model.objective({"x": 1, "y": 1, "z": 0}) == 2 and model.integral
    assert load({(0, 1): 1, (1, 1): 2}).variables is None
    assert load({(5, 7): 1}).variables == (5, 7)
    assert load({(1, "a"): 1}).variables == (1, "a"), "labels that do not compare keep their order"
    assert load({(0, 1): 1}, "ising").objective([1, 1]) == 1


@pytest.mark.parametrize(
    "spec",
    [
        {}, ({}, {}), {0: 1}, {(0, 1, 2): 1}, {(0, 1): "a"}, {(0, 1): None}, {(0, 1): np.nan}, {(0, 1): 1j}, {(0, 1): 2**70},
        ({0: "a"}, {}), ({0: np.inf}, {}), ({0: 2**70}, {}), ([1], {(0,): 1}), ("ab", {}), (5, {}), (None, {}), ({0: 1}, {(0, 1): []}),
    ],
    ids=repr,
)  # fmt: skip
def test_dictionaries_refused(spec):
    with pytest.raises(InputError) as caught:
        load(spec)
    assert "\n" not in str(caught.value)


def test_models_pass_through_and_convert():
    model = load(TRIANGLE)
    assert load(model) is model and load(model, "maxcut") is model
    assert load(model, "ising") == model.to_ising() and load(model, "qubo") == model.to_qubo()


@pytest.mark.parametrize("name", ["gset:G1", "G1", "g1", "GSET:g1", " G1 "])
def test_names(name):
    model = load(name)
    assert (model.name, model.n, model.m, model.best_known.value) == ("G1", 800, 19176, 11624)


def test_prefixed_names():
    assert (load("k2000").n, load("k2000").m) == (2000, 1999000)
    assert load("rudy:-rnd_graph 20 50 7") == load("RUDY:-rnd_graph  20 50 7")
    assert load("nx:path_graph(4)").objective([1, -1, 1, -1]) == 3
    assert load("nx:path_graph(4);weights=int(5,5);wseed=1").objective([1, -1, 1, -1]) == 15
    assert load("gen:torus2d(4,4,seed=1)").kind == "ising"
    assert load("gen:torus2d(4,4,seed=1)", "maxcut").kind == "maxcut"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("G999", "did you mean G9"), ("g22x", "did you mean G22"), ("K200", "did you mean K2000"), ("gset:G82", "unknown instance"),
        ("gset:", "unknown instance"), ("G1#2", "no such file"), ("frobnicate", "problems list"), ("", "empty"), ("  ", "empty"),
        ("rudy:", "empty"), ("nx:nope(3)", "no generator"), ("gen:nope(3)", "no family"), ("gen:", "expected NAME"), ("nope.txt", "no such file"),
        ("/nonexistent/G1", "no such file"), ("a\0b.txt", "no file name"),
    ],
)  # fmt: skip
def test_names_refused(name, message):
    with pytest.raises(InputError, match=message) as caught:
        load(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "spec",
    [None, 5, 1.5, object(), {1, 2}, len, ((0, 1), (1, 0)), (1, 2, 3), Fraction(1, 2)],
    ids=lambda x: type(x).__name__,
)
def test_other_things_refused(spec):
    with pytest.raises(InputError, match="cannot make a problem of"):
        load(spec)


@pytest.mark.parametrize("kind", ["cut", 5, ["ising"], "", "Ising"])
def test_unknown_kinds(kind):
    with pytest.raises(InputError, match="unknown kind"):
        load(TRIANGLE, kind)


def test_files(tmp_path, monkeypatch):
    path = tmp_path / "triangle.txt"
    path.write_bytes(TRIANGLE)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(TRIANGLE))
    same = [
        load(path),
        load(str(path)),
        load(TRIANGLE),
        load(bytearray(TRIANGLE)),
        load(packed),
        load(gzip.compress(TRIANGLE)),
    ]
    assert all(m == same[0] for m in same) and same[0].objective([1, -1, 1]) == -1
    assert [m.name for m in same[:4]] == ["triangle", "triangle", "", ""]
    monkeypatch.chdir(tmp_path)
    assert load("packed") == same[0], "a file needs no suffix"
    with pytest.raises(InputError, match="no such file"):
        load("Packed2")


def test_a_file_called_like_an_instance(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("G1").write_bytes(TRIANGLE)
    assert (load("G1").n, load("gset:G1").n, load("g2").n) == (3, 800, 800)
    Path("gset:G2").write_bytes(TRIANGLE)
    assert load("gset:G2").n == 3


def test_second_instance_of_a_file(tmp_path):
    path = tmp_path / "bqp.txt"
    path.write_text("2\n2 1\n1 1 5\n3 2\n1 2 4\n3 3 -1\n")
    assert [load(f"{path}#{k}").n for k in (1, 2)] == [2, 3]
    with pytest.raises(FormatError, match=r"holds 2 problems: pick one .*FILE#1 to FILE#2"):
        load(path)
    for k in (0, 3):
        with pytest.raises(InputError, match=r"index must be|was asked for"):
            load(f"{path}#{k}")
    hashed = tmp_path / "a#2"
    hashed.write_bytes(TRIANGLE)
    assert load(str(hashed)).n == 3, "a file's own name goes first"


def test_files_refused(tmp_path):
    empty = tmp_path / "empty.txt"
    empty.touch()
    binary = tmp_path / "binary.txt"
    binary.write_bytes(bytes(range(256)))
    for spec in (
        tmp_path,
        str(tmp_path),
        empty,
        binary,
        tmp_path / "missing",
        b"",
        b"x",
        b"\x1f\x8bnope",
        b"3 1\n1 2 x\n",
    ):
        with pytest.raises(FormatError) as caught:
            load(spec)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="unknown format"):
        load(TRIANGLE, format="nope")
    with pytest.raises(FormatError, match="line 1"):
        load(TRIANGLE, format="mtx")


def test_a_users_copy_of_g22_has_its_best_known(tmp_path):
    original = load("G22")
    buffer = io.BytesIO()
    formats.write(original, buffer, format="rudy")
    head, *lines = buffer.getvalue().splitlines()
    random = np.random.default_rng(1)
    shuffled = []
    for k in random.permutation(len(lines)):
        u, v, w = lines[k].split()
        shuffled.append(b" ".join((v, u, w) if k % 2 else (u, v, w)))
    path = tmp_path / "mine.txt"
    for text in (buffer.getvalue(), b"\n".join([head, *shuffled]) + b"\n"):
        path.write_bytes(text)
        copy = load(path)
        assert copy == original and copy.name == "mine"
        assert copy.best_known.value == 13359 and copy.best_known.source == original.best_known.source
    path.write_bytes(b"\n".join([head, *lines[:-1], b"1 2 5"]) + b"\n")
    assert load(path).best_known is None


def test_a_graph_of_another_kind_keeps_its_best_known():
    g = nx.Graph()
    c: Couplings = load("G1").couplings
    g.add_weighted_edges_from(zip(c.cols.tolist(), c.rows.tolist(), c.weights.astype(float).tolist(), strict=True))
    assert load(g).best_known.value == 11624
    assert load(load("G1"), "qubo").best_known.value == 19176 - 2 * 11624
