"""The CUDA C of `solvers/kernels`: one translation unit a `Kernels`, its includes written out, so that a compiler's cache sees every change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "kernels"
# The same arithmetic as Numba's: no fused multiply-adds, divisions and roots correctly rounded, which is the compiler's default.
OPTIONS = ("--std=c++17", "--fmad=false")
_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"\n', re.MULTILINE)
_VARIANTS = re.compile(r"^// variants: (.+)$", re.MULTILINE)
_KERNEL = re.compile(
    r'^extern "C" __global__ void (?:__launch_bounds__\(\w+(?:, *\w+)?\)\s+)?(\w+)\(([^)]*)\)', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Kernels:
    """A .cu file with the macros that choose its number types, such as ``("WEIGHT=int",)``."""

    file: str
    defines: tuple[str, ...] = ()


@cache
def text(kernels: Kernels) -> str:
    """The translation unit."""
    included: set[str] = set()

    def whole(name: str) -> str:
        def include(match: re.Match[str]) -> str:
            if match[1] in included:
                return ""
            included.add(match[1])
            return whole(match[1])

        return _INCLUDE.sub(include, (FOLDER / name).read_text(encoding="utf-8"))

    macros = "".join("#define {} {}\n".format(*define.split("=")) for define in kernels.defines)
    return macros + whole(f"{kernels.file}.cu")


@cache
def parameters(kernels: Kernels) -> dict[str, tuple[str, ...]]:
    """The kernels of the unit, and the type of each of their parameters."""
    found = {}
    for name, listed in _KERNEL.findall(text(kernels)):
        types = (re.sub(r"\s*\w+$", "", " ".join(p.split())) for p in listed.split(","))
        found[name] = tuple(t.replace(" *", "*").replace("* ", "*").replace("__restrict__", "").strip() for t in types)
    return found


def units() -> list[Kernels]:
    """All there are: every .cu file, in each of the variants that its line ``// variants: A=x B=y | A=z B=y`` lists."""
    found = []
    for path in sorted(FOLDER.glob("*.cu")):
        listed = _VARIANTS.search(path.read_text(encoding="utf-8"))
        variants = [v.split() for v in listed[1].split("|")] if listed else [[]]
        found += [Kernels(path.stem, tuple(v)) for v in variants]
    return found
