"""Named instances and their cache, networkx generators, our own families, and the language they are asked for in."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from fractions import Fraction
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal import cache
from fnanneal.errors import InputError, ProblemWarning
from fnanneal.problems import families, instances, networks, rudy
from fnanneal.problems.expressions import draw_weights, parse_call, parse_options, split
from fnanneal.problems.known import instances as table
from fnanneal.problems.models import Ising, Model

PM1 = [-1, -1, 1, 1, -1, -1, -1, 1]
INT = [-1, -3, -2, 0, -3, -3, -3, 2]
GAUSS = [1.7886284734303186, 0.43650985051198943, 0.09649746807200862]
DIGESTS = {
    "torus2d(5, 6, seed=1)": "1d39b59000e02aed",
    "torus3d(3, 4, 5, 'int(-9,9)', seed=2)": "bb62f4a675a34a4a",
    "sk(20, seed=3)": "11951bd3edccb992",
    "tile2d(8, mix=(1, 2, 1, 0.5), seed=4)": "324ed459f38e55e5",
    "loops((7, 7), 0.8, seed=5)": "2d3310950f75b107",
    "loops((4, 5, 6), 2, seed=6)": "add1625d8d79ecc2",
    "torus2d(5, 6);weights=int(1,100);wseed=7": "11fcceae01a8f93b",
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FNANNEAL_CACHE", str(tmp_path / "cache"))


def refused(make: object, *arguments: object, **keywords: object) -> str:
    """The one line of an InputError."""
    with pytest.raises(InputError) as e:
        make(*arguments, **keywords)  # type: ignore[operator]
    assert "\n" not in str(e.value)
    assert len(str(e.value)) < 700
    return str(e.value)


# --- named instances and the cache ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["G22", "g22", "gset:G22", "GSET:g22", " G22 "])
def test_names_in_any_case(name: str) -> None:
    p = instances.instance(name)
    assert (p.name, p.n, p.m) == ("G22", 2000, 19990)
    assert p.best_known is not None
    assert p.best_known.value == 13359


def test_unknown_names_come_with_close_ones() -> None:
    assert "K2000" in refused(instances.instance, "K200")
    assert "G81" in refused(instances.instance, "gset:G812")
    assert "G1 to G67" in refused(instances.instance, "something else")
    assert instances.near("k2001") == ["K2000"]


def test_the_second_time_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    first = instances.instance("G32")
    monkeypatch.setattr(rudy, "generate", None)
    again = instances.instance("G32")
    assert rudy.to_text(again.couplings) == rudy.to_text(first.couplings)
    assert again == first
    assert again.couplings.rows.dtype == np.int32
    assert again.couplings.weights.dtype == np.int64
    assert not again.couplings.weights.flags.writeable


def entry() -> Path:
    (found,) = cache.cache_dir().glob("*/*" + cache.SUFFIX)
    return found


@pytest.mark.parametrize("damage", ["empty", "short", "truncated", "flipped", "other", "folder"])
def test_a_damaged_entry_is_made_again(damage: str) -> None:
    good = rudy.to_text(instances.instance("G48").couplings)
    path = entry()
    content = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        middle = len(content) // 2
        bad = {
            "empty": b"",
            "short": content[:31],
            "truncated": content[:-1],
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "other": b"something else altogether",
        }
        path.write_bytes(bad[damage])
    assert rudy.to_text(instances.instance("G48").couplings) == good
    if damage != "folder":
        assert path.read_bytes() == content


def test_an_entry_with_another_stamp_is_as_good_as_none() -> None:
    assert cache.write("instances", "x", "version 1", b"payload")
    assert bytes(cache.read("instances", "x", "version 1") or b"") == b"payload"
    assert cache.read("instances", "x", "version 2") is None
    assert cache.read("instances", "y", "version 1") is None


def test_without_a_writable_folder_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FNANNEAL_CACHE", str(tmp_path / "file" / "cache"))
    assert instances.instance("G11").m == 1600
    assert not cache.write("instances", "x", "stamp", b"payload")


def test_a_failing_write_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert not cache.write("instances", "x", "stamp", b"payload")
    assert list((cache.cache_dir() / "instances").iterdir()) == []


def _load(_: int) -> str:
    return instances.instance("G32").sha256()


def test_several_processes_at_once() -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert set(pool.map(_load, range(6), chunksize=1)) == {table()["G32"].couplings_sha256}
    assert entry().stem == "G32"


def test_a_wrong_graph_is_never_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    other = rudy.generate("-toroidal_grid_2D 25 120")
    monkeypatch.setattr(rudy, "generate", lambda expression: other)
    with pytest.raises(RuntimeError, match="G48: the graph made differs"):
        instances.instance("G48")
    assert not cache.cache_dir().exists()


def test_only_big_expressions_are_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    small = instances.from_rudy("-clique 5")
    assert not cache.cache_dir().exists()
    assert small.name == "rudy:-clique 5"
    first = instances.from_rudy(" -clique 500   -random -200 300 1")
    assert entry().name.startswith("rudy-")
    monkeypatch.setattr(rudy, "generate", None)
    again = instances.from_rudy("-clique 500 -random -200 300 1 ")
    assert again == first
    assert again.name == first.name == "rudy:-clique 500 -random -200 300 1"


def test_clear_removes_what_is_ours_and_nothing_else() -> None:
    assert cache.clear() == 0
    instances.instance("G11")
    size = entry().stat().st_size
    strangers = [cache.cache_dir() / "notes.txt", cache.cache_dir() / "instances" / "mine.npz"]
    for path in strangers:
        path.write_text("keep me")
    assert cache.clear() == size
    assert all(path.read_text() == "keep me" for path in strangers)
    for path in strangers:
        path.unlink()
    cache.write("instances", "x", "stamp", b"12")
    assert cache.clear() == 34
    assert list(cache.cache_dir().iterdir()) == []


def test_the_platform_has_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FNANNEAL_CACHE", "")
    assert "fnanneal" in cache.cache_dir().parts


# --- the language ----------------------------------------------------------------------------------------------------


def test_calls_are_taken_apart() -> None:
    assert parse_call(" f(1, -2.5, 'a', [1, (2, None)], k={'x': True}) ") == (
        "f",
        [1, -2.5, "a", [1, (2, None)]],
        {"k": {"x": True}},
    )
    assert parse_call("petersen_graph") == ("petersen_graph", [], {})
    assert split("f('a;b', 3);weights=int(1,2);wseed=4") == ("f('a;b', 3)", "weights=int(1,2);wseed=4")
    assert split("f(3)") == ("f(3)", "")
    assert parse_options("weights=int(-1, 2); wseed=7") == {"weights": "int(-1, 2)", "wseed": 7}
    assert parse_options("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "f(",
        "f(x)",
        "f(1 + 1)",
        "f(2**99)",
        "f(g(3))",
        "f(*[1])",
        "f(**{'a': 1})",
        "f(a=1, a=2)",
        "f.g(1)",
        "f(1)(2)",
        "(lambda: 1)()",
        "f(1); import os",
        "f(1e999)",
        "f(1j)",
        "f(b'x')",
        "f({1, 2})",
        "f(...)",
        "f(f'{1}')",
        "f([x for x in (1, 2)])",
        "f(0x" + "f" * 20 + ")",
        "f(" + "9" * 5000 + ")",
        "f(" + "[" * 3000 + "]" * 3000 + ")",
        "f(" + "-" * 100_000 + "1)",
        "f('\0')",
    ],
)
def test_anything_but_a_call_with_literals_is_refused(text: str) -> None:
    refused(parse_call, text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    for parse in (parse_call, parse_options):
        try:
            parse(text)
        except InputError as e:
            assert "\n" not in str(e)
    call, options = split(text)
    assert text in (call, f"{call};{options}")


@pytest.mark.parametrize(
    "text",
    [
        "weights",
        "weights=",
        "weights=two",
        "weights=int",
        "weights=int(1)",
        "weights=int(2,1)",
        "weights=int(0.5,1)",
        "weights=int(0,9999999999999999999)",
        "weights=gauss(0,-1)",
        "weights=gauss(nan,1)",
        "weights=gauss(1e999,1)",
        "weights=pm1;weights=pm1",
        "wseed=1",
        "weights=pm1;wseed=-1",
        "weights=pm1;wseed=4294967296",
        "weights=pm1;wseed=1.5",
        "colour=red",
    ],
)
def test_options_that_are_refused(text: str) -> None:
    refused(parse_options, text)


def test_weights_are_the_same_for_ever() -> None:
    """Values written down once: a release that changes them breaks other people's benchmarks."""
    assert draw_weights("unit", 3, 0).tolist() == [1, 1, 1]
    assert draw_weights("pm1", 8, 3).tolist() == PM1
    assert draw_weights("int(-3,3)", 8, 3).tolist() == INT
    assert draw_weights("gauss", 3, 3).tolist() == pytest.approx(GAUSS, rel=1e-14)
    assert draw_weights("gauss(10,0.5)", 3, 3).tolist() == pytest.approx([10 + 0.5 * x for x in GAUSS], rel=1e-14)


