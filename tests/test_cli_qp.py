"""``fnanneal qp`` as a user meets it."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import types

import numpy as np
import pytest

from fnanneal.cli import qp as command
from fnanneal.energy.events import Events
from fnanneal.energy.ledger import account, technology
from fnanneal.energy.meter import Measured
from fnanneal.problems.quadratic.formats import read
from fnanneal.problems.quadratic.load import load_qp
from fnanneal.qpresult import QPEnergy, QPProgress, QPResult, QPStatus, QPTimes

from .test_cli import COMMAND, inside, process
from .test_qp_formats import FILES, LP, MPS, PROGRAM

KEYS = {
    "schema", "version", "problem", "solver", "settings", "backend", "seed", "status", "sense", "objective", "primal_residual", "dual_residual",
    "duality_gap", "sign_residual", "iterations", "factorisations", "polished", "convex", "gap", "weights", "details", "time", "energy",
}  # fmt: skip
BOX = b"2\n1 -2\n0 3\n3 4\n"  # maximum 4 at (1, 1)
INFEASIBLE = LP.replace("x <= 0.7", "x <= 0.2").replace("0 <= y", "0.1 <= y").encode()
UNBOUNDED = b"minimize\n x - y + [ x ^ 2 ] / 2\nsubject to\n x - y <= 4\nend\n"


@pytest.fixture
def cli(capfdbinary, monkeypatch):
    """The command in this process: its standard output."""

    def run(*arguments, code=0, stdin=b""):
        returned, out, err = inside(("qp", *arguments), stdin, capfdbinary, monkeypatch)
        assert (returned, err.decode()) == (code, "")
        return out.decode()

    return run


@pytest.fixture
def refused(capfdbinary, monkeypatch):
    """Run, expect one line, and give it."""

    def one_line(*arguments, stdin=b"", code=2):
        returned, out, err = inside(("qp", *arguments), stdin, capfdbinary, monkeypatch)
        lines = err.decode().splitlines()
        assert returned == code and len(lines) == 1 and lines[0].startswith("fnanneal: error: "), err.decode()
        assert out == b"" and len(err) < 800
        return lines[0].removeprefix("fnanneal: error: ")

    return one_line


def result(problem, status=QPStatus.SOLVED, **changes):
    """A result as the solver gives it."""
    x = np.full(problem.n, 0.1)
    y, z, s = np.zeros(problem.b.size), np.full(problem.h.size, 0.25), np.zeros(problem.n)
    events = Events()
    settings = {
        "problem": problem, "solver": "hpr", "settings": {"sigma": np.float64(2)}, "seed": 5, "backend": "cpu", "status": status, "x": x, "y": y, "z": z, "z_box": s,
        "objective": problem.objective(x), "residuals": problem.residuals(x, y, z, s), "ray": None, "iterations": 1, "factorisations": 0, "polished": False,
        "convex": True, "gap": None, "weights": "ideal", "time": QPTimes(load_s=0.5, compile_s=0.25, build_s=0.125, solve_s=1.5),
        "energy": QPEnergy(account=account(events, technology(None)), measured=None, events=events), "versions": {"fnanneal": "0"},
    }  # fmt: skip
    return QPResult(**settings | changes)


@pytest.fixture
def solver(monkeypatch):
    """In place of the solver: it records what it was called with, and returns a result with the changes in ``then``."""
    seen = types.SimpleNamespace(calls=[], then={}, progress=None)

    def solve_qp_problem(problem, **settings):
        seen.calls.append((problem, settings))
        if seen.progress is not None and settings["callback"] is not None:
            settings["callback"](seen.progress)
        return result(problem, **seen.then)

    module = types.ModuleType("fnanneal.solvers.qp.solve")
    module.solve_qp_problem = solve_qp_problem
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return seen


@pytest.fixture
def demo(tmp_path):
    path = tmp_path / "demo.lp"
    path.write_text(LP)
    return path


# ---------------------------------------------------------------- with a solver that answers as it is told


def test_what_the_solver_is_asked(cli, solver, demo):
    cli(demo)
    problem, settings = solver.calls[0]
    assert problem.sha256() == PROGRAM.sha256() and problem.name == "demo"
    assert settings.pop("load_s") > 0
    assert settings == {
        "solver": "auto", "eps_abs": 1e-6, "eps_rel": 0.0, "time_limit": None, "max_iter": None, "callback": None, "seed": None, "backend": "auto", "polish": True,
        "threads": None, "weights": "ideal", "technology": None,
    }  # fmt: skip
    options = "--solver hpr --eps 1e-9 --eps-rel 1e-3 --time-limit 2.5 --max-iter 77 --no-polish --backend cpu --threads 1 --seed 3 --weights fn-dam --bits 6 --technology x"
    cli("-", *options.split(), "--format", "mps", "--quiet", stdin=MPS.encode())
    problem, settings = solver.calls[1]
    assert problem.sha256() == PROGRAM.sha256() and settings.pop("load_s") > 0
    assert settings.pop("weights").bits == 6
    assert settings == {
        "solver": "hpr", "eps_abs": 1e-9, "eps_rel": 1e-3, "time_limit": 2.5, "max_iter": 77, "callback": None, "seed": 3, "backend": "cpu", "polish": False,
        "threads": 1, "technology": "x",
    }  # fmt: skip


def test_json_is_the_result(cli, solver, demo):
    text = cli(demo, "--json")
    assert text.count("\n") == 1
    d = json.loads(text)
    assert d.keys() == KEYS
    expected = result(load_qp(demo)).to_dict()
    assert d == json.loads(json.dumps(expected | {"settings": {"sigma": 2.0}}))
    # what JSON has no word for
    solver.then = {"objective": -np.inf, "details": {"a": np.arange(2), "b": float("nan"), "c": (1, np.True_)}}
    d = json.loads(cli(demo, "--json"), parse_constant=pytest.fail)
    assert d["objective"] is None and d["details"] == {"a": [0, 1], "b": None, "c": [1, True]}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (QPStatus.SOLVED, 0), (QPStatus.SOLVED_LOWER_ACCURACY, 0), (QPStatus.TIME_LIMIT, 0), (QPStatus.ITERATION_LIMIT, 0), (QPStatus.PRIMAL_INFEASIBLE, 0),
        (QPStatus.DUAL_INFEASIBLE, 0), (QPStatus.INTERRUPTED, 130), (QPStatus.FAILED, 1),
    ],
)  # fmt: skip
def test_exit_codes_and_what_is_said(status, code, cli, solver, demo, tmp_path):
    ray = {"y": np.ones(1), "z": np.zeros(2), "z_box": np.ones(2)} if "infeasible" in status.value else None
    solver.then = {"status": status, "ray": ray}
    out = tmp_path / "out.txt"
    text = cli(demo, "-o", out, code=code)
    assert status.message in text and [float(v) for v in out.read_text().split()] == [0.1, 0.1]
    assert ("objective" in re.sub("the objective falls.*", "", text)) == (ray is None)
    assert ("a ray of y, z, z_box" in text) == (ray is not None)
    assert "\x1b" not in text and "measured" in text and re.search("energy +.* modelled .* · not measured", text)
    quiet = cli(demo, "--quiet", code=code)
    assert quiet == (f"{status.value}\n" if ray else f"{PROGRAM.objective(np.full(2, 0.1))!r}\n")


def test_plain_output(cli, solver, demo, tmp_path):
    cells = {
        "cells": 125,
        "bits": 8,
        "effective_bits": 5.73,
        "pulses": 1500,
        "chip_seconds": 200.0,
        "excess": 0.0107,
        "resolution": [0.1],
    }
    solver.then = {"iterations": 1200, "factorisations": 1, "polished": True, "gap": 0.25, "weights": cells}
    text = cli(demo, "--output", tmp_path / "x")
    for pattern in (
        r"problem +demo: quadratic program, 2 variables, 2 inequalities, 1 equality, 10 entries\n",
        r"status +solved: every residual is within the tolerance\n",
        r"objective +7\.24 +\(recomputed from x\)\n",
        r"residuals +primal 8\.0e-01 · dual 1\.5e\+00 · gap \S+ · sign 0\.0e\+00 +\(recomputed on the problem as given\)\n",
        r"bound +the best possible objective is at most 0\.25 away\n",
        r"solver +hpr, seed 5, 1200 iterations, 1 factorisation, polished on cpu\n",
        r"time +load 0\.50 s · compile 0\.25 s · build 0\.12 s · solve 1\.50 s\n",
        r"cells +125 of 8 bits, 5\.7 effective · 1500 pulses in \S+ s on the chip · objective within 0\.0107 of that of the mean readings\n",
        r"solution +\S+x\n",
    ):
        assert re.search(pattern, text), pattern
    solver.then = {"weights": {**cells, "effective_bits": None}}
    assert "125 of 8 bits · 1500 pulses" in cli(demo)
    events = Events()
    held = Measured(joules=2.0, gross_joules=5.0, baseline_watts=3.0, seconds=1.0, repetitions=1, counters=("package",))
    solver.then = {"energy": QPEnergy(account=account(events, technology(None)), measured=held, events=events)}
    assert "modelled (cmos-45nm) · 2 J measured, above 3.0 W idle" in cli(demo)


def test_solution_files(cli, solver, demo, tmp_path):
    x = np.array([1 / 3, -1e-300])
    solver.then = {"x": x, "z": np.array([0.1, 0.2])}
    for name in ("s.txt", "s.json", "s.NPZ", "s"):
        cli(demo, "-o", tmp_path / name)
    assert (tmp_path / "s.txt").read_text() == (tmp_path / "s").read_text() == "0.3333333333333333\n-1e-300\n"
    d = json.loads((tmp_path / "s.json").read_text())
    about = {"status": "solved", "objective": PROGRAM.objective(np.full(2, 0.1))}
    assert d == about | {"x": x.tolist(), "y": [0.0], "z": [0.1, 0.2], "z_box": [0.0, 0.0]}
    with np.load(tmp_path / "s.NPZ", allow_pickle=False) as held:
        assert {k: v.tolist() for k, v in held.items()} == d
    solver.then = {"status": QPStatus.DUAL_INFEASIBLE, "ray": {"x": np.ones(2)}}
    cli(demo, "-o", tmp_path / "s.json")
    cli(demo, "-o", tmp_path / "s.npz")
    assert json.loads((tmp_path / "s.json").read_text())["ray"] == {"x": [1.0, 1.0]}
    with np.load(tmp_path / "s.npz") as held:
        assert held["ray_x"].tolist() == [1, 1] and held["status"] == "dual_infeasible"
    assert len(list(tmp_path.iterdir())) == 6, "nothing is left over"
    assert json.loads(cli(demo, "--json", "-o", "/dev/null"))["status"] == "dual_infeasible"


def test_progress_is_for_terminals(solver, demo, monkeypatch, capsys):
    """One line, made of what the callback is given."""
    from io import StringIO

    from rich.console import Console

    p = load_qp(demo)
    shown = StringIO()
    shown.isatty = lambda: True
    solver.progress = QPProgress(
        elapsed=1.5, iterations=3200, phase="polish", objective=1.25, residuals=p.residuals(np.zeros(2), np.zeros(1), np.zeros(2), np.zeros(2))
    )  # fmt: skip
    monkeypatch.setattr(command.sys, "stderr", shown)
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=shown, force_terminal=True, width=200))
    with command._progress(p, quiet=False) as callback:
        callback(solver.progress)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue())
    assert (
        "demo  1.5 s  polish  3200 iterations  primal 1.0e+00  dual 1.0e+00  gap 0.0e+00  sign 0.0e+00  objective 1.25"
        in text
    )
    with command._progress(p, quiet=True) as callback:
        assert callback is None


# ---------------------------------------------------------------- bad input


BAD = [
    (["nope.lp"], "nope.lp: no such file"), (["/"], "/: is a directory"), ([""], "the problem's name is empty"), (["-"], "<stdin>: the file is empty"),
    (["gen:"], "expected NAME"), (["gen:nope(3)"], "gen has no family of quadratic programs 'nope'; .*portfolio"), (["gen:portfolio"], "gen:portfolio: missing"),
    (["gen:portfolio(10**9)"], "plain"), (["demo.lp", "--solver", "nope"], "unknown solver 'nope'.*hpr"), (["demo.lp", "--format", "nope"], "unknown format 'nope'.*qplib"),
    (["demo.lp", "--format", "mps"], "demo.lp: line 2: expected the name of a section|unknown section"), (["demo.lp", "--eps", "0"], "eps"), (["demo.lp", "--eps", "nan"], "eps"),
    (["demo.lp", "--eps", "-1"], "eps"), (["demo.lp", "--eps", "x"], "--eps"), (["demo.lp", "--eps-rel", "-1"], "eps"), (["demo.lp", "--time-limit", "0"], "time_limit"),
    (["demo.lp", "--time-limit", "nan"], "time_limit"), (["demo.lp", "--max-iter", "0"], "max_iter"), (["demo.lp", "--max-iter", "1.5"], "--max-iter"),
    (["demo.lp", "--threads", "0"], "threads"), (["demo.lp", "--seed", "-1"], "seed"), (["demo.lp", "--seed", "1.5"], "--seed"), (["demo.lp", "--backend", "tpu"], "--backend"),
    (["demo.lp", "--bits", "8"], "--bits is for --weights fn-dam"), (["demo.lp", "--weights", "fn-dam", "--bits", "99"], "bits"), (["demo.lp", "--technology", "nope"], "nope"),
    (["demo.lp", "-o", "/nonexistent/x"], "/nonexistent/x"), (["demo.lp", "-o", "/"], "directory"), ([], "file"), (["demo.lp", "extra"], "extra"), (["demo.lp", "--bogus"], "--bogus"),
    (["nan.lp"], "nan.lp: line 3: the number 'nan' is not a number"), (["odd.txt"], r"odd.txt: the format is not known: .*\.qplib"), (["integer.lp"], "integer variables are not supported"),
    (["crossed.npz"], r"crossed.npz: lb\[0\] = 3 exceeds ub\[0\] = 2"), (["quadratic.qplib"], "type QCQ: quadratic constraints are not supported"), (["cut.mps.gz"], "cut short"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) or "nothing" for a, _ in BAD])
def test_bad_input(arguments, message, refused, demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nan.lp").write_text(LP.replace("+ 7", "+ nan"))
    (tmp_path / "odd.txt").write_text("some words\n")
    (tmp_path / "integer.lp").write_text(LP.replace("End", "General\n x\nEnd"))
    (tmp_path / "quadratic.qplib").write_text("x\nQCQ\nminimize\n")
    (tmp_path / "cut.mps.gz").write_bytes(gzip.compress(MPS.encode())[:-9])
    np.savez(tmp_path / "crossed.npz", q=[1], lb=[3], ub=[2])
    line = refused(*arguments)
    assert re.search(message, line) and line.isprintable()


# ---------------------------------------------------------------- as a process, with the real solvers


@pytest.mark.parametrize("name", FILES)
def test_one_file_of_each_format(name, tmp_path):
    path, out = tmp_path / name, tmp_path / "out.json"
    path.write_bytes(FILES[name])
    d = json.loads(process("qp", path, "--json", "--seed", 1, "-o", out))
    assert d.keys() == KEYS and d["problem"] == load_qp(path).summary()
    assert (d["status"], d["sense"], d["seed"]) == ("solved", "min", 1)
    assert d["objective"] == pytest.approx(8.88, abs=1e-5)
    worst = max(d[k] for k in ("primal_residual", "dual_residual", "duality_gap", "sign_residual"))
    assert worst <= 1e-6
    s = json.loads(out.read_text())
    assert s["x"] == pytest.approx([0.3, 0.7], abs=1e-5) and s["objective"] == d["objective"] == PROGRAM.objective(
        s["x"]
    )
    r = PROGRAM.residuals(s["x"], s["y"], s["z"], s["z_box"])
    assert (r.primal, r.dual, r.gap, r.sign) == tuple(
        d[k] for k in ("primal_residual", "dual_residual", "duality_gap", "sign_residual")
    )
    assert d["time"]["load_s"] > 0 and d["energy"]["status"] in ("complete", "partial", "none")


def test_box_from_standard_input(cli):
    assert float(cli("-", "--quiet", stdin=BOX)) == pytest.approx(4, abs=1e-6)
    d = json.loads(cli("-", "--json", "--format", "boxqp", stdin=gzip.compress(BOX)))
    assert (d["sense"], d["status"]) == ("max", "solved") and d["objective"] == pytest.approx(4, abs=1e-6)


def test_generated(cli):
    d = json.loads(cli("gen:portfolio(20, seed=1)", "--json"))
    assert d["status"] == "solved" and d["problem"]["name"].startswith("gen:portfolio")


def test_without_polish_and_with_limits(cli, demo):
    d = json.loads(cli(demo, "--no-polish", "--json"))
    assert (d["polished"], d["status"]) == (False, "solved")
    d = json.loads(cli("gen:random(300, seed=1)", "--no-polish", "--max-iter", 1, "--eps", 1e-12, "--json"))
    assert d["status"] == "iteration_limit" and d["factorisations"] == 0
    d = json.loads(cli("gen:lasso(100, seed=1)", "--no-polish", "--time-limit", 0.5, "--eps", 1e-16, "--json"))
    assert d["status"] == "time_limit" and 0.5 <= d["time"]["build_s"] + d["time"]["solve_s"] < 10


def test_hopeless_problems(cli):
    for text, status in ((INFEASIBLE, "primal_infeasible"), (UNBOUNDED, "dual_infeasible")):
        assert cli("-", "--format", "lp", "--quiet", stdin=text) == f"{status}\n"
        shown = cli("-", stdin=text)
        assert QPStatus(status).message in shown and "certificate" in shown and "objective  " not in shown


def test_deterministic(cli, demo, tmp_path):
    runs = []
    for k, threads in enumerate((1, 2)):
        out = tmp_path / f"{k}.json"
        cli(demo, "--seed", 4, "--threads", threads, "-o", out)
        runs.append(out.read_bytes())
    assert runs[0] == runs[1]


def watched(line, until, then):
    """Run a process whose standard error is a terminal; call ``then`` once the text is seen there: exit code, standard output, what was seen."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "300"}
    with subprocess.Popen([*COMMAND, *line], stdout=subprocess.PIPE, stderr=slave, env=environment) as p:
        os.close(slave)
        seen, done = b"", False
        while select.select([master], [], [], 60)[0]:
            try:
                piece = os.read(master, 1 << 16)
            except OSError:  # the process has closed its end
                break
            seen += piece
            if not piece:
                break
            if until in seen and not done:
                done = True
                then(p)
        out = p.communicate(timeout=60)[0]
    os.close(master)
    return p.returncode, out, seen


