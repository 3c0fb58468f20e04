"""The ensemble on GPUs: the CPU's spins, whatever the engine, the devices and the chunks."""

from __future__ import annotations

import numpy as np
import pytest

import fnanneal
from fnanneal import Status
from fnanneal.errors import InputError
from fnanneal.run import better
from fnanneal.solvers.cuda import finding
from fnanneal.solvers.cuda.ensemble import CudaEnsemble
from fnanneal.solvers.ensemble import Ensemble
from fnanneal.solvers.populations import descents, lineages

from .cases import ising, random_problem, timeless
from .cuda_shim import ShimDevice


def real_problem(n, degree, fields):
    return ising(*random_problem(np.random.default_rng(n), n, degree, "real", fields))


def dense_problem(n):
    rng = np.random.default_rng(n)
    pairs = [(i, j, int(rng.integers(-90, 91))) for i in range(n) for j in range(i)]
    return ising(pairs, rng.integers(-50, 51, n).tolist())


PROBLEMS = {
    "torus": "nx:grid_2d_graph(10,11,periodic=True);weights=pm1;wseed=3",
    "regular": "nx:random_regular_graph(3,60,seed=1)",
    "denser": "nx:gnm_random_graph(60,300,seed=2)",
    "hub": "nx:star_graph(150)",
    "one vertex": fnanneal.load({(0, 0): 1}),
    "all eliminated": "nx:path_graph(9)",
    "dense, two weights": "gen:sk(70,'pm1',seed=2)",
    "dense integers": dense_problem(50),
    "dense, real": "gen:sk(45,'gauss',seed=2)",
    "real": real_problem(200, 5, True),
    "real, no fields": real_problem(220, 5, False),
}


def same(a, b):
    assert a.objective == b.objective and np.array_equal(a.spins, b.spins)
    assert np.array_equal(a.states, b.states) and a.objectives.tolist() == b.objectives.tolist()
    mine, theirs = (timeless(r.to_dict()) for r in (a, b))
    assert mine.pop("backend") == "cpu" and theirs.pop("backend") == "cuda"
    assert mine == theirs


def solve(problem, backend, **settings):
    given = {"seed": 11, "threads": 1, "num_sweeps": 150, **settings}
    return fnanneal.solve(
        PROBLEMS.get(problem, problem) if isinstance(problem, str) else problem, backend=backend, **given
    )


def both(problem, **settings):
    """The same solve on the CPU and on the devices."""
    cpu, gpu = (solve(problem, backend, **settings) for backend in ("cpu", "cuda"))
    same(cpu, gpu)
    return cpu


