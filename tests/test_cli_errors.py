"""Whatever is wrong with the input, the answer is one line on standard error and exit code 2."""

from __future__ import annotations

import gzip
import re
import subprocess
import time

import numpy as np
import pytest

from fnanneal import load, solve
from fnanneal.checkpoint import Checkpoint

from .test_cli import COMMAND, SHELL, inside

PAIR = b"2 1\n1 2 3\n"
SECONDS = 30.0  # a hang, not a speed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A checkpoint of a short run."""
    path = tmp_path_factory.mktemp("runs") / "run"
    solve(load("nx:path_graph(3)"), seed=1, num_sweeps=5)
    solve(load("nx:path_graph(3)"), "sa", seed=1, num_sweeps=5, num_reads=2, checkpoint=path)
    return path


@pytest.fixture
def refused(capfdbinary, monkeypatch, run):
    """Run, expect one line, and give it. What is timed is not the compiler: `run` has had the kernels compiled."""

    def one_line(*arguments, stdin=b"", code=2):
        begun = time.perf_counter()
        returned, out, err = inside(arguments, stdin, capfdbinary, monkeypatch)
        lines = err.decode().splitlines()
        assert returned == code and len(lines) == 1 and lines[0].startswith("fnanneal: error: "), err.decode()
        assert out == b"" and err.endswith(b"\n") and len(err) < 800
        assert time.perf_counter() - begun < SECONDS
        return lines[0]

    return one_line


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["solve", "-"], b"3 2\n1 2 x\n", "line 2"),
        (["solve", "G999"], b"", "did you mean G9"),
        (["solve", "G1", "--seed", "1.5"], b"", "--seed"),
        (["solve", "G1", "--solver", "as", "--json"], b"", "unknown solver"),
        (["verify", "G1", "/nonexistent"], b"", "/nonexistent"),
        (["frobnicate"], b"", "frobnicate"),
    ],
)
def test_as_a_process(arguments, stdin, message):
    done = subprocess.run([*COMMAND, *arguments], input=stdin, capture_output=True, timeout=20, check=False)
    text = done.stderr.decode()
    assert (done.returncode, done.stdout, text.count("\n")) == (2, b"", 1)
    assert text.startswith("fnanneal: error: ") and message in text


