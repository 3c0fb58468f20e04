"""The energy account: the ledger by hand, its table of figures, bad tables, bounds, and what solves count."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fnanneal
from fnanneal import toml
from fnanneal.energy import (
    Account,
    Events,
    LearningInMemory,
    Technology,
    account,
    bounds,
    landauer,
    technologies,
    technology,
)
from fnanneal.errors import FormatError, InputError
from fnanneal.result import Result

EVENTS = [f.name for f in fields(Events)]
RAW: dict[str, Any] = tomllib.loads(
    (files("fnanneal.energy") / "technologies.toml").read_text(encoding="utf-8"), parse_float=Fraction
)
POWERS = {"J": 0, "mJ": -3, "uJ": -6, "nJ": -9, "pJ": -12, "fJ": -15, "aJ": -18}


def near(expected: Any, rel: float = 1e-12) -> Any:
    """pytest.approx that is relative alone: its own absolute tolerance of 1e-12 would let any picojoule pass."""
    return pytest.approx(expected, rel=rel, abs=0)


def entries(name: str) -> dict[str, dict[str, Any]]:
    """A shipped technology's entries by event, as the file has them: those that it inherits, then its own."""
    table = RAW[name]
    inherited = entries(table["inherits"]) if "inherits" in table else {}
    return {**inherited, **table.get("events", {})}


def by_hand(name: str, event: str, real: bool) -> Fraction:
    """Joules an event, exactly, read from the file."""
    entry = entries(name)[event]
    figure = entry.get("energy_real", entry["energy"]) if real else entry["energy"]
    return Fraction(figure) * Fraction(10) ** POWERS[entry["unit"]]


# The ledger


def test_the_file_and_the_package_name_the_same() -> None:
    assert list(technologies()) == list(RAW)
    assert {"cmos-45nm", "cmos-7nm", "fn-dam", "loihi", "spinnaker2"} <= RAW.keys()
    assert technology() is technology("cmos-45nm") is technology(technologies()["cmos-45nm"])


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("seed", range(3))
def test_counts_times_table_is_the_ledger(name: str, real: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = {k: int(rng.integers(1, 10 ** int(rng.integers(1, 15)))) for k in EVENTS}
    for k in rng.choice(EVENTS, seed, replace=False):
        counts[str(k)] = 0
    expected = {k: counts[k] * by_hand(name, k, real) for k in entries(name) if counts[k]}
    a = account(Events(**counts), technology(name), real_numbers=real)
    assert a.technology == name
    assert a.items == near({k: float(v) for k, v in expected.items()})
    assert a.joules == (near(float(sum(expected.values()))) if expected else None)
    # What is not covered is there with its count, and only that; what did not happen is nowhere.
    assert a.not_covered == {k: v for k, v in counts.items() if v and k not in entries(name)}
    assert a.status == ("partial" if a.not_covered else "complete")
    assert account(counts, technology(name), real_numbers=real) == a


@pytest.mark.parametrize("name", RAW)
def test_each_event_alone(name: str) -> None:
    for event in EVENTS:
        for real in (False, True):
            a = account({event: 7}, technology(name), real_numbers=real)
            if event in entries(name):
                joules = float(7 * by_hand(name, event, real))
                assert (a.status, a.items, a.not_covered) == ("complete", {event: near(joules)}, {})
                assert a.joules == near(joules) and a.joules > 0
            else:
                assert a == Account(technology=name, status="partial", joules=None, items={}, not_covered={event: 7}), (
                    "never 0 J"
                )


def test_real_numbers_cost_more_where_arithmetic_is() -> None:
    t = technology("cmos-45nm")
    assert {k for k, f in t.figures.items() if f.joules_real > f.joules} == {
        "spin_tests",
        "synaptic_events",
        "multiply_adds",
    }
    assert all(f.joules_real >= f.joules for t in technologies().values() for f in t.figures.values())


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("none", [Events(), {}, {"spikes": 0}])
def test_nothing_happened(name: str, none: Any) -> None:
    assert account(none, technology(name)) == Account(
        technology=name, status="complete", joules=0, items={}, not_covered={}
    )


@pytest.mark.parametrize(("name", "millijoules"), [("cmos-45nm", 0.78), ("cmos-7nm", 0.29)])
def test_the_worked_example(name: str, millijoules: float) -> None:
    a = account(Events(multiply_adds=170_000_000), technology(name), real_numbers=True)
    assert a.status == "complete" and a.joules is not None and round(a.joules * 1e3, 2) == millijoules


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"spykes": 1}, "unknown event 'spykes'; there are: spin_tests, spikes"),
        ({"spikes": -1}, "the count of spikes must be an integer from 0 to 2**63 - 1, not -1"),
        ({"spikes": 1.0}, "the count of spikes must be an integer from 0"),
        ({"spikes": 0.5}, "the count of spikes must be an integer from 0"),
        ({"spikes": math.nan}, "the count of spikes must be an integer from 0"),
        ({"spikes": True}, "the count of spikes must be an integer from 0"),
        ({"spikes": False}, "the count of spikes must be an integer from 0"),
        ({"spikes": None}, "the count of spikes must be an integer from 0"),
        ({"spikes": "3"}, "the count of spikes must be an integer from 0"),
        ({3: 3}, "unknown event 3"),
    ],
)
@pytest.mark.parametrize("name", ["cmos-45nm", "loihi"])
def test_counts_that_are_refused(counts: Any, message: str, name: str) -> None:
    with pytest.raises(InputError, match=f"^.*{re.escape(message)}.*$"):
        account(counts, technology(name))


