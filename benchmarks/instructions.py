"""Instructions of the CUDA kernels' loops, counted in the machine code; no GPU is needed, but NVIDIA's compiler library and disassembler are.

    pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm
    python benchmarks/instructions.py lanes PLANES=6                 # docs/gpu.md: lanes
    python benchmarks/instructions.py dense ROW=int8 FIELD=short FAR=0
    python benchmarks/instructions.py bits FIELD=short FAR=0 --arch sm_90

A line a loop: how many instructions it has, how many of them outside the loops within it, and the most frequent ones. Loops of `lane_sweeps`: a slice is 32 spins of
32 lanes, an instruction of its loop 1/32 of an instruction a spin test; the loop within it takes in eight edges. `dense_sweeps` has four flips for each eight IDP.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from fnanneal.solvers.cuda.source import OPTIONS, Kernels, text

_LINE = re.compile(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\d+\s+)?([A-Z0-9_]+)(.*)")
_LABEL = re.compile(r"^(\.L_x_\d+):")
_TARGET = re.compile(r"\((\.L_x_\d+)\)")


def installed(pattern: str) -> str:
    """The newest file of NVIDIA's packages that matches."""
    spec = importlib.util.find_spec("nvidia")
    found = [p for f in (spec.submodule_search_locations if spec else None) or () for p in Path(f).glob(pattern)]
    if not found:
        sys.exit(f"{Path(pattern).name}: pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm")
    return str(max(found))


def machine_code(kernels: Kernels, architecture: str) -> bytes:
    """The cubin."""
    nvrtc, program, size = ctypes.CDLL(installed("**/libnvrtc.so.*")), ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text(kernels).encode(), b"unit.cu", 0, None, None)
    options = [o.encode() for o in (*OPTIONS, f"--gpu-architecture={architecture}")]
    if nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options)):
        sys.exit(f"{kernels.file}.cu does not compile for {architecture} with {kernels.defines}")
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    out = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, out)
    return out.raw


def loops(listing: str) -> dict[str, list[tuple[int, int, list[str]]]]:
    """Of each kernel its loops, from label to backward branch: (begin, end, opcodes), in the order of their ends."""
    found: dict[str, list[tuple[int, int, list[str]]]] = {}
    for part in re.split(r"^\t\.section\t\.text\.", listing, flags=re.MULTILINE)[1:]:
        name, labels, opcodes, here = part.split(",")[0], {}, [], []
        for line in part.splitlines():
            if label := _LABEL.match(line):
                labels[label[1]] = len(opcodes)
            elif match := _LINE.match(line):
                opcodes.append(match[1])
                target = _TARGET.search(match[2]) if match[1] == "BRA" else None
                # A branch to itself stands at the end of every kernel.
                if target and labels.get(target[1], len(opcodes)) < len(opcodes) - 1:
                    here.append((labels[target[1]], len(opcodes)))
        found[name] = [(begin, end, opcodes[begin:end]) for begin, end in here]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file")
    parser.add_argument("defines", nargs="*")
    parser.add_argument("--arch", default="sm_90")
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        cubin.write(machine_code(Kernels(options.file, tuple(options.defines)), options.arch))
        cubin.flush()
        command = [shutil.which("nvdisasm") or installed("**/bin/nvdisasm"), "-c", cubin.name]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name, each in loops(listing).items():
        print(name)
        for begin, end, opcodes in each:
            inner = {k for b, e, _ in each if (b, e) != (begin, end) and begin <= b and e <= end for k in range(b, e)}
            most = ", ".join(f"{k} {op}" for op, k in Counter(opcodes).most_common(6))
            print(
                f"  {begin:5} to {end:5}: {end - begin:4} instructions, {end - begin - len(inner):4} outside inner loops; {most}"
            )


if __name__ == "__main__":
    main()
