"""What a report is made of, whatever its format: texts, tables and plots, in sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "best", "bad", "muted", "long", "code", "command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One field of a table.

    Attributes
    ----------
    key
        What the table is sorted by; the text where None. Infinite for what counts as worst.
    about
        More, shown on pointing at it.
    link
        The anchor of another place in the report, without "#".
    series
        The solver whose colour marks the field; None for no mark.
    """

    text: str
    key: float | None = None
    about: str = ""
    link: str = ""
    tone: Tone = ""
    series: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The head of a column; numbers stand to the right."""

    title: str
    number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row, with the anchor that others link to."""

    values: tuple[Value, ...]
    anchor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under heads. `foot` are rows that stay below, however the others are sorted."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    foot: tuple[Row, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a plot.

    Attributes
    ----------
    solver
        Its number in `Report.solvers`, which gives colour and dashes.
    points
        (x, y), x ascending.
    low, high
        Ends of a band at the same x; empty for none.
    step
        Whether y stays until the next x.
    """

    solver: int
    points: tuple[tuple[float, float], ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    step: bool = True


Scale = Literal["linear", "log", "share", "floor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One panel.

    Attributes
    ----------
    x_scale, y_scale
        "linear"; "log"; "share", 0 to 1 shown as percent; "floor", logarithmic with everything at or below `y_floor` on the base line, marked 0.
    x_range
        Common to panels that are read side by side; of the series where None.
    about
        What it shows, for those who do not see it.
    """

    title: str
    x_label: str
    y_label: str
    about: str
    series: tuple[Series, ...]
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"
    x_range: tuple[float, float] | None = None
    y_floor: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Panels with one legend; `small` where there is one for each problem."""

    caption: str
    plots: tuple[Plot, ...]
    note: str = ""
    small: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page. `folded` parts are opened by the reader; Markdown shows them all."""

    anchor: str
    title: str
    parts: Sequence[Text | Table | Figures]
    folded: Sequence[tuple[str, Sequence[Text | Table | Figures]]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole. `solvers` are the labels in plan order, `headline` the result in words, `points` its particulars, `facts` its figures in short, `warnings` what to know before trusting it."""

    title: str
    solvers: tuple[str, ...]
    headline: tuple[str, ...]
    points: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
