"""What a method for quadratic programs and the driver see of each other, and the methods by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...energy.events import Events
from ...errors import InputError
from ...problems.quadratic.program import QP
from ...qpresult import Residuals

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A point to start from, in the caller's terms and signs; what is None is not known."""

    x: Vector | None = None
    y: Vector | None = None
    z: Vector | None = None
    z_box: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A primal point with its multipliers, in the caller's terms and signs: Px + q + A'y + G'z + z_box = 0 at a solution."""

    x: Vector
    y: Vector
    z: Vector
    z_box: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a method says of its state after `Method.advance`.

    Attributes
    ----------
    point
        The one to be judged.
    residuals
        Its residuals by `QP.residuals`, where the method has them already.
    iterations, factorisations
        Since the start.
    events
        Counts since the start.
    phase
        What is running, in a word or two.
    finished
        Whether going on would change nothing.
    searching
        Whether better points may still come although this one is within the tolerance: a non-convex program has many local optima.
    polished
        Whether the point comes from a factorised system.
    primal_ray
        A candidate certificate of primal infeasibility, with x = 0 in it; the driver checks it.
    dual_ray
        A candidate direction x along which the objective falls without bound.
    gap
        Objective minus a lower bound of it, where the method has one.
    details
        What else is worth reporting.
    newer
        Where a later point than this one lies on a device: a function that fetches it, for a run that a limit ends.
    """

    point: Point
    iterations: int
    events: Events
    phase: str
    residuals: Residuals | None = None
    finished: bool = False
    searching: bool = False
    factorisations: int = 0
    polished: bool = False
    primal_ray: Point | None = None
    dual_ray: Vector | None = None
    gap: float | None = None
    details: Mapping[str, Any] | None = None
    newer: Callable[[], Step] | None = None


class Method(Protocol):
    """A frozen dataclass of settings. `prepare` is building time; `advance` does some tens of milliseconds of work, or to the next check, and returns.

    One that runs on a GPU too has ``on_cuda(devices)``, which gives that form, and ``cuda_pays(work)`` (`place`).

    `convex_only`: whether it refuses an indefinite P. `open_ended`: whether it would go on for ever; a run without limits ends then when nothing is gained any more.
    """

    name: str
    convex_only: ClassVar[bool]
    open_ended: ClassVar[bool]

    def settings(self) -> dict[str, Any]: ...
    def accepts(self, problem: QP) -> str | None:
        """None, or one line that says what the method cannot take."""

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> Any: ...
    def warm_up(self, system: Any) -> None:
        """Compile, or load from the cache, every kernel that the system will call."""

    def init(self, system: Any, *, seed: int, start: Start | None) -> Any: ...
    def advance(self, system: Any, state: Any, seconds_left: float) -> None: ...
    def report(self, system: Any, state: Any) -> Step: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """When the caller is content; and whether factorising is allowed."""

    eps_abs: float
    eps_rel: float
    polish: bool


M = TypeVar("M", bound=type)
_registered: dict[str, type] = {}
_BUILT_IN = ("boxqp", "cells", "growth", "hpr", "rapdhg")


def method(name: str) -> Callable[[M], M]:
    """Class decorator: register a method under a name."""

    def register(cls: M) -> M:
        cls.name = name  # type: ignore[attr-defined]
        _registered[name] = cls
        return cls

    return register


def names() -> list[str]:
    """All of ours."""
    return sorted({*_BUILT_IN, *_registered})


def peer_names() -> list[str]:
    """Other people's, installed or not (`peers`)."""
    from .peers.known import KNOWN

    return sorted({*KNOWN, "scip"})


def get(name: str) -> Any:
    """The class of that name: a method of ours, or a peer.

    Raises
    ------
    InputError
        For an unknown name; the message lists what exists.
    """
    if not isinstance(name, str):
        raise InputError(f"a solver is chosen by its name, not by {name!r:.40}")
    if name not in _registered and name in _BUILT_IN:
        import_module(f".{name}", __package__)
    if name in _registered:
        return _registered[name]
    peer = _peer(name)
    if peer is None:
        others = peer_names()
        close = difflib.get_close_matches(name, [*names(), *others], 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise InputError(
            f"unknown solver {name!r:.40}{hint}; for quadratic programs there are: auto, {', '.join(names())}; and of others: {', '.join(others)}"
        )
    return peer


def _peer(name: str) -> Any:
    from .peers import known

    if name == "scip":
        from .peers.scip import Scip

        return Scip
    return known.KNOWN.get(name) or known.other(name)
