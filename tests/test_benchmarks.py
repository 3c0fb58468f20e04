"""The benchmark script: its store, what a second call runs, and the arithmetic of its tables against numbers worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import fnanneal

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    # Scripts, not a package: they import each other by bare names.
    monkeypatch.syspath_prepend(str(FOLDER))


def row(**changes: Any) -> dict[str, Any]:
    about = {"kind": "cut", "graph": "G1", "solver": "ensemble", "settings": "", "seconds": 10, "seed": 1, "threads": 1}
    result = {"cut": 100, "best_known": 100, "to_best_s": 1.0, "solve_s": 1.0}
    return {**about, **result, "cpu": "?", "version": "0", "revision": "0", "load": 0, "date": "2026-01-01", **changes}


def unfinished(**changes: Any) -> dict[str, Any]:
    return row(**{"cut": 99, "to_best_s": 3.0, "solve_s": 10.0, **changes})


def test_the_store_survives_a_half_written_line(tmp_path: Path) -> None:
    from store import Store

    path = tmp_path / "runs" / "store.jsonl"
    first = Store(path)
    for seed in (1, 2, 3):
        first.add(row(seed=seed))
    path.write_bytes(path.read_bytes()[:-20])
    again = Store(path)
    assert [r["seed"] for r in again.rows()] == [1, 2]
    again.add(row(seed=4))
    again.add(row(seed=5))
    assert [r["seed"] for r in Store(path).rows(graph="G1")] == [1, 2, 4, 5]
    assert Store(path).rows(graph="G2") == []


def test_a_second_call_runs_only_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import maxcut

    path = tmp_path / "store.jsonl"
    command = ["gset10", "--graphs", "G11", "--seconds", "20", "--threads", "1", "--store", str(path)]
    maxcut.main([*command, "--seeds", "1"])
    before = path.read_text()
    (cell,) = [json.loads(line) for line in before.splitlines()]
    assert (cell["graph"], cell["seed"], cell["best_known"]) == ("G11", 1, 564)
    assert cell["cut"] == 564
    assert cell["solve_s"] < 20
    capsys.readouterr()
    maxcut.main([*command, "--seeds", "2"])
    after = path.read_text()
    assert after.startswith(before)
    assert [json.loads(line)["seed"] for line in after.splitlines()] == [1, 2]
    shown = capsys.readouterr().out
    assert "G11 ensemble  seed 2" in shown
    assert "seed 1:" not in shown
    assert "1 of 1 at the best known cut" in shown
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- torus -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    maxcut.main([*command, "--seeds", "2", "--table", "--document", str(page)])
    assert page.read_text(encoding="utf-8") == "before\n<!-- torus -->\nNothing is stored.\n<!-- end -->\nafter\n"
    assert path.read_text() == after


def test_an_open_graph_is_one_that_no_other_run_has_solved(tmp_path: Path) -> None:
    import maxcut
    from store import Store

    store = Store(tmp_path / "store.jsonl")
    store.add(row(graph="G1", seconds=10))
    store.add(unfinished(graph="G2", seconds=60))
    store.add(row(graph="G3", seconds=600, threads=2))
    suite = maxcut.SUITES["gset600"]
    names = [c.graph for c in maxcut.cells(suite, store)]
    assert names == [g for g in suite.graphs if g != "G1"]


def test_times_count_the_runs_that_never_got_there() -> None:
    from tables import median_time, tts99

    rows = [row(to_best_s=2.0), unfinished(), row(to_best_s=4.0), unfinished(), row(to_best_s=1.0)]
    assert median_time(rows) == 4.0
    assert median_time(rows[1:]) == math.inf
    # 2 + 10 + 4 + 10 + 1 seconds for three runs that got there.
    assert tts99(rows) == pytest.approx(4.605170186 * 27 / 3)
    assert tts99([unfinished()]) == math.inf


def test_gaps_are_of_the_median_and_totals_add_up() -> None:
    from tables import cuts_table, gap, times_table

    g1 = [row(seed=k, cut=c) for k, c in ((1, 100), (2, 97), (3, 98))]
    g2 = [row(graph="G2", cut=200, best_known=200)]
    assert gap(g1) == pytest.approx(0.02)
    assert gap([row(cut=-98, best_known=-100)]) == pytest.approx(-0.02)
    record = row(graph="G3", cut=110, best_known=100)
    assert "2 of 2 at the best known cut (median over seeds), mean gap 0.0000%" in cuts_table(
        [row(cut=100), record], {}
    )
    text = cuts_table([*g1, *g2], {"hits": 1, "mean": 0.02, "worst": 0.01})
    assert "| G1 | 100 | 100, 97, 98 | 2.0000% | 1.00, -, - |" in text
    assert "1 of 2 at the best known cut (median over seeds), mean gap 1.0000%, worst 2.000%." in text
    assert "hits 1: met. Target mean 0.02: met. Target worst 0.01: **not met**." in text
    assert "| G1 | 10 | - | 1 of 3 | **not met** |" in times_table(g1)


def test_independent_sets_are_counted_by_workload() -> None:
    from tables import mis_table

    about = {"kind": "mis", "n": 100, "density": 0.1, "tabu": 30, "neurosa": 32, "feasible": True}
    rows = [row(graph=str(k), cut=c, **about) for k, c in enumerate((33, 32, 31, 29))]
    rows.append(row(graph="infeasible", cut=0, **{**about, "feasible": False}))
    text = mis_table(rows, below=0, at_least=175, better=1)
    assert "| 100 | 0.1 | 2 | 3 | 1 | +1, 0, -1, -3, -32 |" in text
    assert (
        "5 workloads, 4 answers feasible: 2 below the Tabu target (target 0: **not met**), 2 at least NeuroSA's" in text
    )
    assert "best of five (target 175 of 180: **not met**), 1 better (target 1: met)" in text


def test_records_are_what_they_say() -> None:
    for path in (FOLDER / "records").glob("*.txt"):
        graph, _, cut = path.stem.partition("-")
        problem = fnanneal.load(graph)
        assert problem.best_known is not None
        assert (
            problem.objective([int(line) for line in path.read_text().split()]) == int(cut) > problem.best_known.value
        )


def test_gaps_of_the_study_of_weights() -> None:
    import studies

    rows = [
        {"graph": "a", "solver": "sa", "settings": "ideal", "cut": 90, "best_known": 100},
        {"graph": "a", "solver": "sa", "settings": "ideal", "cut": 100, "best_known": 100},
        {"graph": "b", "solver": "sa", "settings": "ideal", "cut": 8.0, "best_known": None},
        {"graph": "b", "solver": "sa", "settings": "2 bits", "cut": 6.0, "best_known": None},
    ]
    assert studies.gaps(rows) == {("a", "sa", "ideal"): 5.0, ("b", "sa", "ideal"): 0.0, ("b", "sa", "2 bits"): 25.0}


def test_energy_to_solution_is_a_median_and_says_what_was_missed() -> None:
    import studies

    events = dict.fromkeys(fnanneal.Events.__dataclass_fields__, 0)
    rows = [{"events": {**events, "spikes": k}, "cut": 10, "target": 10} for k in (10, 30, 20)]
    value, partial, missed = studies.joules(rows, "cmos-45nm")
    assert (value, partial, missed) == (pytest.approx(20 * 1e-13, abs=0), False, False)
    assert studies.joules(rows, "loihi") == (None, True, False)
    assert studies.joules([*rows, {**rows[0], "cut": 9}], "cmos-45nm")[2]
    assert [studies.amount(x) for x in (None, 2.5, 1.23e-6, 4e-15)] == ["-", "2.5 J", "1.23 uJ", "4 fJ"]


def test_a_study_runs_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import studies

    monkeypatch.setattr(studies, "ENERGY_GRAPHS", ("G1",))
    monkeypatch.setattr(studies, "LIMIT", 0.3)
    store, text = tmp_path / "s.jsonl", tmp_path / "doc.md"
    text.write_text("before\n<!-- energy -->\n<!-- end -->\nafter\n")
    studies.main(["energy", "--seeds", "1", "--store", str(store), "--document", str(text)])
    lines = store.read_text().splitlines()
    assert len(lines) == 3
    studies.main(["energy", "--seeds", "1", "--store", str(store)])
    assert store.read_text().splitlines() == lines
    shown = text.read_text()
    assert shown.startswith("before\n<!-- energy -->\n`neurosa` to a cut of 99.5%") and shown.endswith(
        "<!-- end -->\nafter\n"
    )
    first = next(r for r in map(json.loads, lines) if r["solver"] == "neurosa")
    # By hand: the counts times the table's figures.
    joules = sum(first["events"][k] * f.joules for k, f in fnanneal.energy.technology("cmos-45nm").figures.items())
    assert studies.amount(joules) in next(line for line in shown.splitlines() if line.startswith("| G1 "))
    capsys.readouterr()


def test_programming_prints_its_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import programming

    monkeypatch.setattr("sys.argv", ["programming.py", "--cells", "2000", "--threads", "1"])
    programming.main()
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(programming.CASES) and table[0].count("|") == 10