def test_events_add_up() -> None:
    one = Events(**{k: i for i, k in enumerate(EVENTS)})
    two = Events(**{k: 100 * i + 1 for i, k in enumerate(EVENTS)})
    assert asdict(one + two) == {k: 101 * i + 1 for i, k in enumerate(EVENTS)}
    assert one + Events() == one
    assert one == Events(**{k: i for i, k in enumerate(EVENTS)}), "what was added to is as it was"


# The table against the published figures (spec/energy.md)

PUBLISHED = {
    ("fn-dam", "weight_pulses"): 5e-15,
    ("loihi", "synaptic_events"): 23.6e-12,
    ("spinnaker2", "synaptic_events"): 10e-12,
    ("truenorth", "synaptic_events"): 2.5e-12,
}

# In pJ: additions and multiplications on int32 and fp32, and 64 bits of a 1 MB SRAM and of DRAM (the lower figure).
NODES = {
    "45": {"add": 0.1, "mult": 3.1, "fadd": 0.9, "fmult": 3.7, "sram": 100.0, "dram": 1300.0},
    "7": {"add": 0.03, "mult": 1.48, "fadd": 0.38, "fmult": 1.31, "sram": 14.0, "dram": 1300.0},
}


@pytest.mark.parametrize(("name", "event"), PUBLISHED)
def test_published_figures(name: str, event: str) -> None:
    # These cover the one event alone.
    assert technology(name).figures.keys() == {event}
    f = technology(name).figures[event]
    assert f.joules == f.joules_real == near(PUBLISHED[name, event])
    assert f.status == "published"


@pytest.mark.parametrize("memory", ["sram", "dram"])
@pytest.mark.parametrize("node", NODES)
def test_derived_figures(node: str, memory: str) -> None:
    f = NODES[node]
    picojoules = {
        "spin_tests": (2 * f["add"], 2 * f["fadd"]),
        "spikes": (f["add"], f["add"]),
        "synaptic_events": (f["add"], f["fadd"]),
        "threshold_draws": (6 * f["add"], 6 * f["add"]),
        "timer_reads": (10 * (f["fmult"] + f["fadd"]),) * 2,
        "crossover_operations": (f["add"], f["add"]),
        "weight_pulses": (f[memory] / 2,) * 2,  # 32 bits of 64
        "multiply_adds": (f["mult"] + f["add"], f["fmult"] + f["fadd"]),
        "bytes_moved": (f[memory] / 8,) * 2,
    }
    t = technology(f"cmos-{node}nm" + ("-dram" if memory == "dram" else ""))
    assert {k: (g.joules * 1e12, g.joules_real * 1e12) for k, g in t.figures.items()} == {
        k: near(v) for k, v in picojoules.items()
    }
    assert t.node == f"{node} nm"
    # Nobody published the energy of these: they say how they came about.
    assert all(g.status in ("derived", "assumed") and len(g.derivation) > 3 for g in t.figures.values())


def test_figures_quoted_from_memory_say_so() -> None:
    for t in technologies().values():
        for event, f in t.figures.items():
            if t.node == "7 nm" or (t.node == "45 nm" and event in ("bytes_moved", "weight_pulses")):
                assert "to be checked" in f.source, (t.name, event)


def test_the_default_covers_everything() -> None:
    assert technology().name == "cmos-45nm" and list(technology().figures) == EVENTS
    assert account(dict.fromkeys(EVENTS, 1), technology()).status == "complete"


def test_no_figure_for_loihi_2() -> None:
    assert not any(
        "loihi 2" in (t.name + t.title + t.source).replace("-", " ").lower() for t in technologies().values()
    )


@pytest.mark.parametrize("name", RAW)
def test_everything_has_its_source(name: str) -> None:
    t, table = technology(name), RAW[name]
    assert (t.name, t.title, t.node, t.temperature, t.source) == (
        name,
        *(table[k] for k in ("title", "node", "temperature_K", "source")),
    )
    assert t.title and t.node and t.source and t.temperature > 0
    assert t.figures.keys() == entries(name).keys() <= set(EVENTS)
    for event, f in t.figures.items():
        assert (f.status, f.source) == (entries(name)[event]["status"], entries(name)[event]["source"])
        assert f.status in ("published", "derived", "assumed") and f.source.strip()
        assert 0 < f.joules < 1e-6 and 0 < f.joules_real < 1e-6


# Users' files

HEAD = '[mine]\ntitle = "mine"\nnode = "3 nm"\ntemperature_K = 77\nsource = "a datasheet"\n'
ENTRY = '[mine.events.spikes]\nenergy = 4\nunit = "fJ"\nstatus = "assumed"\nsource = "page 7"\n'
GOOD = HEAD + ENTRY


