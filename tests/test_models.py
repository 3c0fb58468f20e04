"""The three models: exact conversions, exact objectives, immutability, content digests, and what is refused."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnanneal import QUBO, BestKnown, InputError, Ising, MaxCut
from fnanneal.problems.couplings import Couplings, as_weights

INTEGERS = st.integers(-60, 60)
BINARY = st.integers(-4000, 4000).map(lambda k: k / 16)  # quotients by 4 and all small sums stay exact
REALS = st.floats(-1e6, 1e6, allow_subnormal=False)
LABELS = ("a", "b", ("c", 1), 7, "ancilla", "ancilla_")


def states(n):
    return [np.array(s, np.int8) for s in itertools.product((-1, 1), repeat=n)]


def graph(n, edges):
    return Couplings.build(n, [e[0] for e in edges], [e[1] for e in edges], [e[2] for e in edges])[0]


@st.composite
def couplings(draw, numbers=INTEGERS, largest=5):
    n = draw(st.integers(1, largest))
    ends = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(ends, ends, numbers), max_size=10))
    return graph(n, edges)


@st.composite
def models(draw, kind=None, numbers=INTEGERS):
    c = draw(couplings(numbers))
    kind = draw(st.sampled_from(["ising", "qubo", "maxcut"])) if kind is None else kind
    variables = LABELS[: c.n] if draw(st.booleans()) else None
    if kind == "maxcut":
        return MaxCut(couplings=c, variables=variables, name="x")
    linear = draw(st.lists(numbers, min_size=c.n, max_size=c.n))
    offset = draw(numbers)
    if kind == "ising":
        return Ising(couplings=c, fields=linear, offset=offset, variables=variables, name="x")
    return QUBO(couplings=c, linear=linear, offset=offset, variables=variables, name="x")


def exact(model, spins):
    """The objective by its definition, in rationals."""
    s = [int(x) for x in spins]
    c = model.couplings
    ends = zip(c.rows.tolist(), c.cols.tolist(), strict=True)
    pairs = [(i, j, Fraction(w)) for (i, j), w in zip(ends, c.weights.tolist(), strict=True)]
    if model.kind == "maxcut":
        return sum((w * (1 - s[i] * s[j]) / 2 for i, j, w in pairs), Fraction(0))
    if model.kind == "qubo":
        s = [(1 + x) // 2 for x in s]
        linear = model.linear.tolist()
    else:
        linear = model.fields.tolist()
    total = sum((w * s[i] * s[j] for i, j, w in pairs), Fraction(model.offset))
    return total + sum(Fraction(h) * x for h, x in zip(linear, s, strict=True))


def total(c):
    return sum(Fraction(w) for w in c.weights.tolist())


@given(models())
def test_objective_of_integers_is_the_definition_and_an_int(model):
    assert model.integral
    for s in states(model.n):
        value = model.objective(s)
        assert type(value) is int and value == exact(model, s)


@given(models(numbers=REALS))
def test_objective_of_reals_is_rounded_once(model):
    for s in states(model.n):
        assert model.objective(s) == float(exact(model, s))


@given(st.sampled_from([INTEGERS, BINARY]).flatmap(lambda x: models(numbers=x)))
def test_ising_and_qubo_keep_every_energy(model):
    ising, qubo = model.to_ising(), model.to_qubo()
    assert (ising.kind, qubo.kind) == ("ising", "qubo")
    for s in states(model.n):
        energy = ising.objective(s)
        assert qubo.objective(s) == energy == exact(ising, s) == exact(qubo, s)
        if model.kind == "maxcut":
            assert energy == model.offset + total(model.couplings) - 2 * model.objective(s)
        else:
            assert energy == model.objective(s)


@given(st.sampled_from([INTEGERS, BINARY]).flatmap(lambda x: models(numbers=x)))
def test_maxcut_keeps_every_energy(model):
    cut = model.to_maxcut()
    ising = model.to_ising()
    assert cut.ancilla == bool(ising.fields.any()) and cut.n == ising.n + cut.ancilla
    weight = total(cut.couplings)
    for s in states(cut.n):
        folded = cut.fold(s)
        assert folded.shape == (ising.n,) and folded.dtype == np.int8
        assert ising.objective(folded) == cut.offset + weight - 2 * cut.objective(s)
        assert cut.objective(-s) == cut.objective(s)


@given(models(numbers=INTEGERS))
def test_integers_stay_integers(model):
    if model.kind == "qubo":
        scaled = model.to_ising().scaled(4)
        assert scaled.integral and all(scaled.objective(s) == 4 * model.objective(s) for s in states(model.n))
    else:
        assert model.to_ising().integral and model.to_qubo().integral and model.to_maxcut().integral


@given(models(numbers=BINARY))
def test_round_trips_are_the_identity(model):
    ising, qubo = model.to_ising(), model.to_qubo()
    assert qubo.to_ising() == ising and ising.to_qubo() == qubo
    back = ising.to_maxcut().to_ising()
    assert (back, back.offset, back.variables, back.name) == (ising, ising.offset, ising.variables, "x")
    assert back.to_maxcut() == ising.to_maxcut()
    if model.kind == "maxcut":
        assert ising.to_maxcut() == model and qubo.to_maxcut() == model
    if model.kind == "qubo":
        assert back.to_qubo() == model


@given(models())
def test_labels_and_names_are_kept(model):
    cut = model.to_maxcut()
    for other in (model.to_ising(), model.to_qubo()):
        assert (other.variables, other.name) == (model.variables, "x")
    assert cut.name == "x"
    if model.variables is None or not cut.ancilla:
        assert cut.variables == model.variables
    else:
        assert cut.variables[:-1] == model.variables and cut.variables[-1] not in model.variables


@given(models(numbers=BINARY))
def test_best_known_is_converted(model):
    every = [model.objective(s) for s in states(model.n)]
    best = max(every) if model.sense == "max" else min(every)
    model = dataclasses.replace(model, known=BestKnown(value=best, source="enumeration"))
    for other in (model.to_ising(), model.to_qubo(), model.to_maxcut()):
        every = [other.objective(s) for s in states(other.n)]
        best = max(every) if other.sense == "max" else min(every)
        assert other.best_known == BestKnown(value=best, source="enumeration")
    assert model.to_ising().scaled(3).best_known.value == 3 * model.to_ising().best_known.value


def test_conversion_by_hand():
    # 2 x0 x1 - x0 + 3 x1 + 5 with x = (1 + s)/2
    qubo = QUBO(couplings=graph(2, [(0, 1, 2)]), linear=[-1, 3], offset=5)
    ising = qubo.to_ising()
    assert ising.couplings.weights.tolist() == [0.5]
    assert ising.fields.tolist() == [0, 2] and ising.offset == 6.5
    assert qubo.objective([1, 0]) == 4 and qubo.objective([1, -1]) == 4
    assert qubo.assignment([1, -1]) == {0: 1, 1: 0} and ising.assignment([1, -1]) == {0: 1, 1: -1}
    cut = Ising(couplings=graph(2, [(0, 1, -3)]), fields=[1, 0], offset=7, variables=("u", "v")).to_maxcut()
    assert cut.variables == ("u", "v", "ancilla") and cut.offset == 7
    assert cut.fold([1, 1, -1]).tolist() == [-1, -1]


def test_ising_of_a_known_graph_knows_its_energy():
    from fnanneal import load

    cut = load("G1")
    assert dataclasses.replace(cut.to_ising(), known=None).best_known.value == 19176 - 2 * 11624
    assert dataclasses.replace(cut, known=None, name="mine").best_known.value == 11624


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(-3, 3)), min_size=1), st.randoms())
def test_equality_ignores_order_and_orientation(edges, random):
    other = [(v, u, w) if random.random() < 0.5 else (u, v, w) for u, v, w in edges]
    random.shuffle(other)
    a, b = MaxCut(couplings=graph(5, edges)), MaxCut(couplings=graph(5, other), name="another")
    assert a == b and hash(a) == hash(b) and a.sha256() == b.sha256()
    more = MaxCut(couplings=graph(5, [*edges, (0, 1, 1)]))
    assert a != more and a.sha256() != more.sha256()


def test_what_tells_models_apart():
    c = graph(3, [(0, 1, 1), (1, 2, 2)])
    base = Ising(couplings=c)
    others = [
        Ising(couplings=c, offset=1),
        Ising(couplings=c, fields=[0, 0, 1]),
        Ising(couplings=c, variables=("a", "b", "c")),
        Ising(couplings=graph(4, [(0, 1, 1), (1, 2, 2)])),
        Ising(couplings=c.replace_weights([1.5, 2])),
        MaxCut(couplings=c),
        QUBO(couplings=c),
        "a string",
    ]
    assert all(base != other for other in others)
    digests = {m.sha256() for m in [base, *others[:2], *others[3:-1]]}
    assert len(digests) == 7
    assert base == Ising(couplings=graph(3, [(2, 1, 2), (1, 0, 1), (0, 2, 0)])), "a zero weight says nothing"
    assert base == Ising(couplings=c, variables=(0, 1, 2), fields=[0.0, 0.0, 0.0], offset=0.0)


def test_digests_are_for_ever():
    # A change here would lose every best-known value and refuse every checkpoint.
    c = graph(3, [(0, 1, 1), (2, 1, -2)])
    assert MaxCut(couplings=c).sha256() == "c430cffc5c62dba089a67fcf27774886ab7ed7dfeaaadd495641d808154342da"
    assert (
        Ising(couplings=c, fields=[1, 0, -1], offset=3).sha256()
        == "612f0c4caf665937e905275713beb8a9909b2a8a813b1b000c8d0ad1b0197b2e"
    )
    assert (
        QUBO(couplings=c.replace_weights([0.5, -2])).sha256()
        == "6026a8e2822790d30aad6026cc074e41a97fd7310621b0b756f8164c8e9094d2"
    )


def test_nothing_can_be_changed():
    rows, weights, fields = np.array([0]), np.array([1.5]), np.array([1, 2])
    c, _ = Couplings.build(2, rows, [1], weights)
    model = Ising(couplings=c, fields=fields)
    rows[0], weights[0], fields[0] = 1, 9, 9
    assert c.rows.tolist() == [0] and c.weights.tolist() == [1.5] and model.fields.tolist() == [1, 2]
    qubo = QUBO(couplings=c, linear=fields)
    for a in (c.rows, c.cols, c.weights, model.fields, qubo.linear, *c.csr(), c.replace_weights(weights).weights):
        with pytest.raises(ValueError, match="read-only"):
            a[0] = 1
    for thing, name in ((c, "n"), (model, "offset"), (model, "couplings"), (qubo, "linear"), (model, "name")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, 1)
    assert model.named("new").name == "new" and model.name == ""


@given(couplings())
def test_csr_holds_both_directions(c):
    indptr, indices, weights = c.csr()
    ends = np.repeat(np.arange(c.n), np.diff(indptr))
    expected = {(i, j): w for i, j, w in zip(c.rows.tolist(), c.cols.tolist(), c.weights.tolist(), strict=True)}
    expected |= {(j, i): w for (i, j), w in expected.items()}
    entries = list(zip(ends.tolist(), indices.tolist(), weights.tolist(), strict=True))
    assert entries == sorted((i, j, w) for (i, j), w in expected.items())


@given(st.lists(st.integers(-(2**56), 2**56), min_size=1, max_size=8), st.integers(-(2**59), 2**59))
def test_large_integers_are_exact(weights, offset):
    n = len(weights) + 1
    c = graph(n, [(k, k + 1, w) for k, w in enumerate(weights)])
    model = Ising(couplings=c, fields=[*weights, 1], offset=offset)
    cut = MaxCut(couplings=c)
    for s in ([1] * n, [(-1) ** k for k in range(n)], [1 if k % 3 else -1 for k in range(n)]):
        assert model.objective(s) == exact(model, s)
        assert cut.objective(s) == exact(cut, s)
    assert type(cut.objective([1] * n)) is int


def test_sums_up_to_the_limit():
    half = 2**59 - 2**10
    cut = MaxCut(couplings=graph(3, [(0, 1, half), (1, 2, half)]))
    assert cut.objective([1, -1, 1]) == 2 * half
    with pytest.raises(InputError, match=r"below 2\*\*60"):
        graph(3, [(0, 1, 2**59), (1, 2, 2**59)])
    with pytest.raises(InputError, match="too large to convert"):
        QUBO(couplings=graph(2, [(0, 1, 2**53 + 1)])).to_ising()


def test_float_sums_do_not_cancel():
    c = graph(4, [(0, 1, 1e300), (1, 2, 1.5), (2, 3, 1e300)])
    assert Ising(couplings=c).objective([1, 1, 1, -1]) == 1.5
    assert math.isclose(MaxCut(couplings=c).objective([1, 1, -1, -1]), 1.5, rel_tol=0)


SPINS_REFUSED = [
    ([1, 1], "shape"), ([[1, 1, 1]], "shape"), ([], "shape"), (1, "shape"), (None, "shape"),
    ([1, 2, 1], "value 2 of the assignment is 2"), ([1, 0, -1], "all"), ([0.5, 1, 1], "value 1"), ([1, float("nan"), 1], "value 2"),
    ([257, 1, 1], "value 1"), (np.array([-128, 1, 1], np.int8), "all"), (np.array([1, 1, 255], np.uint8), "value 3"),
    ([1j, 1, 1], "numbers"), (["1", "1", "1"], "numbers"), ([None, 1, 1], "numbers"), ([2**70, 1, 1], "numbers"),
    ([[1], [1, 1], [1]], "."), ({0: 1, 1: 1}, "labels"), ({"a": 1, "b": 1, "c": 1}, "labels"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "message"), SPINS_REFUSED, ids=repr)
def test_spins_refused(values, message):
    cut = MaxCut(couplings=graph(3, [(0, 1, 1)]))
    for check in (cut.spins, cut.objective, cut.to_ising().objective, cut.to_qubo().objective):
        with pytest.raises(InputError, match=message) as caught:
            check(values)
        assert "\n" not in str(caught.value)


def test_spins_accepted():
    cut = MaxCut(couplings=graph(2, [(0, 1, 1)]), variables=("u", "v"))
    for values in (
        [1, -1],
        (1.0, -1.0),
        [1, 0],
        [True, False],
        np.array([1, 0], np.uint8),
        {"v": -1, "u": 1},
        {"v": 0, "u": 1},
    ):
        assert cut.spins(values).tolist() == [1, -1] and cut.spins(values).dtype == np.int8
    assert cut.spins([1, 1]).tolist() == [1, 1] and cut.spins([0, 0]).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, math.nan], "weight 1 is nan"),
        ([math.inf, 1.0], "weight 0 is inf"),
        ([-math.inf, 1.0], "weight 0 is -inf"),
        ([1j, 1], "not a real number"),
        (["1", "2"], "not a real number"),
        ([None, 1], "."),
        ([object(), 1], "not a number"),
        ([2**64, 1], "too large"),
        ([-(2**70), 1], "too large"),
        (np.array([2**63, 1], np.uint64), "too large"),
        ([2**59, 2**59], "too large"),
        ([1.5e308, 1.5e308], "too large"),
        ([[1], [1, 2]], "."),
        (np.array(["2020-01-01", "2020-01-02"], "datetime64[D]"), "not a real number"),
    ],
)
def test_weights_refused(weights, message):
    for make in (lambda: Couplings.build(3, [0, 1], [1, 2], weights), lambda: as_weights(weights)):
        with pytest.raises(InputError, match=message) as caught:
            make()
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        Ising(couplings=graph(2, []), fields=weights)


@pytest.mark.parametrize("weights", [[2**53 + 1, 0.5], [2**62 + 1, 0.25], [2**63 + 1, 1]], ids=str)
def test_integers_are_never_rounded_in_silence(weights):
    try:
        stored = as_weights(weights).tolist()
    except InputError:
        return
    assert stored == weights


def test_weights_keep_their_kind():
    for values in ([True, False], [1.0, -2.0], np.array([1, 2], np.uint8), [np.float32(3), 1], [Fraction(4, 2), 1]):
        assert as_weights(values).dtype == np.int64
    assert as_weights([0.5, 1]).dtype == np.float64 and as_weights([Fraction(1, 4)]).tolist() == [0.25]
    assert as_weights([2.0**60]).dtype == np.float64, "a float that large is no count"


def test_duplicates_and_loops_add_up():
    c, loops = Couplings.build(3, [2, 0, 1, 1, 0, 1], [0, 1, 0, 1, 2, 1], [5, 1, 2, 3, -1, 4])
    assert (c.rows.tolist(), c.cols.tolist(), c.weights.tolist()) == ([2, 0], [0, 1], [4, 3])
    assert loops.tolist() == [0, 7, 0]
    whole, _ = Couplings.build(2, [0, 1], [1, 0], [0.25, 0.75])
    assert whole.weights.dtype == np.int64 and whole.weights.tolist() == [1]


BUILDS_REFUSED = [
    ((0, [], [], []), "empty"), ((-1, [], [], []), "empty"), ((2**31, [], [], []), "from 1 to"),
    ((2, [0], [2], [1]), "index 2 is out of range"), ((2, [-1], [0], [1]), "index -1 is out of range"),
    ((2, [2**40], [0], [1]), "out of range"), ((2, [0.0], [1.0], [1]), "integers"), ((2, ["a"], ["b"], [1]), "integers"),
    ((2, [0, 1], [1], [1]), "shape"), ((2, [0], [1], [1, 2]), "shape"), ((2, [[0]], [[1]], [[1]]), "shape"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BUILDS_REFUSED)
def test_couplings_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Couplings.build(*arguments)


def test_models_refused():
    c = graph(2, [(0, 1, 1)])
    for make, message in (
        (lambda: Ising(couplings=c, fields=[1]), "shape"),
        (lambda: QUBO(couplings=c, linear=[[1, 2]]), "shape"),
        (lambda: Ising(couplings=c, offset=math.nan), "offset 0 is nan"),
        (lambda: QUBO(couplings=c, offset="1"), "offset"),
        (lambda: MaxCut(couplings=c, variables=("a",)), "1 labels for 2"),
        (lambda: MaxCut(couplings=c, variables=("a", "a")), "same label"),
        (lambda: MaxCut(couplings=graph(1, []), ancilla=True), "ancilla"),
        (lambda: Ising(couplings=c).scaled(0), "positive"),
    ):
        with pytest.raises(InputError, match=message):
            make()


def test_degenerate_problems_have_objectives():
    for c in (graph(1, []), graph(3, []), graph(2, [(0, 1, 0)])):
        for model in (MaxCut(couplings=c), Ising(couplings=c, offset=2), QUBO(couplings=c, offset=2)):
            assert {model.objective(s) for s in states(model.n)} == {0 if model.kind == "maxcut" else 2}
            assert model.to_ising().to_maxcut().to_ising().to_qubo().n == c.n
