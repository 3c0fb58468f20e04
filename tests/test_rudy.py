"""rudy against the published digests, and against a slow reading of its specification."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal.errors import InputError
from fnanneal.problems.couplings import Couplings
from fnanneal.problems.known import instances
from fnanneal.problems.rudy import Flip, generate, to_text

from . import oracles_rudy as oracle


@pytest.mark.parametrize("name", list(instances()))
def test_every_named_instance_has_the_published_text(name: str) -> None:
    i = instances()[name]
    c = generate(i.expression).couplings
    assert (c.n, c.m) == (i.n, i.m)
    assert hashlib.sha256(to_text(c)).hexdigest() == i.text_sha256


@pytest.mark.parametrize("name", ["G1", "G18", "G32", "G70", "K2000"])
def test_the_content_digest_of_the_table_finds_the_best_known_cut(name: str) -> None:
    i = instances()[name]
    p = generate(i.expression)
    assert p.sha256() == i.couplings_sha256
    assert p.best_known == i.best_known


@pytest.mark.parametrize("seed", [0, 1, 314159, 2**31 - 1, 2**31 + 5, -7])
def test_random_numbers(seed: int) -> None:
    slow, fast, scalar = oracle.GBFlip(seed), Flip(seed), Flip(seed)
    numbers = [slow.next() for _ in range(10_000)]
    pieces = [fast.draws(k) for k in (1, 53, 0, 1, 55, 110, 9_780)]
    assert np.concatenate(pieces).tolist() == numbers
    assert [scalar.unif(2**31) for _ in range(10_000)] == numbers


@pytest.mark.parametrize("m", [1, 2, 1000, 2**30 + 1, 3 * 2**29, 2**31 - 1, 2**31])
def test_uniform_integers(m: int) -> None:
    """Half of the draws are rejected for m just above 2^30."""
    slow, fast, scalar = oracle.GBFlip(5), Flip(5), Flip(5)
    numbers = [slow.unif(m) for _ in range(500)]
    assert np.concatenate([fast.uniform(m, 200), fast.uniform(m, 300)]).tolist() == numbers
    assert [scalar.unif(m) for _ in range(500)] == numbers


def test_the_published_check_of_gb_flip() -> None:
    """The Stanford GraphBase's own test of its generator: seed -314159, first number, then unif(0x55555555) after 133 more."""
    flip = Flip(-314159)
    assert flip.unif(2**31) == 119318998
    for _ in range(133):
        flip.unif(2**31)
    assert flip.unif(0x55555555) == 748103812


seeds = st.integers(-5, 2**31 + 5)
percents = st.one_of(st.integers(0, 100).map(str), st.decimals(0, 100, places=2).map(str))


@st.composite
def graphs(draw: st.DrawFn, n: int | None = None) -> str:
    """An expression of one graph; on n vertices where n is given."""
    kind = draw(st.sampled_from(["rnd", "planar", "clique"] + ["torus"] * (n is None or n == 12)))
    size = draw(st.integers(3, 14)) if n is None else n
    if kind == "rnd":
        return f"-rnd_graph {size} {draw(percents)} {draw(seeds)}"
    if kind == "planar":
        return f"-planar {size} {draw(percents)} {draw(seeds)}"
    if kind == "clique":
        return f"-clique {size}"
    return "-toroidal_grid_2D 3 4" if n else f"-toroidal_grid_2D {draw(st.integers(3, 5))} {draw(st.integers(3, 5))}"


@st.composite
def operators(draw: st.DrawFn) -> str:
    lo, span = draw(st.integers(-9, 9)), draw(st.sampled_from([0, 1, 6, 2**30]))
    k = draw(st.integers(-4, 4))
    choices = ["", f"-random {lo} {lo + span} {draw(seeds)}", f"-times {k}", f"-plus {k}"]
    return " ".join(draw(st.lists(st.sampled_from(choices), max_size=3)))


@st.composite
def expressions(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        return f"{draw(graphs())} {draw(operators())}"
    n = draw(st.sampled_from([3, 7, 12]))
    parts = [f"{draw(graphs(n))} {draw(operators())}" for _ in range(draw(st.integers(2, 3)))]
    return " ".join(parts) + " +" * (len(parts) - 1) + " " + draw(operators())


@settings(max_examples=200, deadline=None)
@given(expressions())
def test_any_expression_gives_the_text_of_the_specification(expression: str) -> None:
    assert to_text(generate(expression).couplings) == oracle.text(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "-spinglass2pm 3 3 50 1",
        "-spinglass2pm 4 5 0 9",
        "-spinglass2pm 5 3 100 9",
        "-spinglass3pm 3 4 5 33.3 7",
        "-spinglass3pm 5 4 3 50 123456",
        "-rnd_graph 40 100 3",
        "-rnd_graph 1 100 3",
        "-clique 1",
        "-planar 3 50 1",
        "-rnd_graph 60 3 1 -random 0 1 4 -rnd_graph 60 90 2 + -times -3",
        "-rnd_graph 5 0 1 -rnd_graph 5 0 2 +",
    ],
)
def test_corners(expression: str) -> None:
    assert to_text(generate(expression).couplings) == oracle.text(expression)


