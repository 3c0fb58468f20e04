"""Every CUDA kernel compiles for real architectures, without a GPU, within the registers and the shared memory that its file states."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

from fnanneal.solvers.cuda.source import FOLDER, OPTIONS, Kernels, parameters, text, units

_BUDGET = re.compile(r"^// budget (\w+) (\d+) registers, (\d+) bytes$", re.MULTILINE)
_ENTRY = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers(?:[^\n]*?(\d+) bytes smem)?",
    re.DOTALL,
)
UNITS = units()


@cache
def compiler():
    spec = importlib.util.find_spec("nvidia")
    assert spec is not None and spec.submodule_search_locations, 'NVRTC: pip install -e ".[dev]"'
    found = [p for folder in spec.submodule_search_locations for p in Path(folder).glob("**/libnvrtc.so.*")]
    # The newest, where there are several.
    return ctypes.CDLL(str(max(found, key=lambda p: int(p.name.rpartition(".")[2]))))


@cache
def architectures():
    """Turing, Ampere, Hopper, and the newest that the compiler knows."""
    count = ctypes.c_int()
    compiler().nvrtcGetNumSupportedArchs(ctypes.byref(count))
    known = (ctypes.c_int * count.value)()
    compiler().nvrtcGetSupportedArchs(known)
    return ("sm_75", "sm_80", "sm_90", f"sm_{max(known)}")


def build(source, architecture, name="unit.cu"):
    """The compiler's log, and whether it succeeded."""
    library, program = compiler(), ctypes.c_void_p()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), 0, None, None) == 0
    options = [o.encode() for o in (*OPTIONS, f"--gpu-architecture={architecture}", "--ptxas-options=-v")]
    failed = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return log.value.decode(), not failed


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("unit", UNITS, ids=lambda u: "-".join((u.file, *u.defines)))
def test_compiles_within_its_budget(unit, which):
    log, good = build(text(unit), architectures()[which], f"{unit.file}.cu")
    assert good, log
    assert "warning" not in log, log
    budgets = {name: (int(r), int(s)) for name, r, s in _BUDGET.findall(text(unit))}
    used = {name: (int(a) + int(b), int(r), int(s or 0)) for name, a, b, r, s in _ENTRY.findall(log)}
    assert set(used) == set(parameters(unit)) == set(budgets), "state a budget for every kernel, and only for those"
    for name, (spilled, registers, shared) in used.items():
        assert spilled == 0, f"{name} spills {spilled} bytes"
        assert registers <= budgets[name][0] and shared <= budgets[name][1], (
            f"{name}: {registers} registers, {shared} bytes"
        )


def test_every_file_is_compiled():
    assert {u.file for u in UNITS} == {p.stem for p in FOLDER.glob("*.cu")}


def test_a_fault_is_seen():
    log, good = build("__global__ void broken() { nonsense; }", "sm_75")
    assert not good and "nonsense" in log


def test_includes_stand_once():
    whole = text(Kernels("start"))
    assert "#include" not in whole and whole.count("struct Words") == 1