def test_on_a_terminal(demo):
    """A line on standard error while it runs, nothing of it on standard output."""
    code, out, seen = watched(["qp", str(demo), "--json"], b"demo", lambda p: None)
    assert code == 0 and json.loads(out)["status"] == "solved" and b"demo" in seen


def test_interrupted(tmp_path):
    """The best point so far is shown and written."""
    out = tmp_path / "x.txt"
    line = [
        "qp",
        "gen:lasso(100, seed=1)",
        "--no-polish",
        "--eps",
        "1e-16",
        "--time-limit",
        "100",
        "--json",
        "-o",
        str(out),
    ]
    code, text, seen = watched(line, b"iterations", lambda p: p.send_signal(signal.SIGINT))
    assert re.search(rb"gen:lasso.*primal .*dual .*gap .*sign .*objective", seen)
    d = json.loads(text)
    assert (code, d["status"]) == (130, "interrupted") and d["time"]["solve_s"] < 60
    assert len(out.read_text().split()) == d["problem"]["n"]


def test_help_is_fast():
    text = process("qp", "--help").decode()
    assert "--no-polish" in text and "quadratic program" in text
    code = "import sys, fnanneal.cli.main; print([m for m in ('numpy', 'scipy', 'numba', 'rich.console') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


def test_read_is_what_the_library_reads(demo):
    assert read(demo).sha256() == PROGRAM.sha256()
