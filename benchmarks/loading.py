"""Generating, loading and starting up.

    python benchmarks/loading.py

Prints: all 71 Gset graphs and K2000 from an empty cache; each from the cache (the slowest); G81 and a million-edge file; the whole command
on G22 with one sweep, first run ever and later; `--help`; and the peak memory of a solve with a million spins and three million couplings.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GENERATE = """
import time, fnanneal
from fnanneal.problems.known import instances
t = time.perf_counter()
for name in instances():
    fnanneal.load(name)
print(time.perf_counter() - t)
"""
CACHED = """
import time, fnanneal
from fnanneal.problems.known import instances
fnanneal.load("G1")
worst = 0.0
for name in instances():
    t = time.perf_counter()
    fnanneal.load(name)
    worst = max(worst, time.perf_counter() - t)
print(worst)
"""
FILE = """
import sys, time, fnanneal
t = time.perf_counter()
fnanneal.load(sys.argv[1])
print(time.perf_counter() - t)
"""


def python(code: str, *arguments: str) -> float:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return float(done.stdout)


def command(*arguments: str) -> float:
    """Seconds of a whole command."""
    t = time.perf_counter()
    subprocess.run([sys.executable, "-m", "fnanneal.cli.main", *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - t


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FNANNEAL_CACHE"] = folder
        print(f"generate all 72, empty cache   {python(GENERATE):6.2f} s")
        print(f"load from the cache, slowest   {python(CACHED):6.3f} s")
        g81, million = Path(folder, "G81.txt"), Path(folder, "million.txt")
        command("problems", "write", "gset:G81", str(g81), "--format", "rudy")
        command("problems", "write", "rudy:-rnd_graph 100000 0.02 1", str(million), "--format", "rudy")
        print(f"G81 from a file                {python(FILE, str(g81)):6.2f} s")
        print(f"1e6 edges from a file          {python(FILE, str(million)):6.2f} s")
        for solver in ("neurosa", "sa"):
            budget = ("--num-sweeps", "1", "--num-reads", "1", "--quiet", "--solver", solver)
            first = command("solve", "gset:G22", *budget)
            later = statistics.median(command("solve", "gset:G22", *budget) for _ in range(7))
            print(f"{solver:7} on G22, one sweep      {first:6.2f} s first run, {later:.2f} s later (whole command)")
        print(f"--help                         {statistics.median(command('--help') for _ in range(7)):6.3f} s")
        t = time.perf_counter()
        command(
            "solve", "gen:torus3d(100,100,100)", "--num-sweeps", "10", "--num-reads", "8", "--solver", "sa", "--quiet"
        )
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(
            f"1e6 spins, 3e6 couplings       {time.perf_counter() - t:6.2f} s, peak {peak:.2f} GiB (8 reads, 10 sweeps; of all the above)"
        )


if __name__ == "__main__":
    main()