def test_the_forms_of_weights() -> None:
    assert set(draw_weights("pm1", 1000, 1).tolist()) == {-1, 1}
    assert set(draw_weights("int(-2,1)", 1000, 1).tolist()) == {-2, -1, 0, 1}
    x = draw_weights("gauss(3,2)", 100_000, 1)
    assert abs(x.mean() - 3) < 0.03
    assert abs(x.std() - 2) < 0.03
    assert "too large" in refused(networks.from_expression, "complete_graph(9);weights=gauss(1e308,1)")


# --- networkx --------------------------------------------------------------------------------------------------------


def test_a_generator_by_name() -> None:
    p = networks.from_expression("random_regular_graph(d=3,n=200,seed=7)")
    g = nx.random_regular_graph(3, 200, seed=7)
    assert {frozenset(e) for e in zip(p.couplings.rows.tolist(), p.couplings.cols.tolist(), strict=True)} == {
        frozenset(e) for e in g.edges()
    }
    assert p.variables is None
    assert p.name == "nx:random_regular_graph(d=3,n=200,seed=7)"
    assert set(p.couplings.weights.tolist()) == {1}


def test_a_seed_that_is_not_given_is_0() -> None:
    a, b = (networks.from_expression(f"gnp_random_graph(30, 0.2{s})") for s in ("", ", seed=0"))
    assert a == b


