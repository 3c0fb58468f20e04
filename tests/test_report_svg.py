"""The figures of reports: axes, ticks, and paths that stay in their panel."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnanneal.compare.report import numbers
from fnanneal.compare.report.axes import Axis, power
from fnanneal.compare.report.elements import Plot, Series
from fnanneal.compare.report.svg import HEIGHT, WIDTH, draw, look

REAL = st.one_of(st.just(math.inf), st.just(0.0), st.floats(1e-60, 1e60), st.floats(-1e60, -1e-60))
SCALES = ("linear", "log", "floor", "share")


@pytest.mark.parametrize(
    ("scale", "values", "texts"),
    [
        ("linear", [0, 10], ["0", "2", "4", "6", "8", "10"]),
        ("linear", [-0.02, 0.03], ["-0.02", "-0.01", "0.00", "0.01", "0.02", "0.03"]),
        ("log", [0.001, 10], ["0.001", "0.01", "0.1", "1", "10"]),
        ("log", [1, 40], ["1", "2", "5", "10", "20"]),
        ("log", [1e-9, 1e3], ["10⁻⁹", "10⁻⁶", "0.001", "1", "1000"]),
        ("share", [0.2], ["0 %", "25 %", "50 %", "75 %", "100 %"]),
        ("floor", [0, 0.01, 1], ["0", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]),
    ],
)  # fmt: skip
def test_ticks_are_round(scale, values, texts):
    floor = min((v for v in values if v > 0), default=0) if scale == "floor" else 0.0
    assert [t.text.replace(numbers.MINUS, "-") for t in Axis.around(scale, values, floor).ticks if t.text] == texts


@given(st.sampled_from(SCALES), st.lists(REAL, max_size=6), st.floats(1e-12, 1e6))
def test_an_axis_takes_everything(scale, values, floor):
    axis = Axis.around(scale, values, floor)
    assert math.isfinite(axis.low) and math.isfinite(axis.high) and axis.low < axis.high
    places = [axis(v) for v in sorted(values)]
    assert all(0 <= x <= 1 for x in places) and places == sorted(places)
    ticks = axis.ticks
    assert len(ticks) < 60 and sum(bool(t.text) for t in ticks) <= 12
    assert all(-1e-9 <= t.at <= 1 + 1e-9 for t in ticks)


def test_what_is_at_the_floor_stands_on_the_base_line():
    axis = Axis.around("floor", [0, 0.5, 100], 0.5)
    assert axis(-3) == axis(0) == axis(0.5) == 0 and axis(0.51) > 0.05 and axis(100) < 1


def test_powers():
    assert (power(1, -3), power(5, 2), power(1, 6), power(2, -7)) == ("0.001", "500", "10⁶", "2·10⁻⁷")


def panel(points, **more):
    series = Series(solver=0, points=tuple(points), **more)
    plot = Plot(
        title="<t>",
        x_label="<x>",
        y_label="&",
        about='"><b>',
        series=(series,),
        x_scale="log",
        y_scale="share",
        x_range=(0.1, 10.0),
    )
    return ElementTree.fromstring(str(draw(plot, ("<i>name</i>",)))), series


def test_texts_are_escaped_and_paths_stay_inside():
    root, _ = panel([(0.1, 0.0), (1.0, 0.5), (10.0, 1.0)], low=(0.0, 0.2, 0.9), high=(0.1, 0.7, math.inf))
    assert root.get("aria-label") == '"><b>' and {"<x>", "&"} <= {e.text for e in root.iter("text")}
    assert [e.text for e in root.iter("title")] == ["<i>name</i>"] and not list(root.iter("b"))
    for path in root.iter("path"):
        if path.get("class", "")[:1] in "bl" or path.get("class") is None:
            for command, *_ in re.findall(r"([MLHV])([-\d.]+)(?: ([-\d.]+))?", path.get("d")):
                assert command in "MLHV"
    line = root.find(".//g/path").get("d")
    assert line == "M58 218H222V114H386V10"
    assert WIDTH - 14 == 386 and HEIGHT - 40 == 218


def test_a_line_that_is_no_steps_goes_straight():
    root, _ = panel([(0.1, 0.0), (10.0, 1.0)], step=False)
    assert root.find(".//g/path").get("d") == "M58 218L386 10"


def test_what_would_not_be_seen_is_left_out():
    many = [(10 ** (k / 10000), 0.5) for k in range(10000)]
    root, _ = panel([(0.1, 0.5), *many, (10.0, 0.5)])
    assert root.find(".//g/path").get("d") == "M58 114H386"


def test_looks_differ():
    assert len({look(k) for k in range(32)}) == 32


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (numbers.seconds, 0.0, "0 s"),
        (numbers.seconds, 0.9996, "1 s"),
        (numbers.seconds, 0.01234, "12.3 ms"),
        (numbers.seconds, 3e-6, "3 µs"),
        (numbers.seconds, math.inf, "∞"),
        (numbers.percent, -0.00123, "-0.123 %"),
        (numbers.percent, math.nan, "\N{EN DASH}"),
        (numbers.joules, 4.2e-14, "42 fJ"),
        (numbers.joules, 0.0, "0 J"),
        (numbers.short, 123456, "123456"),
        (numbers.short, 1.5e8, "1.5e8"),
        (numbers.short, 2e-7, "2e-7"),
        (numbers.objective, 11624, "11624"),
        (numbers.objective, -5.0, "-5"),
        (numbers.objective, 0.1 + 0.2, "0.3"),
        (numbers.objective, None, "\N{EN DASH}"),
        (numbers.probability, 0.04321, "0.043"),
        (numbers.probability, 0.0, "< 1e-300"),
    ],
)  # fmt: skip
def test_numbers(show, value, text):
    assert show(value).replace(numbers.SPACE, " ").replace(numbers.MINUS, "-") == text
