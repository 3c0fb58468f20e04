"""Running a plan: kills and resumes, two processes, dead workers, wrong solvers; and the command line as a user has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fnanneal
from fnanneal.compare.coordinator import Tally, expected, run
from fnanneal.compare.plan import make_plan
from fnanneal.compare.records import Record
from fnanneal.compare.store import Store
from fnanneal.compare.verification import verify
from fnanneal.errors import InputError
from fnanneal.parallel import Processes

ROOT = Path(__file__).parents[1]
SMALL = "rudy:-rnd_graph 30 30 1"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fnanneal", *map(str, arguments)]


def fnanneal_(*arguments: object, code: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False, **more)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def plan(**more: Any) -> Any:
    about = {
        "problems": [SMALL, "gen:sk(12)"],
        "solvers": ["sa", "ensemble"],
        "seeds": 2,
        "spin_tests": [200_000],
        **more,
    }
    return make_plan(about.pop("problems"), about.pop("solvers"), **about)


def essence(records: list[Record]) -> list[Any]:
    """What the clock and the machine do not touch."""
    return [(r.cell, r.outcome, r.objective, r.events, r.sha256, [v for _, v in r.trace][-1]) for r in records]


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    out = tmp_path_factory.mktemp("serial")
    with ThreadPoolExecutor(1) as pool:
        assert run(plan(), out, executor=pool) == Tally(cells=8, finished=8, failed=0, unfit=0, ran=8)
    with Store.open(out) as store:
        return essence(store.records())


def test_any_executor_gives_the_same(serial: list[Any], tmp_path: Path) -> None:
    pools = (ProcessPoolExecutor(2, mp_context=get_context("spawn")), Processes(2), ThreadPoolExecutor(3))
    for k, pool in enumerate(pools):
        with pool:
            run(plan(), tmp_path / str(k), executor=pool)
        with Store.open(tmp_path / str(k)) as store:
            assert essence(store.records()) == serial
    assert run(plan(), tmp_path / "0").ran == 0


def test_a_row_says_what_happened(tmp_path: Path) -> None:
    seen: list[tuple[Record, Tally]] = []
    with ThreadPoolExecutor(1) as pool:
        run(plan(solvers=["sa:num_reads=3"], seeds=[7]), tmp_path, executor=pool, callback=lambda *x: seen.append(x))
    with Store.open(tmp_path) as store:
        r = store.records()[0]
        assert {s.cell for s, _ in seen} == store.finished() and seen[-1][1].finished == 2
        problem = fnanneal.load(SMALL)
        spins = store.spins(r.cell)
        assert problem.objective(spins) == r.objective and r.sha256 == problem.sha256()
    assert (r.sense, r.seed, r.threads, r.status, r.outcome) == ("max", 7, 1, "completed", "done")
    assert r.settings["num_reads"] == 3 and r.events is not None and r.events["spin_tests"] == r.spin_tests
    assert 0.9 * 200_000 < r.spin_tests <= 200_000
    assert r.versions["fnanneal"] and r.host["cpu"] and r.host["cores"] and r.started.endswith("+00:00")
    assert r.wall_s >= r.solve_s > 0 and r.attempts == 1 and r.size == {"kind": "maxcut", "n": 30, "m": problem.m}
    # The command of the row makes the same run again.
    again = json.loads(fnanneal_(*_split(r.command), "--json").stdout)
    assert (again["objective"], again["energy"]["events"]) == (r.objective, r.events)


def _split(text: str) -> list[str]:
    import shlex

    return shlex.split(text)[1:]


def test_programs(tmp_path: Path) -> None:
    programs = make_plan(
        ["gen:lasso(3, seed=1)", SMALL, "gen:infeasible(10)"], ["auto", "growth", "sa"], seeds=1, time_limits=[0.5]
    )
    with ThreadPoolExecutor(1) as pool:
        tally = run(programs, tmp_path, executor=pool)
    with Store.open(tmp_path) as store:
        rows = {(r.problem, r.solver): r for r in store.records()}
    solved = rows["gen:lasso(3, seed=1)", "auto"]
    assert solved.solved and solved.residuals is not None and max(solved.residuals.values()) <= 1e-6
    assert solved.trace == ((solved.solve_s, solved.objective),)
    assert rows["gen:infeasible(10)", "auto"].status == "primal_infeasible"
    assert tally.cells == 5 and tally.failed == 0
    assert all(v.fault is None for v in verify(tmp_path))
    again = json.loads(fnanneal_(*_split(solved.command), "--json").stdout)
    assert again["objective"] == pytest.approx(solved.objective, rel=1e-6)


def test_a_problem_that_is_not_for_a_solver_is_a_row(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        tally = run(
            make_plan(["gset:G1", SMALL], ["exact", "sa"], seeds=1, time_limits=[0.05]), tmp_path, executor=pool
        )
        assert (tally.unfit, tally.failed, tally.finished) == (1, 0, 4)
        with Store.open(tmp_path) as store:
            row = next(r for r in store.records() if r.outcome == "unfit")
        assert (
            row.error is not None
            and "at most 30 spins" in row.error
            and row.problem == "G1"
            and row.best_known == 11624
        )
        again = make_plan(["gset:G1", SMALL], ["exact", "sa"], seeds=1, time_limits=[0.05])
        assert run(again, tmp_path, executor=pool).ran == 0
        assert run(again, tmp_path, executor=pool, retry_failed=True).ran == 1


def test_a_file_that_is_no_graph_fails_its_cells_alone(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("3 1\n1 9 1\n")
    with ThreadPoolExecutor(1) as pool:
        run(
            make_plan(["bad.txt", SMALL], ["sa"], folder=tmp_path, seeds=1, spin_tests=[10**5]),
            tmp_path / "o",
            executor=pool,
        )
    with Store.open(tmp_path / "o") as store:
        outcomes = {r.outcome: r for r in store.records()}
    assert set(outcomes) == {"unfit", "done"} and "line 2" in (outcomes["unfit"].error or "")


def test_verify_finds_what_was_changed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        run(plan(), tmp_path, executor=pool)
    assert "all as stored" in fnanneal_("compare", "--verify", tmp_path).stdout
    with Store.open(tmp_path) as store:
        a, b = store.records()[:2]
        store._db.execute("UPDATE cells SET objective = '123456' WHERE key = ?", (a.cell,))
        store._db.execute("UPDATE cells SET sha256 = 'x' WHERE key = ?", (b.cell,))
    done = fnanneal_("compare", "--verify", tmp_path, code=1)
    assert a.cell in done.stdout and b.cell in done.stdout and "2 are not" in done.stdout
    found = json.loads(fnanneal_("compare", "--verify", tmp_path, "--json", code=1).stdout)
    assert found["cells"] == 8 and len(found["wrong"]) == 2


def rows(out: Path) -> dict[str, tuple[Any, ...]]:
    with Store.open(out) as store:
        return {
            key: tuple(rest)
            for key, *rest in store._db.execute("SELECT key, rowid, started, wall_s, objective FROM cells")
        }


def wait_for(condition: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def test_killed_in_the_middle_and_run_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = command(
        "compare",
        SMALL,
        "gen:sk(12)",
        "--solvers",
        "sa",
        "--seeds",
        8,
        "--time-limit",
        0.2,
        "--out",
        out,
        "--workers",
        1,
    )
    first = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: Store.exists(out) and len(rows(out)) >= 3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = rows(out)
    assert 3 <= len(before) < 16
    said = json.loads(subprocess.run([*call, "--json"], capture_output=True, text=True, check=True).stdout)
    after = rows(out)
    assert said["finished"] == 16 and said["ran"] == 16 - len(before)
    assert {k: after[k] for k in before} == before


def test_two_processes_share_a_directory(tmp_path: Path) -> None:
    call = command(
        "compare",
        SMALL,
        "--solvers",
        "sa,ensemble",
        "--seeds",
        8,
        "--time-limit",
        0.1,
        "--out",
        tmp_path,
        "--workers",
        1,
        "--json",
    )
    both = [subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = []
    for p in both:
        stdout, stderr = p.communicate(timeout=200)
        assert p.returncode == 0, stderr
        said.append(json.loads(stdout))
    assert [s["finished"] for s in said] == [16, 16] and sum(s["ran"] for s in said) == 16
    assert len(rows(tmp_path)) == 16


def test_a_worker_that_dies_costs_a_retry(tmp_path: Path) -> None:
    with Processes(1) as pool:
        killed: list[int] = []

        def kill(record: Record, tally: Tally) -> None:
            if not killed:
                # The one worker has its next cell already.
                victims = subprocess.run(
                    ["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=True
                ).stdout.split()
                killed.extend(k for k in map(int, victims) if b"worker" in Path(f"/proc/{k}/cmdline").read_bytes())
                os.kill(killed[0], signal.SIGKILL)

        assert run(plan(spin_tests=[10**7]), tmp_path, executor=pool, callback=kill).finished == 8
    with Store.open(tmp_path) as store:
        found = store.records()
    assert killed and {r.outcome for r in found} == {"done"}
    assert max(r.attempts for r in found) in (1, 2)
    assert all(v.fault is None for v in verify(tmp_path))


@pytest.mark.parametrize("background", [False, True])
def test_an_interrupt_keeps_what_is_finished(background: bool, tmp_path: Path) -> None:
    call = command(
        "compare", SMALL, "--solvers", "sa", "--seeds", 40, "--time-limit", 0.2, "--out", tmp_path / "o", "--workers", 1
    )
    # In the background of a script SIGINT is ignored, as it may be for these tests themselves: SIGTERM has to do.
    how = "SIG_IGN" if background else "SIG_DFL"
    begin = (
        f"import os, signal, sys; signal.signal(signal.SIGINT, signal.{how}); os.execv(sys.executable, sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", begin, *call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: Store.exists(tmp_path / "o") and rows(tmp_path / "o"))
    process.send_signal(signal.SIGTERM if background else signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in stderr and "the same command goes on" in stdout
    with Store.open(tmp_path / "o") as store:
        assert store._db.execute("SELECT COUNT(*) FROM claims").fetchone() == (0,)


def test_a_dry_run_runs_nothing(tmp_path: Path) -> None:
    said = fnanneal_(
        "compare",
        "G1",
        "--solvers",
        "sa,ensemble",
        "--seeds",
        "3,5",
        "--time-limit",
        7,
        "--dry-run",
        "--out",
        tmp_path / "o",
    ).stdout
    assert "cells       4, of which 0 are finished" in said and "7 s a run" in said and not (tmp_path / "o").exists()
    about = json.loads(
        fnanneal_("compare", "--preset", "paper", "--solvers", "neurosa", "--dry-run", "--json", cwd=tmp_path).stdout
    )
    assert (
        len(about["cells"]) == 45
        and about["seconds"] > 0
        and about["cells"][0]["command"].startswith("fnanneal solve gset:G1")
    )
    assert not any(tmp_path.iterdir())
    with ThreadPoolExecutor(1) as pool:
        run(plan(), tmp_path / "p", executor=pool)
    assert expected(plan(), tmp_path / "p").done == 8


def test_what_the_library_logs_is_a_line_like_all_others(tmp_path: Path) -> None:
    said = fnanneal_(
        "compare", SMALL, "--solvers", "sa", "--seeds", 1, "--spin-tests", 10**5, "--workers", 999, "--out", tmp_path
    )
    assert said.stderr.startswith("fnanneal: warning: workers are not pinned") and said.stderr.count("\n") == 1


def test_a_toml_plan_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("3 3\n1 2 1\n2 3 1\n1 3 1\n")
    (tmp_path / "my.toml").write_text('problems = ["g.txt"]\nsolvers = ["sa"]\nseeds = 2\nspin_tests = 10000\n')
    said = fnanneal_("compare", "my.toml", cwd=tmp_path).stdout
    assert "2 of 2 cells finished in runs/my, 2 of them now" in said
    with Store.open(tmp_path / "runs" / "my") as store:
        assert [r.objective for r in store.records()] == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to compare"),
        (["nosuch"], "nosuch"),
        (["G1", "--solvers", "nosuch"], "unknown solver 'nosuch'"),
        (["G1", "--solvers", ""], "--solvers"),
        (["G1", "--seeds", "x"], "--seeds"),
        (["G1", "--seeds", "0"], "--seeds"),
        (["G1", "--solvers", "sa", "--time-limit", "-1"], "time limit"),
        (["G1", "--solvers", "sa", "--spin-tests", "1.5"], "--spin-tests"),
        (["G1", "--solvers", "sa", "--executor", "carrier-pigeon"], "carrier-pigeon"),
        (["G1", "--solvers", "sa", "--workers", "0"], "workers"),
        (["--preset", "nosuch"], "unknown preset"),
        (["no.toml"], "no.toml"),
        (["--verify", "nosuch"], "nosuch"),
        (["G1", "--solvers", "sa", "--out", __file__], "not a directory"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    done = fnanneal_("compare", *arguments, code=2, cwd=tmp_path)
    assert told in done.stderr and done.stderr.count("\n") == 1 and not done.stdout


BLOCKED = """
import sys
from importlib.metadata import PackageNotFoundError
import importlib.metadata as m
real = m.version
def version(name):
    if name in ("openjij", "qpsolvers"):
        raise PackageNotFoundError(name)
    return real(name)
