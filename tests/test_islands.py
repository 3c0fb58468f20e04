"""The ensemble's islands on executors: the spins of the same solve without one, whoever works, and whoever dies."""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fnanneal
from fnanneal import FNDAMArray, InputError, Status
from fnanneal.cli import main
from fnanneal.parallel import Processes, WorkerDied
from fnanneal.solvers.ensemble import Ensemble
from fnanneal.solvers.populations import descents, lineages, parcels
from fnanneal.solvers.populations import islands as islands_module
from fnanneal.solvers.populations.exchange import exchange
from fnanneal.solvers.populations.parcels import Content, Parcel, Task

from .cases import ising, random_problem, serial, timeless
from .cases_islands import Mortal, die_once

SETTINGS = {"islands": 3, "exchange": 150, "num_sweeps": 900, "seed": 5, "threads": 1, "backend": "cpu"}


def real(n: int, degree: float) -> Any:
    return ising(*random_problem(np.random.default_rng(n), n, degree, "real", True))


PROBLEMS = {
    "integers": "nx:random_regular_graph(4,120,seed=1);weights=pm1;wseed=3",
    "real lanes": real(90, 5),
    "real chains": real(90, 40),
    "dense bits": "gen:sk(110,'pm1',seed=2)",
    "dense real": "gen:sk(60,'gauss',seed=2)",
    "all eliminated": "nx:path_graph(9)",
    "one vertex": fnanneal.load({(0, 0): 1}),
}


class Serial(Executor):
    """Does everything at once, on what pickling leaves of it; and forgets the problem before every so many tasks, as a new worker would have none."""

    _max_workers = 2

    def __init__(self, forgets: int = 10**9) -> None:
        self.forgets, self.count = forgets, 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.count += 1
        if self.count % self.forgets == 0:
            parcels._held.clear()
        future: Future[Any] = Future()
        fn, args, kwargs = pickle.loads(pickle.dumps((fn, args, kwargs)))
        try:
            future.set_result(pickle.loads(pickle.dumps(fn(*args, **kwargs))))
        except Exception as e:  # noqa: BLE001 (whatever it is, the future holds it)
            future.set_exception(e)
        return future


def solve(problem: str, **settings: Any) -> Any:
    return fnanneal.solve(PROBLEMS.get(problem, problem), **{**SETTINGS, **settings})


def same(a: Any, b: Any) -> None:
    mine, theirs = timeless(a.to_dict()), timeless(b.to_dict())
    assert mine == theirs
    assert np.array_equal(a.spins, b.spins) and np.array_equal(a.states, b.states)


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of one sweep or two, so that islands come back from anywhere within a round."""
    monkeypatch.setattr(islands_module, "SLICE_S", 0.0)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_spins_of_the_solve_without_an_executor(problem: str) -> None:
    expected = solve(problem)
    assert expected.verify() and expected.settings["exchange"] == 150 and expected.settings["num_reads"] == 3
    same(expected, solve(problem, executor=Serial()))
    with ThreadPoolExecutor(2) as threads:
        same(expected, solve(problem, executor=threads))


@pytest.mark.parametrize("problem", ["integers", "real chains", "dense real"])
def test_where_islands_are_cut_does_not_matter(problem: str, slices: None) -> None:
    expected = solve(problem, num_sweeps=300)
    worker = Serial(forgets=7)
    same(expected, solve(problem, num_sweeps=300, executor=worker))
    # One sweep a task, or nearly so, and some tasks twice.
    assert worker.count > 3 * 300


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds so short that a small budget has champions and merges."""
    monkeypatch.setattr(lineages, "PROBE", 4)
    for name, value in (("LEAST", 6), ("AVERAGE", 8), ("ORDINARY", 12), ("LONGEST", 20)):
        monkeypatch.setattr(lineages, name, value)
    monkeypatch.setattr(descents, "SWEEPS", 40)


@pytest.mark.parametrize("problem", ["integers", "real chains", "dense bits"])
def test_exchanging_changes_what_islands_do(problem: str, brief: None) -> None:
    apart = solve(problem, exchange=0)
    same(apart, fnanneal.solve(PROBLEMS[problem], num_reads=3, num_sweeps=900, seed=5, threads=2, backend="cpu"))
    together = solve(problem)
    same(together, solve(problem, threads=3))
    same(together, solve(problem, executor=Serial(forgets=5)))
    assert together.energy.events.spikes != apart.energy.events.spikes


