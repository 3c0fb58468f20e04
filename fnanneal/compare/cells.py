"""What a comparison is made of: budgets, solvers with their settings, problems; and the cell, one run of one solver on one problem."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..checks import integer, positive
from ..errors import InputError

Kind = Literal["spins", "qp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What every solver may use: wall time, or spin tests. Exactly one of the two.

    Attributes
    ----------
    seconds
        Of solving; loading, compiling and building another solver's model apart.
    spin_tests
        Of all reads together.
    """

    seconds: float | None = None
    spin_tests: int | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.spin_tests is None):
            raise InputError("a budget is either seconds or spin tests")
        if self.seconds is not None:
            object.__setattr__(self, "seconds", positive(self.seconds, "a time limit"))
        else:
            object.__setattr__(self, "spin_tests", integer(self.spin_tests, "spin tests", 1, 2**62))

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.seconds:g} s" if self.seconds is not None else f"{self.spin_tests:.3g} spin tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverSpec:
    """A solver under one setting. `settings` are (name, value) pairs in the order of their names."""

    name: str
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any]) -> SolverSpec:
        return cls(name=name, settings=tuple(sorted(settings.items())))

    @classmethod
    def parse(cls, text: str) -> SolverSpec:
        """``dwave-sa:num_sweeps=1000:num_reads=3``: values are Python literals, or else words.

        Raises
        ------
        InputError
            For anything of another form.
        """
        name, *pairs = text.strip().split(":")
        if not name:
            raise InputError(f"a solver's name is missing in {text!r:.60}")
        settings: dict[str, Any] = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            # SCIP's parameters are paths.
            if not equals or not key.replace("/", "_").isidentifier() or key in settings:
                raise InputError(
                    f"a solver's settings are written NAME:KEY=VALUE:KEY=VALUE, each once, not {text!r:.80}"
                )
            try:
                settings[key] = ast.literal_eval(value)
            except (ValueError, SyntaxError):
                settings[key] = value
        return cls.of(name, settings)

    @classmethod
    def parse_list(cls, text: str) -> list[SolverSpec]:
        """Several, between commas; commas within brackets or quotes are part of a value."""
        words = re.findall(r"""(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\]|'[^']*'|"[^"]*"|[^,])+""", text)
        return [cls.parse(word) for word in words if word.strip()]

    @property
    def label(self) -> str:
        """As `parse` takes it."""
        return ":".join([self.name, *(f"{k}={v}" for k, v in self.settings)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of one solver on one problem.

    Attributes
    ----------
    problem, identity
        What `load` or `load_qp` takes; and what tells it from others, whatever it is called: a name, an expression, or a file's digest.
    stop
        Whether the run ends once it is as good as the best known value. (Programs always end when they are solved.)
    eps
        The tolerance of quadratic programs.
    """

    kind: Kind
    problem: str
    identity: str
    solver: SolverSpec
    seed: int
    budget: Budget
    threads: int = 1
    stop: bool = False
    eps: float = 1e-6
    hard_s: float = field(default=0.0, compare=False)

    @property
    def key(self) -> str:
        """Hex digest of all that says which run this is."""
        about = asdict(self)
        for name in ("problem", "hard_s", *(("stop",) if self.kind == "qp" else ("eps",))):
            del about[name]
        text = json.dumps(about, sort_keys=True, separators=(",", ":"), default=repr)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def command(self) -> str:
        """The command line that makes the same run again. Runs that a clock ends need not end in the same spins."""
        words = ["fnanneal", "solve" if self.kind == "spins" else "qp", self.problem, "--solver", self.solver.name]
        words += ["--seed", str(self.seed), "--threads", str(self.threads), "--backend", "cpu"]
        if self.budget.seconds is not None:
            words += ["--time-limit", f"{self.budget.seconds:g}"]
        else:
            words += ["--spin-tests", str(self.budget.spin_tests)]
        if self.kind == "qp":
            words += ["--eps", f"{self.eps:g}"]
        elif self.stop:
            words += ["--target", "best-known"]
        for k, v in self.solver.settings:
            words += ["--set", f"{k}={v}"]
        return shlex.join(words)
