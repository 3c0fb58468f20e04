"""A real MPI job of three processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mpi4py")
# That of the package beside this Python, if there is one: another MPI's launcher would not fit.
BESIDE = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
if MPIEXEC is None:
    pytest.skip("no mpiexec", allow_module_level=True)

HERE = Path(__file__).parent
SCRIPT = f"""
import os, sys
sys.path.insert(0, {str(HERE)!r})
import cases_parallel as cases
from fnanneal.errors import InputError
from fnanneal.parallel import describe, open_executor, process_token, run_tasks

def main():
    try:
        with open_executor("mpi") as executor:
            done = {{d.index: d for d in run_tasks(executor, cases.divide, [3, 0, 4])}}
            print(done[0].value, type(done[1].error).__name__, done[2].value, describe(executor)["workers"])
            # The watchdog would end the job.
            pids = {{d.value for d in run_tasks(executor, cases.guarded_pid, [process_token()] * 6)}}
            print(os.getpid() not in pids)
    except InputError as e:
        print(e)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "job.py"
    path.write_text(SCRIPT)
    return path


def output(*command):
    out = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    return out.stdout


def test_a_job(script):
    out = output(MPIEXEC, "-n", "3", sys.executable, "-m", "mpi4py.futures", str(script))
    assert out.splitlines() == ["4 ZeroDivisionError 3 2", "True"]


@pytest.mark.parametrize("launcher", [[], ["-m", "mpi4py.futures"]])
def test_started_without_its_ranks(launcher, script):
    (line,) = output(sys.executable, *launcher, str(script)).splitlines()
    assert line.endswith("mpiexec -n RANKS python -m mpi4py.futures -m fnanneal ...")


def test_started_without_its_launcher(script):
    # The ranks' lines may run into each other.
    out = output(MPIEXEC, "-n", "2", sys.executable, str(script))
    assert out.count("python -m mpi4py.futures -m fnanneal ...") == 2 and len(out.splitlines()) <= 3


def test_the_command_line_runs_under_it():
    out = output(MPIEXEC, "-n", "2", sys.executable, "-m", "mpi4py.futures", "-m", "fnanneal", "--version")
    assert len(out.splitlines()) == 1 and out.startswith("0.")