def test_labels_and_weights_of_networkx_are_kept() -> None:
    p = networks.from_expression("les_miserables_graph")
    g = nx.les_miserables_graph()
    assert p.variables == tuple(g)
    assert p.couplings.weights.sum() == sum(w for _, _, w in g.edges(data="weight"))
    assert networks.from_expression("grid_2d_graph(2,3)").variables == tuple(nx.grid_2d_graph(2, 3))


def test_weights_that_are_asked_for() -> None:
    text = "karate_club_graph();weights=int(1,9);wseed=3"
    p = networks.from_expression(text)
    assert p.name == f"nx:{text}"
    assert p == networks.from_expression("karate_club_graph()", {"weights": "int(1,9)", "wseed": 3})
    assert p != networks.from_expression("karate_club_graph();weights=int(1,9)")
    order = np.lexsort((p.couplings.cols, p.couplings.rows))
    assert p.couplings.weights[order].tolist() == draw_weights("int(1,9)", p.m, 3).tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("random_regular_grap(3, 4)", "did you mean random_regular_graph"),
        ("os(3)", "no generator 'os'"),
        ("read_edgelist('x')", "no generator"),
        ("complete_graph()", "missing a required argument: 'n'; it is nx:complete_graph(n"),
        ("complete_graph(3, backend='x')", "unexpected keyword argument 'backend'"),
        ("complete_graph(-3)", "Negative number of nodes"),
        ("complete_graph(100000001)", "too large"),
        ("circulant_graph(5, [1, 300000000])", "too large"),
        ("complete_graph(100000)", "5e+09 edges"),
        ("hypercube_graph(90000000)", "edges"),
        ("random_regular_graph(3, 21)", "n * d must be even"),
        ("gn_graph(10)", "a directed graph"),
        ("gnp_random_graph(9, 0.5, directed=True)", "a directed graph"),
        ("nonisomorphic_trees(5)", "not an undirected graph"),
        ("is_valid_joint_degree({})", "gives bool"),
        ("empty_graph(0)", "empty"),
        ("ego_graph('a', 'b')", "nx:ego_graph"),
        ('random_regular_graph(__import__("os").system("x"), 3)', "must be plain"),
    ],
)
def test_networkx_refusals(text: str, message: str) -> None:
    assert message in refused(networks.from_expression, text)


def test_nothing_in_an_expression_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for call in (f'open({str(mark)!r}, "w")', f'__import__("pathlib").Path({str(mark)!r}).touch()'):
        for text in (f"complete_graph({call})", f"complete_graph(n={call})", f"complete_graph([{call}])", call):
            refused(networks.from_expression, text)
            refused(families.from_expression, text)
    assert not mark.exists()


