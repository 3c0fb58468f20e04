"""What another's solver and its judge see of each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ....errors import InputError, NotInstalled
from ....problems.quadratic.program import QP
from ..method import Point

Vector = NDArray[np.float64]
Ended = Literal["solved", "time", "iterations", "interrupted", "otherwise"]

# A matrix of so many rows and columns is 200 MB.
DENSE = 5000
UNLIMITED = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How accurately and for how long: what a peer is told in its own words. `time_limit` is in seconds."""

    eps_abs: float
    eps_rel: float
    time_limit: float | None = None
    max_iter: int | None = None
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a peer says.

    Attributes
    ----------
    claim
        Its status in its own words.
    ended
        What that means.
    x, y, z, z_box
        None where it gives none.
    rays, direction
        Candidates for a certificate of infeasibility; and for one of unboundedness.
    bound
        A lower bound of the minimised objective, with the constant.
    setup_s
        Seconds of the call that went into building its model.
    """

    claim: str
    ended: Ended
    x: Vector | None = None
    y: Vector | None = None
    z: Vector | None = None
    z_box: Vector | None = None
    rays: tuple[Point, ...] = ()
    direction: Vector | None = None
    iterations: int | None = None
    bound: float | None = None
    setup_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer(ABC):
    """Another's solver. Its options, by the names that it gives them, are `own`; they come after ours.

    Attributes
    ----------
    name, package
        How it is called here; and what it comes in.
    packages
        What else it needs.
    extra, bundled, by_pip
        The extra of ours that it needs; whether that brings the solver too; and else, whether pip has it.
    convex_only, dense, backend
        Whether it refuses an indefinite P; whether it works on dense matrices; and where it runs.
    absolute, relative, fixed
        Its options that become eps_abs; that become eps_rel; and that always have one value. Where it has but one kind, and that tolerance is 0, they become the other.
    clock, most, cores
        Its options for a limit of seconds, of iterations and of threads.
    compiles
        Whether it compiles for each size anew.
    patient
        Whether the limit on iterations that it has by itself is lifted where there is a time limit.
    least, least_relative
        The smallest tolerances that it takes.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = "qp-peers"
    bundled: ClassVar[bool] = False
    by_pip: ClassVar[bool] = True
    convex_only: ClassVar[bool] = True
    backend: ClassVar[str] = "cpu"
    dense: ClassVar[bool] = False
    absolute: ClassVar[tuple[str, ...]] = ()
    relative: ClassVar[tuple[str, ...]] = ()
    fixed: ClassVar[Mapping[str, Any]] = {}
    clock: ClassVar[str | None] = None
    most: ClassVar[str | None] = None
    cores: ClassVar[str | None] = None
    compiles: ClassVar[bool] = False
    patient: ClassVar[bool] = False
    least: ClassVar[float] = 0.0
    least_relative: ClassVar[float] = 0.0
    budget_rule: ClassVar[str] = ""

    own: Mapping[str, Any] = field(default_factory=dict)

    def __init_subclass__(cls) -> None:
        cls.budget_rule = _rule(cls)

    @classmethod
    def install(cls) -> str:
        """What installs it."""
        ours = f'pip install "fnanneal[{cls.extra}]"'
        if cls.by_pip:
            return ours if cls.bundled else f"{ours} {cls.package}"
        return f"{ours}, and {cls.package} as https://github.com/qpsolvers/qpsolvers#solvers says"

    @classmethod
    def versions(cls) -> dict[str, str | None]:
        """Of what it needs; None for what is not installed."""
        return {package: _version(package) for package in (*cls.packages, *cls.package.split())}

    @classmethod
    def version(cls) -> str | None:
        """Of its package; None where something that it needs is not installed."""
        found = cls.versions()
        return None if None in found.values() else found[cls.package.split()[0]]

    @classmethod
    def missing(cls) -> NotInstalled:
        """What is said where it is not there."""
        return NotInstalled(f"the solver {cls.name} is not installed: {cls.install()}")

    def settings(self) -> dict[str, Any]:
        """The caller's options."""
        return dict(self.own)

    def accepts(self, problem: QP) -> str | None:
        """None, or why not."""
        if problem.binary is not None and self.convex_only:
            return f"{self.name} takes no binary variables"
        size = problem.n + problem.rows
        if self.dense and size > DENSE:
            return f"{self.name} works on dense matrices: {problem.n} variables and {problem.rows} rows are more than {DENSE}"
        return None

    def asked(self, task: Task) -> dict[str, Any]:
        """The options that it is called with."""
        if task.max_iter is not None and self.most is None:
            raise InputError(f"{self.name} has no limit of iterations")
        absolute = task.eps_abs if self.relative else task.eps_abs or task.eps_rel
        relative = task.eps_rel if self.absolute else task.eps_rel or task.eps_abs
        found: dict[str, Any] = dict.fromkeys(self.absolute, max(absolute, self.least))
        found |= dict.fromkeys(self.relative, max(relative, self.least_relative)) | dict(self.fixed)
        if self.clock is not None and task.time_limit is not None:
            found[self.clock] = task.time_limit
        if self.most is not None and task.max_iter is not None:
            found[self.most] = task.max_iter
        elif self.most is not None and self.patient and task.time_limit is not None:
            found[self.most] = UNLIMITED
        if self.cores is not None:
            found[self.cores] = task.threads
        return found | dict(self.own)

    @abstractmethod
    def require(self) -> None:
        """Import all that it needs.

        Raises
        ------
        InputError
            If something is missing.
        """

    @abstractmethod
    def build(self, problem: QP) -> Any:
        """The problem as it takes it."""

    @abstractmethod
    def call(self, model: Any, task: Task, x0: Vector | None) -> Answer:
        """Run it. What it raises is the judge's affair."""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _rule(cls: type[Peer]) -> str:
    """How its tolerance and limits are set, in one sentence."""
    told = []
    if cls.absolute:
        least = f", at least {cls.least:g}" if cls.least else ""
        told.append(f"{', '.join(cls.absolute)} = eps_abs{least}")
    if cls.relative:
        least = f", at least {cls.least_relative:g}" if cls.least_relative else ""
        told.append(f"{', '.join(cls.relative)} = eps_rel{least}")
    told += [f"{k} = {v}" for k, v in cls.fixed.items()]
    told.append(f"{cls.clock} = the time limit" if cls.clock else "no time limit")
    if cls.most:
        told.append(f"{cls.most} = max_iter" + (", none under a time limit" if cls.patient else ""))
    if cls.cores:
        told.append(f"{cls.cores} = threads")
    return "; ".join(told if cls.absolute or cls.relative else ["its own tolerance", *told])
