"""The driver of peers and the planning of their reads, by a stand-in whose clock is counted, not measured; and what the command line says."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import fnanneal
from fnanneal.cli import main
from fnanneal.compare.cells import SolverSpec
from fnanneal.errors import InputError
from fnanneal.fndam import FNDAMArray
from fnanneal.result import Status
from fnanneal.solvers import registry
from fnanneal.solvers.peers import drive
from fnanneal.solvers.peers.annealer import Annealer
from fnanneal.solvers.peers.peer import Batch, Limits, Peer, peer_seed
from fnanneal.solvers.peers.reads import in_one_read, in_reads, split
from fnanneal.solvers.peers.stream import streamed

RING = fnanneal.MaxCut(couplings=fnanneal.load(({}, {(i, (i + 1) % 6): 1 for i in range(6)})).couplings)


@pytest.fixture
def stand_in():
    """Registers `StandIn`, and forgets it afterwards."""
    StandIn.warmed = StandIn.calls = 0
    drive._warm.discard(StandIn)
    yield registry.peer("stand-in")(StandIn)
    del registry._peers["stand-in"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StandIn(Annealer):
    """Random states, of which each takes an eighth of a second on a clock of its own."""

    package: ClassVar[str] = "numpy"
    extra: ClassVar[str | None] = "peers"
    warmed: ClassVar[int] = 0
    calls: ClassVar[int] = 0

    def unfit(self, problem: Any) -> str | None:
        return "seven is too many" if problem.n == 7 else None

    def warm_up(self) -> None:
        StandIn.warmed += 1

    def build(self, problem: Any) -> Any:
        return problem.n, problem.n

    def reader(self, model: int, seed: int) -> Callable[[int, int, int], Batch]:
        rng = np.random.default_rng(seed)

        def read(reads: int, sweeps: int, k: int) -> Batch:
            StandIn.calls += 1
            states = rng.choice(np.array([-1, 1], np.int8), (reads, model))
            return Batch(states=states, seconds=np.arange(1, reads + 1) / 8, took=reads / 8)

        return read


def test_budget_of_reads(stand_in):
    result = fnanneal.solve(RING, "stand-in", num_reads=41, num_sweeps=3, seed=5)
    assert result.status is Status.COMPLETED and result.num_reads == 41 and result.num_sweeps == 123
    assert result.time.solve_s == 41 / 8 and result.time.prepare_s == 0 and StandIn.calls == 21
    assert int(result.multiplicity.sum()) == 41 and result.verify()
    best = [RING.objective(s) for s in result.states]
    assert result.objective == max(best) and best == sorted(best, reverse=True)
    assert result.trace[-1] == (result.time.to_best_s, result.objective)
    assert result.time.to_best_s * 8 in range(1, 42)
    assert result.settings == {"num_reads": 41, "num_sweeps": 3} and result.backend == "cpu"
    assert result.versions["numpy"] == np.__version__


def test_without_a_limit_a_default(stand_in):
    result = fnanneal.solve(RING, "stand-in", seed=1)
    assert result.num_reads == 10 and result.status is Status.COMPLETED


def test_time_limit_is_of_its_own_clock(stand_in):
    started = time.perf_counter()
    result = fnanneal.solve(RING, "stand-in", time_limit=1000, seed=1)
    assert time.perf_counter() - started < 500
    assert result.status is Status.TIME_LIMIT and result.time.solve_s == 1000 and result.num_reads == 8000
    assert fnanneal.solve(RING, "stand-in", time_limit=0.8, seed=1).time.solve_s == 0.75
    # One read is made in any case.
    assert fnanneal.solve(RING, "stand-in", time_limit=0.01, seed=1).time.solve_s == 0.125


def test_target_ends_it(stand_in):
    result = fnanneal.solve(RING, "stand-in", target=6, seed=1)
    assert result.status is Status.TARGET and result.objective == 6
    result = fnanneal.solve(RING, "stand-in", target=7, num_reads=50, seed=1)
    assert result.status is Status.COMPLETED and result.num_reads == 50


def test_callback_sees_and_stops(stand_in):
    seen = []

    def stop(progress):
        seen.append(progress)
        return len(seen) == 3

    result = fnanneal.solve(RING, "stand-in", time_limit=100, seed=1, callback=stop)
    assert result.status is Status.STOPPED and len(seen) == 3
    assert [p.elapsed for p in seen] == sorted(p.elapsed for p in seen) and seen[-1].elapsed == result.time.solve_s
    assert seen[-1].objective == result.objective and seen[0].fraction == 0.125 / 100
    assert seen[-1].spin_tests == result.events.spin_tests == result.num_reads * 1000 * 6


def test_ctrl_c_ends_it(stand_in):
    result = fnanneal.solve(RING, "stand-in", target=7, seed=1, callback=lambda p: signal.raise_signal(signal.SIGINT))
    assert result.status is Status.INTERRUPTED and result.verify()


def test_what_is_not_counted(stand_in):
    result = fnanneal.solve(RING, "stand-in", num_reads=4, seed=1)
    assert result.energy.account.status == "not counted" and result.energy.account.joules is None
    assert result.energy.bounds is None and result.events.spin_tests == 4 * 1000 * 6
    assert result.energy.events_to_best.spin_tests in range(6000, 24001, 6000)
    d = result.to_dict()
    assert json.loads(json.dumps(d)) == d
    assert d["flips"] is None and d["proposals"] == 24000 and d["energy"]["events"] == {"spin_tests": 24000}
    assert d["time"]["build_s"] >= 0 and d["energy"]["joules"] is d["energy"]["bounds"] is None


def test_warmed_up_once(stand_in):
    for _ in range(2):
        fnanneal.solve(RING, "stand-in", num_reads=1, seed=1)
    assert StandIn.warmed == 1


@pytest.mark.parametrize(("given", "said"), [
    ({"initial_states": [[1] * 6]}, "stand-in is another program: it takes no initial_states"),
    ({"checkpoint": "x"}, "stand-in is another program: it takes no checkpoint"), ({"weights": "fn-dam"}, "its weights are ideal"),
    ({"weights": FNDAMArray()}, "its weights are ideal"), ({"num_sweeps": 2.5}, "num_sweeps must be an integer"),
    ({"spin_tests": 5}, "5 spin tests are less than one sweep of 6"), ({"max_memory": 1}, "this solve needs about"),
])  # fmt: skip
def test_what_it_does_not_take(stand_in, given, said):
    with pytest.raises(InputError, match=said):
        fnanneal.solve(RING, "stand-in", seed=1, **given)


def test_no_gpu_is_asked_for(stand_in, monkeypatch):
    monkeypatch.setattr("fnanneal.solvers.solve.check_backend", lambda backend: None)
    with pytest.raises(InputError, match="stand-in runs on the CPU"):
        fnanneal.solve(RING, "stand-in", backend="cuda")


def test_unfit(stand_in):
    problem = fnanneal.load((dict.fromkeys(range(7), 1), {}))
    with pytest.raises(InputError, match=r"^stand-in cannot take this problem: seven is too many$"):
        fnanneal.solve(problem, "stand-in")


class Scripted(Peer):
    """Hands over what it was given."""

    package: ClassVar[str] = "nothing-of-that-name"
    batches: ClassVar[list[Any]] = []
    closed: ClassVar[bool] = False

    def settings(self):
        return {}

    def warm_up(self):
        pass

    def build(self, problem):
        return None

    def run(self, model, limits, seed):
        try:
            yield from Scripted.batches
        finally:
            Scripted.closed = True


def scripted(batches, **arguments):
    Scripted.name, Scripted.batches, Scripted.closed = "scripted", batches, False
    try:
        return drive.drive(RING, Scripted(), seed=0, versions={}, **arguments)
    finally:
        assert Scripted.closed


def batch(*states, seconds=None, took=1.0, **more):
    states = np.array(states, np.int8).reshape(len(states), 6)
    return Batch(states=states, seconds=np.array(seconds or [took] * len(states), float), took=took, **more)


POOR, GOOD, BEST = [1, 1, 1, 1, 1, -1], [1, -1, 1, -1, 1, 1], [1, -1, 1, -1, 1, -1]


def test_trace_within_and_across_batches():
    result = scripted(
        [
            batch(took=0.5),
            batch(POOR, POOR, GOOD, POOR, seconds=[0.1, 0.2, 0.3, 0.4], spin_tests=8),
            batch(BEST, finished=True),
        ]
    )
    assert result.trace == ((0.6, 2), (0.8, 4), (2.5, 6)) and result.time.solve_s == 2.5
    assert result.multiplicity.tolist() == [1, 1, 3] and result.objectives.tolist() == [6, 4, 2]
    assert result.status is Status.COMPLETED and result.versions == {"nothing-of-that-name": "unknown"}
    assert scripted([batch(BEST, finished=True, proved=True)]).status is Status.OPTIMAL
    assert scripted([batch(BEST)]).status is Status.TIME_LIMIT


def test_a_peers_own_history_is_taken_where_it_ends_in_what_was_found():
    told = ((0.1, 1.0), (0.2, 3.0), (0.3, 2.0), (0.4, 6.0))
    result = scripted([batch(BEST, seconds=[0.4], history=told)])
    assert result.trace == ((0.1, 1), (0.2, 3), (0.4, 6)) and type(result.trace[0][1]) is int
    # It says more than its state is worth: only the state counts.
    assert scripted([batch(GOOD, seconds=[0.4], history=told)]).trace == ((0.4, 4),)
    # Of a second batch, what the first had already is left out.
    assert scripted([batch(GOOD), batch(BEST, history=((0.1, 4.0), (0.2, 5.0), (1.0, 6.0)))]).trace == (
        (1, 4),
        (1.2, 5),
        (2, 6),
    )


def test_nothing_found():
    with pytest.raises(InputError, match=r"^scripted has found no assignment in 2 s: give it more time$"):
        scripted([batch(took=2.0)])


def test_ctrl_c_before_there_is_anything(monkeypatch):
    class Pressed:
        def __iter__(self):
            yield batch(took=0.1)
            signal.raise_signal(signal.SIGINT)
            yield batch(took=0.1)

    with pytest.raises(KeyboardInterrupt):
        scripted(Pressed())


def steps(each, limits, **more):
    """The counts that `in_reads` asks for, of a peer whose reads take `each` seconds."""
    counts = []

    def read(count, k):
        assert k == len(counts)
        counts.append(count)
        return Batch(states=np.ones((count, 1), np.int8), seconds=np.zeros(count), took=count * each)

    finished = [b.finished for b in in_reads(read, limits, **{"num_reads": None, "default": 10, "n": 1, **more})]
    assert not any(finished[:-1])
    return counts, finished[-1]


def test_planning_of_reads():
    # A first one, then twentieths, never more than fit.
    assert steps(0.125, Limits(seconds=10, open_ended=True)) == ([1, *[4] * 19, 3], False)
    assert steps(3.0, Limits(seconds=10, open_ended=True)) == ([1, 1, 1], False)
    assert steps(30.0, Limits(seconds=10, open_ended=True)) == ([1], False)
    # A second at most; a number of reads, in sizes that do not depend on the speed.
    assert steps(0.25, Limits(seconds=100, open_ended=True))[0][:3] == [1, 4, 4]
    for each in (1e-9, 0.3, 1e4):
        assert steps(each, Limits(), num_reads=50) == ([1, *[3] * 16, 1], True)
    assert steps(1.0, Limits(seconds=20), num_reads=50) == ([1, *[3] * 6, 1], False)
    assert steps(0.1, Limits()) == ([1] * 10, True)
    # Little memory, and few reads a call.
    assert max(steps(1e-6, Limits(seconds=0.5), num_reads=10**5, n=2**20)[0]) == 64
    assert max(steps(1e-3, Limits(seconds=1, open_ended=True), most_reads=7)[0]) == 7


def test_one_read():
    asked = []

    def read(sweeps, k):
        asked.append(sweeps)
        return Batch(states=np.ones((1, 1), np.int8), seconds=np.zeros(1), took=sweeps * 1e-3)

    list(in_one_read(read, Limits(seconds=10.0), "x"))
    assert asked[0] == 100 and len(asked) == 2 and asked[1] == pytest.approx(0.97 * 9900, abs=1)
    asked.clear()
    list(in_one_read(read, Limits(seconds=100.0), "x"))
    assert asked[:2] == [100, 2000] and asked[2] == pytest.approx(0.97 * 97_900, abs=1)
    asked.clear()
    list(in_one_read(read, Limits(seconds=0.05), "x"))
    assert asked == [100]


def test_split():
    assert split(1000, 10, 30) == (3, 33) and split(299, 10, 30) == (1, 29) and split(1000, 10, None) == (1, 100)
    with pytest.raises(InputError, match="9 spin tests are less than one sweep of 10"):
        split(9, 10, 30)


def test_seeds():
    drawn = [peer_seed(s, k, bits) for s in (0, 1, 2**64 - 1) for k in range(3) for bits in (16, 31, 32)]
    assert all(0 <= x < 2 ** (16, 31, 32)[i % 3] for i, x in enumerate(drawn)) and len(set(drawn)) == len(drawn)
    assert peer_seed(7, 3) == peer_seed(7, 3)


def test_stream_gives_what_a_callback_is_given():
    stopped = []

    def work(show):
        show(np.array([1, 1], np.int8), 0.25)
        show(np.array([1, -1], np.int8), 0.125)
        return Batch(states=np.array([[-1, -1]], np.int8), seconds=np.zeros(1), took=5.0, finished=True)

    found = list(streamed(work, lambda: stopped.append(1), limit=1e6, n=2))
    shown = [b for b in found if len(b.states)]
    assert [b.states.tolist() for b in shown] == [[[1, 1]], [[1, -1]], [[-1, -1]]]
    assert sum(b.took for b in found) == pytest.approx(5) and found[-1].finished and stopped == [1]
    assert [b.reads for b in shown] == [0, 0, None]


def test_stream_ticks_stops_and_raises():
    over = threading.Event()

    def work(show):
        over.wait()
        return Batch(states=np.empty((0, 2), np.int8), seconds=np.empty(0), took=1.0)

    running = streamed(work, over.set, limit=1e6, n=2)
    tick = next(running)
    assert not len(tick.states) and tick.took > 0
    running.close()
    assert over.is_set()
    over.clear()
    # A solver that is late is stopped, and its last words are heard; until then its clock stays below the limit.
    late = list(streamed(work, over.set, limit=1e-9, n=2))
    assert sum(b.took for b in late[:-1]) < 1e-9 and sum(b.took for b in late) == pytest.approx(1.0)

    def broken(show):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(streamed(broken, lambda: None, limit=1.0, n=2))


# ---------------------------------------------------------------- names and the command line


def run(capsys, *arguments):
    handler = signal.getsignal(signal.SIGTERM)
    try:
        code = main._run([str(a) for a in arguments])
    finally:
        signal.signal(signal.SIGTERM, handler)
    return code, *capsys.readouterr()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "ring.txt"
    path.write_text("6 6\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 6 1\n6 1 1\n")
    return path


def test_registry(stand_in):
    assert "stand-in" in registry.peer_names() and "stand-in" not in registry.names()
    assert registry.get("stand-in") is StandIn and registry.get("openjij-sqa").name == "openjij-sqa"
    with pytest.raises(InputError, match=r"did you mean dwave-sa.*other people's: dwave-sa, .*stand-in$"):
        registry.get("dwave-sb")
    assert not {"drive", "reads", "peer", "stream", "linear", "form", "ocean", "jij", "annealer"} & set(
        registry.peer_names()
    )


def test_a_spec_says_the_same(stand_in):
    spec = SolverSpec.parse("stand-in:num_sweeps=7:num_reads=3")
    result = fnanneal.solve(RING, spec.name, seed=1, **dict(spec.settings))
    assert result.settings == dict(spec.settings) and result.num_sweeps == 21


def test_solve_on_the_command_line(stand_in, capsys, file):
    line = ["solve", file, "--solver", "stand-in", "--seed", 1, "--set", "num_sweeps=7", "--set", "num_reads=40"]
    code, out, err = run(capsys, *line)
    assert (code, err) == (0, "")
    rows = {row[:12].strip(): row[12:] for row in out.splitlines()}
    assert rows["events"].startswith("1680 spin tests") and rows["events"].endswith("others not counted")
    assert rows["energy"].startswith("not counted · ") and " · build " in rows["time"]
    assert "modelled" not in out and "spikes" not in out and "stand-in, seed 1, 40 reads on cpu" in rows["solver"]
    code, out, err = run(capsys, *line, "--json")
    d = json.loads(out)
    assert (code, err) == (0, "") and d["energy"]["status"] == "not counted" and d["settings"]["num_sweeps"] == 7
    result = file.with_name("result.json")
    result.write_text(out)
    code, out, err = run(capsys, "energy", result)
    assert (code, out) == (2, "") and err.count("\n") == 1 and "not counted" in err
    code, out, err = run(capsys, "energy", file, "--solver", "stand-in", "--time-limit", 1)
    assert (code, out) == (2, "") and err.count("\n") == 1 and "not counted" in err


def test_missing_on_the_command_line(capsys, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "openjij", None)
    code, out, err = run(capsys, "solve", file, "--solver", "openjij-sa", "--time-limit", 1)
    assert (code, out) == (2, "")
    assert err == 'fnanneal: error: openjij-sa needs openjij: pip install "fnanneal[peers]"\n'


def test_solvers_list(stand_in, capsys, monkeypatch):
    monkeypatch.setattr("fnanneal.solvers.peers.peer.version", lambda package: None)
    code, out, _ = run(capsys, "solvers", "list", "--json")
    found = json.loads(out)
    assert code == 0 and found["sa"].keys() == {"command", "summary", "settings"}
    about = found["stand-in"]
    assert (
        about["command"] == "solve"
        and about["rule"] == StandIn.budget_rule
        and about["summary"].startswith("Random states")
    )
    assert about["settings"] == {"num_reads": None, "num_sweeps": 1000}
    assert about["version"] is None and about["install"] == 'pip install "fnanneal[peers]"'
    code, out, _ = run(capsys, "solvers", "list")
    assert code == 0 and 'not installed: pip install "fnanneal[sb]"' in out and StandIn.budget_rule in out
