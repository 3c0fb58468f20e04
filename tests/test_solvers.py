"""Every solver of the registry, through `solve`: results, reproducibility, limits, degenerate and wrong input."""

from __future__ import annotations

import json
import math
import signal
import time
from typing import Any

import numpy as np
import pytest

import fnanneal.run
from fnanneal import Ising, Progress, Result, Status, solve
from fnanneal.errors import InputError
from fnanneal.problems.couplings import Couplings
from fnanneal.problems.models import QUBO
from fnanneal.solvers import names, registry
from fnanneal.solvers.exact import KEPT, Exact
from fnanneal.solvers.neurosa import NeuroSA
from fnanneal.solvers.sa import SimulatedAnnealing

from . import oracles as oracle
from .cases import ising, random_problem, serial

BUDGETS: dict[str, dict[str, Any]] = {
    "exact": {},
    "neurosa": {"num_reads": 3, "num_steps": 30_000, "k1": 1e-5},
    "sa": {"num_reads": 6, "num_sweeps": 300},
}
KEY = 2**63 + 12345


def run(problem: Any, name: str, **arguments: Any) -> Result:
    """A short solve with fixed randomness."""
    return solve(problem, name, **{"seed": 5, "threads": 1, **BUDGETS.get(name, {"num_sweeps": 100}), **arguments})


def small(seed: int, n: int, weights: str, fields: bool = True) -> Ising:
    return ising(*random_problem(np.random.default_rng(seed), n, 4, weights, fields))