def written(folder: Path, text: str | bytes, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(spec: Any) -> str:
    """The one line."""
    with pytest.raises(FormatError) as e:
        technology(spec)
    assert "\n" not in str(e.value)
    return str(e.value)


def swapped(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


IN_THE_ENTRY = {
    "negative": (swapped("energy = 4", "energy = -4"), "energy must be a finite number, at least 0, not -4"),
    "negative and small": (swapped("energy = 4", "energy = -1e-300"), "energy must be a finite number"),
    "nan": (swapped("energy = 4", "energy = nan"), "energy must be a finite number"),
    "infinite": (swapped("energy = 4", "energy = inf"), "energy must be a finite number"),
    "overflow": (swapped("energy = 4", "energy = 1e999"), "energy must be a finite number"),
    "text": (swapped("energy = 4", 'energy = "4"'), "energy must be a finite number"),
    "boolean": (swapped("energy = 4", "energy = true"), "energy must be a finite number"),
    "list": (swapped("energy = 4", "energy = [4]"), "energy must be a finite number"),
    "date": (swapped("energy = 4", "energy = 2024-01-01"), "energy must be a finite number"),
    "no energy": (swapped("energy = 4\n", ""), "no energy"),
    "real alone": (swapped("energy = 4", "energy_real = 4"), "no energy"),
    "no unit": (swapped('unit = "fJ"\n', ""), "no unit"),
    "no status": (swapped('status = "assumed"\n', ""), "no status"),
    "no source": (swapped('source = "page 7"\n', ""), "no source"),
    "another unit": (swapped('"fJ"', '"eV"'), "unit must be one of J, mJ, uJ, nJ, pJ, fJ, aJ, not 'eV'"),
    "case of the unit": (swapped('"fJ"', '"FJ"'), "unit must be one of"),
    "unit a number": (swapped('"fJ"', "1e-15"), "unit must be one of"),
    "another status": (swapped('"assumed"', '"guessed"'), "status must be one of published, derived, assumed"),
    "status a list": (swapped('"assumed"', '["assumed"]'), "status must be one of"),
    "empty source": (swapped('"page 7"', '" "'), "source must be a text"),
    "source a number": (swapped('"page 7"', "7"), "source must be a text"),
    "derivation a number": (GOOD + "derivation = 7\n", "derivation must be a text"),
    "real negative": (GOOD + "energy_real = -1\n", "energy_real must be a finite number"),
    "real nan": (GOOD + "energy_real = nan\n", "energy_real must be a finite number"),
    "real boolean": (GOOD + "energy_real = false\n", "energy_real must be a finite number"),
    "unknown key": (GOOD + "energie = 1\n", "unknown key energie"),
    "no table": (HEAD + "[mine.events]\nspikes = 4\n", "expected a table"),
}


@pytest.mark.parametrize("case", IN_THE_ENTRY)
def test_entries_that_are_refused(case: str, tmp_path: Path) -> None:
    text, message = IN_THE_ENTRY[case]
    path = written(tmp_path, text)
    line = refused(path)
    assert line.startswith(f"{path}: technology mine: spikes") and message in line


IN_THE_TABLE = {
    "unknown event": (GOOD + ENTRY.replace("spikes", "spykes"), "spykes: unknown event; there are: spin_tests"),
    "unknown key": (swapped("node", 'colour = "blue"\nnode'), "unknown key colour"),
    "no title": (swapped('title = "mine"\n', ""), "no title"),
    "no node": (swapped('node = "3 nm"\n', ""), "no node"),
    "no temperature": (swapped("temperature_K = 77\n", ""), "no temperature_K"),
    "no source": (swapped('source = "a datasheet"\n', ""), "no source"),
    "absolute zero": (swapped("77", "0"), "temperature_K must be positive and finite, not 0"),
    "no temperature, nan": (swapped("77", "nan"), "temperature_K must be positive and finite"),
    "temperature a text": (swapped("77", '"77 K"'), "temperature_K must be positive and finite"),
    "node a number": (swapped('"3 nm"', "3"), "node must be a text"),
    "title empty": (swapped('title = "mine"', 'title = ""'), "title must be a text"),
    "no events": (HEAD, "covers no events"),
    "a list for a unit": (HEAD + ENTRY.replace('"fJ"', '["fJ"]'), "unit must be one of"),
    "a list for a parent": (HEAD + 'inherits = ["x"]\n' + ENTRY, "inherits from ['x'], which is not there"),
    "no float holds it": (HEAD.replace("77", "1" + "0" * 400) + ENTRY, "temperature_K must be positive"),
    "a line end in a name": (HEAD + '[mine.events."a\\nb"]\n', "unknown event"),
    "a line end in a key": (HEAD + '"a\\nb" = 1\n' + ENTRY, "unknown key"),
    "empty events": (HEAD + "[mine.events]\n", "covers no events"),
    "events a number": (HEAD + "events = 4\n", "covers no events"),
    "parent absent": (HEAD + 'inherits = "cmos-90nm"\n' + ENTRY, "inherits from 'cmos-90nm', which is not there"),
    "its own parent": (HEAD + 'inherits = "mine"\n' + ENTRY, "inherits from 'mine'"),
    "parent below": (HEAD + 'inherits = "other"\n' + ENTRY + GOOD.replace("mine", "other"), "inherits from 'other'"),
}


@pytest.mark.parametrize("case", IN_THE_TABLE)
def test_tables_that_are_refused(case: str, tmp_path: Path) -> None:
    text, message = IN_THE_TABLE[case]
    path = written(tmp_path, text)
    line = refused(path)
    assert line.startswith(f"{path}: technology mine: ") and message in line


FILES: dict[str, tuple[str | bytes, str]] = {
    "no TOML": ("[mine\n", "no valid TOML: .*line 1"),
    "twice": (GOOD + GOOD, "no valid TOML: .*mine"),
    "JSON": ('{"mine": 1}', "no valid TOML: "),
    "binary": (b"\x89PNG\r\n\x1a\n\xff\xfe\x00", "not a text file"),
    "NUL": (b"a = 1\x00", "no valid TOML: "),
    "empty": ("", "name one of its tables, as .*#NAME: none"),
    "comments": ("# nothing\n", "name one of its tables"),
    "no table": ("mine = 3\n", r"mine: expected a table \[mine\]"),
    "several": (GOOD + GOOD.replace("mine", "other"), "name one of its tables, as .*mine.toml#NAME: mine, other$"),
    "a bad one beside it": (
        GOOD + GOOD.replace("mine", "other").replace("= 4", "= -4"),
        "technology other: spikes: energy must be",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_refused(case: str, tmp_path: Path) -> None:
    text, message = FILES[case]
    path = written(tmp_path, text)
    line = refused(path)
    assert line.startswith(f"{path}: ") and re.search(message, line)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.toml") == f"{tmp_path}/none.toml: no such file or directory"
    assert refused("none.toml#mine") == "none.toml: no such file or directory"
    assert refused(tmp_path) == f"{tmp_path}: is a directory"


def test_a_name_that_is_not_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + GOOD.replace("mine", "other"))
    assert refused(f"{path}#third") == f"{path}: no technology 'third'; there: mine, other"
    # A shipped one is not meant by the name in a file.
    assert "no technology 'loihi'" in refused(f"{path}#loihi")
    assert "no technology 'loihi'" in refused(f"{written(tmp_path, GOOD)}#loihi")


@pytest.mark.parametrize("name", ["cmos", "CMOS-45nm", "loihi2", "cmos-45nm "])
def test_an_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(InputError) as e:
        technology(name)
    assert not isinstance(e.value, FormatError) and "\n" not in str(e.value)
    assert str(e.value) == f"unknown technology {name!r}; there are: {', '.join(RAW)}, and your own FILE.toml"


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + "energy_real = 0.5\nderivation = 'measured'\n")
    for spec in (path, str(path), f"{path}#mine"):
        t = technology(spec)
        assert (t.name, t.title, t.node, t.temperature, t.source) == ("mine", "mine", "3 nm", 77, "a datasheet")
        assert t.figures.keys() == {"spikes"}
        f = t.figures["spikes"]
        assert (f.joules, f.joules_real) == near((4e-15, 5e-16))
        assert (f.status, f.source, f.derivation) == ("assumed", "page 7", "measured")
    assert account(Events(spikes=3, spin_tests=5), t).not_covered == {"spin_tests": 5}
    assert account(Events(spikes=3), t, real_numbers=True).joules == near(1.5e-15)


def test_several_in_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + GOOD.replace("mine", "other").replace("energy = 4", "energy = 9"))
    assert technology(f"{path}#mine").figures["spikes"].joules == near(4e-15)
    assert technology(f"{path}#other").figures["spikes"].joules == near(9e-15)


def test_a_file_may_inherit(tmp_path: Path) -> None:
    shipped = technology("cmos-7nm").figures
    t = technology(written(tmp_path, HEAD + 'inherits = "cmos-7nm"\n' + ENTRY))
    assert t.name == "mine" and t.temperature == 77 and t.figures.keys() == shipped.keys()
    assert t.figures["spikes"].joules == near(4e-15)
    assert all(t.figures[k] == shipped[k] for k in EVENTS if k != "spikes")
    assert technology("cmos-7nm").figures["spikes"].joules == near(0.03e-12), "the parent is as it was"
    # Nothing of its own, and from another of the same file.
    child = HEAD.replace("mine", "child") + 'inherits = "mine"\n'
    path = written(tmp_path, GOOD + child)
    assert technology(f"{path}#child").figures == technology(f"{path}#mine").figures


def test_a_replaced_entry_is_replaced_whole(tmp_path: Path) -> None:
    # The parent's figure for real numbers does not outlive the one for integers.
    text = HEAD + 'inherits = "cmos-45nm"\n' + ENTRY.replace("spikes", "multiply_adds")
    f = technology(written(tmp_path, text)).figures["multiply_adds"]
    assert f.joules == f.joules_real == near(4e-15)


@pytest.mark.parametrize("unit", POWERS)
def test_units(unit: str, tmp_path: Path) -> None:
    f = technology(written(tmp_path, swapped('"fJ"', f'"{unit}"'))).figures["spikes"]
    assert f.joules == near(4 * 10.0 ** POWERS[unit])


def test_a_figure_of_nought_is_a_figure(tmp_path: Path) -> None:
    # Covered, at 0 J: the user says so, with a source.
    a = account(Events(spikes=3), technology(written(tmp_path, swapped("energy = 4", "energy = 0"))))
    assert (a.status, a.joules, a.items) == ("complete", 0, {"spikes": 0})


def test_a_file_without_the_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, GOOD, "mine")
    monkeypatch.chdir(tmp_path)
    assert technology("mine").name == technology("mine#mine").name == "mine"
    # A file cannot hide what comes with the package.
    written(tmp_path, GOOD, "loihi")
    assert technology("loihi") is technologies()["loihi"]