def test_pairs_are_distinct_and_the_weights_integers() -> None:
    c = generate("-planar 50 80 1 -rnd_graph 50 60 2 +").couplings
    again, loops = Couplings.build(c.n, c.rows, c.cols, c.weights)
    assert (again.m, again.sha256()) == (c.m, c.sha256())
    assert not loops.any() and c.integral


def test_a_sparse_graph_on_many_vertices() -> None:
    """Too many vertices for a table of pairs, and 30000 * 29999 * 0.05 / 200 = 224992.5, half up."""
    c = generate("-rnd_graph 30000 0.05 1").couplings
    assert c.m == 224993
    assert Couplings.build(c.n, c.rows, c.cols, c.weights)[0].m == c.m


def test_text_of_other_weights() -> None:
    c, _ = Couplings.build(3, [2, 0], [0, 1], [0.5, -1.25])
    assert to_text(c) == b"3 2 \n3 1 0.5\n1 2 -1.25\n"
    c, _ = Couplings.build(2, [], [], [])
    assert to_text(c) == b"2 0 \n"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "the expression is empty"),
        ("-rnd_graph 10 101 1", "percentage from 0 to 100, not 101"),
        ("-rnd_graph 10 -1 1", "percentage from 0 to 100, not -1"),
        ("-planar 10 100.5 1", "percentage from 0 to 100, not 100.5"),
        ("-spinglass2pm 3 3 200 1", "percentage"),
        ("-rnd_graph 0 10 1", "at least 1 vertex"),
        ("-rnd_graph -4 10 1", "at least 1 vertex"),
        ("-planar 2 100 1", "at least 3 vertices, not 2"),
        ("-toroidal_grid_2D 2 5", "sides of at least 3"),
        ("-toroidal_grid_2D 5 0", "sides of at least 3"),
        ("-spinglass3pm 3 3 2 50 1", "sides of at least 3"),
        ("-clique 3 -clique 4 +", "same vertices, not 3 and 4"),
        ("-clique 3 +", "+ needs two graphs"),
        ("-random 0 1 2", "-random needs a graph before it"),
        ("-clique 3 -clique 3", "2 graphs are left"),
        ("-clique 3 -simplex 4", "unknown operator '-simplex'"),
        ("-clique 3 -clique 3 x", "unknown operator 'x'"),
        ("-clique", "-clique takes n: n is missing"),
        ("-rnd_graph 10 5", "seed is missing"),
        ("-rnd_graph 10 5 -random", "seed must be an integer"),
        ("-clique 3.5", "n must be an integer"),
        ("-rnd_graph 10 nan 1", "D must be a decimal number"),
        ("-rnd_graph 10 1e1 1", "D must be a decimal number"),
        ("-clique ٣", "n must be an integer"),
        ("-clique 3 -random 5 4 1", "lo <= hi"),
        ("-clique 3 -random 0 2147483648 1", "at most 2**31 values"),
        ("-clique 3 -times 0.5", "k must be an integer"),
        ("-spinglass2pm 3 3 50 1 -times 2", "must stand alone"),
        ("-clique 9 -spinglass2pm 3 3 50 1 +", "must stand alone"),
        ("-clique 10001", "edges: at most 5e7"),
        ("-clique 999999999999999999", "1e+18 vertices"),
        ("-rnd_graph 200000000 0 1", "2e+08 vertices"),
        ("-rnd_graph 100000000 50 1", "edges: at most 5e7"),
        ("-planar 99999999 1 1", "edges: at most 5e7"),
        ("-toroidal_grid_2D 100000 100000", "vertices: at most 1e8"),
        ("-spinglass3pm 300 300 300 50 1", "edges: at most 5e7"),
        ("-clique 5 -times 999999999999999999 -times 999999999999999999", "weights too large"),
        ("-clique 100 -random 0 1 1 -plus 999999999999999999", "too large"),
    ],
)
def test_refusals(expression: str, message: str) -> None:
    with pytest.raises(InputError) as e:
        generate(expression)
    assert message in str(e.value)
    assert "\n" not in str(e.value)


def _best_cut(c: Couplings, starts: int = 128, sweeps: int = 50) -> int:
    """The best cut of many short anneals of an unweighted graph, side by side."""
    w = np.zeros((c.n, c.n), np.float32)
    w[c.rows, c.cols] = w[c.cols, c.rows] = 1
    rng = np.random.default_rng(1)
    s = rng.choice(np.array([-1, 1], np.float32), (c.n, starts))
    field = w @ s
    for temperature in [*np.linspace(3, 0.1, sweeps), 0, 0, 0]:
        noise = temperature * rng.exponential(size=s.shape)
        for i in range(c.n):
            step = np.where(-s[i] * field[i] < noise[i], -2 * s[i], 0).astype(np.float32)
            s[i] += step
            field += np.outer(w[:, i], step)
    return round(float((c.m - (s * field).sum(axis=0).min() / 2) / 2))


def test_the_g05_60_graphs_of_the_biq_mac_library_have_their_optima() -> None:
    """Graphs of another library that rudy made: the seeds 6000 to 6009 give the optima published for g05_60.0 to .9."""
    optima = [536, 532, 529, 538, 527, 533, 531, 535, 530, 533]
    assert [_best_cut(generate(f"-rnd_graph 60 50 {6000 + i}").couplings) for i in range(10)] == optima