FILES = {
    "nan": (b"3 1\n1 2 nan\n", "line 2.*not finite"),
    "infinite": (b"3 2\n1 2 1\n2 3 -inf\n", "line 3.*not finite"),
    "overflow": (b"2 1\n1 2 1e999\n", "line 2.*too large"),
    "too large": (b"2 1\n1 2 99999999999999999999\n", "line 2.*too large"),
    "sum too large": (b"3 2\n1 2 1000000000000000000\n2 3 1000000000000000000\n", "too large"),
    "index 0": (b"3 1\n0 2 1\n", "line 2.*index '0' is out of range"),
    "index negative": (b"3 1\n1 -2 1\n", "line 2.*out of range"),
    "index beyond n": (b"3 1\n1 4 1\n", "line 2.*index '4' is out of range"),
    "index no integer": (b"3 1\n1 2.5 1\n", "line 2.*not an integer"),
    "missing lines": (b"3 2\n1 2 1\n", "2 edges announced, 1 found"),
    "surplus lines": (b"3 1\n1 2 1\n1 3 1\n", "line 3.*surplus"),
    "columns": (b"3 1\n1 2 1 1\n", "line 2.*columns"),
    "no vertices": (b"0 0\n", "empty"),
    "negative n": (b"-3 0\n", "line 1.*negative"),
    "huge n": (b"99999999999 0\n", "line 1.*too large"),
    "huger n": (b"9" * 5000 + b" 0\n", "line 1"),
    "huge m": (b"3 99999999999999999999\n1 2 1\n", "announced, 1 found"),
    "empty": (b"", "empty"),
    "blank": (b"  \n\n", "empty"),
    "words": (b"hello world\n", "format is not known|not an integer"),
    "binary": (bytes(range(256)), "not a text file"),
    "not utf-8": (b"# \xff\xfe\n2 1\n1 2 1\n", "line 1.*UTF-8"),
    "gzip cut short": (gzip.compress(PAIR * 99)[:-9], "cut short"),
    "gzip damaged": (b"\x1f\x8b\x08\x00 nonsense", "gzip"),
    "gzip of nothing": (gzip.compress(b""), "empty"),
    "json": (b'{"fnanneal": 1, "kind": "ising"', "<stdin>"),
    "json kind": (b'{"fnanneal": 1, "kind": "cut", "n": 1, "rows": [], "cols": [], "weights": []}', "kind"),
    "matrix market": (b"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 1\n", "symmetric"),
    "qubo": (b"p qubo 0 2 1 1\n0 0 x\n0 1 1\n", "line 2"),
    "terminal tricks": (b"2 1\n1 2 \x1b[31m\n", "line 2|text file"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_bad_files(name, refused, tmp_path):
    content, message = FILES[name]
    line = refused("solve", "-", stdin=content)
    assert re.search(message, line) and "<stdin>" in line and line.isprintable()
    path = tmp_path / "problem.txt"
    path.write_bytes(content)
    line = refused("problems", "show", path)
    assert re.search(message.replace("<stdin>", "problem.txt"), line) and "problem.txt" in line


NAMES = [
    ("", "empty"), ("G999", "did you mean"), ("gset:G68", "unknown instance"), ("gset:", "unknown instance"), ("K20000", "K2000"), ("nope", "problems list"),
    ("/nonexistent/G1.txt", "no such file"), ("/", "is a directory"), (".", "is a directory"), ("/dev/null", "device"), ("G1#2", "no such file"),
    ("rudy:", "empty"), ("rudy:nonsense", "nonsense"), ("rudy:-nonsense 5 5 5", "nonsense"), ("rudy:-rnd_graph", "rnd_graph"), ("rudy:-rnd_graph 10", "rnd_graph"),
    ("rudy:-rnd_graph 10 200 1", "density"), ("rudy:-rnd_graph x 5 1", "x"), ("rudy:-rnd_graph 0 5 1", "."), ("rudy:-rnd_graph 99999999 100 1", "."),
    ("rudy:-rnd_graph 10 50 1 -times", "."), ("rudy:-rnd_graph 10 50 1 )", "."), ("rudy:" + "( " * 5000, "."), ("rudy:-clique 10 -clique 5", "."),
    ("nx:", "expected NAME"), ("nx:nope(3)", "no generator"), ("nx:path_graph", "."), ("nx:path_graph()", "missing"), ("nx:path_graph(0)", "empty|at least"),
    ("nx:path_graph(-1)", "."), ("nx:path_graph(10**12)", "plain"), ("nx:path_graph(1000000000000)", "too large"),
    ("nx:path_graph(1e400)", "finite"), ("nx:complete_graph(1000000)", "edges"), ("nx:hypercube_graph(100)", "edges"), ("nx:gn_graph(10)", "directed"),
    ("nx:__import__('os').system('true')", "expected NAME"), ("nx:path_graph(__import__('os').system('true'))", "plain"), ("nx:path_graph(open('/etc/passwd'))", "plain"),
    ("nx:path_graph(3).nodes", "expected NAME"), ("nx:path_graph(n=3, n=4)", "."), ("nx:path_graph(**{})", "written out"), ("nx:path_graph(3); import os", "unknown option"),
    ("nx:path_graph(3);weights=nope", "weights must be"), ("nx:path_graph(3);wseed=1", "wseed needs"), ("nx:path_graph(3);weights=pm1;wseed=-1", "wseed"),
    ("nx:path_graph(3);weights=int(5,1)", "lo <= hi"), ("nx:random_regular_graph(3, 5)", "."), ("nx:path_graph(\n3", "expected NAME"), ("nx:" + "(" * 5000, "."),
    ("gen:", "expected NAME"), ("gen:torus4d(3)", "did you mean"), ("gen:xyz(3)", "there are"), ("gen:torus2d", "missing"), ("gen:torus2d(0, 0)", "."),
    ("gen:torus2d(4, 4, seed=-1)", "seed"), ("gen:torus2d(4, 4, seed=1.5)", "seed"), ("gen:torus2d(4.5, 4)", "."), ("gen:torus2d(100000, 100000)", "."),
    ("gen:torus2d(4, 4, nonsense=1)", "nonsense"), ("gen:sk(1000000)", "edges"), ("gen:sk(nan)", "plain"), ("gen:sk(1e999)", "finite"), ("gen:tile2d(8);weights=pm1", "planted"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "message"), NAMES, ids=[repr(name[:40]) for name, _ in NAMES])
def test_bad_names(name, message, refused):
    assert re.search(message, refused("problems", "show", name))


OPTIONS = [
    (["--solver", "nope"], "unknown solver 'nope'.*sa"), (["--solver", "neuros"], "did you mean neurosa"), (["--bogus"], "--bogus"), (["--time"], "--time"),
    (["--as", "cut"], "--as"), (["--format", "nope", "-"], "."), (["--backend", "gpu"], "--backend"), (["extra"], "extra"),
    (["--time-limit", "0"], "time_limit"), (["--time-limit", "-1"], "time_limit"), (["--time-limit", "nan"], "time_limit"), (["--time-limit", "inf"], "time_limit"),
    (["--time-limit", "1s"], "--time-limit"), (["--time-limit", ""], "--time-limit"),
    (["--seed", "-1"], "seed"), (["--seed", str(2**64)], "seed"), (["--seed", "1.5"], "--seed"), (["--seed", "x"], "--seed"),
    (["--num-reads", "0"], "num_reads"), (["--num-reads", "-3"], "num_reads"), (["--num-reads", "1e3"], "--num-reads"), (["--num-reads", str(2**40)], "num_reads"),
    (["--solver", "sa", "--num-reads", "4000000000"], "GiB"), (["--num-sweeps", "0"], "num_sweeps"), (["--num-sweeps", "-1"], "num_sweeps"), (["--num-sweeps", str(2**70)], "num_sweeps"),
    (["--target", "nan"], "target"), (["--target", "x"], "--target"),
    (["--threads", "0"], "threads"), (["--threads", "-2"], "threads"), (["--threads", "100000"], "threads"), (["--threads", "two"], "--threads"),
    (["--max-memory", "lots"], "--max-memory"), (["--max-memory", "-1"], "--max-memory"), (["--max-memory", "0"], "--max-memory"), (["--max-memory", "1e9"], "--max-memory"),
    (["--max-memory", ""], "--max-memory"), (["--max-memory", "nan"], "--max-memory"), (["--max-memory", "1kB"], "GiB"), (["--max-memory", "1KiB"], "."),
    (["--solver", "exact"], "at most 30 spins"), (["--solver", "exact", "--num-reads", "3"], "exact takes no num_reads"),
    (["--set", "kappa"], "KEY=VALUE"), (["--set", "=1"], "KEY=VALUE"), (["--set", ""], "KEY=VALUE"), (["--set", "a b=1"], "KEY=VALUE"), (["--set", "nosuch=1"], "no nosuch"),
    (["--set", "kappa=0"], "kappa"), (["--set", "kappa=-1"], "kappa"), (["--set", "kappa=1e999"], "kappa"), (["--set", "kappa=much"], "."), (["--set", "kappa="], "."),
    (["--set", "kappa=[1]"], "."), (["--set", "kappa=1j"], "."), (["--set", "schedule=steep"], "schedule"), (["--set", "schedule=[]"], "schedule"), (["--set", "rule=None"], "rule"),
    (["--set", "beta_range=1"], "."), (["--set", "beta_range=(1,)"], "beta_range"), (["--set", "beta_range=(1, 2, 3)"], "beta_range"), (["--set", "beta_range=(2, 1)"], "beta_range"),
    (["--set", "beta_range=('a', 'b')"], "beta_range"), (["--set", "beta_range=(0, 1)"], "beta_range"), (["--set", "beta_range=__import__('os')"], "."),
    (["--set", "num_sweeps=2.5"], "num_sweeps"), (["--set", "num_reads=1.5"], "num_reads"), (["--set", "num_reads=x"], "num_reads"), (["--set", "num_sweeps=[3]"], "num_sweeps"),
    (["--set", "seed=x"], "seed"), (["--set", "threads=0"], "threads"), (["--set", "problem=1"], "problem"), (["--set", "solver=5"], "solver"), (["--set", "callback=1"], "callback"),
    (["--num-sweeps", "5", "--set", "num_sweeps=6"], "num_sweeps"),
    (["--solver", "neurosa", "--num-sweeps", "3", "--set", "num_steps=5"], "not both"), (["--solver", "neurosa", "--set", "num_steps=1.5"], "num_steps"),
    (["--solver", "neurosa", "--set", "scale=0"], "scale"), (["--solver", "neurosa", "--set", "floor=2"], "floor"), (["--solver", "neurosa", "--set", "k1=-1"], "k1|positive"),
    (["--solver", "neurosa", "--set", "k2=0"], "k2|positive"), (["--solver", "neurosa", "--set", "k1=x"], "."),
    (["--initial", "/nonexistent"], "/nonexistent"), (["--initial", "/"], "directory"), (["--resume", "/nonexistent"], "/nonexistent"), (["--resume", "/"], "."),
    (["-o", "/nonexistent/best.txt"], "/nonexistent"), (["-o", "/"], "/"), (["-o", "/proc/best.txt"], "/proc/best.txt"), (["-o", ""], "."),
    (["--checkpoint", "/nonexistent/run"], "/nonexistent/run"), (["--checkpoint", "/"], "checkpoint"), (["--checkpoint", "/proc/run"], "/proc/run"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), OPTIONS, ids=[" ".join(o)[:50] for o, _ in OPTIONS])
def test_bad_options(options, message, refused):
    sizes = [] if "--num-sweeps" in options or any("num_" in o for o in options) else ["--num-sweeps", "3"]
    sizes = [] if "exact" in options else sizes
    assert re.search(message, refused("solve", "G1", "--quiet", *sizes, *options))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve"], "PROBLEM"), (["verify"], "PROBLEM"), (["verify", "G1"], "SOLUTION"), (["problems", "show"], "PROBLEM"), (["problems", "write", "G1"], "OUT"),
        (["problems", "nope"], "nope"), (["solvers", "nope"], "nope"), (["cache", "nope"], "nope"), (["--nope"], "--nope"), (["problems", "list", "x"], "x"),
        (["problems", "write", "G1", "-"], "which format"), (["problems", "write", "G1", "/nonexistent/g.txt"], "/nonexistent"), (["problems", "write", "G1", "/"], "/"),
        (["problems", "write", "G1", "/tmp/x.nope"], "which format"), (["problems", "write", "G1", "-", "--format", "nope"], "unknown format"),
        (["problems", "write", "G1", "-", "--format", "qubo"], "--as qubo"), (["problems", "write", "gen:sk(5)", "-", "--format", "rudy"], "--as maxcut"),
        (["problems", "write", "G1", "-", "--format", "biqmac"], "."), (["problems", "show", "G1", "--as", "cut"], "--as"), (["info", "x"], "x"),
    ],
)  # fmt: skip
def test_bad_commands(arguments, message, refused):
    assert re.search(message, refused(*arguments), re.IGNORECASE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1\n-1\n", "2 values for a problem of 3"), (b"", "0 values"), (b"1\n-1\n1\n1\n", "4 values"), (b"1\n-1\n2\n", "line 3.*'2'"), (b"1\n0\n-1\n", "all"),
        (b"1 -1 1\n", "line 1"), (b"1\nnan\n1\n", "line 2"), (b"1\n1.0\n1\n", "line 2"), (b"\xff\n1\n1\n", "not a text file"), (b"1\n\x1b[31m\n1\n", "line 2"),
    ],
)  # fmt: skip
def test_bad_solutions(content, message, refused, tmp_path):
    path = tmp_path / "solution.txt"
    path.write_bytes(content)
    for arguments in (["verify", "nx:path_graph(3)", path], ["solve", "nx:path_graph(3)", "--initial", path]):
        line = refused(*arguments)
        assert re.search(message, line) and "solution.txt" in line and line.isprintable()