# toml.py, apart from technologies


def test_toml_read_and_parse(tmp_path: Path) -> None:
    assert toml.parse('[a]\nb = "ü"\n', "x") == {"a": {"b": "ü"}}
    assert toml.read(written(tmp_path, '[a]\r\nb = "ü"\r\n')) == {"a": {"b": "ü"}}
    for broken in ("a = ", "a = 1\na = 2\n", '"""', "[a\nb]"):
        with pytest.raises(FormatError) as e:
            toml.parse(broken, "x.toml")
        assert str(e.value).startswith("x.toml: no valid TOML: ") and "\n" not in str(e.value)
        assert (e.value.where, e.value.line) == ("x.toml", None)


def test_toml_choose(tmp_path: Path) -> None:
    seen: list[tuple[dict[str, Any], str]] = []

    def build(content: dict[str, Any], where: str) -> dict[str, int]:
        seen.append((content, where))
        return {k: v["x"] for k, v in content.items()}

    def choose(spec: str | Path) -> int:
        return toml.choose(spec, {"a": 1}, build, "thing")

    assert choose("a") == 1 and seen == []
    path = written(tmp_path, "[a]\nx = 5\n")
    assert choose(path) == choose(f"{path}#a") == 5
    assert seen == [({"a": {"x": 5}}, str(path))] * 2
    with pytest.raises(InputError, match=r"^unknown thing 'b'; there are: a, and your own FILE\.toml$"):
        choose("b")
    with pytest.raises(FormatError, match=r"no thing 'b'; there: a$"):
        choose(f"{path}#b")