def same(a: Result, b: Result) -> None:
    """Equal in everything that the clock does not touch."""
    assert (a.objective, a.num_reads, a.num_sweeps, a.events) == (b.objective, b.num_reads, b.num_sweeps, b.events)
    for name in ("spins", "states", "objectives", "multiplicity"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert text.strip() == text != ""
    assert "\n" not in text
    return text


@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
@pytest.mark.parametrize("name", names())
def test_a_result_judges_itself(name: str, weights: str) -> None:
    base = small(1, 14, weights)
    for problem in (base, base.to_qubo(), base.to_maxcut()):
        r = run(problem, name)
        assert r.verify()
        assert r.spins.dtype == r.states.dtype == np.int8
        assert r.states.shape == (len(r.objectives), problem.n)
        assert r.multiplicity.min() >= 1
        assert r.num_reads == (1 if name == "exact" else r.multiplicity.sum())
        ranked = r.objectives.tolist()
        assert ranked == sorted(ranked, reverse=problem.sense == "max")
        assert r.objective == ranked[0]
        assert len({s.tobytes() for s in r.states}) == len(r.states)
        assert type(r.objective) is (float if weights == "real" else int)
        assert r.trace[-1][1] == r.objective
        assert r.status is (Status.OPTIMAL if name == "exact" else Status.COMPLETED)
        assert json.loads(json.dumps(r.to_dict()))["objective"] == r.objective


@pytest.mark.parametrize("weights", ["pm1", "real"])
@pytest.mark.parametrize("name", names())
def test_threads_and_chunks_do_not_change_a_result(name: str, weights: str, monkeypatch: Any) -> None:
    problem = small(2, 18, weights)
    more: dict[str, Any] = {"num_sweeps": 1500} if name == "sa" else {}
    results = []
    for chunk, threads in ((0.03, 1), (0.03, 2), (1e-5, 1), (1e-4, 2), (100.0, 3)):
        monkeypatch.setattr(fnanneal.run, "CHUNK_S", chunk)
        results.append(run(problem, name, threads=threads, **more))
    for r in results[1:]:
        same(r, results[0])


@pytest.mark.parametrize("name", [n for n in names() if n != "exact"])
def test_the_seed_counts(name: str) -> None:
    problem = small(3, 60, "pm1")
    short = {"num_steps": 5000} if name == "neurosa" else {"num_sweeps": 10}
    a, b, c = (run(problem, name, seed=s, **short) for s in (1, 1, 2))
    same(a, b)
    assert a.events != c.events
    assert 0 <= run(problem, name, seed=None, **short).seed < 2**64


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", names())
def test_all_forms_reach_the_optimum(name: str, seed: int) -> None:
    pairs, fields = random_problem(np.random.default_rng(seed), 12, 5, ("pm1", "large")[seed % 2], seed < 2)
    top, optima = oracle.optima(pairs, fields)
    more = {"k2": 0.3125 * 7e4} if name == "neurosa" and seed % 2 else {}
    problem = ising(pairs, fields)
    plain = run(problem, name, **more)
    assert plain.objective == -top
    assert tuple(plain.spins.tolist()) in optima
    qubo = run(problem.to_qubo(), name, **more)
    assert qubo.objective == -top
    cut = problem.to_maxcut()
    r = run(cut, name, **more)
    assert 2 * r.objective == int(cut.couplings.weights.sum()) + top
    assert problem.objective(cut.fold(r.spins)) == -top


DEGENERATE: dict[str, tuple[list[tuple[int, int, int]], list[Any]]] = {
    "one spin": ([], [0]),
    "one spin in a field": ([], [3]),
    "no pairs": ([], [0, 0, 0, 0, 0]),
    "no pairs, real fields": ([], [0.5, -0.25, 0.1]),
    "all weights zero": ([(0, 1, 0), (1, 2, 0)], [0, 0, 0]),
    "a pair": ([(0, 1, 1)], [0, 0]),
    "a pair in a field": ([(0, 1, -2)], [0, 1]),
    "a pair far apart": ([(0, 299, 7)], [0] * 300),
}


@pytest.mark.parametrize("case", list(DEGENERATE))
@pytest.mark.parametrize("name", names())
def test_degenerate_problems_have_answers(name: str, case: str) -> None:
    pairs, fields = DEGENERATE[case]
    problem = ising(pairs, fields)
    if problem.n > 30 and name == "exact":
        with pytest.raises(InputError, match="at most 30 spins"):
            run(problem, name)
        return
    expected = -oracle.optima(pairs, fields)[0] if problem.n < 30 else -7
    forms = (problem, problem.to_qubo()) if any(fields) else (problem, problem.to_qubo(), problem.to_maxcut())
    for form in forms:
        r = run(form, name, **({"num_steps": 3000} if name == "neurosa" and problem.n < 30 else {}))
        assert r.verify()
        if form.sense == "min":
            assert r.objective == pytest.approx(expected, rel=1e-12)
        else:
            assert 2 * r.objective == sum(w for _, _, w in pairs) - expected


def test_events_of_sa() -> None:
    problem = small(4, 50, "pm1")
    r = run(problem, "sa", num_reads=7, num_sweeps=40)
    assert r.events.spin_tests == r.events.threshold_draws == 7 * 40 * 50
    assert (r.num_sweeps, r.num_reads) == (40, 7)
    assert 0 < r.events.spikes < r.events.spin_tests
    assert 0 < r.events.synaptic_events <= r.events.spikes * 49


def test_events_of_neurosa() -> None:
    problem = small(4, 50, "pm1")
    r = run(problem, "neurosa", num_reads=2, num_steps=12_345)
    assert r.events.spin_tests == r.events.threshold_draws == 2 * 12_345
    assert r.num_sweeps == 12_345 / 50
    assert 0 < r.events.spikes < r.events.spin_tests
    # Sweeps are n steps each.
    same(run(problem, "neurosa", num_steps=5000), run(problem, "neurosa", num_steps=None, num_sweeps=100))


def test_events_of_exact() -> None:
    for fields in (False, True):
        pairs, h = [(i, i + 1, 1) for i in range(9)], [int(fields)] * 10
        r = run(ising(pairs, h), "exact")
        free = 9 + fields
        assert r.events.spin_tests == 2**free
        # The outer spins go through a Gray code; the lowest five are decided in one piece.
        assert r.events.spikes == 2 ** (free - 5) - 1


def test_exact_counts_every_optimum_and_keeps_the_first() -> None:
    for n, pairs in ((12, []), (13, [(0, 1, 5)])):
        solver = Exact()
        system = solver.prepare(ising(pairs, [0] * n))
        for budget in (1, 100, 10**6):
            state = solver.init(system, 0, open_ended=False, threads=1, initial=None)
            while not (report := solver.report(system, state)).finished:
                solver.advance(system, state, budget, serial)
            assert state.count == 2**11
            assert len(state.codes) == KEPT
            spins = {tuple(report.spins(r).tolist()) for r in range(KEPT)}
            assert len(spins) == KEPT
            assert {oracle.value(pairs, [0] * n, s) for s in spins} == {5 * bool(pairs)}


@pytest.mark.parametrize("schedule", ["geometric", "linear", "fn"])
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
def test_budgets_do_not_change_an_anneal(weights: str, schedule: Any) -> None:
    solver = SimulatedAnnealing(num_reads=3, num_sweeps=2500, schedule=schedule)
    system = solver.prepare(small(8, 60, weights))
    ends = []
    for budgets in ([10**9], [60], [1, 7000, 61_000, 333]):
        state = solver.init(system, KEY, open_ended=False, threads=1, initial=None)
        turn = 0
        while state.sweep < 2500:
            solver.advance(system, state, budgets[turn % len(budgets)], serial)
            turn += 1
        ends.append(state)
    assert ends[0].counts[:, 0].min() > 1000
    for end in ends[1:]:
        for name in ("spins", "best", "fields", "values", "counts"):
            assert np.array_equal(getattr(end, name), getattr(ends[0], name)), name


@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_budgets_do_not_change_neurosa(weights: str) -> None:
    solver = NeuroSA(num_reads=2, num_steps=60_000, k1=1e-8)
    system = solver.prepare(small(9, 50, weights))
    ends = []
    for budgets in ([10**9], [4096], [1, 511, 513, 10_000]):
        state = solver.init(system, KEY, open_ended=False, threads=1, initial=None)
        turn = 0
        while state.step < 60_000:
            solver.advance(system, state, budgets[turn % len(budgets)], serial)
            turn += 1
        ends.append(state)
    assert not np.array_equal(ends[0].spins[0], ends[0].spins[1])
    for end in ends[1:]:
        for name in ("spins", "best", "fields", "totals", "counts"):
            assert np.array_equal(getattr(end, name), getattr(ends[0], name)), name


def test_neurosa_with_the_diagonal_is_the_published_variant_for_independent_sets() -> None:
    n, steps = 20, 4000
    rng = np.random.default_rng(10)
    edges = [(i, j) for i in range(n) for j in range(i) if rng.random() < 0.2]
    q = np.diag(np.full(n, -1)).tolist()
    for i, j in edges:
        q[i][j] = q[j][i] = 4
    x, sizes = [1] * n, []
    for step in range(steps):
        p, u = oracle.step_draws(KEY, 0, step, n)
        membrane = sum(q[p][j] * x[j] for j in range(n))
        threshold = oracle.temperature(step, 2.0, 0.5, 1e-3) * math.log(0.99 * u + 1e-6)
        if (2 * x[p] - 1) * membrane > threshold:
            x[p] = 1 - x[p]
        sizes.append(sum(x))
    couplings, _ = Couplings.build(n, [i for i, _ in edges], [j for _, j in edges], [8] * len(edges))
    problem = QUBO(couplings=couplings, linear=np.full(n, -1))
    solver = NeuroSA(num_steps=steps, scale=0.99, self_coupling=True, k2=2.0, k0_minus_1=0.5, k1=1e-3)
    system = solver.prepare(problem)
    state = solver.init(system, KEY, open_ended=False, threads=1, initial=None)
    solver.advance(system, state, steps, serial)
    assert ((1 + state.spins[0]) // 2).tolist() == x
    assert len(set(sizes)) > 3


@pytest.mark.parametrize("name", ["sa", "neurosa"])
def test_initial_states_are_used_in_turn(name: str) -> None:
    problem = ising([(0, 1, -1), (2, 3, -1)], [0, 0, 0, 0])
    frozen: dict[str, Any] = {"beta_range": (1e6, 1e6), "num_sweeps": 3}
    if name == "neurosa":
        frozen = {"k2": 1e-9, "num_steps": 100}
    first = np.array([[1, 1, 1, 1], [1, 1, -1, -1]])
    for states in (first, (first + 1) // 2, first.tolist()):
        r = run(problem, name, num_reads=5, initial_states=states, **frozen)
        found = dict(zip(map(tuple, r.states.tolist()), r.multiplicity.tolist(), strict=True))
        assert found == {(1, 1, 1, 1): 3, (1, 1, -1, -1): 2}
    one = run(problem, name, num_reads=2, initial_states=[-1, -1, 1, 1], **frozen)
    assert one.states.tolist() == [[-1, -1, 1, 1]]
    assert one.trace[0] == (one.time.prepare_s, -2)


@pytest.mark.parametrize("name", names())
def test_a_target_stops(name: str) -> None:
    base = small(5, 16, "pm1")
    for problem in (base, base.to_maxcut()):
        best = run(problem, "exact").objective
        r = run(problem, name, target=best)
        assert r.status is Status.TARGET
        assert r.objective == best
        easy = run(problem, name, target=-(10**6) if problem.sense == "max" else 10**6)
        assert (easy.status, easy.events.spin_tests) == (Status.TARGET, 0)
        never = run(problem, name, target=10**6 if problem.sense == "max" else -(10**6))
        assert never.status in (Status.COMPLETED, Status.OPTIMAL)


@pytest.mark.parametrize("name", ["sa", "neurosa"])
def test_a_time_limit_is_kept(name: str) -> None:
    problem = small(6, 400, "pm1", fields=False)
    r = solve(problem, name, time_limit=0.2, seed=1, threads=1)
    assert r.status is Status.TIME_LIMIT
    assert 0.2 <= r.time.solve_s <= 0.45
    assert 0 <= r.time.to_best_s <= r.time.solve_s
    assert r.verify()
    times = [t for t, _ in r.trace]
    assert times == sorted(times)


@pytest.mark.parametrize("name", names())
def test_preparing_counts_as_solving_and_a_late_start_still_sweeps(name: str, monkeypatch: Any) -> None:
    problem = small(6, 22, "pm1")
    solve(problem, name, time_limit=0.01, seed=1, threads=1)
    cls = registry.get(name)
    prepare = cls.prepare

    def slowly(self: Any, problem: Any) -> Any:
        time.sleep(0.2)
        return prepare(self, problem)

    monkeypatch.setattr(cls, "prepare", slowly)
    r = solve(problem, name, time_limit=0.1, seed=1, threads=1)
    assert r.time.compile_s < 0.2 <= r.time.prepare_s < r.time.solve_s
    assert r.events.spin_tests > 0


def test_a_limited_anneal_goes_on_in_rounds() -> None:
    r = solve(small(6, 20, "pm1"), "sa", time_limit=0.2, seed=1, threads=2)
    assert r.num_sweeps > 2500
    assert r.num_reads > 2
    assert r.multiplicity.sum() == r.num_reads
    never = solve(small(6, 20, "pm1"), "sa", time_limit=0.1, target=-1000, seed=1)
    assert never.status is Status.TIME_LIMIT


@pytest.mark.parametrize("name", names())
def test_a_callback_sees_progress_and_stops(name: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(fnanneal.run, "CHUNK_S", 1e-5)
    problem = small(7, 20, "pm1")
    seen: list[Progress] = []

    def watch(progress: Progress) -> bool:
        seen.append(progress)
        return len(seen) == 3

    r = run(problem, name, callback=watch)
    assert r.status is Status.STOPPED
    assert len(seen) == 3
    assert [p.spin_tests for p in seen] == sorted({p.spin_tests for p in seen})
    for p in seen:
        assert problem.objective(p.spins) == p.objective
        assert p.fraction is not None
        assert 0 < p.fraction < 1
    assert r.events.spin_tests == seen[-1].spin_tests


@pytest.mark.parametrize("name", names())
def test_ctrl_c_gives_the_best_so_far(name: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(fnanneal.run, "CHUNK_S", 1e-5)
    before = signal.getsignal(signal.SIGINT)
    r = run(small(7, 20, "pm1"), name, callback=lambda _: signal.raise_signal(signal.SIGINT))
    assert r.status is Status.INTERRUPTED
    assert r.verify()
    assert signal.getsignal(signal.SIGINT) is before


def complain(_: Progress) -> None:
    raise RuntimeError("from the callback")


def test_an_error_in_a_callback_comes_through() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="from the callback"):
        run(small(7, 20, "pm1"), "sa", callback=complain)
    assert signal.getsignal(signal.SIGINT) is before
