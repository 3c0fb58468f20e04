"""fnanneal's own JSON: everything that a problem says, bit for bit.

    {"fnanneal": 1, "kind": "ising", "name": "...", "n": 3, "rows": [...], "cols": [...], "weights": [...],
     "fields": [...], "offset": 0, "variables": [...], "known": {"value": -7, "source": "..."}}

``fields`` is ``linear`` in a QUBO; a Max-Cut problem has ``ancilla`` instead. Rows and columns count from 0 and keep their order and
orientation. Integers are JSON integers and floats have the shortest digits that read back the same, so that each number
keeps its type and its bits. Labels are null, booleans, numbers, strings, or arrays of labels (tuples).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import FormatError, InputError
from ...result import BestKnown
from ..couplings import Couplings, as_weights
from ..models import QUBO, Ising, Problem
from .base import MAX_QUBO_VARIABLES, Format, Source, cut, only_problem
from .table import MAX_VARIABLES, brief

SCHEMA = 1
_COMMON = {"fnanneal", "kind", "name", "n", "rows", "cols", "weights", "offset", "variables", "known"}
_OWN = {"ising": "fields", "qubo": "linear", "maxcut": "ancilla"}


def read(source: Source) -> tuple[Problem, None]:
    """The problem, of whichever kind."""
    only_problem(source)
    document = _document(source)
    try:
        return _problem(source, document), None
    except FormatError:
        raise
    except RecursionError:
        raise FormatError(source.where, None, "nested too deeply") from None
    except InputError as e:
        raise FormatError(source.where, None, str(e)) from None


def _document(source: Source) -> dict[str, Any]:
    where = source.where

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise FormatError(where, None, "a key occurs twice")
        return found

    def refuse(constant: str) -> Any:
        raise FormatError(where, None, f"{constant} is no number")

    try:
        document = json.loads(source.data, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as e:
        raise FormatError(where, e.lineno, f"not JSON: {e.msg}") from None
    except RecursionError:
        raise FormatError(where, None, "nested too deeply") from None
    except FormatError:
        raise
    except ValueError as e:
        raise FormatError(where, None, f"not JSON: {str(e).splitlines()[0]}") from None
    if not isinstance(document, dict) or "fnanneal" not in document:
        raise FormatError(where, None, 'not a problem of fnanneal: the key "fnanneal" is missing')
    if type(document["fnanneal"]) is not int or document["fnanneal"] != SCHEMA:
        raise FormatError(
            where, None, f"schema {_quote(document['fnanneal'])} is not known: this version reads schema {SCHEMA}"
        )
    return document


def _problem(source: Source, document: dict[str, Any]) -> Problem:
    where = source.where
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _OWN:
        raise FormatError(where, None, f"kind {_quote(kind)} is not one of {', '.join(_OWN)}")
    unknown = document.keys() - _COMMON - {_OWN[kind]}
    if unknown:
        raise FormatError(where, None, f"unknown key {_quote(min(unknown))} for kind {kind}")
    n = document.get("n")
    limit = MAX_VARIABLES if kind == "maxcut" else MAX_QUBO_VARIABLES
    if type(n) is not int or not 1 <= n <= limit:
        raise FormatError(where, None, f"n must be an integer from 1 to {limit}, not {_quote(n)}")
    rows, cols = (np.array(_list(where, document, key, int), np.int64) for key in ("rows", "cols"))
    weights = _list(where, document, "weights", int, float)
    if not rows.size == cols.size == len(weights):
        raise FormatError(
            where, None, f"rows, cols and weights differ in length: {rows.size}, {cols.size}, {len(weights)}"
        )
    for key, ends in (("rows", rows), ("cols", cols)):
        if ends.size and (int(ends.min()) < 0 or int(ends.max()) >= n):
            bad = int(ends.min()) if int(ends.min()) < 0 else int(ends.max())
            raise FormatError(where, None, f"{key}: index {bad} is out of range: expected 0 to {n - 1}")
    name = document.get("name", "")
    if not isinstance(name, str):
        raise FormatError(where, None, f"name must be a string, not {_quote(name)}")
    variables = None
    if document.get("variables") is not None:
        variables = tuple(_label(where, x) for x in _list(where, document, "variables", object))
    common: dict[str, Any] = {"name": name, "variables": variables, "known": _known(where, document.get("known"))}
    offset = document.get("offset", 0)
    if type(offset) not in (int, float):
        raise FormatError(where, None, f"offset must be a number, not {_quote(offset)}")
    if kind == "maxcut":
        ancilla = document.get("ancilla", False)
        if type(ancilla) is not bool:
            raise FormatError(where, None, f"ancilla must be true or false, not {_quote(ancilla)}")
        return replace(cut(source, n, rows, cols, np.asarray(weights)), offset=offset, ancilla=ancilla, **common)
    own: Any = None
    if _OWN[kind] in document:
        own = as_weights(_list(where, document, _OWN[kind], int, float), _OWN[kind])
    if own is not None and len(own) != n:
        raise FormatError(where, None, f"{_OWN[kind]}: {len(own)} numbers for {n} variables")
    couplings, loops = Couplings.build(n, rows, cols, weights)
    if kind == "ising":
        extra = sum(loops.tolist()) if loops.any() else 0
        return Ising(couplings=couplings, fields=own, offset=offset + extra, **common)
    if loops.any():
        own = loops if own is None else own + loops
    return QUBO(couplings=couplings, linear=own, offset=offset, **common)


def _list(where: str, document: dict[str, Any], key: str, *types: type) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise FormatError(where, None, f"{key} must be an array")
    if types != (object,):
        for x in value:
            if type(x) not in types:
                wanted = "integers" if types == (int,) else "numbers"
                raise FormatError(where, None, f"{key}: expected {wanted}, found {_quote(x)}")
        if int in types:
            large = max((abs(x) for x in value if type(x) is int), default=0)
            if large >= 2**63:
                raise FormatError(where, None, f"{key}: {brief(large)} does not fit in 64 bits")
            if large >= 2**53 and any(type(x) is float for x in value):
                raise FormatError(where, None, f"{key}: integers beyond 2**53 cannot stand exactly beside fractions")
    return value


def _known(where: str, value: Any) -> BestKnown | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {"value", "source"} or not isinstance(value["source"], str):
        raise FormatError(where, None, 'known must be {"value": number, "source": string}')
    number = value["value"]
    if type(number) not in (int, float) or not math.isfinite(number):
        raise FormatError(where, None, f"known: {_quote(number)} is not a finite number")
    return BestKnown(value=number, source=value["source"])


def _label(where: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_label(where, x) for x in value)
    if isinstance(value, dict) or (isinstance(value, float) and not math.isfinite(value)):
        raise FormatError(where, None, f"{_quote(value)} cannot be a label")
    return value


def _quote(value: Any) -> str:
    text = brief(value) if type(value) is int else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(label: Any) -> Any:
    """A label as JSON has it; refuses what would come back as something else."""
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, tuple):
        return [_plain(x) for x in label]
    if label is None or isinstance(label, bool | int | str) or (isinstance(label, float) and math.isfinite(label)):
        return label
    raise InputError(
        f"the label {_quote(label)} cannot be written: only numbers, strings, booleans, None and tuples of them can"
    )


def write(problem: Problem) -> Iterator[str]:
    """One key a line."""
    c = problem.couplings
    document: dict[str, Any] = {
        "fnanneal": SCHEMA,
        "kind": problem.kind,
        "name": problem.name,
        "n": c.n,
        "rows": c.rows.tolist(),
        "cols": c.cols.tolist(),
        "weights": c.weights.tolist(),
    }
    if isinstance(problem, Ising):
        document["fields"] = problem.fields.tolist()
    elif isinstance(problem, QUBO):
        document["linear"] = problem.linear.tolist()
    else:
        document["ancilla"] = problem.ancilla
    document["offset"] = problem.offset
    if problem.variables is not None:
        document["variables"] = [_plain(v) for v in problem.variables]
    if problem.known is not None:
        document["known"] = {"value": problem.known.value, "source": problem.known.source}
    before = "{\n"
    for key, value in document.items():
        yield f"{before} {json.dumps(key)}: {json.dumps(value, allow_nan=False, separators=(',', ':'))}"
        before = ",\n"
    yield "\n}\n"


FORMAT = Format(
    name="json",
    suffixes=(".json",),
    kind="any",
    description="fnanneal's own JSON: any problem, with labels, offset and best known, bit for bit",
    reader=read,
    writer=write,
)
