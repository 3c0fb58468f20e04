"""Files of quadratic programs: `read`, `write`, and the registry of formats.

A format is one module here with a ``FORMAT``, named in ``_MODULES``.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import IO, Any

import numpy as np

from ....errors import FormatError, InputError
from ...formats.files import fetch, split
from ...formats.table import plain_text
from ..program import QP
from . import boxqp, lp, mat, mps, npz, qplib
from .base import Format, Source, store

__all__ = ["Format", "formats", "read", "sniff", "write"]

_REGISTRY: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in (mps, lp, qplib, mat, npz, boxqp)}
_HEAD = 1 << 16


def formats() -> dict[str, Format]:
    """All formats, by name."""
    return dict(_REGISTRY)


def read(source: str | os.PathLike[str] | bytes | IO[Any], *, format: str | None = None, name: str = "") -> QP:
    """Read a quadratic program.

    Parameters
    ----------
    source
        A path, a file's bytes (from standard input, say), or a stream. Gzip is unpacked, whatever the name.
    format
        A name from `formats`; else told by the suffix, and where that is none of a format, by content (`sniff`).
    name
        The program's name; else the one in the file, or the file's name without folder and suffixes.

    Raises
    ------
    FormatError
        Where the file breaks its format or holds what cannot be solved: the message has its name and, where there is one, the line.
    InputError
        For an unknown format or a source that is none of these.
    """
    chosen = None if format is None else _named(format)
    data, where, file = fetch(source)
    if not data or data.isspace():
        raise FormatError(where, None, "the file is empty")
    stem, suffix = split(file, _known)
    if chosen is None:
        chosen = _by_suffix(suffix)
    if chosen is None:
        try:
            chosen = _REGISTRY[sniff(data[:_HEAD])]
        except InputError as e:
            raise FormatError(where, None, str(e)) from None
    if chosen.text:
        data = plain_text(data, where)
    try:
        # numbers near the limits are checked, not warned of
        with np.errstate(all="ignore"):
            problem = chosen.reader(Source(data=data, where=where))
    except FormatError:
        raise
    except InputError as e:
        raise FormatError(where, None, str(e)) from None
    except MemoryError:
        raise FormatError(where, None, "too large for this computer's memory") from None
    return replace(problem, name=name or problem.name or stem)


def write(problem: QP, target: str | os.PathLike[str] | IO[bytes], *, format: str = "npz") -> None:
    """Write a quadratic program to a path, which is replaced only once the new file is complete, or to a binary stream.

    Raises
    ------
    InputError
        For a format that is only read, and a target that cannot be written.
    """
    writer = _named(format).writer
    if writer is None:
        raise InputError(f"{format} files can only be read; npz ones are written too")
    store(writer(problem), target)


def sniff(head: bytes) -> str:
    """The format that a file's first bytes tell.

    Raises
    ------
    InputError
        Where they do not.
    """
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    if head.startswith(b"MATLAB "):
        return "mat"
    lines = [line for line in head.splitlines() if line.strip() and line.lstrip()[:1] not in b"*\\!%#"]
    first = lines[0].split() if lines else []
    if first and first[0].upper() in (b"NAME", b"ROWS", b"OBJSENSE") and not lines[0][:1].isspace():
        return "mps"
    if first and re.fullmatch(rb"min|max|minimi[sz]e|maximi[sz]e|minimum|maximum", first[0].lower()):
        return "lp"
    if len(lines) > 1 and re.match(rb"\s*[LDCQ][CBMIG][NBLDCQ](\s|$)", lines[1], re.IGNORECASE):
        return "qplib"
    if len(first) == 1 and first[0].isdigit():
        return "boxqp"
    raise InputError(
        f"the format is not known: neither suffix nor content tell; give a suffix ({_suffixes()}) or format="
    )


def _named(name: str) -> Format:
    if name not in _REGISTRY:
        raise InputError(f"unknown format {name!r:.60}: there are {', '.join(_REGISTRY)}")
    return _REGISTRY[name]


def _by_suffix(suffix: str) -> Format | None:
    return next((f for f in _REGISTRY.values() if suffix.lower() in f.suffixes), None)


def _suffixes() -> str:
    return " ".join(s for f in _REGISTRY.values() for s in f.suffixes)


def _known(suffix: str) -> bool:
    return _by_suffix(suffix) is not None
