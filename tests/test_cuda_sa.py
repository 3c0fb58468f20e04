"""`sa` on a GPU: the CPU's spins, values and events, whatever the weights, the settings and the number of devices."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

import fnanneal.run
from fnanneal import InputError, Status, solve
from fnanneal.fndam import FNDAMArray
from fnanneal.problems.models import Ising
from fnanneal.solvers.cuda import finding
from fnanneal.solvers.cuda.sa import CHAINS, CudaSA
from fnanneal.solvers.cuda.sweep import DeviceChains
from fnanneal.solvers.sa import SimulatedAnnealing

from .cases import ising, random_problem, serial
from .cuda_shim import ShimDevice


def small(weights, n=60, fields=True, degree=5) -> Ising:
    return ising(*random_problem(np.random.default_rng(5), n, degree, weights, fields))


def same(a, b):
    """Equal in everything that the clock does not touch."""
    assert (a.objective, a.num_reads, a.num_sweeps, a.events) == (b.objective, b.num_reads, b.num_sweeps, b.events)
    for name in ("spins", "states", "objectives", "multiplicity"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


def both(problem, **arguments):
    """On the GPU, having compared it with the CPU."""
    arguments = {"seed": 3, "num_sweeps": 60, "num_reads": 3, "threads": 1, **arguments}
    there, here = (solve(problem, "sa", backend=b, **arguments) for b in ("cuda", "cpu"))
    same(there, here)
    assert (there.backend, here.backend) == ("cuda", "cpu") and there.settings == here.settings
    assert there.status is here.status and there.verify()
    assert there.energy.account == here.energy.account
    return there


@pytest.fixture
def two(monkeypatch):
    """Two devices, which `backend="cuda"` finds."""
    devices = ShimDevice(), ShimDevice(descending=True)
    found = finding.Found(devices=devices, driver=(12, 0), cupy="0")
    monkeypatch.setattr(finding, "find", lambda: found)
    return devices


@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
@pytest.mark.parametrize("kind", ["ising", "qubo", "maxcut"])
def test_a_solve_is_the_cpus(on_device, kind, weights):
    model = small(weights)
    model = {"ising": model, "qubo": model.to_qubo(), "maxcut": replace(model, fields=np.zeros(60, int)).to_maxcut()}[
        kind
    ]
    both(model)


@pytest.mark.parametrize("weights", ["pm1", "real"])
@pytest.mark.parametrize(
    "settings",
    [
        {"rule": "heat-bath", "beta_range": (0.3, 0.3)},
        {"schedule": "linear"},
        {"schedule": "fn", "timer_mismatch": 0.1, "num_reads": 5},
        {"num_reads": None, "num_sweeps": 5},
    ],
    ids=["heat bath", "linear", "mismatch", "default reads"],
)
def test_settings(on_device, weights, settings):
    both(small(weights), **settings)


@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_initial_states_and_edges_of_size(on_device, weights):
    rng = np.random.default_rng(1)
    both(small(weights), initial_states=rng.choice([-1, 1], (2, 60)), num_sweeps=2)
    both(small(weights, n=1, degree=0), num_sweeps=5)
    both(small(weights, n=257, degree=0), num_sweeps=5, num_reads=2)
    both(small(weights, n=40, degree=39), num_sweeps=20)


def test_sums_of_floats_are_taken_afresh(on_device, monkeypatch):
    monkeypatch.setattr("fnanneal.solvers.sa._REFRESH", 16)
    both(small("real"), num_sweeps=70)
    solver = SimulatedAnnealing(num_sweeps=70, num_reads=3)
    there = CudaSA(solver, [on_device])
    problem = small("real")
    states = []
    for form in (solver, there):
        system = form.prepare(problem)
        state = form.init(system, 7, open_ended=False, threads=1, initial=None)
        for budget in (900, 500, 10_000, 10_000, 10_000):
            form.advance(system, state, budget, serial)
        states.append(state if form is solver else form.on_host(state))
    for f in fields(states[0]):
        a, b = (getattr(s, f.name) for s in states)
        assert a.tobytes() == b.tobytes() if isinstance(a, np.ndarray) else a == b, f.name
    assert states[0].sweep == 64


@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_rounds_follow_one_another(on_device, weights, monkeypatch):
    """An open-ended run with as many reads: round by round the same state."""
    monkeypatch.setattr("fnanneal.solvers.sa.DEFAULT_SWEEPS", 4)
    solver = SimulatedAnnealing(num_reads=2)
    states = []
    for form in (solver, CudaSA(solver, [on_device])):
        system = form.prepare(small(weights))
        state = form.init(system, 7, open_ended=True, threads=1, initial=None)
        while state.round < 3:
            form.advance(system, state, 10**6, serial)
        states.append(state if form is solver else form.on_host(state))
    for f in fields(states[0]):
        a, b = (getattr(s, f.name) for s in states)
        assert a.tobytes() == b.tobytes() if isinstance(a, np.ndarray) else a == b, f.name
    assert states[0].past == 4 + 6 + 9 and states[0].sweep == 13


@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_analog_weights(on_device, weights):
    array = FNDAMArray(bits=6, mismatch=0.02, read_noise=2e-5)
    both(small(weights), weights=array)
    drifting = replace(array, sweep_seconds=50.0, reread_sweeps=25)
    drifted = both(small(weights), weights=drifting)
    assert not np.array_equal(drifted.states, both(small(weights), weights=replace(drifting, sweep_seconds=1.0)).states)


@pytest.mark.parametrize("weights", ["pm1", "real"])
@pytest.mark.parametrize("order", [("cuda", "cpu", "cuda"), ("cpu", "cuda", "cpu")])
def test_a_checkpoint_goes_on_elsewhere(on_device, weights, order, tmp_path, monkeypatch):
    monkeypatch.setattr(fnanneal.run, "CHUNK_S", 1e-5)
    problem, file = small(weights), tmp_path / "run.npz"
    budget = {"num_sweeps": 80, "num_reads": 3, "seed": 2, "threads": 1}
    whole = solve(problem, "sa", backend="cpu", **budget)
    part = solve(problem, "sa", backend=order[0], checkpoint=file, callback=lambda p: p.fraction > 0.2, **budget)
    assert part.status is Status.STOPPED and part.num_sweeps < 80
    again = solve(
        problem, resume=file, backend=order[1], checkpoint=file, callback=lambda p: p.fraction > 0.5, threads=1
    )
    assert again.status is Status.STOPPED and part.num_sweeps < again.num_sweeps < 80
    last = solve(problem, resume=file, backend=order[2], threads=1)
    same(last, whole)


def test_an_open_ended_run_fills_the_device_and_goes_on_elsewhere(on_device, tmp_path):
    problem, file = small("pm1", n=20), tmp_path / "run.npz"
    first = solve(problem, "sa", backend="cuda", time_limit=1e-3, seed=1, checkpoint=file, threads=1)
    assert first.num_reads == CHAINS * on_device.multiprocessors
    on = solve(problem, backend="cpu", resume=file, time_limit=first.time.solve_s + 0.05, threads=1)
    assert on.num_reads % first.num_reads == 0 and on.num_sweeps > first.num_sweeps


@pytest.mark.parametrize("weights", ["pm1", "real"])
@pytest.mark.parametrize("reads", [1, 2, 5])
def test_two_devices(two, weights, reads):
    both(small(weights), num_reads=reads)
    assert {"anneal"} <= set(two[1].launched) and "random_spins" in two[0].launched
    both(small(weights), num_reads=reads, schedule="fn", timer_mismatch=0.1, num_sweeps=20)
    both(
        small(weights), num_reads=reads, initial_states=np.random.default_rng(1).choice([-1, 1], (3, 60)), num_sweeps=2
    )


def test_two_devices_and_a_checkpoint(two, tmp_path):
    problem, file = small("real"), tmp_path / "run.npz"
    budget = {"num_sweeps": 30, "num_reads": 3, "seed": 2, "threads": 1}
    solve(problem, "sa", backend="cuda", checkpoint=file, callback=lambda p: True, **budget)
    same(solve(problem, resume=file, backend="cuda", threads=1), solve(problem, "sa", backend="cpu", **budget))


def test_too_little_memory(monkeypatch):
    problem = small("pm1", n=500)
    system = SimulatedAnnealing().prepare(problem)
    graph, chain = DeviceChains.graph_bytes(system), DeviceChains.chain_bytes(system)
    device = ShimDevice(memory=graph + 10 * chain)
    found = finding.Found(devices=(device,), driver=(12, 0), cupy="0")
    monkeypatch.setattr(finding, "find", lambda: found)
    with pytest.raises(
        InputError, match=r"^CPU: 1000 read\(s\) need 0\.\d+ GiB .* fewer reads \(num_reads\), or backend=cpu$"
    ):
        solve(problem, "sa", backend="cuda", num_reads=1000, num_sweeps=1)
    device.memory = graph
    with pytest.raises(InputError, match=r"1 read\(s\) need"):
        solve(problem, "sa", backend="cuda", num_reads=1, num_sweeps=1)
    # An open-ended run takes fewer reads instead.
    device.memory = int(3.5 * chain / 0.9)
    there = CudaSA(SimulatedAnnealing(), [device])
    state = there.init(there._placed(system), 0, open_ended=True, threads=1, initial=None)
    assert state.reads == 3


def test_what_a_state_takes():
    """The memory that is asked for is what is taken."""
    for weights in ("pm1", "real"):
        there = CudaSA(SimulatedAnnealing(), [ShimDevice()])
        system = there.prepare(small(weights, n=300))
        state = there.init(system, 0, open_ended=False, threads=1, initial=None)
        (part,) = state.parts
        taken = sum(getattr(part, a).nbytes for a in ("spins", "best", "fields", "values", "counts"))
        assert taken <= 32 * DeviceChains.chain_bytes(system.host) <= 1.5 * taken
        chains = system.chains[0]
        arrays = {id(a): a.nbytes for a in vars(chains).values() if isinstance(a, np.ndarray)}
        assert (
            0.8 * DeviceChains.graph_bytes(system.host) <= sum(arrays.values()) <= DeviceChains.graph_bytes(system.host)
        )