# Bounds

K = 1.380649e-23  # exact, by the definition of the kelvin


def barriers(lim: LearningInMemory, rates: Any) -> Any:
    """The spec's E_b [J], at least 0."""
    limit = lim.attempt_rate * (1 - 2 * lim.error) / (1 - lim.error)
    return K * lim.temperature * np.maximum(0.0, np.log(limit / rates))


def tilt(lim: LearningInMemory) -> float:
    return K * lim.temperature * math.log((1 - lim.error) / lim.error)


def rates(updates: int, first_rate: float, n0: float) -> Any:
    return first_rate * n0 / (np.arange(updates) + n0)


def slow(lim: LearningInMemory, updates: int, first_rate: float, n0: float) -> float:
    """The matched barrier's energy, update by update."""
    return math.fsum(barriers(lim, rates(updates, first_rate, n0)).tolist()) + updates * tilt(lim)


LIMS = [LearningInMemory(), LearningInMemory(temperature=77, attempt_rate=1e6, retention=1e4, error=0.2)]


def test_landauer() -> None:
    assert landauer(1) == near(2.87e-21, 1e-3)
    assert landauer(1) == near(K * 300 * math.log(2))
    assert landauer(1000, 77) == near(K * 77000 * math.log(2))
    assert landauer(0) == 0


def test_the_static_barrier() -> None:
    lim = LearningInMemory()
    assert lim.kt == near(K * 300)
    assert round(lim.static_barrier / lim.kt, 1) == 40.3
    assert lim.static_barrier == near(K * 300 * math.log(1e9 * 10 * 365.25 * 86400))
    assert lim.tilt == near(tilt(lim)) and lim.tilt == near(lim.kt * math.log(999))


@pytest.mark.parametrize("lim", LIMS)
def test_the_barrier_lets_updates_follow(lim: LearningInMemory) -> None:
    # What it is for: w0 exp(-E_b/kT) (1 - exp(-dE/kT)) = R.
    for rate in (1e-6, 1.0, 1e5):
        escape = lim.attempt_rate * math.exp(-lim.barrier(rate) / lim.kt)
        assert escape * -math.expm1(-lim.tilt / lim.kt) == near(rate, 1e-9)
        assert lim.barrier(rate) == near(float(barriers(lim, rate)))
    assert lim.barrier(lim.attempt_rate) == lim.barrier(1e300) == 0
    assert lim.barrier(1e-3) - lim.barrier(1.0) == near(lim.kt * math.log(1e3))


@pytest.mark.parametrize("lim", LIMS)
@pytest.mark.parametrize(
    ("updates", "first_rate", "n0"),
    [
        (0, 1e3, 5), (1, 1e3, 5), (7, 1e3, 0.01), (10, 1e3, 1e9), (999, 1e4, 20), (1000, 1e4, 20), (1001, 1e4, 20),
        (5000, 1e3, 5), (5000, 1e3, 1e-2), (5000, 1e3, 1e-30), (50_000, 1e5, 300), (50_000, 1e5, 1e7), (20_000, 1e5, 1e14),
        # Early rates are above the limit and cost no barrier: few of them, more than a thousand, all.
        (500, 3e9, 100), (500, 3e9, 1.0), (5000, 3e9, 100), (5000, 3e9, 1000), (20_000, 1e10, 700), (5000, 1e20, 50),
        (500, 1e20, 50), (20_000, 1.01e9, 1e6),
    ],
)  # fmt: skip
def test_the_matched_barrier_is_the_sum(lim: LearningInMemory, updates: int, first_rate: float, n0: float) -> None:
    assert lim.matched(updates, first_rate, n0) == near(slow(lim, updates, first_rate, n0), 1e-9)


def test_early_rates_are_above_the_limit() -> None:
    # The cases above do meet the threshold, on both sides of a thousand.
    lim = LearningInMemory()
    free = [int(np.sum(barriers(lim, rates(*case)) == 0)) for case in ((500, 3e9, 100), (5000, 3e9, 1000))]
    assert 0 < free[0] < 500 and 1000 < free[1] < 5000
    assert lim.matched(5000, 1e20, 50) == near(5000 * lim.tilt)


