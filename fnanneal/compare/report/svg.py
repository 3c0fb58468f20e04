"""Plots as SVG: small, without numbers that a platform could round otherwise, and coloured by the page's style sheet alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from markupsafe import Markup

from .axes import Axis
from .elements import Plot, Series

WIDTH, HEIGHT = 400, 258
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 10, 40
COLOURS, DASHES = 8, 4


def colour(solver: int) -> int:
    """Which of the style sheet's colours a solver has."""
    return solver % COLOURS


def look(solver: int) -> str:
    """The classes of a solver's colour and dashes: unlike those of any of the 31 before it."""
    return f"s{colour(solver)} d{(solver + solver // COLOURS) % DASHES}"


def _number(x: float) -> str:
    text = f"{x:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


def draw(plot: Plot, solvers: tuple[str, ...]) -> Markup:
    """The panel's markup. Texts are escaped."""
    xs = [x for s in plot.series for x, _ in s.points]
    ys = [v for s in plot.series for v in (*(y for _, y in s.points), *s.low, *s.high)]
    x_axis = Axis.around(plot.x_scale, xs if plot.x_range is None else plot.x_range)
    if plot.x_range is not None:
        x_axis = Axis(scale=plot.x_scale, low=plot.x_range[0], high=plot.x_range[1])
    y_axis = Axis.around(plot.y_scale, ys, plot.y_floor)
    parts = [
        Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, plot.about),
        *_frame(plot, x_axis, y_axis),
        # Bands lie below all lines; the first solver's line above the others'.
        *(_band(s, x_axis, y_axis) for s in plot.series if s.low),
        *(_line(s, solvers[s.solver], x_axis, y_axis) for s in reversed(plot.series)),
        Markup("</svg>"),
    ]
    return Markup("").join(parts)


def _x(axis: Axis, value: float) -> str:
    return _number(_LEFT + axis(value) * (WIDTH - _LEFT - _RIGHT))


def _y(axis: Axis, value: float) -> str:
    return _number(HEIGHT - _BOTTOM - axis(value) * (HEIGHT - _TOP - _BOTTOM))


def _frame(plot: Plot, x_axis: Axis, y_axis: Axis) -> Iterable[Markup]:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    grid, texts = [], []
    for tick in x_axis.ticks:
        x = _number(_LEFT + tick.at * (right - _LEFT))
        if tick.text:
            grid.append(f"M{x} {_TOP}V{bottom + 4}")
            texts.append(Markup('<text x="{}" y="{}">{}</text>').format(x, bottom + 16, tick.text))
        else:
            grid.append(f"M{x} {bottom}v3")
    for tick in y_axis.ticks:
        y = _number(bottom - tick.at * (bottom - _TOP))
        if tick.text:
            grid.append(f"M{_LEFT - 4} {y}H{right}")
            texts.append(Markup('<text class="y" x="{}" y="{}" dy=".33em">{}</text>').format(_LEFT - 7, y, tick.text))
        else:
            grid.append(f"M{_LEFT - 3} {y}h3")
    yield Markup('<path class="g" d="{}"/>').format("".join(grid))
    yield Markup('<path class="a" d="M{} {}V{}H{}"/>').format(_LEFT, _TOP, bottom, right)
    yield from texts
    middle = (_LEFT + right) / 2
    yield Markup('<text class="t" x="{}" y="{}">{}</text>').format(_number(middle), HEIGHT - 6, plot.x_label)
    yield Markup('<text class="t" transform="translate(11 {}) rotate(-90)">{}</text>').format(
        _number((_TOP + bottom) / 2), plot.y_label
    )


def _corners(points: Iterable[tuple[float, float]], step: bool, x_axis: Axis, y_axis: Axis) -> list[tuple[str, str]]:
    """Where a line turns, in the panel; what would not be seen is left out."""
    corners: list[tuple[str, str]] = []
    for px, py in points:
        x, y = _x(x_axis, px), _y(y_axis, py)
        if step and corners and corners[-1][1] != y:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    kept: list[tuple[str, str]] = []
    for corner in corners:
        if kept and kept[-1] == corner:
            continue
        # The middle one of three on a line along an axis.
        while len(kept) > 1 and any(kept[-2][k] == kept[-1][k] == corner[k] for k in (0, 1)):
            kept.pop()
        kept.append(corner)
    return kept


def _path(corners: list[tuple[str, str]]) -> str:
    if not corners:
        return ""
    out = [f"M{corners[0][0]} {corners[0][1]}"]
    for (x0, y0), (x, y) in pairwise(corners):
        out.append(f"V{y}" if x == x0 else f"H{x}" if y == y0 else f"L{x} {y}")
    return "".join(out)


def _band(series: Series, x_axis: Axis, y_axis: Axis) -> Markup:
    xs = [x for x, _ in series.points]
    above = _corners(zip(xs, series.high, strict=True), series.step, x_axis, y_axis)
    below = _corners(zip(xs, series.low, strict=True), series.step, x_axis, y_axis)
    return Markup('<path class="b {}" data-s="{}" d="{}Z"/>').format(
        look(series.solver), series.solver, _path(above + below[::-1])
    )


def _line(series: Series, name: str, x_axis: Axis, y_axis: Axis) -> Markup:
    corners = _corners(series.points, series.step, x_axis, y_axis)
    if not corners:
        return Markup("")
    end = corners[-1]
    return Markup(
        '<g class="l {}" data-s="{}"><title>{}</title><path d="{}"/><circle cx="{}" cy="{}" r="2.4"/></g>'
    ).format(look(series.solver), series.solver, name, _path(corners), *end)


def key(solver: int) -> Markup:
    """A legend's sample of a solver's line."""
    return Markup(
        '<svg class="key" viewBox="0 0 28 10" aria-hidden="true"><g class="l {}"><path d="M1 5H27"/></g></svg>'
    ).format(look(solver))
