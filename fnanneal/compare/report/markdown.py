"""A report as Markdown: the same words and tables without the figures, to be pasted into a README."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .elements import Figures, Report, Table, Text, Value

# A backslash before punctuation is that character itself; "<" and "&" would begin markup of HTML, and "@" and "://" be linked by GitHub.
_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}


def escape(text: str) -> str:
    """Text that shows as it is, in one line."""
    text = "".join(_ENTITIES.get(c, c) for c in " ".join(text.split()))
    # What would begin a list, a heading's underline or a link stands at the start or after a colon.
    text = _SPECIAL.sub(r"\\\1", text).replace("://", ":\u200b//")
    return re.sub(r"^(\d+)([.)])(?=\s)", r"\1\\\2", re.sub(r"^([-=+#])", r"\\\1", text))


def render(report: Report) -> str:
    """The text."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {escape(report.title)}"
    for paragraph in report.headline:
        yield from ("", escape(paragraph))
    if report.points:
        yield from ("", *(f"- {escape(p)}" for p in report.points))
    if report.warnings:
        yield from ("", "**Before you trust it**", "")
        yield from (f"- {escape(w)}" for w in report.warnings)
    for section in report.sections:
        parts = list(_parts(section.parts))
        for title, folded in section.folded:
            inside = list(_parts(folded))
            parts += ["", f"### {escape(title)}", *inside] if inside else []
        if parts:
            yield from ("", f"## {escape(section.title)}", *parts)


def _parts(parts: Sequence[Text | Table | Figures]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Text):
            yield from ("", escape(part.text))
        elif isinstance(part, Table):
            yield from _table(part)


def _table(table: Table) -> Iterator[str]:
    yield from ("", f"**{escape(table.caption)}**", "")
    yield "| " + " | ".join(escape(c.title) for c in table.columns) + " |"
    yield "|" + "|".join("---:" if c.number else "---" for c in table.columns) + "|"
    for row in (*table.rows, *table.foot):
        yield "| " + " | ".join(_field(v) for v in row.values) + " |"
    if table.note:
        yield from ("", escape(table.note))


def _field(value: Value) -> str:
    text = escape(value.text)
    return f"**{text}**" if value.tone == "best" and text else text
