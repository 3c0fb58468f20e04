"""Worker processes, and tasks on any executor: what dies, hangs or breaks costs its own task a retry."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from fnanneal.errors import FormatError, InputError
from fnanneal.parallel import (
    Processes,
    WorkerDied,
    describe,
    guarded,
    is_worker_death,
    open_executor,
    process_token,
    run_tasks,
    slots,
)
from fnanneal.parallel import cores as cores_module
from fnanneal.parallel.worker import receive, send

from . import cases_parallel as cases

HERE = Path(__file__).parent
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Other runs on this machine may have taken its cores."""
    monkeypatch.setattr(cores_module.tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def pair():
    with Processes(2, pin=False) as executor:
        yield executor


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.02)


def gone(pid):
    """Ended: no such process, or one that nobody has fetched yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False


def ours():
    return [t for t in threading.enumerate() if t.name.startswith("fnanneal-worker")]


# Processes


def test_values_and_exceptions_come_back(pair):
    assert list(pair.map(cases.square, range(20))) == [k * k for k in range(20)]
    with pytest.raises(ZeroDivisionError) as e:
        pair.submit(cases.divide, 0).result()
    assert "in divide" in e.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Odd: 1 and 1"):
        pair.submit(cases.odd, 1).result()
    with pytest.raises(RuntimeError, match="SystemExit: 5"):
        pair.submit(cases.leave, 5).result()
    with pytest.raises(Exception, match="pickle"):
        pair.submit(cases.unpicklable, 1).result()
    with pytest.raises(Exception, match="pickle"):
        pair.submit(cases.square, lambda: 1).result()
    with pytest.raises(FormatError, match="a: line 3: b"):
        pair.submit(cases_raise_format, "a").result()
    assert pair.submit(cases.square, x=4).result() == 16


def cases_raise_format(where):
    raise FormatError(where, 3, "b")


def test_large_messages(pair):
    data = bytes(range(256)) * 200_000
    assert pair.submit(bytes.upper, data).result() == data.upper()


def test_what_workers_print_is_lost(pair, capfd):
    assert pair.submit(cases.speak, 100_000).result() == 100_000
    assert capfd.readouterr() == ("", "")


def test_a_death_is_told(pair):
    for k in (0, 7):
        error = pair.submit(cases.die, k).exception()
        assert isinstance(error, WorkerDied) and is_worker_death(error)
        assert (error.code, error.log) == (k, "last words") and error.seconds >= 0
        assert f"ended with code {k}" in str(error)
    assert "was ended by SIGKILL" in str(pair.submit(cases.kill_below, -1).exception())
    assert "line" in pair.submit(os.abort).exception().log  # where it was
    assert pair.submit(cases.square, 3).result() == 9


def test_words_of_earlier_tasks_are_not_the_last(pair):
    with Processes(1, pin=False) as one:
        assert one.submit(cases.speak, 10_000).result() == 10_000
        assert one.submit(cases.die, 1).exception().log == "last words"


def test_a_death_is_one_tasks_own(pair, tmp_path):
    with Processes(2, pin=False) as executor:
        other = executor.submit(cases.wait_for, str(tmp_path / "go"))
        until(other.running)
        pid = executor.submit(cases.sleepy, 0).result()
        assert isinstance(executor.submit(cases.die, 3).exception(), WorkerDied)
        assert executor.submit(cases.sleepy, 0).result() != pid
        (tmp_path / "go").touch()
        assert other.result() == str(tmp_path / "go")


def test_worker_died_pickles():
    error = pickle.loads(pickle.dumps(WorkerDied(-9, 2.5, "log")))
    assert (error.code, error.seconds, error.log, str(error)) == (-9, 2.5, "log", str(WorkerDied(-9, 2.5)))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin")
def test_pinned_each_to_its_own_cores(tmp_path):
    allowed = sorted(os.sched_getaffinity(0))
    with Processes(len(allowed), threads=1) as executor:
        assert sorted(executor.cores) == [(k,) for k in allowed]
        assert describe(executor) == {"executor": "processes", "workers": len(allowed), "pinned": True}
        _, found, threads, main = executor.submit(cases.about).result()
        assert (tuple(found) in executor.cores, threads, main) == (True, "1", True)
        # Another run, or this one's second executor, finds them taken.
        with Processes(1) as second:
            assert second.cores is None
            assert second.submit(cases.about).result()[1] == allowed
    with Processes(1, threads=len(allowed)) as executor:
        assert executor.cores is not None
        assert executor.submit(cases.about).result()[1:] == (allowed, str(len(allowed)), True)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin")
def test_too_many_are_not_pinned(caplog):
    with Processes(len(os.sched_getaffinity(0)) + 1) as executor:
        assert executor.cores is None and len(caplog.messages) == 1 and "not pinned" in caplog.text


def test_hardware_threads_of_one_core_come_last(monkeypatch):
    siblings = {0: "0,4", 4: "0,4", 1: "1-2", 2: "1-2"}

    def read(self):
        core = int(self.parts[-3].removeprefix("cpu"))
        if core not in siblings:
            raise FileNotFoundError
        return siblings[core] + "\n"

    monkeypatch.setattr(Path, "read_text", read)
    assert cores_module._spread({0, 1, 2, 4, 9}) == [0, 1, 9, 2, 4]


def test_shutdown(tmp_path):
    executor = Processes(1, pin=False)
    first = executor.submit(cases.wait_for, str(tmp_path / "go"))
    until(first.running)
    second, third = executor.submit(cases.square, 2), executor.submit(cases.square, 3)
    third.cancel()
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(cases.square, 1)
    assert not second.done()
    (tmp_path / "go").touch()
    executor.shutdown()
    assert first.result() and second.result() == 4 and third.cancelled()
    executor.shutdown()


def test_shutdown_that_cancels(tmp_path):
    executor = Processes(1, pin=False)
    first = executor.submit(cases.wait_for, str(tmp_path / "go"))
    until(first.running)
    rest = [executor.submit(cases.square, k) for k in range(5)]
    executor.shutdown(wait=False, cancel_futures=True)
    assert all(f.cancelled() for f in rest)
    (tmp_path / "go").touch()
    executor.shutdown()
    assert first.result()


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_an_exception_ends_all_at_once(tmp_path):
    before = len(ours())
    with pytest.raises(KeyboardInterrupt), open_executor(workers=2) as executor:
        held = [
            executor.submit(cases.hold, str(tmp_path / "a")),
            executor.submit(cases.hold_a_child, str(tmp_path / "b")),
        ]
        rest = executor.submit(cases.square, 1)
        until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
        raise KeyboardInterrupt
    assert all(isinstance(f.exception(), WorkerDied) for f in held) and rest.cancelled()
    assert len(ours()) == before
    # The program that a worker had started too.
    until(lambda: all(gone(int((tmp_path / name).read_text())) for name in "ab"))


@pytest.mark.skipif(sys.platform != "linux", reason="the system's help is Linux's")
@pytest.mark.parametrize("task", ["hold", "hold_the_interpreter"])
def test_workers_end_with_a_killed_parent(task, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import cases_parallel as cases\nfrom fnanneal.parallel import Processes\n"
        "executor = Processes(2, pin=False)\n"
        f"for name in 'ab': executor.submit(cases.{task}, {str(tmp_path)!r} + '/' + name)\n"
        "import time; time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, script]) as parent:
        until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
        parent.kill()
    until(lambda: all(gone(int((tmp_path / name).read_text())) for name in "ab"))


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_a_worker_ends_where_its_requests_do(tmp_path):
    """Without the system's help too."""
    program = "from fnanneal.parallel import worker; worker._follow_parent = lambda: None; worker.serve(None)"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0, cwd=HERE.parent
    ) as process:
        assert receive(process.stdout) == b"ready"
        send(process.stdin, pickle.dumps((cases.hold_a_child, (str(tmp_path / "a"),), {})))
        until((tmp_path / "a").exists)
        process.stdin.close()
        assert process.wait(PATIENCE_S) == -9
    until(lambda: gone(int((tmp_path / "a").read_text())))


