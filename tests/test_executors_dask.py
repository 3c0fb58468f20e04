"""A real Dask cluster of separate processes, one of them killed in the middle."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time

import pytest

from fnanneal.errors import InputError
from fnanneal.parallel import WorkerDied, describe, is_worker_death, open_executor, process_token, run_tasks, slots

from . import cases_parallel as cases

distributed = pytest.importorskip("distributed")
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=logging.CRITICAL
    ) as found:
        yield found


@pytest.fixture
def address(cluster):
    return f"dask:{cluster.scheduler_address}"


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.05)


def test_values_and_exceptions(address):
    with open_executor(address) as executor:
        until(lambda: slots(executor) == 2)
        assert describe(executor) == {"executor": "dask", "workers": 2, "threads_per_worker": 1}
        done = {d.index: d for d in run_tasks(executor, cases.divide, [3, 0, 3])}
        # Two tasks that are alike are two tasks.
        assert done[0].value == done[2].value == 4 and isinstance(done[1].error, ZeroDivisionError)
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(cases.square, 1)


def test_a_worker_killed_in_the_middle(address, tmp_path):
    with open_executor(address) as executor:
        tasks = [(str(tmp_path / f"{k}"), str(tmp_path / "go")) for k in range(8)]
        results = run_tasks(executor, cases.where_and_wait, tasks)

        def murder():
            until(lambda: len(list(tmp_path.glob("[0-9]"))) >= 2)
            os.kill(int(next(iter(tmp_path.glob("[0-9]"))).read_text()), signal.SIGKILL)
            (tmp_path / "go").touch()

        murderer = threading.Thread(target=murder)
        murderer.start()
        done = {d.index: d for d in results}
        murderer.join()
        assert [done[k].value for k in range(8)] == [name for name, _ in tasks]


def test_a_hung_task_ends_its_worker_and_then_itself(address):
    with open_executor(address) as executor:
        done = {
            d.index: d
            for d in run_tasks(executor, cases.hang_or_square, [(process_token(), k) for k in (3, 0, 4)], retries=1)
        }
    assert (done[0].value, done[2].value) == (9, 16)
    assert is_worker_death(done[1].error) and not isinstance(done[1].error, WorkerDied) and done[1].attempts == 4


def test_an_exception_leaves_at_once(address, tmp_path):
    with pytest.raises(KeyboardInterrupt), open_executor(address) as executor:
        waits = [executor.submit(cases.wait_for, str(tmp_path / "go")) for _ in range(6)]
        raise KeyboardInterrupt
    assert not any(f.done() and not f.cancelled() for f in waits)
    (tmp_path / "go").touch()


def test_workers_with_several_threads_are_told_of(caplog):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", silence_logs=logging.CRITICAL
    ) as cluster, open_executor(f"dask:{cluster.scheduler_address}") as executor:  # fmt: skip
        (told,) = (r.message for r in caplog.records if r.name == "fnanneal")
        assert told.endswith("start them with --nthreads 1")
        assert slots(executor) == 2 and describe(executor)["threads_per_worker"] == 2
        # Its workers share this process: the watchdog lets them be.
        assert next(run_tasks(executor, cases.guarded_pid, [process_token()])).value == os.getpid()


def test_nobody_there(monkeypatch):
    from fnanneal.parallel import dask

    monkeypatch.setattr(dask, "_CONNECT_S", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        spec = f"dask:tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=r"no Dask scheduler at 'tcp://127") as e, open_executor(spec):
            raise AssertionError
    assert len(str(e.value).splitlines()) == 1
    with pytest.raises(InputError, match="no Dask scheduler at 'nonsense://x'"), open_executor("dask:nonsense://x"):
        raise AssertionError
