"""The cells as Parquet: the columns of the CSV, with types, and the traces."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from ...errors import InputError
from ..records import Record
from .csv import COLUMNS

EXACT = 2**53


def render(records: Iterable[Record]) -> bytes:
    """The file's content.

    Raises
    ------
    InputError
        Where PyArrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as e:
        raise InputError('Parquet needs PyArrow: pip install "fnanneal[parquet]"') from e
    rows = list(records)
    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    columns = {}
    for name, value in COLUMNS.items():
        kind, values = _typed([value(r) for r in rows])
        columns[name] = pa.array(values, types[kind])
    columns["trace_s"] = pa.array([[t for t, _ in r.trace] for r in rows], pa.list_(pa.float64()))
    columns["trace_objective"] = pa.array([[float(v) for _, v in r.trace] for r in rows], pa.list_(pa.float64()))
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def _typed(values: Sequence[Any]) -> tuple[type, list[Any]]:
    """The narrowest type that holds a column exactly, None apart: integers beyond 64 bits, or beside fractions beyond 2**53, become text."""
    there = [v for v in values if v is not None]
    if there and all(isinstance(v, bool) for v in there):
        return bool, list(values)
    if there and all(type(v) is int and -(2**63) <= v < 2**63 for v in there):
        return int, list(values)
    if there and all(type(v) is float or (type(v) is int and abs(v) <= EXACT) for v in there):
        return float, [None if v is None else float(v) for v in values]
    return str, [None if v is None else str(v) for v in values]