@pytest.mark.parametrize("lim", LIMS)
@pytest.mark.parametrize(
    ("updates", "first_rate", "n0"), [(50, 1e3, 5), (3000, 1e3, 5), (3000, 1e12, 50), (10_000, 0.1, 1e4)]
)
def test_matching_is_cheaper_than_the_wall(lim: LearningInMemory, updates: int, first_rate: float, n0: float) -> None:
    assert rates(updates, first_rate, n0)[-1] >= 1 / lim.retention
    assert 0 < updates * lim.tilt <= lim.matched(updates, first_rate, n0) < lim.update_wall(updates)
    assert lim.update_wall(updates) == near(
        updates * (K * lim.temperature * math.log(lim.attempt_rate * lim.retention) + tilt(lim))
    )


def test_matching_is_dearer_where_updates_are_rarer_than_forgetting() -> None:
    lim = LearningInMemory()
    assert lim.matched(50, 1e-3 / lim.retention, 5) > lim.update_wall(50)


@pytest.mark.parametrize("lim", LIMS)
def test_consolidation(lim: LearningInMemory) -> None:
    barrier = K * lim.temperature * math.log(lim.attempt_rate * lim.retention)
    assert lim.consolidation(800) == near(800 * barrier)
    assert lim.consolidation(800, 4) == near(3200 * barrier)
    assert lim.consolidation(0) == 0


@pytest.mark.parametrize("lim", LIMS)
@pytest.mark.parametrize(
    ("each", "parameters", "seconds", "time_constants"),
    [
        (1, 10, 2.0, 1.0), (40, 60, 0.5, 1.0), (40, 60, 0.5, 20.0),
        (4000, 7, 3.0, 1.0), (4000, 7, 3.0, 0.01), (4000, 7, 30.0, 50.0),
    ],
)  # fmt: skip
def test_updates_take_as_long_as_the_solve(
    lim: LearningInMemory, each: int, parameters: int, seconds: float, time_constants: float
) -> None:
    b = bounds(each * parameters, parameters, seconds, time_constants=time_constants, constants=lim)
    n0 = each / time_constants
    # R_0 from the bound itself: a parameter's barriers sum to kT (N ln(limit/R_0) + sum ln(1 + n/n0)).
    limit = lim.attempt_rate * (1 - 2 * lim.error) / (1 - lim.error)
    logs = math.fsum(math.log1p(n / n0) for n in range(each))
    heights = b.matched_barrier / parameters - each * tilt(lim)
    first_rate = limit / math.exp((heights / (K * lim.temperature) - logs) / each)
    assert first_rate < limit, "or barriers of 0 would hide it"
    assert math.fsum((1 / rates(each, first_rate, n0)).tolist()) == near(seconds, 1e-8)
    assert b.matched_barrier == near(parameters * slow(lim, each, first_rate, n0), 1e-8)
    assert b.landauer == near(landauer(each * parameters, lim.temperature))
    assert b.update_wall == near(lim.update_wall(each * parameters))
    assert b.consolidation == near(lim.consolidation(parameters))
    assert b.landauer < b.matched_barrier < b.update_wall


def test_updates_that_are_no_multiple_of_the_parameters() -> None:
    # 2.5 a parameter: priced as 2, and scaled.
    lim = LearningInMemory()
    b = bounds(250, 100, 1.0)
    first_rate = 2 + 1 / 2.5
    assert b.matched_barrier == near(slow(lim, 2, first_rate, 2.5) * 125)
    assert bounds(1, 100, 1.0).matched_barrier == near(slow(lim, 1, 1.0, 0.01)), "one spike in all"


