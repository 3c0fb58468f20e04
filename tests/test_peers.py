"""Other people's solvers: each against enumeration, in time and in reads. Their driver and the command line: test_peers_drive.py."""

from __future__ import annotations

import itertools
import os
import stat
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

import fnanneal
from fnanneal import MaxCut
from fnanneal.errors import InputError
from fnanneal.result import Status
from fnanneal.solvers import registry
from fnanneal.solvers.peers.form import Form
from fnanneal.solvers.peers.linear import Program

from .cases import random_problem

NEEDED = {
    "dwave-sa": ["dwave.samplers"],
    "dwave-tabu": ["dwave.samplers"],
    "dwave-steepest": ["dwave.samplers"],
    "highs": ["highspy"],
    "mqlib": [],
    "openjij-sa": ["openjij"],
    "openjij-sqa": ["openjij"],
    "sb": ["simulated_bifurcation"],
    "scip": ["pyscipopt"],
}
BUDGETED = {
    "dwave-sa": {"num_reads": 20, "num_sweeps": 100},
    "dwave-steepest": {"num_reads": 200},
    "highs": {},
    "openjij-sa": {"num_reads": 20, "num_sweeps": 100},
    "openjij-sqa": {"num_reads": 20, "num_sweeps": 200},
    "sb": {"num_reads": 3, "num_steps": 500},
    "scip": {},
}
TIMED = [*BUDGETED, "dwave-tabu"]

