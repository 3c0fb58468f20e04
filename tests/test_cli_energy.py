"""``fnanneal energy``: what it prints, what it draws, and the one line that bad input gets."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from importlib.util import find_spec

import pytest

from fnanneal.energy import Events, account, technologies, technology
from fnanneal.energy.ledger import EVENTS

from .test_cli import COMMAND, inside, process

GRAPH = "nx:random_regular_graph(d=3,n=60,seed=1)"
MINE = """[mine]
title = "mine"
node = "3 nm"
temperature_K = 77
source = "a datasheet"
[mine.events.spikes]
energy = 4
unit = "fJ"
status = "assumed"
source = "page 7"
"""
FACTS = ("events", "events_to_best", "real_numbers", "bounds", "measured")
drawn = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib")


@pytest.fixture(scope="module")
def printed():
    """What `solve --json` printed."""
    return process(
        "solve", GRAPH, "--solver", "sa", "--num-sweeps", 20, "--num-reads", 4, "--seed", 1, "--threads", 1, "--json"
    )


@pytest.fixture
def result(printed):
    """The same as a dictionary of one's own, with the best found halfway: in so short a run it may come at the end."""
    d = json.loads(printed)
    d["energy"]["events_to_best"] = {k: v // 2 for k, v in d["energy"]["events"].items()}
    return d


@pytest.fixture
def saved(result, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(result))
    return path


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


@pytest.fixture
def cli(capfdbinary, monkeypatch):
    """The command in this process: its standard output."""

    def run(*arguments, stdin=b""):
        code, out, err = inside(["energy", *arguments], stdin, capfdbinary, monkeypatch)
        assert (code, err.decode()) == (0, "")
        return out.decode()

    return run


@pytest.fixture
def refused(capfdbinary, monkeypatch):
    """Run, expect one line on standard error and nothing on the other, and give it."""

    def one_line(*arguments, stdin=b""):
        code, out, err = inside(["energy", *arguments], stdin, capfdbinary, monkeypatch)
        lines = err.decode().splitlines()
        assert code == 2 and len(lines) == 1 and lines[0].startswith("fnanneal: error: "), err.decode()
        assert err.endswith(b"\n") and b"Traceback" not in err and len(err) < 800
        assert out == b""
        return lines[0].removeprefix("fnanneal: error: ")

    return one_line


def table(text):
    """The modelled part of the table: cells by technology."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("modelled under"))
    rows = [re.split(r" {2,}", line.strip()) for line in lines[start + 1 : lines.index("", start)]]
    return {row[0]: row[1:] for row in rows}


def joules_of(text):
    """A cell such as 1.37 uJ."""
    number, unit = text.split()
    return float(number) * {"J": 1, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15}[unit]


def test_the_table(cli, saved, result):
    text = cli(saved)
    rows = table(text)
    assert list(rows) == list(technologies())
    for name, t in technologies().items():
        whole = account(result["energy"]["events"], t)
        best = account(result["energy"]["events_to_best"], t)
        cells = rows[name]
        assert cells[2] == whole.status
        for cell, joules in ((cells[0], whole.joules), (cells[1], best.joules)):
            assert (cell == "-") == (joules is None), "never 0 J"
            assert joules is None or joules_of(cell) == pytest.approx(joules, rel=5.1e-3, abs=0)
        assert cells[3:] == ([", ".join(whole.not_covered)] if whole.not_covered else [])
    assert rows["fn-dam"][:3] == ["-", "-", "partial"] and "synaptic_events" in rows["fn-dam"][3]
    assert f"{GRAPH}, sa, objective {result['objective']}, " in text.splitlines()[0]
    assert f"{result['energy']['events']['spikes']} spikes" in text
    assert "multiply adds" not in text, "what did not happen is not named"
    # Bounds stand below, labelled; measured stands apart from modelled.
    assert text.index("modelled under") < text.index("lower bounds") < text.index("\nmeasured ")
    assert "Landauer" in text and text.count("our reconstruction") == 3
    assert "\x1b" not in text


def test_as_a_process(printed, tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(printed)
    from_file = process("energy", path)
    assert process("energy", "-", stdin=printed) == from_file and b"cmos-45nm" in from_file


def test_json(cli, saved, result):
    text = cli(saved, "--json")
    assert text.count("\n") == 1
    d = json.loads(text)
    assert d.keys() == {"problem", "solver", "technologies", *FACTS}
    assert (d["problem"], d["solver"]) == (result["problem"], "sa")
    assert {k: d[k] for k in FACTS} == {k: result["energy"][k] for k in FACTS}
    assert [row["technology"] for row in d["technologies"]] == list(technologies())
    for row in d["technologies"]:
        whole = account(d["events"], technology(row["technology"]))
        best = account(d["events_to_best"], technology(row["technology"]))
        assert row == {
            "technology": whole.technology, "status": whole.status, "joules": whole.joules,
            "joules_to_best": best.joules, "items": whole.items, "not_covered": whole.not_covered,
        }  # fmt: skip
    default = d["technologies"][0]
    assert (default["technology"], default["joules"]) == ("cmos-45nm", result["energy"]["joules"])
    assert json.loads(cli("-", "--json", stdin=saved.read_bytes())) == d


def test_real_numbers_are_priced_as_such(cli, result):
    result["energy"]["real_numbers"] = True
    d = json.loads(cli("-", "--json", "--technology", "cmos-7nm", stdin=json.dumps(result).encode()))
    assert d["technologies"][0]["joules"] == account(d["events"], technology("cmos-7nm"), real_numbers=True).joules
    assert d["technologies"][0]["joules"] > account(d["events"], technology("cmos-7nm")).joules


def test_a_measurement_stands_by_itself(cli, result):
    without = table(cli("-", stdin=json.dumps(result).encode()))
    result["energy"]["measured"] = {
        "joules": 3.5, "gross_joules": 9.0, "baseline_watts": 1.0, "seconds": 5.5, "repetitions": 1,
        "counters": ["package-0"],
    }  # fmt: skip
    text = cli("-", stdin=json.dumps(result).encode())
    assert "measured    3.5 J above the idle baseline" in text and table(text) == without
    result["energy"]["measured"] = None
    assert "measured    nothing: no counter" in cli("-", stdin=json.dumps(result).encode())


def test_technologies_are_chosen(cli, saved, mine, result):
    text = cli(saved, "--technology", "truenorth", "--technology", mine, "--technology", f"{mine}#mine")
    assert list(table(text)) == ["truenorth", "mine"]
    d = json.loads(cli(saved, "--technology", mine, "--technology", "truenorth", "--json"))
    assert [row["technology"] for row in d["technologies"]] == ["mine", "truenorth"]
    spikes = result["energy"]["events"]["spikes"]
    assert d["technologies"][0]["joules"] == pytest.approx(4e-15 * spikes, rel=1e-12, abs=0)
    assert "spikes" not in d["technologies"][0]["not_covered"] and d["technologies"][0]["status"] == "partial"


def test_a_problem_is_solved(cli):
    d = json.loads(cli(GRAPH, "--time-limit", 0.2, "--solver", "sa", "--seed", 1, "--json"))
    assert (d["solver"], d["problem"]["n"], d["problem"]["name"]) == ("sa", 60, GRAPH)
    assert d["events"].keys() == set(EVENTS) and d["events"]["spin_tests"] > 0
    assert account(d["events"], technology()).joules == d["technologies"][0]["joules"] > 0
    assert Events(**d["events"]).timer_reads * 60 == d["events"]["spin_tests"], "sa reads its timer once a sweep"


def test_a_problem_is_solved_for_people(cli, tmp_path):
    path = tmp_path / "ring.txt"
    path.write_text("6 6\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 6 1\n6 1 1\n")
    text = cli(path, "--solver", "exact")
    assert text.startswith("ring, exact, objective 6, ") and list(table(text)) == list(technologies())
    # A problem in JSON is not taken for a result.
    path = tmp_path / "ising.json"
    path.write_text('{"fnanneal": 1, "kind": "ising", "n": 2, "rows": [0], "cols": [1], "weights": [2]}')
    assert cli(path, "--solver", "exact").startswith("ising, exact, objective -2, ")


def test_list(cli):
    text = cli("--list")
    blocks = {b.split(":")[0]: b for b in text.strip().split("\n\n")}
    assert list(blocks) == list(technologies())
    for name, t in technologies().items():
        head, source, *figures = blocks[name].splitlines()
        assert head == f"{name}: {t.title}; node {t.node}, {t.temperature:g} K" and source.strip() == t.source
        assert [line.split()[0] for line in figures] == list(t.figures)
        for line, (event, f) in zip(figures, t.figures.items(), strict=True):
            words = line.split()
            assert joules_of(" ".join(words[1:3])) == pytest.approx(f.joules, rel=5.1e-3, abs=0), event
            assert f"  {f.status}" in line
            assert line.endswith(f"[{f.source}]") and (f.derivation in line or f.derivation == "-")
            assert ("on real numbers" in line) == (f.joules_real != f.joules)
    # Between them they name every event.
    assert all(f"\n    {event} " in text for event in EVENTS)


def test_list_of_those_chosen(cli, mine):
    text = cli("--list", "--technology", mine, "--technology", "loihi")
    assert [line.split(":")[0] for line in text.splitlines() if line and line[0] != " "] == ["mine", "loihi"]
    assert "4 fJ" in text and "[page 7]" in text and "a datasheet" in text


def test_list_json(cli):
    every = json.loads(cli("--list", "--json"))
    d = {t["name"]: t for t in every}
    assert list(d) == list(technologies())
    for name, t in technologies().items():
        assert {k: d[name][k] for k in ("name", "title", "node", "temperature", "source")} == {
            "name": t.name, "title": t.title, "node": t.node, "temperature": t.temperature, "source": t.source,
        }  # fmt: skip
        assert {k: f["joules"] for k, f in d[name]["figures"].items()} == {k: f.joules for k, f in t.figures.items()}
        assert all(f["source"] and f["status"] for f in d[name]["figures"].values())
    assert [t["name"] for t in json.loads(cli("--list", "--json", "--technology", "loihi"))] == ["loihi"]


@drawn
@pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_plot(suffix, magic, cli, saved, tmp_path):
    path = tmp_path / f"x.{suffix}"
    text = cli(saved, "--plot", path)
    assert text == cli(saved), "the table is printed as without a picture"
    content = path.read_bytes()
    assert content.startswith(magic) and len(content) > 3000
    cli(saved, "--plot", tmp_path / f"again.{suffix}")
    assert (tmp_path / f"again.{suffix}").read_bytes() == content


@drawn
def test_the_plot_says_what_it_shows(cli, saved, result, tmp_path, monkeypatch):
    # Text as text, not as outlines.
    monkeypatch.setitem(__import__("matplotlib").rcParams, "svg.fonttype", "none")
    path = tmp_path / "x.svg"
    cli(saved, "--plot", path)
    text = path.read_text()
    assert "energy [J]" in text and "our reconstruction" in text and "Landauer" in text
    for name, t in technologies().items():
        a = account(result["energy"]["events"], t)
        label = name + " (partial)" * (a.status == "partial")
        assert (f">{label}<" in text) == bool(a.joules), "no bar for what is not covered at all"
    assert ">measured<" not in text
    result["energy"]["measured"] = {"joules": 3.5}
    cli("-", "--plot", path, stdin=json.dumps(result).encode())
    assert ">measured<" in path.read_text()


@drawn
@pytest.mark.parametrize("chosen", [["fn-dam"], ["loihi"], ["fn-dam", "cmos-45nm"]])
def test_a_plot_of_little(chosen, cli, result, tmp_path):
    # Nothing covered, no spikes, hence next to nothing to draw: filterwarnings would raise.
    result["energy"]["events"] = result["energy"]["events_to_best"] = {"spin_tests": 5}
    result["energy"]["bounds"] |= dict.fromkeys(("landauer", "update_wall", "matched_barrier"), 0.0)
    path = tmp_path / "x.svg"
    cli("-", "--plot", path, *(x for t in chosen for x in ("--technology", t)), stdin=json.dumps(result).encode())
    assert path.stat().st_size > 3000


# Refusals


def changed(result, *path, value=None):
    """A copy with one entry replaced, or left out where no value is given."""
    d = copy.deepcopy(result)
    at = d
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return json.dumps(d).encode()


def test_no_argument(refused, saved):
    assert "give a result" in refused() and "--list" in refused()
    assert refused("--json") == refused()
    assert refused("--list", saved) == "--list takes no result, no problem and no --plot" == refused(GRAPH, "--list")
    assert refused("--list", "--plot", "x.svg") == refused("--list", saved)
    for option in (("--solver", "sa"), ("--time-limit", 1), ("--seed", 3)):
        assert "are for a problem; this is a result" in refused(saved, *option)


@pytest.mark.parametrize(
    "path",
    [
        ("energy",), ("time",), ("problem",), ("solver",), ("objective",), ("energy", "events"),
        ("energy", "events_to_best"), ("energy", "real_numbers"), ("energy", "bounds"), ("energy", "measured"),
        ("time", "solve_s"), ("problem", "n"), ("problem", "name"),
    ],
    ids=".".join,
)  # fmt: skip
def test_a_result_that_lacks_something(path, refused, result, tmp_path):
    text = changed(result, *path)
    assert refused("-", stdin=text) == "<stdin>: this is not what `fnanneal solve --json` prints"
    (tmp_path / "r.json").write_bytes(text)
    assert refused(tmp_path / "r.json") == f"{tmp_path}/r.json: this is not what `fnanneal solve --json` prints"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("energy",), "much"),
        (("energy", "events"), [1, 2]),
        (("energy", "events_to_best"), 3),
        (("energy", "bounds"), 3),
        (("energy", "bounds", "landauer"), "little"),
        (("energy", "measured"), {"watts": 3}),
        (("energy", "measured"), {"joules": "3"}),
        (("energy", "measured"), 3.5),
        (("energy", "real_numbers"), 1),
        (("time", "solve_s"), "1 s"),
        (("time",), 1.0),
        (("problem",), "G1"),
        (("problem", "n"), "60"),
        (("problem", "name"), ["G1"]),
        (("objective",), "76"),
        (("objective",), [76]),
        (("solver",), 3),
    ],
    ids=repr,
)
def test_a_result_with_something_else(path, value, refused, result):
    assert (
        refused("-", stdin=changed(result, *path, value=value))
        == "<stdin>: this is not what `fnanneal solve --json` prints"
    )


@pytest.mark.parametrize("which", ["events", "events_to_best"])
@pytest.mark.parametrize(
    ("events", "message"),
    [
        ({"spykes": 3}, "unknown event 'spykes'; there are: spin_tests"),
        ({"spikes": -3}, "the count of spikes must be an integer from 0"),
        ({"spikes": 3.5}, "the count of spikes must be an integer from 0"),
        ({"spikes": True}, "the count of spikes must be an integer from 0"),
        ({"spikes": "3"}, "the count of spikes must be an integer from 0"),
        ({"spikes": float("inf")}, "the count of spikes must be an integer from 0"),
    ],
)
def test_events_in_a_result(which, events, message, refused, result):
    assert message in refused("-", stdin=changed(result, "energy", which, value=events))
    assert message in refused("-", "--json", stdin=changed(result, "energy", which, value=events))


@pytest.mark.parametrize("text", [b"[]", b"3", b"null", b'"r"', b"{}", b'{"schema": 1}'])
def test_standard_input_that_is_no_result(text, refused):
    assert refused("-", stdin=text) == "<stdin>: this is not what `fnanneal solve --json` prints"


@pytest.mark.parametrize("text", [b"", b"\n", b"6 6\n1 2 1\n", b"cut 6\n", b'{"schema": 1,}'])
def test_standard_input_that_is_no_json(text, refused):
    assert re.match(r"<stdin>: line \d+: no valid JSON: ", refused("-", stdin=text))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_result(share, refused, printed, tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(printed[: int(share * len(printed))])
    assert refused(path).startswith(f"{path}: line 1: no valid JSON: ")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"{}"), ("a.json", b'{"a": 1}'), ("a.json", b"[1, 2]"), ("a.json", b""),
        ("a.json", b'{"a": "\xff"}'), ("r.txt", b"problem   ring: Max-Cut\ncut   6\n"),
    ],
)  # fmt: skip
def test_a_file_that_is_neither_a_result_nor_a_problem(name, content, refused, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name).startswith(f"{tmp_path / name}: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.json"], "none.json"),
        (["G999"], "did you mean"),
        ([GRAPH, "--time-limit", "0"], "time_limit must be positive"),
        ([GRAPH, "--time-limit", "nan"], "time_limit must be positive"),
        ([GRAPH, "--time-limit", "soon"], "--time-limit"),
        ([GRAPH, "--solver", "as"], "unknown solver 'as'"),
        ([GRAPH, "--seed", "-1"], "seed must be an integer"),
        ([GRAPH, GRAPH], "unexpected"),
        (["--lists"], "No such option"),
    ],
)
def test_problems_and_options_that_are_refused(arguments, message, refused):
    assert message in refused(*arguments)


@pytest.mark.parametrize("where", [[], ["--list"], ["--list", "--json"]])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file or directory"),
        (MINE.replace("= 4", "= -4"), "technology mine: spikes: energy must be a finite number, at least 0, not -4"),
        (MINE.replace("energy = 4\n", ""), "technology mine: spikes: no energy"),
        (MINE.replace('unit = "fJ"\n', ""), "technology mine: spikes: no unit"),
        (MINE.replace('source = "page 7"\n', ""), "technology mine: spikes: no source"),
        (MINE + MINE.replace("mine", "other"), "name one of its tables"),
        ("mine", "no valid TOML"),
    ],
)
def test_technology_files_that_are_refused(where, content, message, refused, saved, mine):
    mine.unlink() if content is None else mine.write_text(content)
    line = refused(*(where or [saved]), "--technology", "loihi", "--technology", mine)
    assert line.startswith(f"{mine}: ") and message in line


def test_an_unknown_technology(refused, saved):
    line = refused(saved, "--technology", "loihi2")
    assert line.startswith("unknown technology 'loihi2'; there are: ") and all(name in line for name in technologies())
    # It is looked at first: no problem is solved in vain.
    assert refused("G999", "--technology", "loihi2") == line == refused("--list", "--technology", "loihi2")


@pytest.mark.parametrize(("name", "message"), [
    ("x.txt", "a picture is one of .png, .svg, .pdf"), ("x", "a picture is one of"), ("none/x.svg", "cannot write"),
    (".svg", "a picture is one of"),
])  # fmt: skip
def test_plots_that_are_refused(name, message, refused, saved, tmp_path):
    assert message in refused(saved, "--plot", tmp_path / name)
    assert not (tmp_path / name).exists()
    # Before any work, too.
    assert message in refused("G999", "--plot", tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ([], b"", "give a result"),
        (["-"], b'{"schema": 1', "<stdin>: line 1: no valid JSON"),
        (["-", "--technology", "none.toml"], b"{}", "none.toml: no such file or directory"),
    ],
)
def test_refusals_as_a_process(arguments, stdin, message):
    done = subprocess.run([*COMMAND, "energy", *arguments], input=stdin, capture_output=True, timeout=60, check=False)
    text = done.stderr.decode()
    assert (done.returncode, done.stdout, text.count("\n")) == (2, b"", 1)
    assert text.startswith("fnanneal: error: ") and message in text
