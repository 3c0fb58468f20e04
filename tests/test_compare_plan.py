"""Plans: from arguments, TOML and presets; their cells, keys and commands."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnanneal.compare.cells import Budget, Cell, SolverSpec
from fnanneal.compare.plan import ProblemSpec, estimate, make_plan, read_plan
from fnanneal.compare.presets import PRESETS, preset
from fnanneal.errors import FormatError, InputError

TRIANGLE = "3 3\n1 2 1\n2 3 1\n1 3 1\n"


def cell(**changes: Any) -> Cell:
    about: dict[str, Any] = {
        "kind": "spins",
        "problem": "gset:G1",
        "identity": "gset:G1",
        "solver": SolverSpec.parse("sa:num_reads=4"),
        "seed": 3,
        "budget": Budget(seconds=2.0),
    }
    return Cell(**{**about, **changes})


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert text and "\n" not in text
    return text


words = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
values = st.one_of(st.integers(-(10**9), 10**9), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), words)


@given(words, st.dictionaries(words.filter(str.isidentifier), values, max_size=4))
def test_a_label_is_read_back(name: str, settings: dict[str, Any]) -> None:
    settings = {k: v for k, v in settings.items() if v not in ("True", "False", "None")}
    spec = SolverSpec.of(name, settings)
    assert SolverSpec.parse(spec.label) == spec


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a,b", ["a", "b"]),
        (" a , b:x=1:y=z,", ["a", "b:x=1:y=z"]),
        ("sa:beta_range=(0.1,3.0),b:q='x,y'", ["sa:beta_range=(0.1, 3.0)", "b:q=x,y"]),
        ("a:x=[1,(2,3)],b", ["a:x=[1, (2, 3)]", "b"]),
    ],
)
def test_lists_of_solvers(text: str, labels: list[str]) -> None:
    assert [s.label for s in SolverSpec.parse_list(text)] == labels


@pytest.mark.parametrize("text", ["", ":a=1", "sa:a", "sa:1a=2", "sa:a=1:a=2"])
def test_a_wrong_solver_is_one_line(text: str) -> None:
    with pytest.raises(InputError) as e:
        SolverSpec.parse(text)
    one_line(e)


@pytest.mark.parametrize("about", [{}, {"seconds": 1.0, "spin_tests": 5}, {"seconds": 0}, {"seconds": float("nan")}, {"spin_tests": 0}, {"spin_tests": 1.5}])  # fmt: skip
def test_a_wrong_budget(about: dict[str, Any]) -> None:
    with pytest.raises(InputError) as e:
        Budget(**about)
    one_line(e)


def test_a_cell_is_what_it_does_not_what_it_is_called() -> None:
    base = cell()
    assert cell(problem="G1").key == base.key and cell(hard_s=9.0).key == base.key
    changes: list[dict[str, Any]] = [
        {"identity": "gset:G2"}, {"seed": 4}, {"threads": 2}, {"stop": True}, {"budget": Budget(seconds=3.0)}, {"budget": Budget(spin_tests=2)},
        {"solver": SolverSpec.parse("sa")}, {"solver": SolverSpec.parse("sa:num_reads=5")}, {"kind": "qp"},
    ]  # fmt: skip
    keys = {cell(**c).key for c in changes}
    assert len(keys) == len(changes) and base.key not in keys
    # The tolerance is a program's affair.
    assert cell(eps=1e-3).key == base.key and cell(kind="qp", eps=1e-3).key != cell(kind="qp").key
    assert base.key == "b63aa837ad31e6c4"  # stores of earlier versions are found again


def test_the_command_can_be_parsed() -> None:
    made = cell(
        problem="rudy:-rnd_graph 10 50 1", stop=True, solver=SolverSpec.of("sa", {"schedule": "fn", "kappa": 0.5})
    )
    words = shlex.split(made.command)
    assert words[:3] == ["fnanneal", "solve", "rudy:-rnd_graph 10 50 1"]
    assert words[words.index("--set") :][:2] == ["--set", "kappa=0.5"]
    assert words[words.index("--target") + 1] == "best-known" and words[words.index("--time-limit") + 1] == "2"
    tests = shlex.split(cell(budget=Budget(spin_tests=10**9)).command)
    assert tests[tests.index("--spin-tests") + 1] == "1000000000" and "--time-limit" not in tests
    program = shlex.split(cell(kind="qp", problem="a b.qps").command)
    assert program[1:3] == ["qp", "a b.qps"] and program[program.index("--eps") + 1] == "1e-06"


def test_one_problem_has_one_identity(tmp_path: Path) -> None:
    assert {ProblemSpec.of(t).identity for t in ("gset:G22", "G22", "g22", "gset:g22 ")} == {"gset:G22"}
    for name in ("a.txt", "b.mc"):
        (tmp_path / name).write_text(TRIANGLE)
    a, b = (ProblemSpec.of(name, tmp_path) for name in ("a.txt", "b.mc"))
    assert a.identity == b.identity and a.identity.startswith("sha256:") and Path(a.spec).is_absolute()
    (tmp_path / "b.mc").write_text(TRIANGLE.replace("3 1", "3 2"))
    assert ProblemSpec.of("b.mc", tmp_path).identity != a.identity
    assert ProblemSpec.of("b.mc#2", tmp_path).identity.endswith("#2")


def test_kinds_of_problems(tmp_path: Path) -> None:
    (tmp_path / "a.qps.gz").write_bytes(b"")
    (tmp_path / "plain").write_text(TRIANGLE)
    kinds = {
        "gen:lasso(5)": "qp", "gen:sk(10)": "spins", "a.qps.gz": "qp", "plain": "spins", "qp:plain": "qp", "nx:cycle_graph(5)": "spins", "gen:mis(10,0.05,0)": "spins",
    }  # fmt: skip
    assert {k: ProblemSpec.of(k, tmp_path).kind for k in kinds} == kinds


@pytest.mark.parametrize("text", ["", "-", "qp:", "nosuchfile.txt", "gset:G999", "G999", "qp:nothing.qps", "qp:-"])
def test_what_is_no_problem(text: str) -> None:
    with pytest.raises(InputError) as e:
        ProblemSpec.of(text)
    one_line(e)


def test_the_cells_of_a_plan() -> None:
    plan = make_plan(
        ["G1", "gen:lasso(5)"], ["sa", "auto", "sa"], seeds=[5, 7], time_limits=[1, 2.0], spin_tests=[10**6]
    )
    cells = plan.cells()
    # Programs have no spin tests, sa no programs, and what is said twice is run once.
    assert len(cells) == 2 * (3 + 2) == len({c.key for c in cells})
    assert {(c.kind, c.solver.name) for c in cells} == {("spins", "sa"), ("qp", "auto")}
    assert [c.seed for c in cells] == sorted(c.seed for c in cells)
    assert all(c.hard_s > 100 for c in cells)
    about = json.loads(json.dumps(plan.about()))
    assert about["solvers"] == ["sa", "auto"] and about["budgets"][2] == "1e+06 spin tests"


@pytest.mark.parametrize(
    ("problems", "solvers", "more", "told"),
    [
        ([], ["sa"], {}, "needs problems"),
        (["G1"], [], {}, "needs solvers"),
        (["G1"], ["sa"], {"seeds": 0}, "number of seeds"),
        (["G1"], ["sa"], {"seeds": [-1]}, "a seed"),
        (["G1"], ["sa"], {"threads": 0}, "threads"),
        (["G1"], ["auto"], {}, "none of these solvers"),
        (["G1"], ["saa"], {}, "did you mean sa"),
        (["G1"], ["sa"], {"time_limits": [-1]}, "time limit"),
        (["G1"], ["sa"], {"thresholds": (-0.1,)}, "threshold"),
    ],
)
def test_wrong_plans_are_one_line(problems: list[str], solvers: list[str], more: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as e:
        make_plan(problems, solvers, **more)
    assert told in one_line(e)


@pytest.mark.parametrize("solver", ["sa:nonsense=1", "sa:num_reads=-3", "ensemble:engine=cubes", "hpr:nonsense=1", "auto:x=1"])  # fmt: skip
def test_settings_are_checked_before_anything_runs(solver: str) -> None:
    with pytest.raises(InputError) as e:
        make_plan(["G1", "gen:lasso(5)"], [solver]).checked()
    one_line(e)


PLAN = """
title = "mine"
problems = ["a.txt", "gset:G1"]
solvers = ["ensemble", { name = "sa", num_reads = 4, beta_range = [0.1, 3.0] }]
seeds = [1, 9]
time_limits = [0.5]
spin_tests = 1_000_000
threads = 2
stop = true
thresholds = [0, 0.02]
"""


def test_a_toml_plan(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TRIANGLE)
    (tmp_path / "p.toml").write_text(PLAN)
    plan = read_plan(tmp_path / "p.toml")
    assert (plan.title, plan.seeds, plan.threads, plan.stop) == ("mine", (1, 9), 2, True)
    assert plan.solvers[1] == SolverSpec.of("sa", {"num_reads": 4, "beta_range": (0.1, 3.0)})
    assert plan.budgets == (Budget(seconds=0.5), Budget(spin_tests=1_000_000))
    assert plan.problems[0].spec == str((tmp_path / "a.txt").resolve()) and plan.thresholds == (0.0, 0.02)
    assert plan.checked() is plan


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("problms = []", "unknown key 'problms'"),
        ("problems = []", "problems must be a list"),
        ("problems = [1]", "strings"),
        ("solvers = 'sa'", "solvers must be a list"),
        ("solvers = [{num_reads = 3}]", "a table with a name"),
        ("seeds = [1.5]", "a seed"),
        ("seeds = 'x'", "seeds"),
        ("time_limits = ['x']", "time_limits"),
        ("time_limits = [0]", "time_limits"),
        ("spin_tests = [1.5]", "spin tests"),
        ("thresholds = [-1]", "threshold"),
        ("stop = 3", "true or false"),
        ("problems = ['nothing.txt']", "nothing.txt"),
        ("threads = 0", "threads"),
        ("eps = 'x'", "eps"),
        ("= 3", "TOML"),
    ],
)
def test_a_wrong_toml_plan_is_one_line(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "p.toml"
    key = line.partition(" ")[0]
    rest = {"problems": 'problems = ["G1"]', "solvers": 'solvers = ["sa"]'}
    rest.pop(key, None)
    path.write_text("\n".join([*rest.values(), line]))
    with pytest.raises(FormatError) as e:
        read_plan(path)
    assert told in one_line(e) and str(path) in one_line(e)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets(name: str) -> None:
    found = preset(name)
    cells = found.plan.cells()
    assert len({c.key for c in cells}) == len(cells) > 0
    assert found.plan.checked()
    assert all("\n" not in note for note in found.missing)
    sizes = {"gset": 71, "neurobench": 180, "quick": 4, "paper": 9}
    assert len(found.plan.problems) == sizes.get(name, len(found.plan.problems))
    if name == "quick":
        # Two minutes on two cores, even with every peer installed.
        assert 10 * 4 * 3 * (1.0 + 0.7) / 2 <= 120
    if name == "paper":
        assert {c.budget.spin_tests for c in cells} == {10**8} and "neurosa" in {c.solver.name for c in cells}
    if name == "neurobench":
        assert found.plan.thresholds == (0.1, 0.05, 0.01)


def test_an_unknown_preset() -> None:
    with pytest.raises(InputError, match="there are: quick, gset, paper, neurobench, qp"):
        preset("nonsense")


def test_an_estimate_knows_what_was_seen() -> None:
    cells = make_plan(["G1", "G2"], ["sa"], seeds=2, time_limits=[10]).cells()
    plain = estimate(cells, {}, ())
    assert plain.cells == 4 and plain.done == 0 and plain.seconds == pytest.approx(4 * 10.7)
    seen = {("gset:G1", "sa"): 3.0}
    half = estimate(cells, seen, {cells[0].key})
    assert half.done == 1 and half.seconds == pytest.approx(3.0 + 2 * 10.7)