m.version = version
from fnanneal.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("problem", "solver", "extra"), [("G1", "openjij-sa", "peers"), ("gen:lasso(3)", "clarabel", "qp-peers")]
)
def test_a_peer_that_is_not_installed_stops_it_before_anything_runs(
    problem: str, solver: str, extra: str, tmp_path: Path
) -> None:
    call = [sys.executable, "-c", BLOCKED, "compare", problem, "--out", str(tmp_path / "o")]
    done = subprocess.run([*call, "--solvers", f"sa,auto,{solver}"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and f'pip install "fnanneal[{extra}]"' in done.stderr
    assert not (tmp_path / "o").exists()
    # Those that nobody named are left out, and that is said.
    done = subprocess.run([*call, "--dry-run"], capture_output=True, text=True, check=False)
    assert (
        done.returncode == 0
        and f"left out: {solver} is not installed" in done.stderr
        and f"{solver}:" not in done.stdout
    )


def test_what_is_missing_on_a_worker_fails_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fnanneal.compare.work import Task, perform
    from fnanneal.errors import NotInstalled
    from fnanneal.parallel import process_token
    from fnanneal.solvers.peers.dwave_sa import DWaveSA

    def gone(*_: object) -> None:
        raise NotInstalled("dwave-sa needs dwave-samplers")

    monkeypatch.setattr(DWaveSA, "require", gone)
    cell = plan(solvers=["dwave-sa"]).cells()[0]
    answer = perform(Task(cell=cell, home=process_token(), where={}))
    assert answer.record.outcome == "failed" and answer.record.error == "dwave-sa needs dwave-samplers"


def test_a_bad_solver_stops_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no nonsense"):
        run(plan(solvers=["sa", "sa:nonsense=1"]), tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_cluster_with_a_worker_killed_half_way(serial: list[Any], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        done: list[Record] = []

        def kill(record: Record, tally: Tally) -> None:
            done.append(record)
            if len(done) == 3:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

        tally = run(plan(), tmp_path, executor=f"dask:{cluster.scheduler_address}", callback=kill)
    assert (tally.finished, tally.failed) == (8, 0)
    with Store.open(tmp_path) as store:
        assert essence(store.records()) == serial
    assert all(v.fault is None for v in verify(tmp_path))
    assert np.all([r.attempts >= 1 for r in done])
