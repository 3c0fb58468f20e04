"""`load_qp`: whatever names or holds a quadratic program, as a `QP`."""

from __future__ import annotations

import os
from typing import Any

from ...errors import InputError
from . import formats
from .program import QP


def load_qp(spec: Any, *, format: str | None = None) -> QP:
    """A quadratic program from a file, a generator, or as it is.

    Parameters
    ----------
    spec
        One of

        - a `QP`;
        - a string: ``gen:NAME(args)`` (`fnanneal.problems.quadratic.generators`), or a path; or a `pathlib.Path`;
        - bytes: the content of a file; or a stream.
    format
        A file's format, where suffix and content do not tell.

    Raises
    ------
    InputError
        For anything else, in one line.
    """
    if isinstance(spec, QP):
        return spec
    if isinstance(spec, str):
        text = spec.strip()
        if not text:
            raise InputError("the problem's name is empty")
        if text.lower().startswith("gen:") and not os.path.exists(spec):
            from .generators import from_expression

            return from_expression(text[4:])
        return formats.read(spec, format=format)
    if isinstance(spec, os.PathLike | bytes | bytearray) or hasattr(spec, "read"):
        return formats.read(bytes(spec) if isinstance(spec, bytearray) else spec, format=format)
    raise InputError(
        f"cannot make a quadratic program of {type(spec).__name__}: give a QP, a path, gen:NAME(args) or a file's bytes"
    )