def test_parallel_edges_add_up_and_loops_are_ignored() -> None:
    g = nx.MultiGraph()
    g.add_edge("b", "a", weight=2)
    g.add_edge("a", "b", weight=0.5)
    g.add_edge("a", "c")
    g.add_edge("c", "c", weight=7)
    with pytest.warns(ProblemWarning, match="1 self-loop ignored"):
        p = networks.from_graph(g, name="mine")
    assert (p.name, p.variables) == ("mine", ("b", "a", "c"))
    assert p.couplings.weights.tolist() == [2.5, 1]
    with pytest.warns(ProblemWarning):
        assert networks.from_graph(g, weight=None).couplings.weights.tolist() == [2, 1]


def test_integer_labels_in_another_order_stay_the_indices() -> None:
    p = networks.from_graph(nx.Graph([(2, 0), (0, 1)]))
    assert p.variables is None
    assert p.objective([1, -1, 1]) == 1
    assert networks.from_graph(nx.Graph([(1, 2), (2, 3)])).variables == (1, 2, 3)


@pytest.mark.parametrize("weight", ["2", None, float("nan"), float("inf"), 1j, [1], Fraction(10**400)])
def test_weights_that_are_no_numbers_name_the_edge(weight: object) -> None:
    g = nx.Graph([("a", "b"), ("b", "c")])
    g["b"]["c"]["weight"] = weight
    assert "edge 'b' to 'c'" in refused(networks.from_graph, g)


def test_other_graphs_are_refused() -> None:
    assert "to_undirected()" in refused(networks.from_graph, nx.DiGraph([(0, 1)]))
    assert "empty" in refused(networks.from_graph, nx.Graph())
    assert "too large" in refused(networks.from_graph, nx.Graph([(0, 1, {"weight": 10**30})]))


def test_a_graph_without_edges_is_a_problem() -> None:
    p = networks.from_graph(nx.empty_graph(4))
    assert (p.n, p.m, p.objective([1, 1, -1, 1])) == (4, 0, 0)


# --- families --------------------------------------------------------------------------------------------------------


def ground_energy(p: Model) -> float:
    """Over all states, one of every mirrored pair."""
    spins = 2 * ((np.arange(2 ** (p.n - 1))[:, None] >> np.arange(p.n)) & 1).astype(np.int8) - 1
    energy = np.zeros(len(spins))
    for u, v, w in zip(p.couplings.rows, p.couplings.cols, p.couplings.weights, strict=True):
        energy += w * (spins[:, u] * spins[:, v])
    return float(energy.min())


PLANTED = [f"tile2d(4, mix={mix}, seed={s})" for mix in ((1, 1, 1, 1), (1, 0, 0, 0), (0, 0, 0, 1)) for s in (1, 2)]
PLANTED += [f"loops({shape}, {r}, seed=5)" for shape in ((4, 4), (3, 5)) for r in (0, 0.3, 1, 2.5)]


@pytest.mark.parametrize("text", PLANTED)
def test_planted_optima_are_optima(text: str) -> None:
    p = families.from_expression(text)
    assert p.known is not None
    assert p.known.source == "planted by construction"
    assert p.known.value == ground_energy(p)
    assert p.to_maxcut().to_ising().known == p.known


@pytest.mark.parametrize("text", ["tile2d(40, seed=1)", "loops((30, 30), 1.5, seed=2)", "loops((6, 7, 8), 1, seed=2)"])
def test_planted_problems_have_no_other_surface(text: str) -> None:
    """Large ones: integers, no zero couplings, a gauge that hides the planted state, an energy that no state of a descent beats."""
    p = families.from_expression(text)
    assert p.known is not None
    w = p.couplings.weights
    assert w.dtype == np.int64
    assert (w != 0).all()
    assert 0.4 < (w > 0).mean() < 0.6
    rng = np.random.default_rng(1)
    indptr, indices, weights = p.couplings.csr()
    s = rng.choice([-1, 1], p.n)
    for _ in range(5):
        for i in rng.permutation(p.n):
            row = slice(indptr[i], indptr[i + 1])
            if s[i] * (weights[row] @ s[indices[row]]) > 0:
                s[i] = -s[i]
    assert p.known.value < p.objective(s) < 0.5 * p.known.value


def test_tiles_of_every_class() -> None:
    """With one class alone the energy a plaquette is k - 6, and k couplings in four have magnitude 1."""
    for k in (1, 2, 3, 4):
        p = families.from_expression(f"tile2d(10, mix={tuple(int(k == i) for i in (1, 2, 3, 4))}, seed=3)")
        assert p.known is not None
        assert (p.m, p.known.value) == (200, 50 * (k - 6))
        assert (abs(p.couplings.weights) == 1).sum() == 50 * k
        assert (np.bincount(p.couplings.rows, minlength=100) + np.bincount(p.couplings.cols, minlength=100) == 4).all()


