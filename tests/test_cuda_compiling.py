"""Kernels are compiled once for a kind of GPU, with the CPU's arithmetic, and loaded once a device."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fnanneal import cache as cache_files
from fnanneal.solvers.cuda import compiling
from fnanneal.solvers.cuda.source import Kernels

from . import fake_cupy
from .test_cuda_compile import compiler


class NvrtcError(Exception):
    pass


class Nvrtc:
    """`cupy.cuda.nvrtc`, over the library itself."""

    NVRTCError = NvrtcError

    def __init__(self, newest: int = 90) -> None:
        self.newest, self.options, self.alive = newest, [], 0

    def getVersion(self):
        return 13, 0

    def getSupportedArchs(self):
        return [a for a in (75, 80, 90, 120) if a <= self.newest]

    def createProgram(self, source, name, headers, names):
        program = ctypes.c_void_p()
        compiler().nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), 0, None, None)
        self.alive += 1
        return program

    def compileProgram(self, program, options):
        self.options.append(options)
        given = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
        if compiler().nvrtcCompileProgram(program, len(options), given):
            raise NvrtcError

    def _get(self, what, program):
        size = ctypes.c_size_t()
        getattr(compiler(), f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        out = ctypes.create_string_buffer(size.value)
        getattr(compiler(), f"nvrtcGet{what}")(program, out)
        return out.raw

    def getCUBIN(self, program):
        return self._get("CUBIN", program)

    def getPTX(self, program):
        return self._get("PTX", program)

    def getProgramLog(self, program):
        return self._get("ProgramLog", program).rstrip(b"\0").decode()

    def destroyProgram(self, program):
        compiler().nvrtcDestroyProgram(ctypes.byref(program))
        self.alive -= 1


@pytest.fixture
def nvrtc(monkeypatch, tmp_path):
    monkeypatch.setenv("FNANNEAL_CACHE", str(tmp_path / "cache"))
    out = Nvrtc()
    loaded = []

    class RawModule:
        def __init__(self, path):
            self.content = Path(path).read_bytes()
            loaded.append(self)

        def get_function(self, name):
            return SimpleNamespace(name=name, module=self, kernel=fake_cupy.Device.current[-1])

    cuda = SimpleNamespace(nvrtc=out)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda, RawModule=RawModule))
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    compiling._module.cache_clear()
    out.loaded = loaded
    yield out
    compiling._module.cache_clear()
    assert out.alive == 0


def test_compiled_once_for_each_kind_of_gpu(nvrtc):
    first = compiling.binary(Kernels("start"), (9, 0))
    assert first.startswith(b"\x7fELF")
    assert compiling.binary(Kernels("start"), (9, 0)) == first and len(nvrtc.options) == 1
    assert compiling.binary(Kernels("start"), (7, 5)) != first and len(nvrtc.options) == 2
    assert nvrtc.options[1][-1] == "--gpu-architecture=sm_75"
    # A compiler of another version, or a damaged file, and it is compiled again.
    nvrtc.getVersion = lambda: (13, 1)
    assert compiling.binary(Kernels("start"), (9, 0)) == first and len(nvrtc.options) == 3
    for entry in cache_files.cache_dir().glob("cuda/*"):
        entry.write_bytes(entry.read_bytes()[:-1])
    assert compiling.binary(Kernels("start"), (9, 0)) == first and len(nvrtc.options) == 4
    assert cache_files.clear() > 0


def test_a_gpu_newer_than_the_compiler(nvrtc):
    assert compiling.binary(Kernels("start"), (12, 0)).startswith(b"//")
    assert nvrtc.options[0][-1] == "--gpu-architecture=compute_90"


def test_arithmetic_is_the_cpus(nvrtc):
    compiling.binary(Kernels("start"), (9, 0))
    (options,) = nvrtc.options
    assert "--fmad=false" in options and not any(o.lstrip("-").startswith(("ftz", "use_fast_math")) for o in options)


def test_a_fault_in_the_text(nvrtc):
    with pytest.raises(RuntimeError, match=r"start.cu does not compile for sm_90: [\s\S]*error"):
        compiling.binary(Kernels("start", ("philox=7",)), (9, 0))


def test_loaded_once_a_device(nvrtc):
    before = compiling.seconds()
    functions = [
        compiling.function(Kernels("layout"), name, fake_cupy.Device(index), (9, 0))
        for index in (0, 1)
        for name in ("pack_lanes", "unpack_lanes")
    ]
    assert [f.kernel for f in functions] == [0, 0, 1, 1]
    assert len(nvrtc.loaded) == 2 and len(nvrtc.options) == 1
    assert compiling.seconds() > before
