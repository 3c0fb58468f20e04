"""Reports of comparisons: what they say, that they say it alike each time, and that no name in them becomes markup."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fnanneal.compare.cells import Budget
from fnanneal.compare.report import FORMATS, render
from fnanneal.compare.report.brief import brief
from fnanneal.compare.report.csv import COLUMNS
from fnanneal.compare.report.model import build
from fnanneal.compare.statistics import headline, summarise
from fnanneal.compare.store import Store
from fnanneal.errors import InputError

from .cases_compare import NASTY, SOLVERS, cell, comparison, plan, program, programs, record, unfinished
from .test_cli import COMMAND

BUDGET = Budget(seconds=5.0)
VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Tags with their attributes, texts, ids, and whether all that opens is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, name):
        return [a for tag, a in self.tags if tag == name]


@pytest.fixture(scope="module")
def records():
    return unfinished(comparison(("G1", "G14", "G22"), seeds=4)) + programs()


@pytest.fixture(scope="module")
def asked(records):
    return plan(("G1", "G14", "G22"), (*SOLVERS, "splitting", "osqp"), 4, BUDGET)


@pytest.fixture(scope="module")
def page(records, asked):
    return Page(render(records, asked))


def tables(report):
    """All tables by caption."""
    parts = [p for s in report.sections for p in (*s.parts, *(p for _, ps in s.folded for p in ps))]
    return {p.caption: p for p in parts if hasattr(p, "rows")}


def plots(report):
    parts = [p for s in report.sections for p in (*s.parts, *(p for _, ps in s.folded for p in ps))]
    return {p.caption: p for p in parts if hasattr(p, "plots")}


def test_the_page_is_sound_and_complete_in_itself(page):
    assert page.open == []
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    # Nothing is loaded: every link leads into the page, and the policy forbids the rest.
    assert {a["href"][0] for a in page.all("a")} == {"#"}
    assert {a["href"][1:] for a in page.all("a")} <= set(ids)
    assert not any(
        name in a for _, a in page.tags for name in ("src", "srcset", "style", "onclick", "onload", "onerror")
    )
    assert [a["href"] for a in page.all("link")] == ["data:,"] and len(page.all("script")) == 1
    (policy,) = (a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_tables_and_figures_are_accessible(page):
    assert len(page.all("caption")) == len(page.all("table")) > 8
    assert {a.get("scope") for a in page.all("th")} == {"col", "row"}
    drawn = [a for a in page.all("svg") if a.get("aria-hidden") != "true"]
    assert drawn and all(a["role"] == "img" and a["aria-label"] for a in drawn)


def test_every_cell_has_its_row_and_command(records, page):
    rows = [a["id"] for a in page.all("tr") if "id" in a]
    assert rows == [f"cell-{r.cell}" for r in records]
    assert all(r.command in page.texts for r in records)
    assert "the worker died: signal 9" in page.texts and "takes 512 spins at most" in page.texts


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_store_gives_the_same_bytes(records, asked, format_):
    assert render(records, asked, format=format_) == render(list(records), dict(asked), format=format_)


def test_the_same_bytes_whatever_the_hash_seed():
    code = (
        "from tests.cases_compare import *; from fnanneal.compare.report import render; import hashlib\n"
        "r = comparison(('G1', 'G2'), seeds=2) + programs(); p = plan(('G1',), SOLVERS, 2, Budget(seconds=5.0))\n"
        "print([hashlib.sha256(render(r, p, format=f).encode()).hexdigest() for f in ('html', 'md', 'csv')])"
    )
    root = Path(__file__).parents[1]
    found = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


def test_tables_say_what_the_statistics_say(records, asked):
    report = build(records, asked)
    spins = [r for r in records if r.kind == "spins"]
    found = tables(report)
    heads = [c.title for c in found["Median cut"].columns]
    lines = {row.values[0].text: dict(zip(heads, row.values, strict=True)) for row in found["Median cut"].rows}
    winners = headline(spins, 0.0, first="ensemble").winners
    for s in summarise(spins, 0.0):
        value = lines[s.problem][s.solver]
        assert value.text == ("failed" if s.median is None else f"{s.median:.10g}")
        assert (value.tone == "best") == (s.solver in winners[s.problem])
    for theta, words in ((0.0, "the reference"), (0.001, "a gap of 0.1\xa0%")):
        full = found[f"Solver by solver: reaching {words}"]
        for s, row in zip(summarise(spins, theta), full.rows, strict=True):
            texts = [v.text for v in row.values]
            assert texts[:2] == [s.problem, s.solver] and texts[7] == (
                f"{s.hits.k}/{s.hits.n}" if s.hits else "\N{EN DASH}"
            )
            assert s.gap is None or row.values[6].key == s.gap.worst
            assert (
                texts[9] == "not reached"
                if s.curve is None or s.curve.median is None
                else row.values[9].key == s.curve.median
            )


def test_figures_follow_the_curves():
    runs = comparison(("G1",), ("ensemble", "sa"), 5)
    found = plots(build(runs, plan(("G1",), ("ensemble", "sa"), 5, BUDGET)))
    (panel,) = found["Time to the reference, problem by problem"].plots
    for s, series in zip(summarise(runs, 0.0), panel.series, strict=True):
        assert [y for _, y in series.points[1:-1]] == list(s.curve.share) and series.points[0][1] == 0
        assert len(series.low) == len(series.high) == len(series.points)
        assert all(a <= y <= b for (_, y), a, b in zip(series.points, series.low, series.high, strict=True))
    (panel,) = found["Gap against time, problem by problem"].plots
    for solver, series in zip(("ensemble", "sa"), panel.series, strict=True):
        gaps = sorted((11624 - r.objective) / 116.24 for r in runs if r.solver == solver)
        assert series.points[-1][1] == pytest.approx(gaps[2]) and series.low[-1] == pytest.approx(gaps[1])
        falling = [y for _, y in series.points]
        assert falling == sorted(falling, reverse=True)


def test_the_headline_says_wins_and_losses():
    names = tuple(f"P{k}" for k in range(12))

    def said(strengths):
        runs = [record(p, s, seed, strength=x) for p in names for s, x in strengths for seed in range(3)]
        return " ".join(build(runs, plan(names, tuple(s for s, _ in strengths), 3, BUDGET)).headline)

    won = said((("ensemble", 1.2), ("sa", 0.5)))
    assert "ensemble has the best median cut on 12 of 12 problems" in won
    assert "ensemble is significantly better than sa" in won and "the fastest is ensemble on 12" in won
    lost = said((("ensemble", 0.5), ("sa", 1.2)))
    assert (
        "sa has the best median cut on 12 of 12 problems" in lost and "ensemble is significantly worse than sa" in lost
    )
    assert "ensemble, the first solver of the plan, on none" in lost
    twins = [replace(r, solver=s) for r in comparison(names, ("sa",), 2) for s in ("a", "b")]
    assert "Between a and b the difference is not significant" in build(twins, {}).headline[0]
    few = comparison(("G1", "G2"), ("ensemble", "sa"), 2)
    assert "no difference could be significant on so few problems" in build(few, {}).headline[0]


def test_a_record_is_said():
    runs = [record("G1", "ensemble", k, best_known=11600) for k in range(3)]
    assert "better than the best known value 11600 (Gset table)" in " ".join(build(runs, {}).headline)


def test_warnings(records, asked):
    planned = [cell("G1", "ensemble", 77, BUDGET)]
    mixed = [replace(r, revision="abc+") if k == 3 else r for k, r in enumerate(records)]
    mixed[4] = replace(mixed[4], versions={"fnanneal": "0.2.0"}, host={**mixed[4].host, "name": "host-b", "load": 9.5})
    said = "\n".join(build(mixed, asked, planned).warnings)
    for text in (
        f"1 of {len(records) + 1} runs are missing",
        "openjij-sa failed on G22: the worker died: signal 9",
        "openjij-sa could not be run on G22: takes 512 spins at most",
        "2 git revisions",
        "uncommitted changes: abc+",
        "several versions of fnanneal: 0.1.0, 0.2.0",
        "2 machines",
        "a load of up to 9.5 on 2 cores",
    ):
        assert text in said
    assert build(comparison(("G1",), ("sa",), 2), {}).warnings == ()


def test_a_run_that_failed_before_loading_belongs_to_its_problem():
    cells = [cell("gset:G1", "sa", k, BUDGET) for k in range(3)]
    runs = [replace(record("G1", "sa", k), cell=cells[k].key) for k in range(2)]
    lost = replace(
        runs[0], cell=cells[2].key, seed=2, problem="gset:G1", sha256=None, size={}, sense="min", best_known=None,
        outcome="failed", objective=None, trace=(), error="the worker died",
    )  # fmt: skip
    (row,) = tables(build([*runs, lost], {}, cells))["Median cut"].rows
    assert row.values[0].text == "G1" and "1 failed" in row.values[2].about


def test_energy_keeps_modelled_and_measured_apart(records, asked):
    found = tables(build(records, asked))
    model = found["Modelled energy to reach the reference with 99 % confidence"]
    meter = found["Measured energy"]
    assert {r.values[1].text for r in model.rows} == {"ensemble", "sa", "neurosa"}
    assert (
        "Not counted, since they do not count their events: dwave-sa:num_reads=2, dwave-tabu, openjij-sa" in model.note
    )
    prices = dict(zip([c.title for c in model.columns], [v.text for v in model.rows[0].values], strict=True))
    assert prices["fn-dam"] == "not priced" and prices["loihi"].endswith("J*") and prices["cmos-45nm"].endswith("J")
    assert {r.values[1].text for r in meter.rows} == {"ensemble", "sa"}
    assert "cmos-45nm" in [c.title for c in model.columns] and "cmos-45nm" not in [c.title for c in meter.columns]


def test_programs(records, asked):
    report = build(records, asked)
    found = tables(report)
    rows = {r.values[0].text: [v.text for v in r.values] for r in found["Quadratic programs"].rows}
    assert (
        rows["splitting"][1].startswith("3/3") and rows["osqp"][1].startswith("2/3") and rows["osqp"][2].startswith("≥")
    )
    last = found["Time to solve each program"].rows[-1]
    assert last.values[0].text == "AFIRO" and last.values[2].text == "time_limit"
    assert any("splitting solved 3 of 3 runs" in p and "osqp solved 2 of 3" in p for p in report.headline)


def test_budgets_are_not_mixed():
    tests = Budget(spin_tests=10**6)
    runs = comparison(("G1", "G2"), ("ensemble", "sa"), 2)
    runs += [record(p, s, seed, budget=tests) for p in ("G1", "G2") for s in ("ensemble", "sa") for seed in range(2)]
    report = build(runs, {})
    assert {"Results, 5 s", "Results, 1e+06 spin tests"} <= {s.title for s in report.sections}
    assert len({s.anchor for s in report.sections}) == len(report.sections) and len(report.headline) == 2


@pytest.mark.parametrize("format_", FORMATS)
def test_nothing_run_yet(format_):
    text = render([], plan(("G1",), ("sa",), 1, BUDGET), planned=[cell("G1", "sa", 0, BUDGET)], format=format_)
    assert text and ("Nothing has been run yet" in text or format_ == "csv")


def test_all_failed_and_no_reference():
    lost = [
        replace(r, objective=None, trace=(), outcome="failed", error="boom", best_known=None, sha256=None, size={})
        for r in comparison(("G1",), ("ensemble", "sa"), 2)
    ]
    for format_ in FORMATS:
        assert "boom" in render(lost, {}, format=format_)


def test_a_reference_of_zero_is_a_difference():
    runs = [replace(r, best_known=0, sense="max", objective=-k, trace=((0.1, -k),)) for k, r in enumerate(comparison(("Z",), ("sa",), 3))]  # fmt: skip
    report = build(runs, {})
    assert tables(report)["Median cut"].rows[0].values[2].about.startswith("gap 1,")
    assert plots(report)["Gap against time, problem by problem"].plots[0].y_label == "distance to the reference"


@pytest.fixture(scope="module")
def nasty():
    runs = comparison(NASTY, ("ensemble", "sa:x=<b>|`", "=cmd()|' /C calc'!A0"), 2)
    bad = {
        "outcome": "failed",
        "objective": None,
        "trace": (),
        "error": "<img src=x onerror=alert(1)>\n| a | b |",
        "status": "</td>",
    }
    runs[-1] = replace(runs[-1], **bad)
    return [
        replace(r, host={**r.host, "cpu": "<i>cpu</i>"}, versions={"<u>": "<s>"}, revision="<q>", best_known_source="<em>|", settings={"<k>": "<v>"})
        for r in runs
    ] + [program("<b>qp</b>", "osqp<u>")]  # fmt: skip


def test_names_are_no_markup(nasty):
    page = Page(render(nasty, {"title": "</title><script>alert(2)</script>", "solvers": []}))
    assert page.open == [] and len(page.all("script")) == 1
    assert not {"img", "b", "em", "u", "s", "q", "k"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, a in page.tags for name in a)
    assert all(name in page.texts for name in NASTY)


def test_names_are_no_markdown(nasty):
    text = render(nasty, {"title": "t\n# x"}, format="md")
    assert not re.search(r"<[a-zA-Z/]", text) and "\n# x" not in text
    widths = {}
    for k, line in enumerate(text.splitlines()):
        if line.startswith("|"):
            bars = len(re.findall(r"(?<!\\)\|", line))
            above = widths.get(k - 1)
            assert above in (None, bars), line
            widths[k] = bars
    assert html.unescape(text).count("<script>alert(1)</script>") > 3


def test_names_are_no_formulas(nasty):
    rows = list(csv.DictReader(io.StringIO(render(nasty, {}, format="csv"), newline="")))
    assert not any(value.startswith(("=", "+", "@")) for row in rows for value in row.values())
    # A minus leads numbers alone.
    assert not any(
        value.startswith("-") and not re.fullmatch(r"-[\d.e+-]+", value) for row in rows for value in row.values()
    )
    assert {row["problem"] for row in rows} >= {"'=cmd()", "'@SUM(A1)", "a|b", "<script>alert(1)</script>"}


def test_csv_gives_back_what_it_was_given(records):
    rows = list(csv.DictReader(io.StringIO(render(records, {}, format="csv"), newline="")))
    for r, row in zip(records, rows, strict=True):
        assert (row["cell"], row["problem"], row["outcome"], int(row["seed"])) == (r.cell, r.problem, r.outcome, r.seed)
        assert (
            row["objective"] == ("" if r.objective is None else repr(r.objective))
            and float(row["solve_s"]) == r.solve_s
        )
        assert row["solved"] == {None: "", True: "true", False: "false"}[r.solved]
        assert row["events_spikes"] == ("" if r.events is None else str(r.events["spikes"]))
        assert json.loads(row["versions"]) == dict(r.versions)


def test_unknown_format():
    with pytest.raises(InputError, match=r"unknown format 'pdf'; there are: html, md, csv$"):
        render([], {}, format="pdf")


@pytest.fixture
def run_folder(tmp_path):
    runs = comparison(("G1",), ("ensemble", "sa"), 2)
    with Store.open(tmp_path / "run", create=True) as store:
        cells = [cell("G1", s, seed, BUDGET) for s in ("ensemble", "sa") for seed in range(3)]
        store.add_plan(plan(("G1",), ("ensemble", "sa"), 3, BUDGET), {c.key: c for c in cells})
        for r in runs:
            store.add(r)
    return tmp_path / "run"


def report(*arguments):
    done = subprocess.run(
        [*COMMAND, "report", *map(str, arguments)], check=False, capture_output=True, text=True, encoding="utf-8"
    )
    return done.returncode, done.stdout, done.stderr


def test_command_line(run_folder, tmp_path):
    assert report(run_folder) == (0, "", f"wrote {run_folder / 'report.html'}\n")
    first = (run_folder / "report.html").read_bytes()
    assert report(run_folder, "-o", tmp_path / "r.html")[0] == 0 and (tmp_path / "r.html").read_bytes() == first
    assert "2 of 6 runs are missing" in first.decode()
    assert report(run_folder, "-o", tmp_path / "r.md")[0] == 0
    code, out, _ = report(run_folder, "--format", "md")
    assert code == 0 and out == (tmp_path / "r.md").read_text(encoding="utf-8") and out.startswith("# invented\n")
    code, out, _ = report(run_folder, "--format", "csv")
    assert code == 0 and out.startswith("cell,kind,problem") and len(out.splitlines()) == 5


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("{run}", "-o", "{tmp}/r.pdf"), "what format? Give --format"),
        (("{run}", "--format", "pdf"), "unknown format 'pdf'; there are: html, md, csv, parquet"),
        (("{run}", "--format", "parquet"), "give -o FILE.parquet"),
        (("{tmp}/nowhere",), "there is no such directory"),
        (("{tmp}",), "it has no cells.sqlite"),
        (("{run}", "-o", "{tmp}/no/such/r.html"), "cannot write"),
    ],
)
def test_bad_input_gives_one_line(run_folder, tmp_path, arguments, line):
    code, out, err = report(*(a.format(run=run_folder, tmp=tmp_path) for a in arguments))
    assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("fnanneal: error: ") and line in err


def test_parquet_holds_what_the_csv_does(run_folder, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "cells.parquet"
    assert report(run_folder, "-o", out) == (0, "", f"wrote {out}\n")
    table = pq.read_table(out)
    with Store.open(run_folder) as store:
        records = store.records()
    assert table.num_rows == len(records) and set(COLUMNS) | {"trace_s", "trace_objective"} == set(table.column_names)
    for row, r in zip(table.to_pylist(), records, strict=True):
        assert (row["cell"], row["objective"], row["seed"], row["solve_s"]) == (r.cell, r.objective, r.seed, r.solve_s)
        assert list(zip(row["trace_s"], row["trace_objective"], strict=True)) == [tuple(p) for p in r.trace]


def test_a_column_of_parquet_has_the_narrowest_exact_type():
    from fnanneal.compare.report.parquet import _typed

    assert _typed([1, None, -(2**63)]) == (int, [1, None, -(2**63)])
    assert _typed([1, 2.5, None]) == (float, [1.0, 2.5, None])
    assert _typed([2**63, 1]) == (str, [str(2**63), "1"])
    assert _typed([2**53 + 1, 0.5]) == (str, [str(2**53 + 1), "0.5"])
    assert _typed([True, None]) == (bool, [True, None])
    assert _typed([None, None]) == (str, [None, None])


def test_neurobench_has_its_own_table():
    names = [f"gen:mis(100,0.05,{k})" for k in range(5)]
    runs = [
        replace(
            record(name, solver, 1, best=40, counted=solver == "ensemble"),
            sense="min", best_known=-40, trace=((0.1 * (k + 1), -37), (0.5, last)), objective=last,
        )
        for solver, last in (("ensemble", -40), ("dwave-sa", -39))
        for k, name in enumerate(names)
    ]  # fmt: skip
    text = render(runs, plan(tuple(names), ("ensemble", "dwave-sa"), 1, BUDGET, thresholds=[0.1, 0.01]), format="md")
    section = text.partition("## NeuroBench")[2]
    assert re.search(r"\| ensemble \| 100 \| 5 % \| 300 ms ± 70\.7 ms \| .*J.* \| 500 ms ± 0 s \|", section), section[
        :1500
    ]
    # 39 of 40 is not within 1 %, and what is not counted has no energy.
    assert re.search(r"\| dwave-sa \| 100 \| 5 % \| 300 ms ± 70\.7 ms \| . \| . \| . \|", section), section[:1500]
    assert "## NeuroBench" not in render(comparison(("G1",), ("sa",), 2), {}, format="md")


def test_the_outcome_in_a_few_lines():
    cuts = {("ensemble", "G1"): 100, ("ensemble", "G2"): 98, ("sa", "G1"): 90, ("sa", "G2"): 98}
    runs = [
        replace(record(p, s, 1, best=100), objective=cut, trace=((1.0, cut),)) for (s, p), cut in cuts.items()
    ]  # fmt: skip
    lost = replace(record("G1", "dwave-sa", 1, best=100), outcome="failed", objective=None, error="boom")
    text = brief([*runs, lost, *programs()], plan(("G1", "G2"), ("ensemble", "sa"), 1, BUDGET))
    lines = [re.split(r"  +", line.replace("\N{NO-BREAK SPACE}", " ")) for line in text.splitlines()]
    assert lines[:4] == [
        ["solver", "best median cut on", "median gap", "worst gap"],
        ["ensemble", "2 of 2", "1 %", "2 %"],
        ["sa", "1 of 2", "6 %", "10 %"],
        ["dwave-sa", "0 of 2", "failed", "failed"],
    ]
    assert lines[5] == ["solver", "solved", "mean time"] and lines[6][:2] == ["splitting", "3 of 3"]
    assert brief([], {}) == ""
    nasty = brief([replace(r, solver="a\x1b[31m\nb") for r in runs], {})
    assert "\x1b" not in nasty and len(nasty.splitlines()) == 2


@pytest.mark.parametrize("format_", FORMATS)
def test_a_solver_that_can_take_none_of_a_problem(format_):
    lost = [
        replace(record("G2", "sb", k, best=50), outcome="unfit", objective=None, trace=(), error="too large")
        for k in (1, 2)
    ]
    text = render([*comparison(("G1", "G2"), ("ensemble", "sb"), 2)[:6], *lost], {}, format=format_)
    assert "too large" in text and "unfit" in text


def test_reasons_that_differ_in_numbers_alone_are_one():
    lost = [
        replace(record(f"G{k}", "sa", 1), outcome="failed", objective=None, trace=(), error=f"nothing in {k}.5 s")
        for k in (1, 2)
    ]
    assert [w for w in build(lost, {}).warnings if "failed" in w] == ["2 runs of sa failed on G1, G2: nothing in 1.5 s"]