def test_a_script_needs_no_guard_and_leaves_at_its_end(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from math import sqrt\nfrom fnanneal.parallel import Processes\n"
        "executor = Processes(2, pin=False)\nprint(executor.submit(sqrt, 16).result())\n"
        "def mine(x): return x\n"
        "try: executor.submit(mine, 1)\nexcept ValueError as e: print(e)\n"
    )
    out = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (out.returncode, out.stderr) == (0, "")
    assert out.stdout.splitlines() == ["4.0", "workers cannot import mine of the script that runs: move it to a module"]


def test_workers_that_do_not_start_are_one_line(monkeypatch, tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho no library libx >&2; exit 3\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with Processes(1, pin=False) as executor:
        futures = [executor.submit(cases.square, k) for k in range(2)]
        for future in futures:
            with pytest.raises(BrokenExecutor, match="do not start: no library libx"):
                future.result()
        with pytest.raises(BrokenExecutor, match="libx"):
            executor.submit(cases.square, 1)
    with Processes(2, pin=False) as executor, pytest.raises(BrokenExecutor, match="libx"):
        list(run_tasks(executor, cases.square, range(5)))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with Processes(1, pin=False) as executor, pytest.raises(BrokenExecutor, match="No such file"):
        executor.submit(cases.square, 1).result()


def test_killed_while_it_starts(monkeypatch, tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    executor = Processes(1, pin=False)
    future = executor.submit(cases.square, 1)
    until(lambda: executor._children)
    executor.kill_workers()
    assert isinstance(future.exception(), WorkerDied)


@pytest.mark.parametrize("numbers", [{"workers": 0}, {"workers": 1, "threads": 0}, {"workers": "2"}])
def test_bad_numbers(numbers):
    with pytest.raises(InputError, match=r"must be an integer from 1 to"):
        Processes(**numbers)


# The watchdog


def test_a_hung_task_ends_its_worker(pair):
    token = process_token()
    error = pair.submit(cases.hang, token).exception()
    assert isinstance(error, WorkerDied) and error.code == 1 and error.seconds >= 0.3
    assert "in guarded" in error.log
    with Processes(1, pin=False) as one:
        assert one.submit(cases.in_time, token).result() == one.submit(cases.sleepy, 0).result()


def test_the_coordinator_is_not_ended():
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(cases.guarded_pid, process_token()).result() == os.getpid()


def test_no_limit(pair):
    assert pair.submit(guarded, 0.0, process_token(), cases.sleepy, 0.2).result() > 0


def test_the_watchdog_raises_what_the_function_does():
    with pytest.raises(ZeroDivisionError):
        guarded(60, "another", cases.divide, 0)


@pytest.mark.parametrize(
    ("first", "second", "join", "code"),
    [("0.3, 'x', time.sleep, 60", "60, 'x', time.sleep, 0", True, 1),
     ("0.3, 'x', time.sleep, 60", "60, 'x', time.sleep, 2", False, 1),
     ("60, 'x', time.sleep, 1.3", "1, 'x', time.sleep, 0", True, 0)],
)  # fmt: skip
def test_one_timer_serves_several_threads(first, second, join, code):
    """A call that ends neither takes another one's watchdog away nor leaves its own; the first one due bites."""
    program = (
        "import threading, time, os\nfrom fnanneal.parallel import guarded\n"
        f"t = threading.Thread(target=guarded, args=({first}), daemon=True); t.start()\n"
        f"time.sleep(0.05); guarded({second}); t.join() if {join} else os._exit(0)\n"
    )
    out = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=PATIENCE_S)
    assert out.returncode == code


# Tasks


def numbers(done):
    return sorted((d.index, d.value, d.attempts) for d in done)


def test_a_killed_worker_costs_its_task_a_retry(pair, tmp_path):
    told = []
    tasks = [(k, str(tmp_path)) for k in (1, -2, 3, 4, -5, 6)]
    done = list(run_tasks(pair, cases.kill_once, tasks, on_retry=lambda *about: told.append(about)))
    assert numbers(done) == [(0, 1, 1), (1, 4, 2), (2, 9, 1), (3, 16, 1), (4, 25, 2), (5, 36, 1)]
    assert sorted((task[0], type(e), k) for task, e, k in told) == [(-5, WorkerDied, 1), (-2, WorkerDied, 1)]


def test_a_task_that_always_kills_its_worker_fails_alone(pair):
    done = {d.index: d for d in run_tasks(pair, cases.kill_below, [1, -1, 2], retries=3)}
    assert (done[0].value, done[2].value) == (1, 4)
    assert isinstance(done[1].error, WorkerDied) and done[1].value is None and done[1].attempts == 4
    assert [d.attempts for d in run_tasks(pair, cases.kill_below, [-1], retry_if=lambda task, e: e.code != -9)] == [1]


def test_an_exception_is_a_result(pair):
    done = {d.index: d for d in run_tasks(pair, cases.divide, [3, 0])}
    assert done[0].value == 4 and isinstance(done[1].error, ZeroDivisionError) and done[1].attempts == 1
    assert done[1].task == 0


def test_a_pool_that_breaks_as_a_whole_is_made_anew(tmp_path):
    """Who ran beside the one that broke it is not to blame, not even with no retry allowed."""
    tasks = [(k, str(tmp_path)) for k in (1, 2, -3, 4)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        done = list(run_tasks(executor, cases.kill_once, tasks, retries=1))
    assert [(i, v) for i, v, _ in numbers(done)] == [(0, 1), (1, 4), (2, 9), (3, 16)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        found = {d.task: d for d in run_tasks(executor, cases.kill_below, [1, -1, 2, 3], retries=0)}
    assert [found[k].value for k in (1, 2, 3)] == [1, 4, 9]
    assert isinstance(found[-1].error, BrokenExecutor) and found[-1].attempts == 1


def test_who_broke_it_is_found_out():
    class Fragile(Executor):
        """Breaks at the first task below 0, and says so of what ran beside it, which it holds, one after the other."""

        def __init__(self, holds=False):
            self.held, self.holds, self.broken = [], holds, False

        def submit(self, fn, /, *args, **kwargs):
            if self.broken:
                raise BrokenExecutor("broken")
            future = Future()
            if args[0] < 0:
                self.broken = True
                first, *rest = [*self.held, future]
                first.set_exception(BrokenExecutor("broken"))
                threading.Timer(0.2, lambda: [f.set_exception(BrokenExecutor("broken")) for f in rest]).start()
            elif self.holds:
                self.held.append(future)
            else:
                future.set_result(fn(*args))
            return future

    done = run_tasks(Fragile(True), cases.square, [1, 2, -1, 3], retries=0, in_flight=4, rebuild=Fragile)
    found = {d.task: (d.value, type(d.error), d.attempts) for d in done}
    assert found == {k: (k * k, type(None), 1) for k in (1, 2, 3)} | {-1: (None, BrokenExecutor, 1)}


def test_what_a_broken_executor_finished_is_not_lost():
    class Breaks(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            return super().submit(broken if args[0] == 2 else fn, *args, **kwargs)

    def broken(x):
        raise BrokenExecutor("gone")

    found = []
    with Breaks(1) as executor, pytest.raises(BrokenExecutor, match="gone"):
        for done in run_tasks(executor, cases.square, [5, 6, 2, 7], in_flight=4):
            found.append(done.value)
    assert sorted(found) == [25, 36, 49]

    made = []

    def another():
        made.append(ThreadPoolExecutor(1))
        return made[-1]

    with Breaks(1) as executor:
        values = [d.value for d in run_tasks(executor, cases.square, [5, 6, 2, 7], in_flight=4, rebuild=another)]
    assert sorted(values) == [4, 25, 36, 49] and len(made) == 1
    with pytest.raises(RuntimeError, match="shutdown"):
        made[0].submit(cases.square, 1)


def test_an_executor_that_is_never_better_is_not_made_for_ever():
    class Dead(Executor):
        def submit(self, fn, /, *args, **kwargs):
            raise BrokenExecutor("dead")

    with pytest.raises(BrokenExecutor, match="dead"):
        list(run_tasks(Dead(), cases.square, [1], rebuild=Dead))


class Cluster(Executor):
    """Stands in for Dask: `endings` are the exceptions that its next futures end with."""

    def __init__(self, *endings):
        self.endings, self.now, self.most = list(endings), 0, 0

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        ending = self.endings.pop(0) if self.endings else None
        if ending is None:
            future.set_result(fn(*args, **kwargs))
        elif isinstance(ending, CancelledError):
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_exception(ending)
        return future


KilledWorker = type("KilledWorker", (Exception,), {"__module__": "distributed.scheduler", "allowed_failures": 3})


def test_what_lost_workers_look_like():
    assert is_worker_death(KilledWorker()) and is_worker_death(CancelledError()) and is_worker_death(BrokenExecutor())
    closed = type("CommClosedError", (OSError,), {"__module__": "distributed.comm.core"})
    assert is_worker_death(type("Sub", (closed,), {})())
    alike = type("KilledWorker", (Exception,), {"__module__": "distribution"})
    assert not any(is_worker_death(e) for e in (alike(), ValueError(), KeyboardInterrupt(), OSError(), TimeoutError()))


def test_lost_futures_run_again():
    assert numbers(run_tasks(Cluster(CancelledError(), CancelledError()), cases.square, [3])) == [(0, 9, 3)]
    (done,) = run_tasks(Cluster(*[CancelledError()] * 9), cases.square, [3], retries=1)
    assert isinstance(done.error, CancelledError) and done.attempts == 2


def test_dasks_own_attempts_count():
    (done,) = run_tasks(Cluster(KilledWorker()), cases.square, [3], retries=3)
    assert isinstance(done.error, KilledWorker) and done.attempts == 4
    assert numbers(run_tasks(Cluster(KilledWorker()), cases.square, [3], retries=4)) == [(0, 9, 5)]


def test_tasks_are_drawn_as_needed():
    drawn = []
    release = threading.Event()

    def source():
        for k in range(100):
            drawn.append(k)
            yield k

    def work(k):
        release.wait()
        return k

    with ThreadPoolExecutor(2) as executor:
        assert slots(executor) == 2
        results = run_tasks(executor, work, source())
        threading.Timer(0.1, release.set).start()
        first = next(results).value
        assert len(drawn) <= 4 + 4
        assert sorted([first, *(d.value for d in results)]) == list(range(100))


def test_closing_cancels_what_has_not_begun():
    release, begun = threading.Event(), []

    def work(k):
        begun.append(k)
        if k:
            release.wait()
        return k

    with ThreadPoolExecutor(1) as executor:
        results = run_tasks(executor, work, range(50), in_flight=10)
        assert next(results).value == 0
        results.close()
        release.set()
    assert len(begun) <= 2


def test_no_tasks(pair):
    assert list(run_tasks(pair, cases.square, [])) == []


# By name


def test_slots_and_descriptions(pair):
    assert slots(pair) == 2 and describe(pair)["workers"] == 2
    with ThreadPoolExecutor(3) as executor, open_executor(executor, threads=2) as same:
        assert same is executor
        assert describe(same) == {"executor": "ThreadPoolExecutor", "workers": 3}
    assert executor.submit  # closed by its own block alone
    assert slots(Cluster()) >= 1


def test_an_executor_that_is_given_stays_open():
    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(KeyError), open_executor(executor):
            raise KeyError
        assert executor.submit(cases.square, 2).result() == 4


@pytest.mark.parametrize("spec", ["", "dask", "dask:", "mpi:3", "threads", 5, "processes:2"])
def test_no_such_executor(spec):
    with (
        pytest.raises(InputError, match=r"an executor is processes, dask:tcp://HOST:PORT or mpi, not"),
        open_executor(spec),
    ):
        raise AssertionError


@pytest.mark.parametrize(
    ("spec", "package", "extra"), [("dask:tcp://x:1", "distributed", "dask"), ("mpi", "mpi4py.futures", "mpi")]
)
def test_a_missing_extra_is_one_line(spec, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf'pip install "fnanneal\[{extra}\]"'), open_executor(spec):
        raise AssertionError


@pytest.mark.parametrize("spec", ["dask:tcp://x:1", "mpi"])
def test_a_cluster_has_its_own_number_of_workers(spec):
    with pytest.raises(InputError, match="it cannot be set"), open_executor(spec, workers=3):
        raise AssertionError


def test_python_dash_m():
    out = subprocess.run([sys.executable, "-m", "fnanneal", "--version"], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("0.")
