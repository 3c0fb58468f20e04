"""The command line as a user meets it: processes, pipes, files, signals.

A process takes a second to import Numba, so what does not need one of its own runs in this one (`inside`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shlex
import signal
import subprocess
import sys
import time
import warnings

import pytest

from fnanneal import cache, load
from fnanneal.checkpoint import Checkpoint
from fnanneal.cli import main
from fnanneal.problems import formats
from fnanneal.problems.known import instances

from .cases import timeless

COMMAND = [sys.executable, "-m", "fnanneal.cli.main"]
SHELL = shlex.join(COMMAND)
RING = "6 6\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 6 1\n6 1 1\n"
KEYS = {
    "schema", "version", "problem", "solver", "settings", "backend", "seed", "status", "sense", "objective", "best_known", "gap",
    "time", "num_sweeps", "num_reads", "proposals", "flips", "weights", "energy",
}  # fmt: skip
LONG = {"sa": ["--num-reads", "16", "--num-sweeps", "25000"], "neurosa": ["--num-sweeps", "500000"]}


def process(*arguments, code=0, stdin=b""):
    """Run a process to its end: its standard output. Standard error must be empty, as it is no terminal."""
    line = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(line, input=stdin, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.decode()) == (code, "")
    return done.stdout


def inside(arguments, stdin, capture, monkeypatch):
    """The same in this process: exit code, standard output, standard error."""
    capture.readouterr()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with monkeypatch.context() as patch, warnings.catch_warnings():
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            code = main._run([str(a) for a in arguments])
    finally:
        signal.signal(signal.SIGTERM, handler)
    sys.stdout.flush()
    return code, *capture.readouterr()


@pytest.fixture
def cli(capfdbinary, monkeypatch):
    """`process`, but in this process."""

    def run(*arguments, code=0, stdin=b""):
        returned, out, err = inside(arguments, stdin, capfdbinary, monkeypatch)
        assert (returned, err.decode()) == (code, "")
        return out

    return run


@pytest.fixture
def solved(cli):
    """The JSON of a solve."""
    return lambda *arguments, **options: json.loads(cli("solve", *arguments, "--json", **options))


def read_solution(path):
    return [int(x) for x in path.read_text().split()]


@pytest.fixture
def ring(tmp_path):
    path = tmp_path / "ring.txt"
    path.write_text(RING)
    return path


def test_json(solved, tmp_path):
    out = tmp_path / "best.txt"
    budget = ["--solver", "sa", "--num-sweeps", 20, "--num-reads", 4, "--seed", 7]
    text = process("solve", "G1", *budget, "--threads", 2, "--json", "-o", out)
    assert text.count(b"\n") == 1
    d = json.loads(text)
    assert d.keys() == KEYS and d["schema"] == 1
    assert d["problem"] == load("G1").summary() and d["problem"].keys() == {"name", "kind", "n", "m", "sha256"}
    assert (d["solver"], d["backend"], d["seed"], d["status"], d["sense"]) == ("sa", "cpu", 7, "completed", "max")
    assert (d["num_sweeps"], d["num_reads"], d["proposals"], d["best_known"]) == (20, 4, 20 * 4 * 800, 11624)
    assert d["settings"]["num_sweeps"] == 20
    assert type(d["objective"]) is int and d["objective"] == load("G1").objective(read_solution(out))
    assert d["gap"] == (11624 - d["objective"]) / 11624 and 0 < d["flips"] < d["proposals"]
    assert d["time"].keys() == {"load_s", "compile_s", "prepare_s", "solve_s", "to_best_s", "build_s"}
    assert (
        all(t >= 0 for t in d["time"].values())
        and max(d["time"]["prepare_s"], d["time"]["to_best_s"]) <= d["time"]["solve_s"]
    )
    assert d["weights"] == "ideal"
    assert d["energy"].keys() == {
        "technology", "status", "joules", "items", "not_covered", "bounds", "measured", "real_numbers", "events", "events_to_best",
    }  # fmt: skip
    assert (d["energy"]["technology"], d["energy"]["status"], d["energy"]["real_numbers"]) == (
        "cmos-45nm",
        "complete",
        False,
    )
    assert d["energy"]["events"]["spin_tests"] == d["proposals"] and d["energy"]["events"]["spikes"] == d["flips"]
    again = solved("gset:G1", *budget, "--threads", 1, "-o", tmp_path / "again.txt")
    assert timeless(again) == timeless(d), "one thread gives what two give"
    assert (tmp_path / "again.txt").read_bytes() == out.read_bytes()


def test_plain_and_quiet(cli, ring, tmp_path):
    text = process("solve", ring, "--solver", "exact", "-o", tmp_path / "s.txt").decode()
    assert re.search(r"problem +ring: Max-Cut, 6 variables, 6 edges", text)
    assert re.search(r"cut +6 +\(recomputed from the spins\)", text) and "optimal" in text
    assert "\x1b" not in text, "colours are for terminals"
    assert cli("solve", ring, "--solver", "exact", "--quiet") == b"6\n"
    assert process("verify", ring, tmp_path / "s.txt") == b"cut 6\n"


ISING = '{"fnanneal": 1, "kind": "ising", "n": 3, "rows": [0, 1], "cols": [1, 2], "weights": [2, -1.5], "fields": [0, 0.25, 0], "offset": 1}'


@pytest.mark.parametrize(
    ("text", "options", "objective", "values"),
    [
        (RING, [], 6, {1, -1}),
        (RING, ["--as", "ising"], -6, {1, -1}),
        (RING, ["--as", "qubo"], -6, {0, 1}),
        (ISING, [], -2.75, {1, -1}),
        (ISING, ["--as", "maxcut"], 2.25, {1, -1}),
        ("p qubo 0 3 2 1\n0 0 -2\n1 1 1\n0 1 -3\n", [], -4, {0, 1}),
    ],
    ids=["maxcut", "maxcut as ising", "maxcut as qubo", "ising", "ising as maxcut", "qubo"],
)
def test_what_is_written_verifies(text, options, objective, values, cli, solved, tmp_path):
    out = tmp_path / "out.txt"
    d = solved("-", *options, "--solver", "exact", "-o", out, stdin=text.encode())
    assert (d["objective"], d["status"], d["sense"]) == (
        objective,
        "optimal",
        "max" if d["problem"]["kind"] == "maxcut" else "min",
    )
    assert set(read_solution(out)) <= values and len(read_solution(out)) == d["problem"]["n"]
    v = json.loads(cli("verify", "-", out, *options, "--json", stdin=text.encode()))
    assert v == {"problem": d["problem"], "sense": d["sense"], "objective": objective, "best_known": None}


def test_initial_states(cli, solved, ring, tmp_path):
    start = tmp_path / "start.txt"
    start.write_text("+1\n-1\n" * 3)
    hot = ["--solver", "sa", "--num-sweeps", 1, "--num-reads", 1, "--seed", 1, "--set", "beta_range=(1e-6, 1e-6)"]
    assert solved(ring, *hot, "--initial", start)["objective"] == 6
    start.write_text("1\n1\n1\n1\n0\n0\n")
    assert (
        solved(ring, "--initial", start, "--solver", "sa", "--num-sweeps", 1, "--set", "beta_range=(50, 50)")[
            "objective"
        ]
        >= 2
    )
    assert json.loads(cli("verify", ring, start, "--json"))["objective"] == 2


def test_settings(solved):
    fn = ["--set", "schedule=fn", "--set", "kappa=0.5", "--set", "beta_range=(0.1, 2)"]
    d = solved("G1", "--solver", "sa", "--num-sweeps", 3, *fn)
    assert d["settings"] == {
        "num_reads": None, "num_sweeps": 3, "beta_range": [0.1, 2], "schedule": "fn", "kappa": 0.5, "timer_mismatch": 0.0, "rule": "metropolis",
    }  # fmt: skip
    assert solved("G1", "--solver", "neurosa", "--set", "num_steps=1000")["proposals"] == 1000


def test_target(solved, ring):
    hit = solved("G1", "--target", 11000)
    assert hit["status"] == "target" and hit["objective"] >= 11000
    missed = solved("G1", "--target", 11625, "--num-sweeps", 5, code=3)
    assert missed["status"] == "completed" and missed["objective"] < 11625
    assert solved(ring, "--as", "ising", "--target", "-5.5", "--seed", 1)["objective"] == -6
    assert solved(ring, "--solver", "exact", "--target", 7, code=3)["status"] == "optimal"


def test_time_limit(solved):
    d = solved("G1", "--time-limit", 0.4)
    assert d["status"] == "time_limit" and 0.4 <= d["time"]["solve_s"] < 0.9
    assert solved("G1", "--time-limit", 0.2, "--target", 99999, code=3)["status"] == "time_limit"


def test_problems_list(cli):
    plain = cli("problems", "list").decode()
    assert "G22" in plain and "K2000" in plain and "gen:torus3d" in plain and "rudy" in plain
    d = json.loads(cli("problems", "list", "--json"))
    assert [i["name"] for i in d["instances"]] == list(instances())
    assert d["formats"].keys() == formats.formats().keys() and "torus2d" in d["gen"]


def test_problems_show(cli, ring):
    d = json.loads(cli("problems", "show", "-", "--json", stdin=gzip.compress(RING.encode())))
    assert d["weights"] == {"min": 1, "max": 1, "sum": 6} and d["degree"] == {"min": 2, "mean": 2, "max": 2}
    assert (d["n"], d["m"], d["integral"], d["best_known"], d["sha256"]) == (6, 6, True, None, load(ring).sha256())
    assert "best known  13359" in cli("problems", "show", "g22").decode()


@pytest.mark.parametrize("name", ["G1", "G11", "G14", "G27", "G48"])
def test_problems_write(name):
    text = process("problems", "write", name, "--format", "rudy", "-")
    assert hashlib.sha256(text).hexdigest() == instances()[name].text_sha256


@pytest.mark.parametrize("name", instances())
def test_every_instance_comes_out_bit_for_bit(name):
    buffer = io.BytesIO()
    formats.write(load(name), buffer, format="rudy")
    assert hashlib.sha256(buffer.getvalue()).hexdigest() == instances()[name].text_sha256


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.txt", None), ("a.txt.gz", None), ("a.json", None), ("a.json.gz", "ising"), ("a.qubo", "qubo")],
)
def test_written_files_read_back(name, kind, cli, solved, tmp_path):
    path = tmp_path / name
    options = [] if kind is None else ["--as", kind]
    assert cli("problems", "write", "nx:cycle_graph(6);weights=pm1;wseed=2", path, *options) == b""
    model = load("nx:cycle_graph(6);weights=pm1;wseed=2", kind)
    assert load(path) == model and path.read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
    assert solved(path, "--solver", "exact")["problem"]["sha256"] == model.sha256()


def test_solvers_list(cli):
    d = json.loads(cli("solvers", "list", "--json"))
    assert {"sa", "neurosa", "exact"} <= d.keys() and d["sa"]["settings"]["schedule"] == "geometric"
    assert all(about["summary"] for about in d.values())
    assert all(name in cli("solvers", "list").decode() for name in d)


def test_info(cli, monkeypatch):
    monkeypatch.setenv("FNANNEAL_CACHE", "/nonexistent/cache")
    d = json.loads(cli("info", "--json"))
    assert d["cache"] == "/nonexistent/cache" and d["threads"] >= 1 and "sa" in d["solvers"]
    assert d["fnanneal"] == cli("--version").decode().strip() == process("--version").decode().strip()
    assert "processor" in cli("info").decode()


def test_cache_clear(cli, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("FNANNEAL_CACHE", str(folder))
    cli("problems", "show", "G1")
    (folder / "instances" / "mine.txt").write_text("not an entry")
    entries = list(folder.rglob("*.fncache"))
    size = sum(p.stat().st_size for p in entries)
    assert entries and f"{size / 1e6:.1f} MB freed" in cli("cache", "clear").decode()
    assert [p.name for p in folder.rglob("*") if p.is_file()] == ["mine.txt"]
    monkeypatch.setenv("FNANNEAL_CACHE", str(tmp_path / "none"))
    assert "0.0 MB freed" in cli("cache", "clear").decode()


def test_cache_clear_removes_kernels(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("FNANNEAL_CACHE", str(tmp_path))
    assert cache.write("kernels", "sweep.anneal-0123", "stamp", b"x" * 10**6)
    assert "1.0 MB freed" in cli("cache", "clear").decode()
    assert not (tmp_path / "kernels").exists()


HELP = ["", "solve", "verify", "info", "problems", "problems list", "problems show", "problems write", "solvers", "solvers list", "cache", "cache clear"]  # fmt: skip


@pytest.mark.parametrize("command", HELP)
def test_help(command, cli):
    text = cli(*command.split(), "--help").decode()
    assert text.startswith(f"Usage: fnanneal {command}".rstrip())
    assert cli(*command.split(), "-h").decode() == text


def started(*arguments, checkpoint):
    """A solve that runs, as its first checkpoint shows."""
    running = subprocess.Popen(
        [*COMMAND, "solve", *map(str, arguments), "--checkpoint", str(checkpoint)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait(running, checkpoint.exists)
    return running


def wait(running, condition):
    end = time.monotonic() + 60
    while not condition():
        assert running.poll() is None and time.monotonic() < end, running.communicate()
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(number, tmp_path):
    out = tmp_path / "best.txt"
    running = started("G1", "--time-limit", 60, "--json", "-o", out, checkpoint=tmp_path / "run")
    time.sleep(0.2)
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=10)
    assert (running.returncode, stderr) == (130, b"")
    d = json.loads(stdout)
    assert d["status"] == "interrupted" and d["objective"] == load("G1").objective(read_solution(out)) > 10000
    assert d["time"]["solve_s"] < 10


@pytest.mark.parametrize("solver", sorted(LONG))
def test_killed_and_resumed(solver, solved, tmp_path):
    run = ["G1", "--solver", solver, "--seed", 5, "--threads", 1, *LONG[solver]]
    whole = solved(*run, "-o", tmp_path / "whole.txt")
    saved = tmp_path / "run"
    running = started(*run, checkpoint=saved)
    first = saved.stat().st_ino
    wait(running, lambda: saved.stat().st_ino != first)
    running.kill()
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    state = Checkpoint.read(saved).state
    done, of = (state["sweep"], state["sweeps"]) if solver == "sa" else (state["step"], state["steps"])
    assert 0 < done < of, "killed in the middle"
    rest = solved("G1", "--resume", saved, "-o", tmp_path / "rest.txt")
    assert timeless(rest) == timeless(whole)
    assert (tmp_path / "rest.txt").read_bytes() == (tmp_path / "whole.txt").read_bytes()
    assert rest["time"]["solve_s"] > 0.9, "the time of both runs together"


def shell(line, **options):
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.mark.parametrize(
    "command", ["problems list", "problems write K2000 - --format rudy", "solve G1 --num-sweeps 3", "--help"]
)
def test_broken_pipe(command):
    done = shell(f"{SHELL} {command} | head -1; exit ${{PIPESTATUS[0]}}")
    assert done.stdout.count("\n") == 1 and done.stderr == "" and done.returncode in (0, 1)


@pytest.mark.parametrize(
    "command",
    ["problems list", "solve G1 --num-sweeps 3", "solve G1 --num-sweeps 3 --json", "problems write G1 - --format rudy"],
)
def test_closed_output(command):
    done = shell(f"{SHELL} {command} >&-")
    assert "Traceback" not in done.stderr and done.stderr.count("\n") <= 1


@pytest.mark.parametrize(
    "command", ["problems list", "solve G1 --num-sweeps 3 --json", "problems write G1 - --format rudy"]
)
def test_full_disk(command):
    done = shell(f"{SHELL} {command} >/dev/full")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "No space left" in done.stderr


def test_closed_standard_error():
    done = shell(f"{SHELL} solve G1 --num-sweeps 3 --json 2>&-")
    assert done.returncode == 0 and json.loads(done.stdout).keys() == KEYS
    done = shell(f"{SHELL} solve nope --json 2>&-")
    assert (done.returncode, done.stdout) == (2, ""), "nothing but JSON goes to standard output"


def test_warnings_are_one_line_beside_the_answer():
    done = subprocess.run(
        [*COMMAND, "solve", "-", "--quiet"], input=b"2 2\n1 2 1\n1 1 5\n", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"1\n")
    assert done.stderr.startswith(b"fnanneal: warning: ") and done.stderr.count(b"\n") == 1
