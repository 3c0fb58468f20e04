"""Reports of comparisons: one page of HTML that needs nothing else, Markdown, or CSV. The same store gives the same bytes.

`model` says what is reported, from records and `fnanneal.compare.statistics`; `html`, `markdown` and `csv` how it looks. `parquet` exports the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from ...errors import InputError
from ..cells import Cell
from ..records import Record

Format = Literal["html", "md", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)


def render(
    records: Sequence[Record], plan: Mapping[str, Any], *, planned: Sequence[Cell] = (), format: Format = "html"
) -> str:
    """A report of what a store holds.

    Parameters
    ----------
    records, plan, planned
        `Store.records()`, `Store.plan()` and `Store.planned()`; without the last the report cannot say which runs are missing.
    format
        "html", "md" or "csv".

    Raises
    ------
    InputError
        For another format.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format {format!r:.40}; there are: {', '.join(FORMATS)}")
    if format == "csv":
        from . import csv

        return csv.render(records)
    from .model import build

    report = build(records, plan, planned)
    if format == "md":
        from . import markdown

        return markdown.render(report)
    from . import html

    return html.render(report)
