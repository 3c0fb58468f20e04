"""Solvers by name: the built-in files of this folder, and others through the entry-point group ``fnanneal.solvers``."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, TypeVar

from ..errors import InputError

GROUP = "fnanneal.solvers"

S = TypeVar("S", bound=type)
_registered: dict[str, type] = {}


def solver(name: str) -> Callable[[S], S]:
    """Class decorator: register a solver under a name."""

    def register(cls: S) -> S:
        cls.name = name  # type: ignore[attr-defined]
        _registered[name] = cls
        return cls

    return register


@cache
def _built_in() -> frozenset[str]:
    """The files of this folder that hold a solver each: all but the machinery."""
    folder = [str(Path(__file__).parent)]
    files = {m.name for m in iter_modules(folder) if not m.ispkg}
    return frozenset(files - {"analog", "placing", "registry", "solve", "system", "temperature"})


def names() -> list[str]:
    """All names, built in and installed."""
    return sorted({*_built_in(), *_registered, *(e.name for e in entry_points(group=GROUP))})


def get(name: str) -> Any:
    """The solver class of that name, imported now if need be.

    Raises
    ------
    InputError
        For an unknown name; the message lists what exists.
    """
    if not isinstance(name, str):
        raise InputError(f"a solver is chosen by its name, not by {name!r:.40}")
    if name not in _registered:
        if name in _built_in():
            import_module(f".{name}", __package__)
        else:
            for entry in entry_points(group=GROUP):
                if entry.name == name:
                    solver(name)(entry.load())
                    break
    if name not in _registered:
        close = difflib.get_close_matches(name, names(), 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise InputError(f"unknown solver {name!r}{hint}; there are: {', '.join(names())}")
    return _registered[name]
