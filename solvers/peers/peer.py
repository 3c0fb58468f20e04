"""What another solver's adapter is (`Peer`), what it may use (`Limits`) and what it hands over (`Batch`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...checks import integer
from ...errors import InputError, NotInstalled
from ...problems.model import Model
from ...result import Spins

MAX_READS = 10**9
MAX_SWEEPS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may use.

    Attributes
    ----------
    seconds
        On the peer's own clock; None without a limit.
    open_ended
        Whether it goes on with new reads until it is stopped, where its own settings give no number of them.
    """

    seconds: float | None = None
    open_ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Finished states, and how long they took.

    Attributes
    ----------
    states : (k, n) int8
        +1 or -1, in the problem's order; k may be 0, where only time has passed.
    seconds : (k,)
        When each was there, since the batch began, in ascending order, on the peer's own clock.
    took
        The batch's seconds, on that clock.
    spin_tests
        That it made; None where they cannot be counted.
    sweeps, reads
        Sweeps of one read that it made, over all of them; reads that it completed: None for one a state.
    history
        (seconds, objective) of its improvements until the last of the states, as the peer itself says, where it does not give their states.
    finished
        Whether the peer's own budget is used up.
    proved
        Whether the peer has proved that nothing is better than its best state.
    """

    states: Spins
    seconds: NDArray[np.float64]
    took: float
    spin_tests: int | None = None
    sweeps: float = 0.0
    reads: int | None = None
    history: tuple[tuple[float, float], ...] = ()
    finished: bool = False
    proved: bool = False


class Peer(ABC):
    """Another solver. Its subclasses are frozen dataclasses of its settings.

    Attributes
    ----------
    name
        By which it is chosen.
    package
        Whose version is stored with a result.
    extra
        Of ours, that installs it; or None, and `install` says what to do.
    budget_rule
        One sentence: how it uses a time limit, a number of spin tests, and what it does without either.
    modules
        That must be there.
    """

    __slots__ = ()

    name: ClassVar[str]
    package: ClassVar[str]
    extra: ClassVar[str | None] = None
    budget_rule: ClassVar[str]
    modules: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build(self, problem: Model) -> Any:
        """The problem in the peer's own form; never on its clock."""

    @abstractmethod
    def run(self, model: Any, limits: Limits, seed: int) -> Generator[Batch]:
        """Solve, on one thread. The iterator may be closed at any time, and then ends the work."""

    @abstractmethod
    def warm_up(self) -> None:
        """A tiny solve, once a process, never on the clock."""

    def settings(self) -> dict[str, Any]:
        """With their defaults."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def unfit(self, problem: Model) -> str | None:
        """Why it cannot take the problem, in one line; None where it can."""
        return None

    def memory(self, problem: Model) -> int:
        """Bytes that model and run take, roughly."""
        return 500 * problem.m + 1000 * problem.n

    def for_tests(self, problem: Model, tests: int) -> Self:
        """The same, with as many reads and sweeps as make at most so many spin tests, and as nearly as they can.

        Raises
        ------
        InputError
            Where it does not count them, or so few are less than a sweep.
        """
        raise InputError(f"{self.name} does not count spin tests: give it a time limit")

    @classmethod
    def install(cls) -> str:
        """What to do to have it."""
        return f'pip install "fnanneal[{cls.extra}]"'

    @classmethod
    def version(cls) -> str | None:
        """Of the package; None where it is not installed."""
        try:
            return version(cls.package)
        except PackageNotFoundError:
            return None

    @classmethod
    def require(cls) -> None:
        """Import what it needs.

        Raises
        ------
        NotInstalled
            The line says what to install.
        """
        for module in cls.modules:
            try:
                import_module(module)
            except ImportError as e:
                raise NotInstalled(f"{cls.name} needs {cls.package}: {cls.install()}") from e


def peer_seed(seed: int, k: int, bits: int = 31) -> int:
    """The seed of a run's k-th call of its peer, in [0, 2**bits), for at most 32 bits."""
    drawn = np.random.SeedSequence((seed, k)).generate_state(1, np.uint32)[0]
    return int(drawn) >> (32 - bits)


def check_counts(peer: Any, *names: str) -> None:
    """Check the settings that are counts, or None."""
    for name in names:
        value = getattr(peer, name)
        if value is not None:
            top = MAX_READS if name == "num_reads" else MAX_SWEEPS
            object.__setattr__(peer, name, integer(value, name, 1, top))