def test_no_updates() -> None:
    b = bounds(0, 60, 1.0)
    assert (b.landauer, b.update_wall, b.matched_barrier) == (0, 0, 0)
    assert b.consolidation == near(LearningInMemory().consolidation(60))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LearningInMemory(error=0.5), "error must be below 1/2"),
        (lambda: LearningInMemory(error=0.7), "error must be below 1/2"),
        (lambda: LearningInMemory(error=0), "error must be positive"),
        (lambda: LearningInMemory(error=math.nan), "error must be positive"),
        (lambda: LearningInMemory(temperature=-300), "temperature must be positive"),
        (lambda: LearningInMemory(temperature=math.nan), "temperature must be positive"),
        (lambda: LearningInMemory(temperature=math.inf), "temperature must be positive and finite"),
        (lambda: LearningInMemory(attempt_rate=0), "attempt_rate must be positive"),
        (lambda: LearningInMemory(retention=True), "retention must be positive"),
        (lambda: LearningInMemory(attempt_rate=1e-3, retention=1e3), "attempt_rate x retention must be above 1"),
        (lambda: LearningInMemory().barrier(0), "rate must be positive"),
        (lambda: LearningInMemory().matched(-1, 1.0, 1.0), "updates must be an integer from 0"),
        (lambda: LearningInMemory().matched(1.5, 1.0, 1.0), "updates must be an integer"),  # type: ignore[arg-type]
        (lambda: LearningInMemory().matched(1, -1.0, 1.0), "first_rate must be positive"),
        (lambda: LearningInMemory().matched(1, 1.0, math.nan), "n0 must be positive"),
        (lambda: landauer(-1), "bits must be"),
        (lambda: landauer(math.nan), "bits must be"),
        (lambda: landauer(1, 0), "temperature must be positive"),
        (lambda: bounds(-5, 5, 1.0), "updates must be an integer from 0"),
        (lambda: bounds(0, 5, -1.0), "seconds must be positive"),
        (lambda: bounds(math.nan, 5, 1.0), "updates must be an integer"),  # type: ignore[arg-type]
        (lambda: LearningInMemory().update_wall(-5), "updates must be a finite number, at least 0"),
        (lambda: LearningInMemory().consolidation(-5), "parameters must be a finite number, at least 0"),
        (lambda: account({"spikes": 10**400}, technology()), "the count of spikes must be an integer"),
        (lambda: technology(""), "unknown technology ''"),
        (lambda: technology("#loihi"), "unknown technology"),
        (lambda: technology("x" * 300), "unknown technology"),
        (lambda: technology(5), "technology must be a name or a file"),  # type: ignore[arg-type]
        (lambda: technology("\0.toml"), "embedded null"),
        (lambda: bounds(5, 0, 1.0), "parameters must be an integer from 1"),
        (lambda: bounds(5, -5, 1.0), "parameters must be an integer from 1"),
        (lambda: bounds(5, 5, 0.0), "seconds must be positive"),
        (lambda: bounds(5, 5, math.nan), "seconds must be positive"),
        (lambda: bounds(5, 5, 1.0, time_constants=-1.0), "time_constants must be positive"),
        (lambda: bounds(5, 5, 1.0, time_constants=math.nan), "time_constants must be positive"),
    ],
)
def test_bounds_that_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=f"^.*{re.escape(message)}.*$"):
        call()


# What solves count

GRAPH = "nx:random_regular_graph(d=3,n=60,seed=1)"
SMALL = "nx:random_regular_graph(d=3,n=12,seed=1)"
REALS = GRAPH + ";weights=gauss;wseed=2"
RUNS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sa": (GRAPH, "sa", {"num_sweeps": 50, "num_reads": 4}),
    "sa, real": (REALS, "sa", {"num_sweeps": 50, "num_reads": 4}),
    "neurosa": (GRAPH, "neurosa", {"num_sweeps": 50, "num_reads": 2}),
    "neurosa, real": (REALS, "neurosa", {"num_sweeps": 50}),
    "ensemble": (GRAPH, "ensemble", {"num_sweeps": 40, "num_reads": 2}),
    "exact": (SMALL, "exact", {}),
}


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {
        k: fnanneal.solve(problem, solver, seed=1, threads=1, **budget) for k, (problem, solver, budget) in RUNS.items()
    }


@pytest.mark.parametrize("run", RUNS)
def test_a_result_carries_its_account(run: str, results: dict[str, Result]) -> None:
    r, real = results[run], "real" in run
    e = r.energy
    assert e.real_numbers == real and e.events == r.events
    assert e.account == account(r.events, technology(), real_numbers=real)
    assert e.account.status == "complete" and e.account.joules is not None and e.account.joules > 0
    counts = asdict(r.events)
    hand = sum(counts[k] * by_hand("cmos-45nm", k, real) for k in EVENTS)
    assert e.account.joules == near(float(hand))
    assert counts["spin_tests"] >= counts["spikes"] > 0 and counts["synaptic_events"] > 0
    assert counts["weight_pulses"] == counts["multiply_adds"] == 0
    assert all(type(v) is int for v in counts.values())
    best = asdict(e.events_to_best)
    assert all(0 <= best[k] <= counts[k] for k in EVENTS)
    assert e.measured is None or e.measured.joules > 0
    # A spike overwrites a bit; the answer is kept, a bit a spin.
    assert e.bounds.landauer == near(landauer(r.events.spikes))
    assert e.bounds.update_wall == near(LearningInMemory().update_wall(r.events.spikes))
    assert e.bounds.consolidation == near(LearningInMemory().consolidation(r.problem.n))
    assert 0 < e.bounds.matched_barrier < e.bounds.update_wall < e.account.joules


@pytest.mark.parametrize("run", ["sa", "sa, real", "neurosa", "neurosa, real"])
def test_events_are_what_the_formulas_say(run: str, results: dict[str, Result]) -> None:
    r = results[run]
    e, width = r.events, 8 if "real" in run else 4
    reads = r.num_reads
    assert e.spin_tests == e.threshold_draws == 50 * 60 * reads
    # One temperature a sweep, or, as the paper has it, one a step.
    assert e.timer_reads == (50 * reads if run.startswith("sa") else e.spin_tests)
    assert e.synaptic_events == 3 * e.spikes, "three neighbours each"
    drawn = 4 if run.startswith("sa") else 16
    # A test reads a spin, a field and random words; a spike writes a spin; a synaptic event reads a number, a weight
    # and a field, and writes the field.
    assert e.bytes_moved == e.spin_tests * (1 + width + drawn) + e.spikes + e.synaptic_events * (4 + 3 * width)


