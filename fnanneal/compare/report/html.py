"""A report as one HTML page that needs nothing else: style, script and figures are in it, and its policy forbids it to load or run anything more."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from .elements import Figures, Report, Value


def render(report: Report) -> str:
    """The page."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    from . import svg

    environment = Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(colour=svg.colour, key=svg.key, draw=svg.draw, sortkey=_sort_key, shown=_shown)
    style, script = _text("page.css"), _text("page.js")
    return environment.get_template("page.html").render(
        report=report, style=Markup(style), script=Markup(script), style_hash=_hash(style), script_hash=_hash(script)
    )


@cache
def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _sort_key(value: Value) -> Markup:
    """The attribute by which a table is sorted, as JavaScript's `Number` reads it, where the text is not that number. What is not a number comes last."""
    key = value.key
    if key is None:
        return Markup("")
    text = "Infinity" if math.isnan(key) or key == math.inf else "-Infinity" if key == -math.inf else f"{key:.12g}"
    return Markup("" if text == value.text else f' data-k="{text}"')


def _shown(figures: Figures) -> list[int]:
    """The solvers that any panel shows."""
    return sorted({s.solver for p in figures.plots for s in p.series})
