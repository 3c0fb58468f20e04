"""TOML files of named things, with errors of one line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .errors import FormatError, InputError

T = TypeVar("T")


def parse(text: str, where: str) -> dict[str, Any]:
    """The content of a TOML text.

    Raises
    ------
    FormatError
        Where it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as e:
        raise FormatError(where, None, f"no valid TOML: {e}".splitlines()[0]) from e


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a TOML file.

    Raises
    ------
    FormatError
        Where it cannot be read or is no TOML.
    """
    where = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as e:
        raise FormatError(where, None, (e.strerror or str(e)).lower()) from e
    except UnicodeDecodeError as e:
        raise FormatError(where, None, "not a text file") from e
    except ValueError as e:  # a name that no file can have
        raise FormatError(repr(where), None, str(e)) from e
    return parse(text, where)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def choose(
    spec: str | os.PathLike[str],
    shipped: Mapping[str, T],
    build: Callable[[dict[str, Any], str], dict[str, T]],
    what: str,
) -> T:
    """One of those that come with the package, by name, or from a user's file with one table (``FILE#NAME`` of several).

    Parameters
    ----------
    build
        Makes them of a file's content; the second argument is the file's name, for errors.
    what
        What they are called.

    Raises
    ------
    InputError
        For an unknown name, or a file that does not hold it.
    """
    if not isinstance(spec, str | os.PathLike) or not isinstance(text := os.fspath(spec), str):
        raise InputError(f"{what} must be a name or a file, not {spec!r:.60}")
    if text in shipped:
        return shipped[text]
    path, _, wanted = text.partition("#")
    if not path or not (path.endswith(".toml") or os.path.sep in path or _exists(path)):
        raise InputError(f"unknown {what} {text!r:.60}; there are: {', '.join(shipped)}, and your own FILE.toml")
    found = build(read(path), path)
    if not wanted and len(found) == 1:
        return next(iter(found.values()))
    if wanted not in found:
        there = ", ".join(found) or "none"
        problem = (
            f"no {what} {wanted!r}; there: {there}" if wanted else f"name one of its tables, as {path}#NAME: {there}"
        )
        raise FormatError(path, None, problem)
    return found[wanted]