@pytest.fixture
def brief(monkeypatch):
    """Rounds so short that a small budget has champions, merges and compound moves."""
    monkeypatch.setattr(lineages, "PROBE", 4)
    for name, value in (("LEAST", 6), ("AVERAGE", 8), ("ORDINARY", 12), ("LONGEST", 20)):
        monkeypatch.setattr(lineages, name, value)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Descents that end within a budget of 150 sweeps, several times."""
    monkeypatch.setattr(descents, "SWEEPS", 40)
    monkeypatch.setattr(descents, "RESAMPLINGS", 9)


@pytest.fixture
def devices(monkeypatch):
    """Two GPUs, one of which runs everything the other way round."""
    found = finding.Found(devices=(ShimDevice(), ShimDevice(descending=True)), driver=(12, 0), cupy="0")
    monkeypatch.setattr(finding, "find", lambda: found)
    return found.devices


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_same_spins(on_device, brief, name):
    both(name)


@pytest.mark.parametrize("name", ["torus", "real"])
def test_chains(on_device, brief, name):
    both(name, engine="chains", num_sweeps=100)


def test_rounds_as_they_are(on_device):
    """With the lengths that users have: a probe, a fresh round, crossings."""
    both("torus", num_sweeps=700)


@pytest.mark.parametrize("name", ["dense, two weights", "dense, real"])
def test_dense_islands(devices, name):
    both(name, num_reads=3)
    both(name, weights="fn-dam", initial_states=np.ones(70 if name == "dense, two weights" else 45))


@pytest.mark.parametrize(
    "settings",
    [
        {"num_reads": 1},
        {"num_reads": 5, "kappa": 3.0},
        {"timer_mismatch": 0.05},
        {"initial_states": np.ones(110)},
        {"weights": "fn-dam"},
        {"weights": fnanneal.FNDAMArray(sweep_seconds=3600.0, reread_sweeps=40)},
        {"num_sweeps": 1},
    ],
    ids=str,
)
def test_settings(on_device, brief, settings):
    both("torus", **settings)


def test_two_devices(devices, brief):
    both("torus", num_reads=5)
    assert all("lane_sweeps" in d.launched and "cross" in d.launched for d in devices)


def test_too_large_for_shared_memory(monkeypatch, brief):
    found = finding.Found(devices=(ShimDevice(shared_bytes=256),), driver=(12, 0), cupy="0")
    monkeypatch.setattr(finding, "find", lambda: found)
    both("torus", num_sweeps=40)
    assert "lane_phase" in found.devices[0].launched


@pytest.mark.parametrize("name", ["torus", "dense, two weights"])
@pytest.mark.parametrize("first", ["cpu", "cuda"])
def test_a_checkpoint_of_one_backend_is_resumed_on_the_other(on_device, brief, first, name, tmp_path):
    """Stopped in the middle of a round."""
    second = "cuda" if first == "cpu" else "cpu"
    calls = iter(range(10**6))
    path = tmp_path / "state"
    part = solve(name, first, checkpoint=path, callback=lambda _: next(calls) == 3)
    assert part.status == "stopped" and 0 < part.num_sweeps < 150
    whole = solve(name, "cpu")
    rest = solve(name, second, resume=path, seed=None, num_sweeps=None)
    assert rest.objective == whole.objective and np.array_equal(rest.spins, whole.spins)
    assert rest.energy.events == whole.energy.events


@pytest.mark.parametrize("name", ["torus", "dense, two weights"])
@pytest.mark.parametrize("first", ["cpu", "cuda"])
def test_an_open_ended_run_moves_with_its_islands(devices, first, name, tmp_path):
    """A device has more of them than two threads."""
    path = tmp_path / "state"
    second = "cuda" if first == "cpu" else "cpu"
    part = solve(name, first, num_sweeps=None, time_limit=0.2, checkpoint=path, threads=2)
    done = part.energy.events.spin_tests
    rest = solve(
        name, second, num_sweeps=None, time_limit=part.time.solve_s + 60, resume=path, seed=None,
        callback=lambda p: p.spin_tests > done,
    )  # fmt: skip
    assert rest.num_sweeps > part.num_sweeps and not better(part.problem.sense, part.objective, rest.objective)
    each, both_ = (r.energy.events.spin_tests / r.num_sweeps for r in (part, rest))
    assert each == pytest.approx(both_, rel=0.3)


def test_a_limit_fills_the_devices(devices):
    result = solve(
        "denser", "cuda", time_limit=60, num_sweeps=None, callback=lambda _: all("cross" in d.launched for d in devices)
    )
    assert result.status is Status.STOPPED and result.problem.objective(result.spins) == result.objective
    # Four multiprocessors with four blocks of two warps each: eight islands on each device.
    assert result.energy.events.spin_tests >= result.num_sweeps * 16 * 64 * 60


def test_fewer_islands_where_memory_is_short(monkeypatch):
    found = finding.Found(devices=(ShimDevice(memory=400_000, multiprocessors=100),), driver=(12, 0), cupy="0")
    monkeypatch.setattr(finding, "find", lambda: found)
    result = solve("denser", "cuda", time_limit=0.2, num_sweeps=None)
    islands = result.energy.events.spin_tests / (result.num_sweeps * 64 * 60)
    assert 1 <= islands < 100


def test_unequal_devices_have_equally_many(monkeypatch):
    """As many as the smaller has room for, so that none has more."""
    pair = ShimDevice(multiprocessors=9), ShimDevice(multiprocessors=9, memory=150_000)
    plan = Ensemble().prepare(fnanneal.load(PROBLEMS["denser"]))
    alone = [CudaEnsemble(Ensemble(), [d])._islands(plan, True) for d in pair]
    assert 1 <= alone[1] < alone[0]
    assert CudaEnsemble(Ensemble(), pair)._islands(plan, True) == 2 * alone[1]


def test_what_does_not_fit_is_refused(monkeypatch):
    found = finding.Found(devices=(ShimDevice(memory=50_000),), driver=(12, 0), cupy="0")
    monkeypatch.setattr(finding, "find", lambda: found)
    with pytest.raises(InputError, match=r"CPU: 2 island\(s\) need 0.00 GiB.*fewer reads") as e:
        solve("denser", "cuda")
    assert "\n" not in str(e.value)


def test_auto_takes_the_device(on_device):
    assert solve("torus", "auto", num_sweeps=5).backend == "cpu", "too few spins to pay"
    assert solve("nx:random_regular_graph(3,500,seed=1)", "auto", num_sweeps=3).backend == "cuda"
    assert fnanneal.solve("nx:path_graph(5)", "exact", backend="auto").backend == "cpu"
    with pytest.raises(InputError, match="exact does not run on a GPU"):
        fnanneal.solve("nx:path_graph(5)", "exact", backend="cuda")