def test_lattices() -> None:
    p = families.torus2d(3, 4, seed=1)
    g = nx.grid_2d_graph(3, 4, periodic=True)
    edges = {frozenset((4 * a + b, 4 * c + d)) for (a, b), (c, d) in g.edges()}
    assert {frozenset(e) for e in zip(p.couplings.rows.tolist(), p.couplings.cols.tolist(), strict=True)} == edges
    assert isinstance(p, Ising)
    p = families.torus3d(3, 4, 5, "unit")
    g3 = nx.grid_graph((5, 4, 3), periodic=True)
    edges = {frozenset((a * 4 + b) * 5 + c for a, b, c in e) for e in g3.edges()}
    assert {frozenset(e) for e in zip(p.couplings.rows.tolist(), p.couplings.cols.tolist(), strict=True)} == edges
    p = families.sk(6, seed=2)
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    assert list(zip(p.couplings.rows.tolist(), p.couplings.cols.tolist(), strict=True)) == pairs
    assert families.sk(5, "gauss", 1).couplings.weights.dtype == np.float64


@pytest.mark.parametrize("text", [*PLANTED[:1], "loops((4,4,4))", "torus2d(4,4)", "torus3d(3,3,3,'gauss')", "sk(9)"])
def test_the_seed_decides(text: str) -> None:
    with_seed = text[:-1].partition(", seed")[0]
    a, b, c = (families.from_expression(f"{with_seed}, seed={s})") for s in (4, 4, 5))
    assert a == b
    assert a != c


def test_families_are_the_same_for_ever() -> None:
    """Digests written down once, of integer problems."""
    assert {text: families.from_expression(text).sha256()[:16] for text in DIGESTS} == DIGESTS


def test_every_family_shows_itself() -> None:
    for name, family in families.families().items():
        assert family.signature.startswith(f"{name}(")
        assert family.summary.endswith(".")
        assert "seed=0" in family.signature


def test_other_weights() -> None:
    p = families.from_expression("torus2d(4,5);weights=gauss(1,2);wseed=9")
    assert p.name == "gen:torus2d(4,5);weights=gauss(1,2);wseed=9"
    assert p.couplings.weights.dtype == np.float64
    assert "planted" in refused(families.from_expression, "tile2d(8);weights=pm1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tors2d(3,3)", "did you mean torus2d"),
        ("nothing()", "there are torus2d, torus3d, sk, tile2d, loops"),
        ("torus2d(3)", "missing a required argument: 'cols'; it is torus2d(rows, cols"),
        ("torus2d(2,3)", "from 3 to 1e8, not 2"),
        ("torus2d(3.0,3)", "must be an integer"),
        ("torus2d(True,3)", "must be an integer"),
        ("torus2d('3',3)", "must be an integer"),
        ("torus3d(9000,9000,9000)", "vertices: at most 1e8"),
        ("torus3d(300,300,300)", "edges: at most 5e7"),
        ("torus2d(3,3,'two')", "weights must be"),
        ("torus2d(3,3,None)", "weights must be"),
        ("torus2d(3,3,seed=-1)", "seed must be"),
        ("torus2d(3,3,seed=None)", "seed must be"),
        ("sk(0)", "from 1 to 1e8"),
        ("sk(20000)", "edges: at most 5e7"),
        ("tile2d(6,mix=(1,1))", "four relative frequencies"),
        ("tile2d(6,mix=(0,0,0,0))", "positive, finite sum"),
        ("tile2d(6,mix=(1,-1,1,1))", "at least 0"),
        ("tile2d(6,mix=(1e308,1e308,1,1))", "positive, finite sum"),
        ("tile2d(7)", "must be even"),
        ("tile2d(2)", "from 4 to 1e8"),
        ("tile2d(90000000)", "vertices: at most 1e8"),
        ("loops(16)", "two or three sides"),
        ("loops((4,))", "two or three sides"),
        ("loops((4,4),-1)", "at least 0"),
        ("loops((4,4),1e300)", "too many"),
        ("loops((4,'a'))", "must be an integer"),
    ],
)
def test_family_refusals(text: str, message: str) -> None:
    assert message in refused(families.from_expression, text)


def test_no_warnings_are_left_behind() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(families.from_expression, r"sk('\d')")
        refused(families.from_expression, "sk(1or 2)")