@pytest.mark.parametrize("problem", ["integers", "dense bits"])
def test_gpus_exchange_too(problem: str, brief: None, on_device: object) -> None:
    settings = {"num_sweeps": 150, "exchange": 40}
    cpu, gpu = (solve(problem, backend=backend, **settings) for backend in ("cpu", "cuda"))
    mine, theirs = (timeless(r.to_dict()) for r in (cpu, gpu))
    assert mine.pop("backend") == "cpu" and theirs.pop("backend") == "cuda" and mine == theirs


def state_of(problem: str, **settings: Any) -> tuple[Ensemble, Any, Any]:
    solver = Ensemble(num_reads=3, exchange=100, **settings)
    plan = solver.prepare(fnanneal.load(PROBLEMS.get(problem, problem)))
    state = solver.init(plan, 7, open_ended=False, threads=1, initial=None)
    return solver, plan, state


def test_the_best_lineage_takes_the_place_of_the_next_islands_worst() -> None:
    _, plan, state = state_of("integers", num_sweeps=1000)
    rng = np.random.default_rng(1)
    state.fresh[:] = False
    state.values[:] = rng.permutation(state.values.size).reshape(state.values.shape)
    before, values = state.parents.copy(), state.values.copy()
    exchange(plan, state, 100)
    assert state.meeting == 200
    for i in range(3):
        worst, best = int(values[i].argmin()), int(values[i - 1].argmax())
        assert np.array_equal(state.parents[i, worst], before[i - 1, best])
        assert state.values[i, worst] == values[i - 1, best]
        others = np.arange(values.shape[1]) != worst
        assert np.array_equal(state.parents[i, others], before[i, others])
    # Neither from a population that is still to be annealed, nor into one; and nothing worse than what there is.
    state.parents[:], state.values[:] = before, values
    state.fresh[1] = True
    state.values[2] = values.min() - 1
    exchange(plan, state, 100)
    assert np.array_equal(state.parents, before)


def test_replicas_keep_their_own_fields() -> None:
    _, plan, state = state_of("dense real", num_sweeps=1000)
    engine = plan.dense
    best = [max(engine.values_of(state.work[i], state.local[i])) for i in range(3)]
    exchange(plan, state, 100)
    again = np.empty_like(state.local)
    for i in range(3):
        rows = state.work[i].reshape(engine.reads, -1)
        engine.load(rows, state.work[i].copy(), again[i])
        assert {best[i], best[i - 1]} <= set(engine.values_of(state.work[i], state.local[i]))
    n = plan.system.n
    assert np.allclose(again[..., :n], state.local[..., :n], atol=1e-9)


@pytest.mark.parametrize("problem", ["integers", "real chains", "dense bits"])
def test_an_island_travels_whole(problem: str) -> None:
    solver, plan, state = state_of(problem, num_sweeps=1000)
    solver.advance(plan, state, 50 * plan.system.n, serial)
    parcel = pickle.loads(pickle.dumps(Parcel.of(state, 1)))
    there = parcel.opened(plan, 3)
    held = min(int(state.found[1]), 16)
    for f in fields(state):
        mine, theirs = getattr(state, f.name), getattr(there, f.name)
        if "length" in f.metadata:
            mine, theirs = mine[1], theirs[1]
        if f.name == "champions":
            mine, theirs = mine[:held], theirs[:held]
        assert np.array_equal(mine, theirs), f.name


def test_a_worker_without_the_problem_says_so() -> None:
    solver, _, state = state_of("integers", num_sweeps=1000)
    content = Content.of(solver, fnanneal.load(PROBLEMS["integers"]))
    parcels.drop(content)
    task = Task(key=content.key, content=None, islands=3, parcel=Parcel.of(state, 0), seconds=0.0)
    assert parcels.perform(task) is None
    parcels.warm_up(content)
    back = parcels.perform(task)
    assert back is not None and back.arrays["sweep"] == 1
    # Names do not travel.
    named = fnanneal.load(PROBLEMS["integers"]).named("another")
    assert Content.of(solver, named).key == content.key
    for k in range(parcels.HELD):
        parcels.warm_up(Content.of(Ensemble(kappa=0.2 + k), named))
    assert content.key not in parcels._held


