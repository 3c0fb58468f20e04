"""`boxqp` on a GPU: every number of an island's state against the CPU's search, single stages against slow oracles, and whole solves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp

from fnanneal.errors import InputError
from fnanneal.problems.quadratic.program import QP
from fnanneal.problems.quadratic.synthetic import box
from fnanneal.qpresult import QPStatus
from fnanneal.solvers.cuda import boxqp as cuda
from fnanneal.solvers.cuda import finding
from fnanneal.solvers.cuda.boxqp import BoxOnDevice, CudaBoxQP, Islands, island_bytes
from fnanneal.solvers.kernels import boxqp as kernels
from fnanneal.solvers.kernels.box_cross import ALIKE
from fnanneal.solvers.kernels.boxqp import Rules, new_search, search
from fnanneal.solvers.qp.box_system import box_system
from fnanneal.solvers.qp.boxqp import BoxQP
from fnanneal.solvers.qp.method import Tolerance
from fnanneal.solvers.qp.place import place
from fnanneal.solvers.qp.solve import solve_qp, solve_qp_problem

from . import cuda_shim
from .oracles_qp import box_child, box_minimum, box_noise, box_value, coordinate_minimum

KEY = 2**33 + 11


def integers(n, seed, density=1.0):
    rng = np.random.default_rng(seed)
    P = np.triu(rng.integers(-9, 10, (n, n)) * (rng.random((n, n)) < density)).astype(float)
    return P + np.triu(P, 1).T


def problem(kind, n, seed=0, bend=0.0, binary=False):
    """In rows of bytes, in rows of reals, or sparse; uneven boxes but for bytes."""
    rng = np.random.default_rng(seed)
    marks = rng.random(n) < 0.3 if binary else None
    q = rng.normal(size=n)
    if kind == "bytes":
        return QP.of(integers(n, seed), q, lb=-1, ub=1, binary=marks)
    S = rng.normal(size=(n, n)) if kind == "reals" else sp.random_array((n, n), density=3 / max(n, 3), rng=rng)
    P = S + S.T + bend * (np.eye(n) if kind == "reals" else sp.eye_array(n))
    return QP.of(P, q, lb=-rng.random(n) - 0.1, ub=rng.random(n), binary=marks)


def rules_for(rounds, **other):
    return Rules(0.5, 0.025, 0.1, 20.0, rounds, 10**6, -math.inf)._replace(**other)


def first_point(p, system):
    start = np.full(system.n, 0.5)
    if p.binary is not None:
        start[p.binary[system.free]] = 0.0
    return start


def run_islands(device, p, block, rules, *, count=2, members=4, first=0, budget=10**9):
    """To their end, and the same searches on the CPU."""
    system = box_system(p, True)
    start = first_point(p, system)
    islands = Islands(
        BoxOnDevice(device, system.box), start=start, members=members, length=5.0, first=first, count=count, block=block
    )
    for _ in range(100_000):
        islands.search(rules, np.uint64(KEY), budget)
        if islands.outcome()[0].all():
            break
    twins = []
    for k in range(count):
        twin = new_search(system.n, members, 5.0)
        twin.start[:] = start
        while not search(system.box, rules._replace(island=first + k), twin, np.uint64(KEY), budget)[0]:
            pass
        twins.append(twin)
    return system, islands, twins


def assert_equal(islands, twins):
    for k, twin in enumerate(twins):
        np.testing.assert_array_equal(islands.numbers[k], twin.numbers)
        np.testing.assert_array_equal(islands.counts[k], twin.counts)
        np.testing.assert_array_equal(islands.levels[k], twin.levels)
        for which, vector in enumerate((twin.u, twin.g, twin.best)):
            np.testing.assert_array_equal(islands.vector(k, which), vector)
        pool, values = islands.pool(k)
        np.testing.assert_array_equal(pool, twin.pool)
        np.testing.assert_array_equal(values, twin.values)


@pytest.mark.parametrize("block", [32, 96])
@pytest.mark.parametrize(
    ("kind", "n"),
    [(k, n) for k in ("bytes", "reals", "sparse") for n in (1, 2, 33, 65)] + [("sparse", 130)],
)
def test_islands_are_searches_of_the_cpu(device, kind, n, block):
    system, islands, twins = run_islands(device, problem(kind, n, n), block, rules_for(9, hits=100))
    assert islands.box.dense == bool(system.box.P.rows.shape[0])
    assert_equal(islands, twins)
    assert (islands.numbers[:, kernels.ROUND] == 9).all()
    if n > 30:
        assert (islands.counts[0] != islands.counts[1]).any()
        assert (islands.counts[:, kernels.CROSSING] > 0).all() and (islands.numbers[:, kernels.FILLED] == 4).all()


@pytest.mark.parametrize("block", [32, 64])
@pytest.mark.parametrize(("kind", "n"), [("bytes", 530), ("reals", 270)])
def test_columns_in_memory_where_registers_do_not_hold_them(device, kind, n, block):
    p = problem(kind, n, 3)
    _, islands, twins = run_islands(device, p, block, rules_for(2, hits=100), count=1)
    held = 16 if kind == "bytes" else 8
    assert islands._kernels.defines[2] == f"HELD={held if block * held >= n else 0}"
    assert_equal(islands, twins)


@pytest.mark.parametrize("kind", ["reals", "sparse"])
@pytest.mark.parametrize("block", [32, 64])
def test_conjugate_gradients_and_where_a_launch_ends(device, kind, block):
    # Half of the coordinates end between their bounds, and the descent takes its time.
    p = problem(kind, 70, 5, bend=14.0 if kind == "reals" else 1.2)
    _, islands, twins = run_islands(device, p, block, rules_for(6), budget=3000)
    assert_equal(islands, twins)
    inside = [((t.best > 0) & (t.best < 1)).sum() for t in twins]
    assert min(inside) > 10 and all(t.levels[kernels.PRODUCT] != 0 for t in twins)


@pytest.mark.parametrize("kind", ["bytes", "sparse"])
def test_probing(device, kind):
    # Anneals meet the best value again and again, so that its neighbours are looked at.
    _, islands, twins = run_islands(device, problem(kind, 12, 1), 32, rules_for(40, hits=12))
    assert_equal(islands, twins)
    assert (islands.numbers[:, kernels.PROBED] == 12).any()


def test_a_probe_that_finds_something(device):
    # 0 is worth 0 and 1 is worth -1 in each pair; one coordinate alone costs 1.
    P = np.kron(np.eye(3), [[0.0, -3.0], [-3.0, 0.0]])
    system = box_system(QP.of(P, np.ones(6), lb=0, ub=1), True)
    islands = Islands(
        BoxOnDevice(device, system.box), start=np.zeros(6), members=4, length=20.0, first=0, count=1, block=32
    )
    islands.numbers[0, kernels.STAGE], islands.levels[0, kernels.BEST] = kernels.PROBE, 0.0
    device.write(islands._numbers, islands.numbers)
    device.write(islands._levels, islands.levels)
    islands.search(rules_for(0), np.uint64(1), 10**9)
    assert islands.outcome()[0].all()
    assert system.unit * islands.levels[0, kernels.BEST] == -1.0 and islands.numbers[0, kernels.PROBED] == 0


@pytest.mark.parametrize("kind", ["bytes", "reals", "sparse"])
def test_binary_and_fixed_variables(device, kind):
    p = problem(kind, 40, 9, binary=True)
    p.ub[:5] = p.lb[:5]
    system, islands, twins = run_islands(device, p, 64, rules_for(7))
    assert system.n == 35
    assert_equal(islands, twins)
    assert set(twins[0].best[p.binary[system.free]]) <= {0.0, 1.0}


def test_no_couplings(device):
    for p in (
        QP.of(np.zeros((33, 33)), np.r_[np.ones(20), np.zeros(13)], lb=0, ub=1),
        QP.of(np.diag(np.r_[np.ones(20), -np.ones(20), np.zeros(10)]), -0.3 * np.ones(50), lb=0, ub=1),
    ):
        _, islands, twins = run_islands(device, p, 32, rules_for(6))
        assert_equal(islands, twins)


def test_later_islands_and_a_pool_of_one(device):
    _, islands, twins = run_islands(device, problem("sparse", 50, 4), 32, rules_for(5), count=3, members=1, first=7)
    assert_equal(islands, twins)


def one_stage(device, p, block, stage, u, *, rules, numbers=(), pool=None, values=None, length=1.0):
    """One sweep, or one crossing, from u: u and its gradient after it."""
    system = box_system(p, True)
    islands = Islands(BoxOnDevice(device, system.box), start=u, members=2, length=length, first=0, count=1, block=block)
    for which, value in ((kernels.STAGE, stage), *numbers):
        islands.numbers[0, which] = value
    device.write(islands._numbers, islands.numbers)
    points = np.zeros((1, 5, islands.box.stride))
    points[0, 0, : u.size], points[0, 1, : u.size] = u, system.R @ u + system.box.linear
    device.write(islands._points, points)
    if pool is not None:
        device.write(islands._pool, pool[None])
        device.write(islands._values, values[None])
    islands.search(rules, np.uint64(KEY), 1)
    islands.outcome()
    return system, islands, islands.vector(0, 0), islands.vector(0, 1)


@pytest.mark.parametrize("block", [32, 64])
@pytest.mark.parametrize("n", [1, 7, 70])
@pytest.mark.parametrize("density", [1.0, 0.02])
def test_sweeps_against_oracle(device, n, density, block):
    rng = np.random.default_rng(n)
    # No ties: of two equal ends, which one is a matter of taste.
    P, c, u = integers(n, n, density), rng.normal(size=n), rng.random(n)
    binary = rng.random(n) < 0.3
    u[binary] = np.rint(u[binary])
    p = QP.of(P, c, lb=0, ub=1, binary=binary)
    T, sweep, step = 0.4, 9, 3
    for noisy in (True, False):
        stage = kernels.ANNEAL if noisy else kernels.DESCEND
        system, islands, mine, g = one_stage(
            device, p, block, stage, u, rules=rules_for(9, hot=T, cold=T), length=50.0,
            numbers=((kernels.ROUND, step), (kernels.SWEEP, sweep)),
        )  # fmt: skip
        spread = np.sqrt((P**2).sum(axis=1) - np.diag(P) ** 2) / system.unit
        theirs = u.tolist()
        for i in range(n):
            noise = T * spread[i] * float(np.float32(box_noise(KEY, step, 0, sweep * n + i))) if noisy else 0.0
            theirs[i] = coordinate_minimum(
                (P / system.unit).tolist(), (c / system.unit).tolist(), theirs, i, bool(binary[i]), noise
            )
        np.testing.assert_allclose(mine, theirs, atol=1e-12)
        np.testing.assert_allclose(g, (P @ mine + c) / system.unit, atol=1e-9)
        assert islands.counts[0, kernels.TESTS] == n
        assert abs(islands.counts[0, kernels.MOVES] - (np.array(theirs) != u).sum()) <= n // 10


@pytest.mark.parametrize("d", [0.3, -0.7, 1.1])
def test_several_coordinates_meet_their_ends_together(device, d):
    # The first of them is put at its end; where the others come to lie is rounding.
    n = 70
    p, u, rules = QP.of(-np.eye(n), np.zeros(n), lb=0, ub=1), np.full(n, 0.35), rules_for(9)
    direction = np.full(n, d) * np.where(np.arange(n) < 5, 0.1, 1.0)
    system = box_system(p, True)
    g = system.R @ u + system.box.linear
    islands = Islands(BoxOnDevice(device, system.box), start=u, members=2, length=1.0, first=0, count=1, block=64)
    islands.numbers[0, kernels.STAGE], islands.levels[0, kernels.PRODUCT] = kernels.CONJUGATE, 1.0
    device.write(islands._numbers, islands.numbers)
    device.write(islands._levels, islands.levels)
    points = np.zeros((1, 5, islands.box.stride))
    for k, vector in ((0, u), (1, g), (3, direction)):
        points[0, k, :n] = vector
    device.write(islands._points, points)
    islands.search(rules, np.uint64(1), 1)
    islands.outcome()
    twin = new_search(n, 2, 1.0)
    twin.u[:], twin.g[:], twin.direction[:] = u, g, direction
    twin.numbers[kernels.STAGE], twin.levels[kernels.PRODUCT] = kernels.CONJUGATE, 1.0
    search(system.box, rules, twin, np.uint64(1), 1)
    assert_equal(islands, [twin])
    # Uphill directions are followed backwards.
    assert twin.levels[kernels.PRODUCT] == -1.0 and np.isclose(twin.u, 1.0)[5:].all() and twin.u[5] == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_crossing_against_oracle(device, seed, monkeypatch):
    monkeypatch.setattr("fnanneal.solvers.qp.box_system._in_rows", lambda *_: False)
    rng, n = np.random.default_rng(seed), 14
    P, c = integers(n, seed, 0.12), rng.integers(-9, 10, n).astype(float)
    u, v = (np.where(rng.random(n) < 0.6, rng.integers(0, 2, n), rng.random(n)) for _ in range(2))
    p = QP.of(P, c, lb=0, ub=1)
    system, islands, child, g = one_stage(
        device, p, 32, kernels.END, u, rules=rules_for(9), pool=np.array([v, v]), values=np.zeros(2),
        numbers=((kernels.ROUND, 5), (kernels.FILLED, 2)),
    )  # fmt: skip
    assert not islands.box.dense and islands.numbers[0, kernels.CROSSED] == 1
    theirs, parts = box_child(P.tolist(), c.tolist(), u.tolist(), v.tolist(), ALIKE, [b == 0 for b in system.box.bend])
    before, after = (box_value(P.tolist(), c.tolist(), x.tolist()) for x in (u, child))
    assert after <= before + 1e-12 and after <= box_value(P.tolist(), c.tolist(), theirs) + 1e-9
    assert parts > 1 or (child == u).all()
    np.testing.assert_allclose(system.unit * g, P @ child + c, atol=1e-10)


@pytest.mark.parametrize("far", [False, True])
def test_rows_of_a_scaled_matrix_are_symmetric(far):
    # The GPU reads rows where the CPU adds columns.
    p = problem("reals", 60, 2) if far else problem("sparse", 300, 2)
    R = box_system(p, True).R
    assert (R != R.T).nnz == 0


def test_exchange(device):
    p = problem("sparse", 40, 6)
    _, islands, _ = run_islands(device, p, 32, rules_for(5), count=3, members=3)
    best = [islands.vector(k, 2) for k in range(3)]
    values = islands.levels[:, kernels.BEST].copy()
    before = [islands.pool(k) for k in range(3)]
    islands.exchange(1)
    for k in range(3):
        other = (k + 2) % 3
        points, kept = before[k]
        twin = new_search(40, 3, 5.0)
        twin.pool[:], twin.values[:], twin.u[:] = points, kept, best[other]
        twin.numbers[kernels.FILLED] = 3
        kernels._insert(twin, values[other])
        pool, after = islands.pool(k)
        np.testing.assert_array_equal(pool, twin.pool)
        np.testing.assert_array_equal(after, twin.values)
    islands.welcome(best[0], -1e6)
    assert -1e6 in islands.pool(0)[1] and -1e6 not in islands.pool(1)[1]


@pytest.mark.parametrize(
    ("near", "value", "place"),
    [(True, 2.0, 1), (True, 2.5, None), (True, 1.0, 1), (False, 5.0, None), (False, 4.9, 2), (False, 2.0, 2)],
)
def test_who_leaves_the_pool(device, near, value, place):
    n, rng = 70, np.random.default_rng(2)
    pool, values = rng.random((3, n)), np.array([1.0, 2.0, 5.0])
    new = pool[1] + 0.009 if near else rng.random(n)
    _, islands, _ = run_islands(device, problem("sparse", n, 1), 64, rules_for(5), count=1, members=3)
    device.write(islands._pool, pool[None])
    device.write(islands._values, values[None])
    islands.welcome(new, value)
    if place is not None:
        pool[place], values[place] = new, value
    after = islands.pool(0)
    np.testing.assert_array_equal(after[0], pool)
    np.testing.assert_array_equal(after[1], values)


SOLVES = {
    "bytes": lambda: box(40, 0.6, 3),
    "reals": lambda: problem("reals", 30, 1),
    "sparse": lambda: problem("sparse", 90, 2),
    "binary": lambda: problem("sparse", 60, 3, binary=True),
    "bent": lambda: problem("reals", 40, 7, bend=9.0),
    "one": lambda: QP.of([[-2.0]], [0.5], lb=-1, ub=2),
    "nothing": lambda: QP.of(np.zeros((3, 3)), np.zeros(3), lb=0, ub=1, binary=np.array([True, False, True])),
    "fixed": lambda: QP.of(integers(4, 1), np.ones(4), lb=[0, 1, 0, 2], ub=[0, 1, 1, 2]),
    "all fixed": lambda: QP.of(integers(3, 1), np.ones(3), lb=1, ub=1),
    "convex": lambda: QP.of(np.eye(5) + 0.1, -np.arange(5.0), lb=0, ub=1),
}


@pytest.mark.parametrize("which", SOLVES)
def test_solves_are_those_of_the_cpu(on_device, which):
    p = SOLVES[which]()
    mine, cpu = (
        solve_qp_problem(p, solver="boxqp", seed=5, backend=b, num_rounds=14, repeats=1000) for b in ("cuda", "cpu")
    )
    assert (mine.backend, cpu.backend) == ("cuda", "cpu")
    assert mine.status is cpu.status is QPStatus.SOLVED
    np.testing.assert_array_equal(mine.x, cpu.x)
    assert mine.objective == cpu.objective and mine.residuals == cpu.residuals and mine.gap == cpu.gap
    assert mine.iterations == cpu.iterations and mine.details == cpu.details
    assert mine.energy.events == cpu.energy.events
    assert mine.settings == cpu.settings and mine.solver == "boxqp"


def test_the_default_end(on_device):
    p = box(25, 0.5, 2)
    mine, cpu = (solve_qp_problem(p, solver="boxqp", seed=1, backend=b) for b in ("cuda", "cpu"))
    assert mine.objective == cpu.objective and mine.details == cpu.details and mine.details["repeats"] == 12
    start = np.ones(25)
    mine, cpu = (
        solve_qp_problem(p, solver="boxqp", seed=1, x0=start, num_rounds=1, backend=b) for b in ("cuda", "cpu")
    )
    assert (mine.x == cpu.x).all()


@pytest.mark.parametrize("seed", range(4))
def test_small_boxes_against_enumeration(on_device, seed):
    rng, n = np.random.default_rng(seed), 6
    P, q = integers(n, seed), rng.integers(-9, 10, n).astype(float)
    lb, ub = -rng.integers(1, 4, n).astype(float), rng.integers(0, 3, n).astype(float)
    binary = rng.random(n) < 0.3
    found = solve_qp(P, q, lb=lb, ub=ub, binary=binary, solver="boxqp", seed=seed, backend="cuda")
    least = box_minimum(P.tolist(), q.tolist(), lb, ub, binary.tolist())
    assert found.objective == pytest.approx(least, abs=1e-8 * max(1, abs(least)))


def test_a_time_limit_fills_the_device(on_device, monkeypatch):
    made = []
    begin = Islands.__init__
    monkeypatch.setattr(Islands, "__init__", lambda self, *a, **k: (begin(self, *a, **k), made.append(self))[0])
    monkeypatch.setattr(cuda, "_crowd", lambda *_: 5)
    p = box(20, 0.6, 3)
    exact = solve_qp_problem(p, solver="boxqp", seed=1, backend="cpu", repeats=100, num_rounds=10_000).objective
    found = solve_qp_problem(p, solver="boxqp", seed=1, backend="cuda", time_limit=60.0, repeats=40)
    assert found.status is QPStatus.SOLVED and found.objective == pytest.approx(exact, rel=1e-12)
    islands = made[-1]
    # Repeats of all islands count, and rounds and events are sums.
    assert islands.count == 5 and found.details["repeats"] >= 40 > islands.numbers[:, kernels.HITS].max()
    assert found.iterations == islands.numbers[:, kernels.ROUND].sum() > 5
    assert found.energy.events.spin_tests == islands.counts[:, kernels.TESTS].sum()


def test_a_time_limit_ends_a_solve(on_device, monkeypatch):
    monkeypatch.setattr(cuda, "_crowd", lambda *_: 2)
    found = solve_qp_problem(box(50, 0.6, 3), solver="boxqp", seed=1, backend="cuda", time_limit=0.2, repeats=10**6)
    assert found.status in (QPStatus.TIME_LIMIT, QPStatus.SOLVED) and found.time.solve_s < 5.0
    assert found.residuals.worst < 1e-6


@pytest.mark.parametrize(("took", "rate"), [(0.0, 8 * cuda.FIRST_RATE), (0.5, None)])
def test_launches_grow_to_what_the_device_does(device, monkeypatch, took, rate):
    clock = iter(np.arange(1000) * took)
    method = BoxQP(repeats=10**6).on_cuda((device,))
    system = method.prepare(box(12, 0.6, 3), Tolerance(eps_abs=1e-6, eps_rel=0.0, polish=True), 1)
    state = method.init(system, seed=3, start=None)
    monkeypatch.setattr(cuda, "perf_counter", lambda: next(clock))
    method.advance(system, state, math.inf)
    spent = state.whole.search.counts[kernels.PRODUCTS]
    assert state.whole.rate == rate if rate else spent < 0.5 * state.whole.rate < 10 * spent


@pytest.mark.skipif(cuda_shim.COMPILER is None, reason="no g++")
def test_two_devices_share_the_islands(monkeypatch):
    devices = tuple(cuda_shim.ShimDevice(multiprocessors=1) for _ in range(2))
    monkeypatch.setattr(cuda, "RESIDENT", 64)
    method = BoxQP(population=2, repeats=10**6).on_cuda(devices)
    system = method.prepare(box(30, 0.6, 3), Tolerance(eps_abs=1e-6, eps_rel=0.0, polish=True), 1)
    state = method.init(system, seed=3, start=None)
    for _ in range(6):
        method.advance(system, state, 0.05)
    step = method.report(system, state)
    assert [(i.first, i.count) for i in state.islands] == [(0, 2), (2, 2)]
    assert state.turns > 0 and all("migrate" in d.launched for d in devices)
    bests = np.concatenate([i.levels[:, kernels.BEST] for i in state.islands])
    assert state.whole.search.levels[kernels.BEST] == bests.min()
    assert step.iterations == sum(i.numbers[:, kernels.ROUND].sum() for i in state.islands)


@pytest.mark.skipif(cuda_shim.COMPILER is None, reason="no g++")
def test_memory_is_looked_at_first(monkeypatch):
    n = 50
    small = cuda_shim.ShimDevice(memory=20_000)
    monkeypatch.setattr(finding, "find", lambda: finding.Found(devices=(small,), driver=(12, 0), cupy="0"))
    with pytest.raises(
        InputError, match=r"boxqp needs [\d.]+ MiB of the GPU's memory, and 0.0 are free: use backend=cpu$"
    ):
        solve_qp_problem(box(n, 0.6, 3), solver="boxqp", backend="cuda")
    assert small.launched == []
    # Room for seven islands, not for more; the shim's memory does not shrink as arrays are made.
    tight = cuda_shim.ShimDevice(memory=int(7.5 * island_bytes(n, 16) / cuda.SHARE))
    wide = cuda_shim.ShimDevice()
    for device, most in ((tight, 7), (wide, 64)):
        built = BoxOnDevice(device, box_system(box(n, 0.6, 3), True).box)
        assert cuda._crowd(built, 16) == most


def test_memory_of_an_island(device):
    made = []
    keep = device.empty, device.zeros, device.upload

    def counted(make):
        def new(*args):
            array = make(*args)
            made.append(array.nbytes)
            return array

        return new

    built = BoxOnDevice(device, box_system(problem("sparse", 45, 1), True).box)
    try:
        device.empty, device.zeros, device.upload = map(counted, keep)
        Islands(built, start=np.zeros(45), members=3, length=1.0, first=0, count=10, block=32)
        again = len(made)
        assert sum(made) <= 10 * island_bytes(45, 3) + 8 * 64
        BoxOnDevice(device, box_system(problem("sparse", 45, 1), True).box)
        assert sum(made[again:]) <= built.bytes + 64
    finally:
        device.empty, device.zeros, device.upload = keep


def test_blocks_and_crowds():
    if cuda_shim.COMPILER is None:
        pytest.skip("no g++")
    device = cuda_shim.ShimDevice(multiprocessors=10, shared_bytes=227 * 1024)
    for kind, n, alone, many in (("bytes", 50, 32, 32), ("bytes", 1000, 256, 64), ("reals", 300, 96, 64)):
        built = BoxOnDevice(device, box_system(problem(kind, n, 1), True).box)
        assert (built.block(True), built.block(False)) == (alone, many)
        assert cuda._crowd(built, 16) == 10 * (512 // many)
        assert built.kernels(many).defines[2] != "HELD=0" and built.kernels(alone).defines[2] != "HELD=0"
    sparse = BoxOnDevice(device, box_system(problem("sparse", 5000, 1), True).box)
    # 42 KiB of shared memory each: five on a multiprocessor.
    assert sparse.block(False) == 32 and cuda._crowd(sparse, 16) == 50


def test_on_the_cpu_unless_asked(on_device):
    p = box(10)
    method, where = place(BoxQP(), "auto", p)
    assert isinstance(method, BoxQP) and where == "cpu"
    method, where = place(BoxQP(hot=0.3), "cuda", p)
    assert isinstance(method, CudaBoxQP) and where == "cuda" and method.settings()["hot"] == 0.3
    assert method.accepts(QP.of(None, [1.0], lb=0)) == BoxQP().accepts(QP.of(None, [1.0], lb=0))
