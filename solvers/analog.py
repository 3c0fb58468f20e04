"""Analog weights: the problem as a chip of FN-DAM cells holds it.

Each pair of variables has one cell, and so has each linear term that is not 0: a QUBO is stored as a QUBO, a Max-Cut graph by its edges. All share one scale, so that
the largest number is full scale. What the solver sees is one reading of the cells, or, where they
drift, one from time to time; the objective of what it finds is the true problem's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..fndam.array import FNDAMArray, ProgrammedArray
from ..problems.couplings import Weights
from ..problems.model import Model
from ..run import Analog

_LINEAR = {"ising": "fields", "qubo": "linear"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnalogProblem:
    """A problem in cells: first its m pairs, then its linear terms that are not 0."""

    problem: Model
    array: ProgrammedArray

    @classmethod
    def program(cls, problem: Model, array: FNDAMArray, *, seed: int, threads: int) -> AnalogProblem:
        """Program a problem's numbers."""
        linear, _ = problem.terms()
        numbers = np.concatenate([problem.couplings.weights, linear[np.flatnonzero(linear)]]).astype(np.float64)
        return cls(problem=problem, array=array.program(numbers, seed=seed, threads=threads))

    def at(self, seconds: float, threads: int = 1) -> Model:
        """The problem with the weights that are read so long after programming."""
        read = self.array.read(seconds, threads=threads)
        linear, _ = self.problem.terms()
        c = self.problem.couplings
        changed: dict[str, Any] = {"couplings": c.replace_weights(read[: c.m]), "known": None, "ideal": self.problem}
        where = np.flatnonzero(linear)
        if where.size:
            terms: Weights = np.zeros(linear.size)
            terms[where] = read[c.m :]
            changed[_LINEAR[self.problem.kind]] = terms
        return replace(self.problem, **changed)

    def analog(self, threads: int) -> Analog:
        """What the driver takes."""
        s, report = self.array.settings, self.array.report()

        def drifted(sweeps: float) -> Model:
            return self.at(s.hold_seconds + sweeps * s.sweep_seconds, threads)

        return Analog(
            problem=drifted(0),
            pulses=report.pulses,
            drifted=drifted if s.sweep_seconds else None,
            interval=s.reread_sweeps,
            about={"kind": "fn-dam", "settings": s.settings(), "programming": asdict(report)},
        )