def test_processes_one_of_which_dies(tmp_path: Path) -> None:
    expected = solve("integers", islands=4)
    with Processes(1, pin=False) as one:
        same(expected, solve("integers", islands=4, executor=one))
    with Processes(2, pin=False) as two:
        same(expected, solve("integers", islands=4, executor=Mortal(two, 2, tmp_path / "mark")))
        assert not (tmp_path / "mark").exists()


def test_a_task_that_kills_every_worker_ends_the_solve() -> None:
    class Grave(Serial):
        """Where every island is the end of its worker."""

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            if fn is not parcels.perform:
                return super().submit(fn, *args, **kwargs)
            future: Future[Any] = Future()
            future.set_exception(WorkerDied(-9, 0.5))
            return future

    with pytest.raises(
        ConnectionError, match="4 workers died of the same task: the worker process was ended by SIGKILL"
    ):
        solve("integers", executor=Grave())


def test_a_process_pool_that_breaks_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Pool(ProcessPoolExecutor):
        """One whose first island is its end."""

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            return super().submit(die_once, fn, tmp_path / "mark", *args, **kwargs)

    expected = solve("integers", islands=4)
    (tmp_path / "mark").touch()
    with Pool(1, get_context("spawn")) as pool:
        same(expected, solve("integers", islands=4, executor=pool))
    assert not (tmp_path / "mark").exists()
    assert "other processes take its place" in caplog.text