def test_events_of_the_others(results: dict[str, Result]) -> None:
    exact, ensemble = results["exact"].events, results["ensemble"].events
    # A bit of symmetry is fixed; nothing is drawn, and there is no temperature.
    assert exact.spin_tests == 2**11 and exact.threshold_draws == exact.timer_reads == 0
    assert exact.bytes_moved == exact.spikes * 24 * 12
    assert ensemble.threshold_draws == ensemble.spin_tests >= 40 * 2 * 60
    assert ensemble.spin_tests > ensemble.timer_reads > 0 and ensemble.crossover_operations > 0


@pytest.mark.parametrize("run", RUNS)
def test_the_json_form(run: str, results: dict[str, Result]) -> None:
    r = results[run]
    d = json.loads(json.dumps(r.to_dict(), allow_nan=False))["energy"]
    assert d.keys() == {
        "technology", "status", "joules", "items", "not_covered", "bounds", "measured", "real_numbers",
        "events", "events_to_best",
    }  # fmt: skip
    assert d["events"] == asdict(r.events) and d["events_to_best"] == asdict(r.energy.events_to_best)
    assert d["bounds"] == asdict(r.energy.bounds)
    assert d["bounds"].keys() == {"landauer", "update_wall", "matched_barrier", "consolidation"}
    assert d["joules"] == near(sum(d["items"].values())) and d["not_covered"] == {}
    # Modelled and measured never share a field.
    assert d["measured"] is None or "joules" in d["measured"]
    # What was saved can be priced again.
    assert account(d["events"], technology(), real_numbers=d["real_numbers"]) == r.energy.account


def test_solve_takes_a_technology(tmp_path: Path, results: dict[str, Result]) -> None:
    def solved(spec: str | Path | Technology) -> Result:
        return fnanneal.solve(GRAPH, "sa", seed=1, threads=1, num_sweeps=50, num_reads=4, technology=spec)

    before = results["sa"].events
    by_name = solved("truenorth")
    assert by_name.events == before
    assert by_name.energy.account == account(before, technology("truenorth"))
    assert by_name.energy.account.joules == near(before.synaptic_events * 2.5e-12)
    assert by_name.energy.account.status == "partial"
    assert by_name.energy.account.not_covered == {
        k: v for k, v in asdict(before).items() if v and k != "synaptic_events"
    }
    path = written(tmp_path, GOOD)
    for spec in (path, str(path), technology(path)):
        assert solved(spec).energy.account.joules == near(before.spikes * 4e-15)
    nothing = solved("fn-dam").energy.account
    assert (nothing.joules, nothing.items, nothing.status) == (None, {}, "partial")


@pytest.mark.parametrize(
    ("spec", "message"), [("nope", "unknown technology 'nope'"), ("none.toml", "none.toml: no such")]
)
def test_solve_refuses_a_technology(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}.*$"):
        fnanneal.solve(SMALL, "exact", technology=spec)


def test_pulses_are_counted_and_priced() -> None:
    r = fnanneal.solve(
        GRAPH, "sa", seed=1, threads=1, num_sweeps=20, num_reads=2, weights="fn-dam", technology="fn-dam"
    )
    pulses = r.to_dict()["weights"]["programming"]["pulses"]
    assert r.events.weight_pulses == r.energy.events_to_best.weight_pulses == pulses > 0
    assert r.energy.account.joules == near(pulses * 5e-15) and r.energy.account.status == "partial"
    assert r.energy.account.not_covered == {k: v for k, v in asdict(replace(r.events, weight_pulses=0)).items() if v}
    # What is read from analog cells is real, whatever was programmed.
    assert r.energy.real_numbers


@pytest.mark.parametrize(("solver", "settings"), [("ensemble", {}), ("sa", {"schedule": "fn"})])
@pytest.mark.parametrize("kappa", [30.0, 100.0, 1e3, 1e300])
def test_any_knob_of_the_timer_has_bounds(solver: str, settings: dict[str, Any], kappa: float) -> None:
    r = fnanneal.solve(
        "nx:random_regular_graph(d=3,n=60,seed=1)", solver, kappa=kappa, seed=1, num_sweeps=1500, **settings
    )
    b = r.energy.bounds
    assert 0 < b.matched_barrier < b.update_wall and math.isfinite(b.matched_barrier)


@pytest.mark.parametrize(
    ("couplings", "real_numbers"), [((0.5, -1.5), False), ((1, 3), False), ((2**40, 3), True), ((0.1, 0.2), True)]
)
def test_real_numbers_are_those_of_the_kernels(couplings: tuple[float, float], real_numbers: bool) -> None:
    # Halves become integers in units of a half; integers that no int32 holds become floats.
    problem = fnanneal.load(({"a": 1, "b": -1, "c": 1}, {("a", "b"): couplings[0], ("b", "c"): couplings[1]}))
    for solver in ("sa", "neurosa", "ensemble"):
        assert fnanneal.solve(problem, solver, seed=1, num_sweeps=20).energy.real_numbers == real_numbers


def test_a_file_may_be_called_as_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("technologies.toml").write_text(HEAD + 'inherits = "loihi"\n')
    assert technology("technologies.toml").figures == technology("loihi").figures


def test_numpy_counts() -> None:
    assert account({"spikes": np.int64(3)}, technology()) == account({"spikes": 3}, technology())
    nothing = account({}, technology()).joules
    assert nothing == 0 and isinstance(nothing, float)


@pytest.mark.parametrize("text", ["x = " + "1" * 5000, "x = " + "[" * 100_000])
def test_what_the_parser_gives_up_on(text: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no valid TOML"):
        technology(written(tmp_path, text))
