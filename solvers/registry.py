"""Solvers by name: the built-in files of this folder, and others through the entry-point group ``fnanneal.solvers``.

Other people's solvers of the same problems, the *peers*, are the files of ``peers/``: `get` finds them too, `names` leaves them out.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
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
_peers: dict[str, type] = {}


def solver(name: str) -> Callable[[S], S]:
    """Class decorator: register a solver under a name."""

    def register(cls: S) -> S:
        cls.name = name  # type: ignore[attr-defined]
        _registered[name] = cls
        return cls

    return register


def peer(name: str) -> Callable[[S], S]:
    """Class decorator: register a peer (`peers.peer.Peer`) under a name."""

    def register(cls: S) -> S:
        cls.name = name  # type: ignore[attr-defined]
        _peers[name] = cls
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


@cache
def _built_in_peers() -> Mapping[str, str]:
    """Names, and the files that hold a peer each: all but what they share."""
    files = {m.name for m in iter_modules([str(Path(__file__).parent / "peers")])}
    return {
        f.replace("_", "-"): f
        for f in files - {"annealer", "drive", "form", "jij", "linear", "ocean", "peer", "reads", "stream"}
    }


def peer_names() -> list[str]:
    """All peers' names, whether or not their packages are installed."""
    return sorted({*_built_in_peers(), *_peers})


def get(name: str) -> Any:
    """The solver class of that name, a peer's too, imported now if need be.

    Raises
    ------
    InputError
        For an unknown name; the message lists what exists.
    """
    if not isinstance(name, str):
        raise InputError(f"a solver is chosen by its name, not by {name!r:.40}")
    if name in _peers:
        return _peers[name]
    if name not in _registered:
        if name in _built_in():
            import_module(f".{name}", __package__)
        elif name in _built_in_peers():
            import_module(f".peers.{_built_in_peers()[name]}", __package__)
            return _peers[name]
        else:
            for entry in entry_points(group=GROUP):
                if entry.name == name:
                    solver(name)(entry.load())
                    break
    if name not in _registered:
        close = difflib.get_close_matches(name, [*names(), *peer_names()], 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        others = f"; other people's: {', '.join(peer_names())}"
        raise InputError(f"unknown solver {name!r}{hint}; there are: {', '.join(names())}{others}")
    return _registered[name]
