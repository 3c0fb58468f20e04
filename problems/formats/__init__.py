"""Problem files: `read`, `write`, and the registry of formats.

A format is one module here with a ``FORMAT``, named in ``_MODULES``.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import IO, Any

from ...errors import FormatError, InputError
from ..models import Problem
from . import biqmac, bqp, lossless, mtx, qbsolv, rudy
from .base import Format, Source
from .files import fetch, split, store
from .table import plain_text

__all__ = ["Format", "formats", "read", "sniff", "write"]

_MODULES = (rudy, biqmac, bqp, mtx, qbsolv, lossless)
_REGISTRY: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _MODULES}
_HEAD = 1 << 16


def formats() -> dict[str, Format]:
    """All formats, by name."""
    return dict(_REGISTRY)


def read(
    source: str | os.PathLike[str] | bytes | IO[Any],
    *,
    format: str | None = None,
    name: str = "",
    index: int | None = None,
) -> Problem:
    """Read a problem.

    Parameters
    ----------
    source
        A path, a file's bytes (from standard input, say), or a stream. Gzip is unpacked, whatever the name.
    format
        A name from `formats`; else told by content, then by suffix (`sniff`).
    name
        The problem's name; else the one in the file, or the file's name without folder and suffixes, with ``-k`` where it is the
        k-th of several.
    index
        Which problem, from 1, in a file of several.

    Returns
    -------
    Ising, QUBO or MaxCut
        What the format holds.

    Raises
    ------
    FormatError
        Where the file breaks its format: the message has its name and, where there is one, the line.
    InputError
        For an unknown format or a source that is none of these.
    """
    chosen = None if format is None else _named(format)
    if index is not None and (isinstance(index, bool) or not isinstance(index, int) or index < 1):
        raise InputError(f"index must be an integer from 1, not {index!r}")
    raw, where, file = fetch(source)
    data = plain_text(raw, where)
    stem, suffix = split(file, _known)
    if chosen is None:
        try:
            chosen = _REGISTRY[sniff(data[:_HEAD], suffix)]
        except InputError as e:
            raise FormatError(where, None, str(e)) from None
    if chosen.reader is None:
        raise InputError(f"{chosen.name} files can only be written")
    try:
        problem, number = chosen.reader(Source(data=data, where=where, index=index))
    except FormatError:
        raise
    except InputError as e:
        raise FormatError(where, None, str(e)) from None
    except MemoryError:
        raise FormatError(where, None, "too large for this computer's memory") from None
    if name or not problem.name:
        problem = replace(problem, name=name or (stem if number is None else f"{stem}-{number}"))
    return problem


def write(problem: Problem, target: str | os.PathLike[str] | IO[bytes], *, format: str | None = None) -> None:
    """Write a problem.

    Parameters
    ----------
    problem
        Of the kind that the format holds: nothing is converted.
    target
        A path (packed where it ends in .gz; replaced only once the new file is complete) or a binary stream.
    format
        A name from `formats`; else told by the path's suffix.

    Raises
    ------
    InputError
        For an unknown format, a problem of another kind or with something that the format cannot hold, a target that cannot be
        written.
    """
    if format is not None:
        chosen = _named(format)
    elif isinstance(target, str | os.PathLike):
        suffix = split(os.fspath(target), _known)[1]
        found = _by_suffix(suffix)
        if found is None:
            raise InputError(f"{os.fspath(target)}: which format? Give a suffix ({_suffixes()}) or format=")
        chosen = found
    else:
        raise InputError(f"which format? Give format=, one of {', '.join(_REGISTRY)}")
    if chosen.writer is None:
        raise InputError(f"{chosen.name} files can only be read")
    if chosen.kind not in ("any", problem.kind):
        raise InputError(
            f"the {chosen.name} format holds {chosen.kind} problems, this is {problem.kind}: "
            f"convert it first with .to_{chosen.kind}() (on the command line --as {chosen.kind})"
        )
    store(chosen.writer(problem), target)


def sniff(head: bytes, suffix: str) -> str:
    """The format that a file's first bytes tell, with its suffix to decide between formats of one layout.

    Parameters
    ----------
    head
        The beginning of the text, unpacked.
    suffix
        Such as ``".sparse"``; may be empty.

    Returns
    -------
    str
        A name from `formats`.

    Raises
    ------
    InputError
        Where neither tells.
    """
    if head[:14].lower() == b"%%matrixmarket":
        return "mtx"
    words = _first_words(head)
    if words and words[0].startswith(b"{"):
        return "json"
    if [w.lower() for w in words[:2]] == [b"p", b"qubo"]:
        return "qubo"
    if words and re.fullmatch(rb"[+-]?[0-9]+", words[0]):
        if len(words) == 1:
            return "bqp"
        if len(words) == 2:
            return "biqmac" if suffix.lower() in _REGISTRY["biqmac"].suffixes else "rudy"
    found = _by_suffix(suffix)
    if found is not None:
        return found.name
    raise InputError(
        f"the format is not known: neither content nor suffix tell; give format=, one of {', '.join(_REGISTRY)}"
    )


def _first_words(head: bytes) -> list[bytes]:
    """Of the first line that is neither blank nor a comment of any format."""
    for line in head.splitlines():
        words = line.split()
        if words and not words[0].startswith((b"#", b"%")) and not re.fullmatch(rb"[cC][^{]*", words[0]):
            return words
    return []


def _named(name: str) -> Format:
    if name not in _REGISTRY:
        raise InputError(f"unknown format {name!r}: there are {', '.join(_REGISTRY)}")
    return _REGISTRY[name]


def _by_suffix(suffix: str) -> Format | None:
    return next((f for f in _REGISTRY.values() if suffix.lower() in f.suffixes), None)


def _suffixes() -> str:
    return " ".join(s for f in _REGISTRY.values() for s in f.suffixes)


def _known(suffix: str) -> bool:
    return _by_suffix(suffix) is not None
