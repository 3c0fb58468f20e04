"""MQLib, a C++ program of Max-Cut and QUBO heuristics (Dunning, Gupta, Silberholz, INFORMS J. Comput. 30 (2018) 608) that the user builds."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...errors import InputError, NotInstalled
from ...problems.model import Model
from ...problems.models import MaxCut
from ..registry import peer
from .peer import Batch, Limits, Peer, peer_seed

DEFAULT_S = 10.0
TICK_S = 0.05


@peer("mqlib")
@dataclass(frozen=True, slots=True, kw_only=True)
class MQLib(Peer):
    """One of MQLib's heuristics, by the program MQLib on PATH, or that which FNANNEAL_MQLIB names.

    Parameters
    ----------
    heuristic
        Its code, such as BURER2002, PALUBECKIS2004bMST2 or LU2010 (``MQLib -l`` lists them).
    """

    heuristic: str = "BURER2002"

    package: ClassVar[str] = "MQLib"
    budget_rule: ClassVar[str] = "time: its own -r; spin tests: not counted; neither: 10 s"

    def __post_init__(self) -> None:
        if not isinstance(self.heuristic, str) or not re.fullmatch(r"\w+", self.heuristic):
            raise InputError(f"heuristic must be a code that MQLib -l lists, not {self.heuristic!r:.40}")

    @classmethod
    def install(cls) -> str:
        return "build github.com/MQLib/MQLib, and put its program MQLib on PATH or name it in FNANNEAL_MQLIB"

    @classmethod
    def version(cls) -> str | None:
        """The program's digest: it has no version."""
        program = _program()
        return None if program is None else _digest(program)

    @classmethod
    def require(cls) -> None:
        if _program() is None:
            raise NotInstalled(f"{cls.name} needs the program MQLib: {cls.install()}")

    def unfit(self, problem: Model) -> str | None:
        linear, _ = problem.terms()
        return None if problem.couplings.weights.any() or linear.any() else "it has no weight other than 0"

    def warm_up(self) -> None:
        """A program has nothing to warm up."""

    def build(self, problem: Model) -> _Graph:
        graph = problem.to_maxcut()
        return _Graph(graph=graph, energies=graph is not problem)

    def run(self, model: _Graph, limits: Limits, seed: int) -> Generator[Batch]:
        """One call; or one after the other, where only a target ends the run."""
        with tempfile.TemporaryDirectory(prefix="fnanneal-") as folder:
            file, c = Path(folder, "graph.txt"), model.graph.couplings
            edges = zip((c.rows + 1).tolist(), (c.cols + 1).tolist(), c.weights.tolist(), strict=True)
            kept = [f"{u} {v} {w!r}\n" for u, v, w in edges if w]
            file.write_text(f"{c.n} {len(kept)}\n" + "".join(kept))
            for k in count():
                yield from self._call(model, file, limits, peer_seed(seed, k, 16))
                if limits.seconds is not None or not limits.open_ended:
                    return

    def _call(self, model: _Graph, file: Path, limits: Limits, seed: int) -> Generator[Batch]:
        seconds = DEFAULT_S if limits.seconds is None else limits.seconds
        command = [_program(), "-fM", file, "-h", self.heuristic, "-r", f"{seconds:.6g}", "-s", seed, "-nv", "-ps"]
        try:
            running = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        except OSError as e:
            raise InputError(f"{self.name}: {_program()}: {e.strerror or e}") from e
        waiting = Batch(states=np.empty((0, 0), np.int8), seconds=np.empty(0), took=0.0, reads=0)
        text = None
        try:
            while text is None:
                try:
                    text, _ = running.communicate(timeout=TICK_S)
                except subprocess.TimeoutExpired:
                    yield waiting
        finally:
            if running.poll() is None:
                running.kill()
                running.communicate()
        yield model.batch(text, finished=limits.seconds is None and not limits.open_ended)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Graph:
    """The problem as a graph, and whether a cut of it stands for spins without an ancilla, and for an energy."""

    graph: MaxCut
    energies: bool

    def batch(self, text: str, finished: bool) -> Batch:
        """What the program says: a line limit,code,"file",cut,seconds,[cut:seconds;...] and a solution."""
        head, _, tail = text.partition("Solution:")
        line = re.search(r'",[^,\n]+,([^,\n]+),\[([^\]\n]*)\]', head)
        try:
            cut = self.graph.spins([1 if float(word) > 0 else -1 for word in tail.split()])
            if line is None:
                raise ValueError
            took = float(line[1])
            history = [
                (float(t), self._objective(float(v))) for v, _, t in (e.partition(":") for e in line[2].split(";"))
            ]
        except ValueError as e:
            said = next((part.strip() for part in reversed(text.splitlines()) if part.strip()), "nothing")
            raise InputError(f"mqlib: the program MQLib gave no solution; it said: {said:.200}") from e
        states = (self.graph.fold(cut) if self.energies else cut)[None]
        return Batch(
            states=states, seconds=np.array([history[-1][0]]), took=took, history=tuple(history), finished=finished
        )

    def _objective(self, cut: float) -> float:
        g = self.graph
        return g.offset + float(g.couplings.weights.sum()) - 2 * cut if self.energies else cut


def _program() -> str | None:
    return os.environ.get("FNANNEAL_MQLIB") or shutil.which("MQLib")


@cache
def _digest(program: str) -> str | None:
    try:
        return "sha256 " + hashlib.sha256(Path(program).read_bytes()).hexdigest()[:12]
    except OSError:
        return None