def test_dask_cluster_one_of_whose_workers_is_killed() -> None:
    distributed = pytest.importorskip("distributed")
    problem = "nx:random_regular_graph(6,1000,seed=1);weights=pm1;wseed=3"
    settings = {"num_sweeps": 6000, "exchange": 1000, "islands": 4}
    expected = solve(problem, **settings)
    with (
        distributed.LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        pids = list(client.run(os.getpid).values())

        def kill(progress: fnanneal.Progress) -> None:
            if len(pids) == 2:
                # While the next islands are under way, or just before.
                threading.Timer(0.02, os.kill, (pids.pop(), signal.SIGKILL)).start()

        result = solve(problem, executor=f"dask:{cluster.scheduler_address}", callback=kill, **settings)
        assert len(pids) == 1
        same(expected, result)


def test_a_checkpoint_goes_on_elsewhere(tmp_path: Path, slices: None) -> None:
    path = tmp_path / "run.npz"
    for problem in ("integers", "dense real"):
        expected = solve(problem, num_sweeps=300)

        def stop(progress: fnanneal.Progress) -> bool:
            return progress.fraction is not None and progress.fraction > 0.4

        half = solve(problem, num_sweeps=300, executor=Serial(), callback=stop, checkpoint=path)
        assert half.status is Status.STOPPED and 0 < half.num_sweeps < 300
        model = PROBLEMS[problem]
        again = fnanneal.solve(model, resume=path, executor=Serial(forgets=11), backend="cpu")
        assert again.status is Status.COMPLETED and np.array_equal(again.spins, expected.spins)
        assert again.energy.events == expected.energy.events
        # And without any executor, with the islands that are said once more.
        plain = fnanneal.solve(model, resume=path, islands=3, threads=1, backend="cpu")
        assert np.array_equal(plain.spins, expected.spins) and plain.energy.events == expected.energy.events
        with pytest.raises(InputError, match="another num_reads"):
            fnanneal.solve(model, resume=path, islands=4, executor=Serial())


def test_dense_islands_that_stand_apart_stay_off_a_gpu(tmp_path: Path, slices: None, on_device: object) -> None:
    path = tmp_path / "run.npz"
    half = solve("dense bits", executor=Serial(), callback=lambda progress: progress.spin_tests > 0, checkpoint=path)
    assert half.status is Status.STOPPED
    with pytest.raises(InputError, match="these islands stand at different sweeps"):
        fnanneal.solve(PROBLEMS["dense bits"], resume=path, backend="cuda")


def test_limits_targets_and_stops() -> None:
    limited = solve("integers", num_sweeps=None, executor=Serial(), time_limit=0.3, exchange=50)
    assert limited.status is Status.TIME_LIMIT and limited.verify()
    assert limited.objective == solve("integers").objective
    hit = solve("integers", num_sweeps=None, executor=Serial(), target=limited.objective)
    assert hit.status is Status.TARGET and hit.objective == limited.objective

    def interrupt(progress: fnanneal.Progress) -> None:
        signal.raise_signal(signal.SIGINT)

    stopped = solve("integers", executor=Serial(), callback=interrupt)
    assert stopped.status in (Status.INTERRUPTED, Status.COMPLETED) and stopped.verify()


def test_tasks_are_told_the_seconds_left(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def perform(task: Task) -> Any:
        told.append(task.seconds)
        return parcels.perform(task)

    monkeypatch.setattr(islands_module, "perform", perform)
    monkeypatch.setattr(islands_module, "SLICE_S", 1e9)
    with ThreadPoolExecutor(2) as threads:
        solve("integers", executor=threads)
        assert set(told) == {1e9}
        told.clear()
        result = solve("integers", num_sweeps=None, executor=threads, time_limit=0.1)
    assert result.verify() and told and all(0 <= seconds <= 0.1 for seconds in told)


def test_weights_that_drift() -> None:
    cells = FNDAMArray(bits=6, hold_seconds=1e6, sweep_seconds=1e5, reread_sweeps=100)
    settings = {"weights": cells, "num_sweeps": 350}
    for problem in ("integers", "dense bits"):
        expected = solve(problem, **settings)
        same(expected, solve(problem, executor=Serial(forgets=4), **settings))


def test_eight_islands_that_exchange_unless_told_otherwise() -> None:
    about = fnanneal.solve(PROBLEMS["integers"], executor=Serial(), num_sweeps=5, seed=1).settings
    assert (about["num_reads"], about["exchange"]) == (8, 2000)
    about = fnanneal.solve(PROBLEMS["integers"], executor=Serial(), num_sweeps=5, num_reads=2, exchange=0).settings
    assert (about["num_reads"], about["exchange"]) == (2, 0)
    limited = fnanneal.solve(PROBLEMS["integers"], executor=Serial(), time_limit=0.01)
    assert (limited.settings["num_reads"], limited.num_reads, limited.settings["exchange"]) == (None, 2, 2000)
    about = fnanneal.solve(PROBLEMS["integers"], num_sweeps=5).settings
    assert (about["num_reads"], about["exchange"]) == (None, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "sa", "executor": Serial()}, "sa has no islands to be run on an executor: that is for ensemble"),
        ({"solver": "sa", "islands": 3}, "sa has no islands"),
        ({"solver": "dwave-sa", "executor": Serial()}, "dwave-sa has no islands"),
        ({"islands": 0}, "num_reads"),
        ({"islands": 3, "num_reads": 4}, "give islands or num_reads, not both"),
        ({"exchange": -1}, "exchange"),
        ({"executor": Serial(), "backend": "cuda"}, "compute on their CPUs: use backend=cpu"),
        ({"executor": "grid"}, "an executor is"),
        ({"executor": 3}, "an executor is"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fnanneal.solve(PROBLEMS["integers"], **settings)


def test_a_failing_task_shows_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise ZeroDivisionError("at work")

    monkeypatch.setattr(parcels, "anneal", fail)
    with ThreadPoolExecutor(1) as threads, pytest.raises(ZeroDivisionError, match="at work"):
        solve("integers", executor=threads)
    assert not parcels._held


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["solve", PROBLEMS["integers"], "--islands", "3", "--set", "exchange=150", "--num-sweeps", "900"]
    arguments += ["--seed", "5", "--backend", "cpu", "--threads", "1", "--json"]
    assert main._run([*arguments]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert main._run([*arguments, "--executor", "processes"]) == 0
    spread = json.loads(capsys.readouterr().out)
    assert timeless(plain) == timeless(spread) and plain["settings"]["num_reads"] == 3
    assert main._run([*arguments, "--executor", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
