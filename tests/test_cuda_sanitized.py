"""The kernels under the address sanitizer, in processes that it is loaded into: a read or write beside an array or beside shared memory ends them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import cuda_shim

ROOT = Path(__file__).parents[1]
# One case or two of each file, in which every kernel is run.
CASES = {
    "lanes": [
        "test_cuda_start.py::test_random_spins[ascending-257-64]",
        "test_cuda_lanes.py::test_the_same_spins[ascending-fields-resident]",
        "test_cuda_lanes.py::test_the_same_spins[descending-denser-phases]",
        "test_cuda_lanes.py::test_temperatures_are_the_hosts[ascending-0.0]",
        "test_cuda_compound.py::test_moves_are_the_cpus[ascending-sparse-resident]",
        "test_cuda_compound.py::test_few_groups_are_spread_over_the_processors[descending]",
        "test_cuda_real_lanes.py::test_sweeps_are_the_cpus[ascending-real-resident]",
    ],
    "populations": [
        "test_cuda_crossover.py::test_as_on_the_cpu[ascending-False-pm1-64-shared]",
        "test_cuda_dense.py::test_sweeps_are_those_of_the_cpu[ascending-bits8-False]",
        "test_cuda_dense.py::test_sweeps_are_those_of_the_cpu[ascending-rows8, 33 spins-False]",
        "test_cuda_dense.py::test_selection[ascending-0.05-int8-int8-32]",
    ],
    "chains": [
        "test_cuda_sweep.py::test_every_bit[ascending-pm1-False-resident]",
        "test_cuda_sweep.py::test_every_bit[ascending-real-False-resident]",
        "test_cuda_neurosa.py::test_kernel[ascending-0-pm1]",
        "test_cuda_neurosa.py::test_a_hub_and_a_journal_that_overflows[ascending]",
    ],
    "programs": [
        "test_cuda_qp.py::test_every_way_of_launching_gives_the_same_bits[ascending-general]",
        "test_cuda_boxqp.py::test_islands_are_searches_of_the_cpu[ascending-reals-33-32]",
    ],
}
OUTSIDE = """
import numpy as np
from pathlib import Path
from tests.cuda_shim import ShimDevice
from fnanneal.solvers.cuda.source import Kernels
unit = Path({folder!r}, "outside")
unit.with_suffix(".cu").write_text('''

extern "C" __global__ void outside(int* a, int n) {{ {body} }}
''')
ShimDevice().launch(Kernels(str(unit)), "outside", 1, 32, np.zeros(32, np.int32), np.int32(32), shared=64)
"""


def sanitized(*command):
    """A Python process with the sanitizer."""
    if cuda_shim.COMPILER is None:
        pytest.skip("no g++ to compile the kernels for the CPU")
    library = subprocess.run(
        [cuda_shim.COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(library).is_absolute():
        pytest.skip("this g++ has no address sanitizer")
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",
        cuda_shim.SANITIZE: "1",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("which", CASES)
def test_nothing_is_touched_that_is_not_ours(which):
    nodes = [f"tests/{node}" for node in CASES[which]]
    done = sanitized("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *nodes)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"{len(nodes)} passed" in done.stdout


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("a[threadIdx.x] = n;", ""),
        ("a[threadIdx.x + 1] = n;", "heap-buffer-overflow"),
        ("unsigned char* s = shim::dynamic; if (threadIdx.x == 3) s[80] = 1;", "heap-buffer-overflow"),
        ("__shared__ int s[31]; s[threadIdx.x] = n; a[threadIdx.x] = s[threadIdx.x];", "out of bounds"),
    ],
)
def test_a_fault_is_seen(body, said, tmp_path):
    done = sanitized("-c", OUTSIDE.format(folder=str(tmp_path), body=body))
    assert (done.returncode == 0) == (said == "") and said in done.stderr