FAKE = '''#!{python}
"""Stands in for MQLib: the same arguments, the same output; tries all cuts in order and remembers the better ones."""
import itertools, sys
a = sys.argv
words = open(a[a.index("-fM") + 1]).read().split()
n, m = int(words[0]), int(words[1])
edges = [(int(words[k]) - 1, int(words[k + 1]) - 1, float(words[k + 2])) for k in range(2, 2 + 3 * m, 3)]
assert a[a.index("-h") + 1] == "BURER2002" or sys.exit(print("Illegal heuristic code X"))
assert 0 <= int(a[a.index("-s") + 1]) < 65536 and "-ps" in a
best, history = None, []
for k, s in enumerate(itertools.product((1, -1), repeat=n)):
    cut = sum(w for u, v, w in edges if s[u] != s[v])
    if best is None or cut > best[0]:
        best = cut, s
        history.append((cut, 1e-4 * k))
said = ";".join(f"{{c:.15g}}:{{t:.15g}}" for c, t in history)
print(a[a.index("-r") + 1] + ',BURER2002,"x",' + f"{{best[0]:.15g}},0.25,[{{said}}]")
print()
print("Solution:")
print(*best[1])
'''


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The program MQLib on PATH."""
    path = tmp_path / "bin" / "MQLib"
    path.parent.mkdir()
    path.write_text(FAKE.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("FNANNEAL_MQLIB", raising=False)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    return path


def there(name):
    for module in NEEDED[name]:
        pytest.importorskip(module)


def optimum(problem):
    found = [problem.objective(np.array(s, np.int8)) for s in itertools.product((1, -1), repeat=problem.n)]
    return max(found) if problem.sense == "max" else min(found)


def made(kind, weights, n=8, seed=0):
    """A problem with fields and an offset where its kind has them."""
    rng = np.random.default_rng(seed)
    pairs, fields = random_problem(rng, n, 4, weights, True)
    h, j = dict(enumerate(fields)), {(a, b): w for a, b, w in pairs}
    if kind == "ising":
        return replace(fnanneal.load((h, j)), offset=7)
    if kind == "qubo":
        return replace(fnanneal.load({**{(i, i): x for i, x in h.items()}, **j}, "qubo"), offset=-3)
    c = fnanneal.load((h, j)).couplings
    return MaxCut(couplings=c) if kind == "maxcut" else fnanneal.load((h, j)).to_maxcut()


PROBLEMS = [(k, w) for k in ("ising", "qubo", "maxcut", "ancilla") for w in ("pm1", "real")] + [("ising", "large")]


def test_every_peer_is_tested():
    assert set(NEEDED) == set(registry.peer_names()) == {*TIMED, "mqlib"}


@pytest.mark.parametrize(("kind", "weights"), PROBLEMS)
@pytest.mark.parametrize("name", BUDGETED)
def test_finds_the_optimum(name, kind, weights):
    there(name)
    problem = made(kind, weights)
    # OpenJij's quantum annealing has a temperature of its own, whatever the weights are.
    if name == "openjij-sqa" and weights == "large":
        pytest.skip("it is frozen at once")
    result = fnanneal.solve(problem, name, seed=1, **BUDGETED[name])
    assert result.objective == optimum(problem) and result.verify()
    assert result.solver == name and result.spins.shape == (problem.n,)
    proves = name in ("highs", "scip") and weights != "real"
    assert result.status is (Status.OPTIMAL if proves else Status.COMPLETED)
    assert result.trace[-1][1] == result.objective and result.time.to_best_s == result.trace[-1][0]
    times, values = zip(*result.trace, strict=True)
    assert list(times) == sorted(times) and len(set(values)) == len(values)
    assert list(values) == sorted(values, reverse=result.sense == "min")
    assert 0 <= result.time.to_best_s <= result.time.solve_s + 1e-9 and result.time.build_s >= 0
    package = registry.get(name).package
    assert result.versions[package] == registry.get(name).version() is not None


@pytest.mark.parametrize("weights", ["pm1", "real"])
@pytest.mark.parametrize("kind", ["ising", "qubo", "maxcut", "ancilla"])
def test_mqlib_finds_the_optimum(program, kind, weights):
    problem = made(kind, weights)
    result = fnanneal.solve(problem, "mqlib", seed=1)
    assert result.objective == pytest.approx(optimum(problem), abs=1e-12) and result.verify()
    assert result.status is Status.COMPLETED and result.time.solve_s == 0.25
    values = [v for _, v in result.trace]
    assert len(values) > 1 and values == sorted(values, reverse=result.sense == "min")
    assert all(type(v) is type(result.objective) for v in values)
    assert result.trace[-1][0] < 0.1 and result.versions["MQLib"].startswith("sha256 ")


def test_mqlib_says_what_is_wrong(program, monkeypatch):
    problem = made("ising", "pm1")
    with pytest.raises(InputError, match="gave no solution; it said: Illegal heuristic code X"):
        fnanneal.solve(problem, "mqlib", heuristic="NOPE")
    with pytest.raises(InputError, match="heuristic must be a code"):
        fnanneal.solve(problem, "mqlib", heuristic="a b")
    monkeypatch.setenv("FNANNEAL_MQLIB", "/nonexistent/MQLib")
    with pytest.raises(InputError, match=r"^mqlib: /nonexistent/MQLib: No such file"):
        fnanneal.solve(problem, "mqlib")
    monkeypatch.delenv("FNANNEAL_MQLIB")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InputError, match=r"^mqlib needs the program MQLib: build .* FNANNEAL_MQLIB$"):
        fnanneal.solve(problem, "mqlib")


@pytest.mark.parametrize("name", [k for k in BUDGETED if k not in ("highs", "scip")])
def test_same_seed_same_states(name):
    there(name)
    problem = made("maxcut", "real", n=30)
    settings = {k: 5 if k == "num_reads" else 20 for k in BUDGETED[name]}
    a, b, c = (fnanneal.solve(problem, name, seed=s, **settings) for s in (3, 3, 2**64 - 1))
    assert np.array_equal(a.states, b.states) and np.array_equal(a.multiplicity, b.multiplicity)
    assert not np.array_equal(a.states, c.states)
    if name.startswith(("dwave", "openjij")):
        assert a.num_reads == 5 and len(a.states) > 1
        # A limit that is not reached changes nothing.
        d = fnanneal.solve(problem, name, seed=3, time_limit=1000.0, **settings)
        assert np.array_equal(a.states, d.states) and d.status is Status.COMPLETED


@pytest.mark.parametrize("name", TIMED)
def test_time_limit(name):
    there(name)
    problem = made("maxcut", "real", n=40)
    # HiGHS and SCIP are done long before, unless the machine stands still; the others fill the time, by their own clock.
    programs = name in ("highs", "scip")
    result = fnanneal.solve(problem, name, seed=1, time_limit=20 if programs else 0.2)
    assert result.status in ((Status.COMPLETED, Status.TIME_LIMIT) if programs else (Status.TIME_LIMIT,))
    assert result.time.solve_s > 0 and result.verify() and result.trace[-1][1] == result.objective


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("problem", [
    fnanneal.load(({0: 0}, {})), fnanneal.load(({0: 2}, {})), fnanneal.load(({0: 0, 1: 0, 2: 0}, {(0, 1): 0})),
    fnanneal.load(({0: 0, 1: -1.5}, {})), fnanneal.load(({0: 0, 1: 0}, {(0, 1): 1e-9})), fnanneal.load(({0: 0, 1: 0, 2: 0}, {(0, 2): 2})).to_maxcut(),
], ids=["spin", "field", "zero", "fields", "small", "lonely"])  # fmt: skip
def test_degenerate_problems_are_answered(name, problem):
    there(name)
    if name == "openjij-sqa" and problem.couplings.weights.tolist() == [1e-9]:
        pytest.skip("far below its temperature")
    limit = {"time_limit": 0.05} if name == "dwave-tabu" else BUDGETED[name]
    assert fnanneal.solve(problem, name, seed=1, **limit).objective == optimum(problem)


def test_mqlib_needs_an_edge(program):
    with pytest.raises(InputError, match=r"^mqlib cannot take this problem: it has no weight other than 0$"):
        fnanneal.solve(fnanneal.load(({0: 0}, {})), "mqlib")
    assert fnanneal.solve(fnanneal.load(({0: 2}, {})), "mqlib").objective == -2


@pytest.mark.parametrize(("name", "per_sweep"), [("dwave-sa", 8), ("openjij-sa", 8), ("openjij-sqa", 24)])
def test_budgets_of_spin_tests(name, per_sweep):
    there(name)
    problem, own = made("ising", "pm1"), {"trotter": 3} if name == "openjij-sqa" else {}
    for tests, sweeps, expected in (
        (100 * per_sweep, 30, (3, 33)),
        (100 * per_sweep - 1, 30, (3, 33)),
        (29 * per_sweep, 30, (1, 29)),
        (50 * per_sweep, "all", (1, 50)),
    ):
        given = registry.get(name)(num_sweeps=sweeps, **own)
        peer = given.for_tests(problem, tests)
        assert (peer.num_reads, peer.num_sweeps) == expected
        result = fnanneal.solve(problem, name, num_sweeps=sweeps, spin_tests=tests, seed=1, **own)
        assert result.events.spin_tests == expected[0] * expected[1] * per_sweep <= tests
        assert result.num_reads == expected[0] and result.num_sweeps == expected[0] * expected[1]
        assert result.status is Status.COMPLETED
    with pytest.raises(InputError, match=f"less than one sweep of {per_sweep}$"):
        registry.get(name)(**own).for_tests(problem, per_sweep - 1)


@pytest.mark.parametrize("name", ["dwave-tabu", "dwave-steepest", "highs", "mqlib", "sb", "scip"])
def test_no_budget_of_spin_tests(name):
    with pytest.raises(InputError, match=f"^{name} does not count spin tests: give it a time limit$"):
        fnanneal.solve(made("ising", "pm1"), name, spin_tests=1000)


@pytest.mark.parametrize("name", ["dwave-sa", "openjij-sa"])
def test_one_read_takes_the_whole_time(name):
    there(name)
    problem = made("ising", "real", n=40)
    result = fnanneal.solve(problem, name, num_sweeps="all", time_limit=0.2, seed=1)
    assert result.num_reads in (1, 2, 3) and result.num_sweeps >= 100 and result.status is Status.TIME_LIMIT
    with pytest.raises(InputError, match=f"^{name}: num_sweeps=all .* needs a time limit$"):
        fnanneal.solve(problem, name, num_sweeps="all")


@pytest.mark.parametrize(("name", "settings", "said"), [
    ("dwave-sa", {"num_reads": 0}, "num_reads must be an integer from 1"), ("dwave-sa", {"num_sweeps": "some"}, "num_sweeps must be an integer"),
    ("dwave-sa", {"num_sweeps": "all", "num_reads": 2}, "num_reads cannot be given with num_sweeps=all"), ("dwave-sa", {"nope": 1}, "dwave-sa takes no nope; its settings are num_reads, num_sweeps"),
    ("dwave-steepest", {"large_sparse_opt": 2}, "large_sparse_opt must be True, False or None"), ("dwave-tabu", {"num_sweeps": 3}, "dwave-tabu takes no num_sweeps"),
    ("openjij-sqa", {"trotter": 0}, "trotter must be"), ("openjij-sqa", {"beta": -1}, "beta must be positive"), ("openjij-sqa", {"gamma": "x"}, "gamma must be positive"),
    ("sb", {"mode": "quantum"}, "mode must be ballistic or discrete"), ("sb", {"heated": 1}, "heated must be True or False"), ("sb", {"agents": 0}, "agents must be"),
])  # fmt: skip
def test_settings(name, settings, said):
    with pytest.raises(InputError, match=said):
        fnanneal.solve(made("ising", "pm1"), name, **settings)


def test_what_is_too_large():
    for name, said in (("sb", "its matrix is dense"), ("dwave-tabu", "its matrix is dense"), ("highs", "a variable for each pair"), ("scip", "a variable for each pair")):  # fmt: skip
        problem = (
            fnanneal.load("gset:G81") if name in ("sb", "dwave-tabu") else fnanneal.load("rudy:-rnd_graph 500 90 1")
        )
        with pytest.raises(InputError, match=f"^{name} cannot take this problem: .*{said}"):
            fnanneal.solve(problem, name, time_limit=1)
    there("dwave-sa")
    with pytest.raises(InputError, match="this solve needs about"):
        fnanneal.solve(problem, "dwave-sa", max_memory=1000)


@pytest.mark.parametrize(("kind", "weights"), PROBLEMS)
def test_the_forms_that_peers_are_given(kind, weights):
    """Of every assignment: the form's energy is the objective, or, of a cut, all weights less twice the cut; the program's best is the same."""
    problem = made(kind, weights, n=6)
    f, program = Form.of(problem), Program.of(problem)
    whole = problem.couplings.weights.sum()
    for s in itertools.product((1, -1), repeat=f.n):
        s = np.array(s)
        energy = np.dot(f.couplings, s[f.rows] * s[f.cols]) + np.dot(f.fields, s) + f.offset
        objective = problem.objective(s)
        assert energy == pytest.approx(whole - 2 * objective if problem.sense == "max" else objective, abs=1e-9)
        x = (s + 1) // 2
        full = np.concatenate([x, x[f.rows] * x[f.cols]])
        assert np.dot(program.cost, full) + program.constant == pytest.approx(energy, abs=1e-9)
        rows = np.repeat(np.arange(program.right.size), np.diff(program.start))
        left = np.bincount(rows, program.value * full[program.index], program.right.size)
        assert (left <= program.right + 1e-12).all() and np.array_equal(program.state(full), s)


def test_tabu_sees_the_matrix_that_its_package_makes():
    sampler = pytest.importorskip("dwave.samplers").TabuSampler
    from fnanneal.solvers.peers.ocean import bqm

    problem = made("ising", "real", n=12)
    theirs, order = sampler._bqm_to_tabu_qubo(bqm(problem).binary)
    assert np.allclose(
        registry.get("dwave-tabu")().build(problem), theirs[np.ix_(np.argsort(order), np.argsort(order))]
    )


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_package_is_one_line(name, monkeypatch):
    cls = registry.get(name)
    if name == "mqlib":
        return
    for module in cls.modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError) as caught:
        fnanneal.solve(made("ising", "pm1"), name, time_limit=1)
    assert str(caught.value) == f'{name} needs {cls.package}: pip install "fnanneal[{cls.extra}]"'


@pytest.mark.parametrize("name", NEEDED)
def test_settings_are_named_and_described(name):
    cls = registry.get(name)
    assert list(cls().settings()) == [f.name for f in fields(cls)] and cls.name == name
    assert (
        cls.budget_rule.count("; ") == 2 and cls.budget_rule.startswith("time: ") and "spin tests: " in cls.budget_rule
    )
    assert name not in registry.names()