def test_too_many_spins_for_exact(refused):
    assert "this problem has 31" in refused("solve", "nx:path_graph(31)", "--solver", "exact")


def test_closed_standard_input():
    line = ["bash", "-c", f"{SHELL} solve - <&-"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "standard input is closed" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "2"], "another seed"), (["--solver", "neurosa"], "another solver"), (["--num-sweeps", "6"], "another num_sweeps"), (["--num-reads", "3"], "another num_reads"),
        (["--set", "kappa=3"], "another kappa"), (["--set", "nosuch=3"], "nosuch"), (["--as", "ising"], "another problem"),
    ],
)  # fmt: skip
def test_resumed_as_something_else(options, message, refused, run):
    assert re.search(message, refused("solve", "nx:path_graph(3)", "--resume", run, *options))


def test_resumed_with_something_else(refused, run, tmp_path):
    assert "another problem" in refused("solve", "nx:path_graph(4)", "--resume", run)
    start = tmp_path / "start.txt"
    start.write_text("1\n1\n1\n")
    assert "initial" in refused("solve", "nx:path_graph(3)", "--resume", run, "--initial", start)


def test_damaged_checkpoints(refused, run, tmp_path):
    whole = run.read_bytes()
    path = tmp_path / "damaged"
    for content in (b"", b"nonsense", whole[:100], whole[:-30], PAIR, gzip.compress(whole)):
        path.write_bytes(content)
        assert "damaged" in refused("solve", "nx:path_graph(3)", "--resume", path)
    with open(path, "wb") as f:
        np.savez(f, a=np.arange(3))
    assert "not a whole checkpoint" in refused("solve", "nx:path_graph(3)", "--resume", path)
    with open(path, "wb") as f:
        np.save(f, np.arange(3))
    assert "damaged" in refused("solve", "nx:path_graph(3)", "--resume", path)


@pytest.mark.parametrize("change", ["flipped", "short", "lost", "objects", "spins"])
def test_forged_checkpoints(change, refused, run, tmp_path):
    """A file that is a checkpoint in form but not in content."""
    path = tmp_path / "forged"
    content = bytearray(run.read_bytes())
    with np.load(run) as data:
        arrays = dict(data)
    if change == "flipped":
        content[content.index(b"state.best") + 200] ^= 255
        path.write_bytes(content)
    else:
        if change == "short":
            arrays["state.spins"] = arrays["state.spins"][:, :1]
        elif change == "lost":
            del arrays["state.fields"]
        elif change == "objects":
            arrays["spins"] = np.array([None, 1, 1], object)
        else:
            arrays["spins"] = np.array([5, 1, 1], np.int8)
        with open(path, "wb") as f:
            np.savez(f, **arrays)
    refused("solve", "nx:path_graph(3)", "--resume", path)


def test_the_checkpoint_fixture_is_whole(run):
    assert Checkpoint.read(run).state["sweep"] == 5
