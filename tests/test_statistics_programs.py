"""Quadratic programs: solver against solver by time, and joules."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from scipy import stats

from fnanneal.compare.records import Record
from fnanneal.compare.report import render
from fnanneal.compare.statistics import program_energies, program_pairs
from fnanneal.energy import account, technologies

from .cases_compare import plan, program
from .cases_compare import programs as invented

NAMES = tuple(f"P{k:02}" for k in range(12))


def timed(name: str, solver: str, seconds: float | None, seed: int = 0, **more: object) -> Record:
    made = program(name, solver, seed, solved=seconds is not None)
    return made if seconds is None else replace(made, solve_s=seconds, trace=((seconds, -1.5),), **more)  # type: ignore[arg-type]


def test_a_clean_sweep_of_twice_as_fast() -> None:
    runs = [timed(n, s, t) for k, n in enumerate(NAMES) for s, t in (("a", 0.1 + k / 10), ("b", 0.2 + k / 5))]
    (pair,) = program_pairs(runs, baseline="a")
    assert (pair.programs, pair.faster, pair.ties, pair.slower, pair.only_first, pair.only_second) == (
        12,
        12,
        0,
        0,
        0,
        0,
    )
    assert pair.ratio == pytest.approx(2) and pair.interval is not None and pair.interval.low == pytest.approx(2)
    assert pair.sign_p == pytest.approx(2 / 2**12) == pair.wilcoxon_p == pair.wilcoxon_holm
    assert pair.significant and pair.enough
    (turned,) = program_pairs(runs, baseline="b")
    assert turned.ratio == pytest.approx(0.5) and turned.slower == 12


def test_unsolved_programs_are_slower_than_any_solved_one() -> None:
    times = {"a": [1.0, None, None, 2.0], "b": [None, None, 3.0, 1.0]}
    runs = [timed(n, s, t) for s, ts in times.items() for n, t in zip(NAMES, ts, strict=False)]
    (pair,) = program_pairs(runs)
    assert (pair.faster, pair.ties, pair.slower, pair.only_first, pair.only_second) == (1, 1, 2, 1, 1)
    # The ratio is of what both have solved, one program.
    assert pair.ratio == pytest.approx(0.5) and pair.interval is None and not pair.enough


def test_wilcoxon_is_scipys_on_logarithms() -> None:
    a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]
    b = [1.3, 1.7, 3.8, 4.4, 4.5, 7.7, 9.2, 8.1, 13.0, 9.5, 11.6, 17.0]
    runs = [timed(n, s, t) for s, ts in (("a", a), ("b", b)) for n, t in zip(NAMES, ts, strict=True)]
    runs = [replace(r, solve_s=r.solve_s / 10) for r in runs]
    (pair,) = program_pairs(runs)
    expected = stats.wilcoxon([math.log(y / x) for x, y in zip(a, b, strict=True)], method="exact").pvalue
    assert pair.wilcoxon_p == pytest.approx(expected)


def test_medians_over_seeds_and_holms_correction() -> None:
    runs = [
        timed(n, s, t * f, seed)
        for n in NAMES
        for s, t in (("a", 1.0), ("b", 2.0), ("c", 1.0))
        for seed, f in enumerate((1.0, 1.0, 100.0 if s == "a" else 1.0))
    ]
    to_b, to_c = program_pairs(runs, baseline="a")
    assert to_b.faster == 12 and to_c.ties == 12 and to_c.ratio == pytest.approx(1)
    assert to_b.wilcoxon_p is not None and to_b.wilcoxon_holm == pytest.approx(2 * to_b.wilcoxon_p)
    assert len(program_pairs(runs)) == 3 and program_pairs(runs, baseline="nobody") == []


def test_programs_that_one_cannot_take_are_left_out() -> None:
    runs = [
        timed("P1", "a", 1.0),
        replace(timed("P1", "b", None), outcome="unfit"),
        timed("P2", "a", 1.0),
        timed("P2", "b", 2.0),
    ]
    (pair,) = program_pairs(runs)
    assert pair.programs == 1 and pair.faster == 1
    alone = [timed("P1", "a", 1.0), replace(timed("P1", "b", None), outcome="unfit")]
    (none,) = program_pairs(alone)
    assert (none.programs, none.sign_p, none.wilcoxon_p, none.ratio) == (0, None, None, None)


def test_energies_are_the_medians_of_solved_runs() -> None:
    events = [{"multiply_adds": k * 10**6} for k in (1, 2, 9)]
    runs = [timed("P1", "ours", 1.0, seed, events=e, real_numbers=True) for seed, e in enumerate(events)]
    runs += [timed("P1", "theirs", 1.0), timed("P2", "ours", None)]
    (found,) = program_energies(runs)
    assert (found.problem, found.solver) == ("P1", "ours")
    for name, tech in technologies().items():
        expected = account(events[1], tech, real_numbers=True)
        assert found.joules[name] == (None if expected.joules is None else pytest.approx(expected.joules, abs=0))
        assert (name in found.partial) == (expected.status == "partial")


def test_the_report_has_both_tables() -> None:
    runs = [replace(r, events={"multiply_adds": 10**6} if r.solver == "splitting" else None) for r in invented()]
    text = render(runs, plan(("HS21",), ("splitting", "osqp"), 1, runs[0].budget), format="md")
    assert "splitting against the others" in text and "too few programs to tell" in text
    assert (
        "Modelled energy of solved programs" in text
        and "Not counted, since they do not count their events: osqp." in text
    )
