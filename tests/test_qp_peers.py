"""Other people's solvers of quadratic programs: what they are told, and how their answers are judged."""

from __future__ import annotations

import importlib
import json
import os
import sys
import types
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from fnanneal import QP, InputError, QPStatus, solve_qp, solve_qp_batch
from fnanneal.solvers.qp import method as methods
from fnanneal.solvers.qp.certificate import dual_certificate, primal_certificate
from fnanneal.solvers.qp.method import Point
from fnanneal.solvers.qp.peers import judge
from fnanneal.solvers.qp.peers.known import KNOWN
from fnanneal.solvers.qp.peers.peer import Task
from fnanneal.solvers.qp.peers.scip import Scip, multipliers
from fnanneal.solvers.qp.solve import solve_qp_problem

from .cases_qp import feasible_qp
from .test_cli import inside
from .test_qp_formats import LP

INF = np.inf
BOX = QP.of(np.eye(2), -np.ones(2), lb=np.zeros(2), ub=0.5 * np.ones(2))
SOLVABLE = {
    "box": (BOX, -0.75),
    "linear": (QP.of(None, [-1.0, -2.0], [[1.0, 1.0]], [1.0], lb=[0.0, 0.0]), -2.0),
    "free": (QP.of(np.diag([1.0, 2.0]), [1.0, 1.0]), -0.75),
    "equalities": (QP.of(np.eye(3), np.zeros(3), A=np.ones((1, 3)), b=[1.0]), 1 / 6),
    "infinite sides": (
        QP.of(np.eye(3), [-3.0, 1.0, 1.0], [[1.0, 1, 1], [1, 0, 0], [0, 2, 1]], [1.0, INF, 2.0], lb=[-INF, 0, -INF], ub=[2, INF, INF]),
        -4.5,
    ),
    "one bound each": (QP.of(np.eye(2), [-3.0, 3.0], lb=[-INF, -1.0], ub=[1.0, INF]), -5.0),
    "fixed": (QP.of(np.eye(2), [1.0, 1.0], lb=[2.0, -5.0], ub=[2.0, 5.0]), 3.5),
    "maximised": (QP.of(np.eye(1), [-2.0], ub=[1.0], constant=3.0, sense="max"), -1.5),
}  # fmt: skip
PRIMAL_INFEASIBLE = QP.of(np.eye(2), np.zeros(2), A=[[1.0, 1.0], [1.0, 1.0]], b=[0.0, 1.0])
UNBOUNDED = QP.of(np.diag([1.0, 0.0]), [0.0, -1.0], [[1.0, 0.0]], [1.0])


def solution(**said):
    """As qpsolvers has it."""
    about = {"x": None, "y": None, "z": None, "z_box": None, "found": True, "extras": {}, "build_time": 0.0}
    return types.SimpleNamespace(**about | said)


@pytest.fixture
def stand_in(monkeypatch):
    """In place of qpsolvers, with all solvers that it knows: ``answer(problem, **options)`` gives the solution, ``asked`` keeps the options."""
    module = types.ModuleType("qpsolvers")
    fields = ("P", "q", "G", "h", "A", "b", "lb", "ub")
    module.available_solvers = [*KNOWN, "newcomer"]
    module.sparse_solvers = [name for name, cls in KNOWN.items() if not cls.dense]
    module.Problem = lambda *parts: types.SimpleNamespace(**dict(zip(fields, parts, strict=True)))
    module.asked, module.answer = [], solved_by_ours

    def solve_problem(problem, solver, initvals=None, **options):
        module.asked.append(options)
        return module.answer(problem)

    module.solve_problem = solve_problem
    monkeypatch.setitem(sys.modules, "qpsolvers", module)
    # What probes its own package has none here.
    for name in ("highs", "piqp", "jaxopt_osqp", "qpax"):
        monkeypatch.setattr(KNOWN[name], "require", KNOWN["osqp"].require)
    mosek = types.SimpleNamespace(iparam=types.SimpleNamespace(), dparam=types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mosek", mosek)
    monkeypatch.setattr(judge, "_warm", set())
    return module


def solved_by_ours(problem):
    """A right answer, with multipliers of what is there only, as some solvers give them."""
    p = problem
    assert all(v is None or np.isfinite(v).all() for v in (p.h, p.b))
    r = solve_qp(p.P, p.q, p.G, p.h, p.A, p.b, p.lb, p.ub, eps_abs=1e-9, solver="hpr")
    boxed = p.lb is not None or p.ub is not None
    return solution(x=r.x, y=r.y, z=r.z, z_box=r.z_box if boxed else np.zeros(0))


def answers(**said):
    """Always the same."""
    return lambda problem: solution(**said)


# ---------------------------------------------------------------- the translation, with every name


@pytest.mark.parametrize(("name", "case"), list(product([*KNOWN, "newcomer"], SOLVABLE)))
def test_every_name_takes_every_kind_of_program(name, case, stand_in):
    problem, best = SOLVABLE[case]
    r = solve_qp_problem(problem, solver=name, time_limit=60)
    assert r.status is QPStatus.SOLVED and r.solver == name
    assert r.objective == pytest.approx(best, abs=1e-6) and r.residuals.worst <= 1e-6
    assert r.residuals == problem.residuals(r.x, r.y, r.z, r.z_box) and r.verify()
    assert (r.y.size, r.z.size, r.z_box.size) == (problem.b.size, problem.h.size, problem.n)


@pytest.mark.parametrize("name", ["clarabel", "osqp", "daqp", "qpswift"])
@pytest.mark.parametrize("seed", range(4))
def test_multipliers_come_back_to_their_places(name, seed, stand_in):
    p = feasible_qp(np.random.default_rng(seed), 12, 6, 3)
    h = p.h.copy()
    h[1] = INF
    p = QP.of(p.P, p.q, p.G, h, p.A, p.b, p.lb, p.ub)
    r = solve_qp_problem(p, solver=name)
    assert r.status is QPStatus.SOLVED and r.z[1] == 0


def test_dense_solvers_get_arrays_and_others_sorted_columns(stand_in):
    seen = []

    def keep(problem):
        seen.append(problem)
        return solved_by_ours(problem)

    stand_in.answer = keep
    p = feasible_qp(np.random.default_rng(1), 8, 4, 2)
    for name in ("daqp", "osqp"):
        solve_qp_problem(p, solver=name)
        for M in (seen[-1].P, seen[-1].G, seen[-1].A):
            if name == "daqp":
                assert isinstance(M, np.ndarray)
            else:
                assert isinstance(M, sp.csc_matrix) and M.has_sorted_indices


# ---------------------------------------------------------------- the judgement


def test_a_claim_of_success_with_a_wrong_point_has_failed(stand_in):
    stand_in.answer = answers(x=np.array([0.25, 0.25]), z_box=np.zeros(2), extras={"status": "optimal, truly"})
    r = solve_qp_problem(BOX, solver="osqp")
    assert r.status is QPStatus.FAILED and r.residuals.worst == pytest.approx(0.75)
    assert r.details == {"claim": "found: optimal, truly", "claims_solved": True, "gave_point": True}
    assert r.x.tolist() == [0.25, 0.25]


def test_between_one_and_a_thousand_tolerances_the_accuracy_is_lower(stand_in):
    for error, status in ((5e-7, QPStatus.SOLVED), (1e-4, QPStatus.SOLVED_LOWER_ACCURACY), (1e-2, QPStatus.FAILED)):
        stand_in.answer = answers(x=np.full(2, 0.5 + error), z_box=np.full(2, 0.5 - error))
        assert solve_qp_problem(BOX, solver="osqp").status is status
    # It does not matter what it says.
    stand_in.answer = answers(found=False, x=np.full(2, 0.5), z_box=np.full(2, 0.5))
    r = solve_qp_problem(BOX, solver="osqp")
    assert r.status is QPStatus.SOLVED and not r.details["claims_solved"]


def test_multipliers_of_the_wrong_sign_or_none_are_not_passed(stand_in):
    p = QP.of(np.eye(1), [0.0], [[1.0]], [1.0])
    for z in ([-1.0], None, [np.nan], [1.0, 2.0]):
        stand_in.answer = answers(x=np.ones(1), z=z)
        assert solve_qp_problem(p, solver="osqp").status is QPStatus.FAILED


@pytest.mark.parametrize(
    "x", [None, [np.nan, 0.5], [np.inf, 0.5], [0.5], [0.5, 0.5, 0.5]], ids=["none", "nan", "inf", "short", "long"]
)
def test_what_is_no_point_has_failed(x, stand_in):
    # 0 would be optimal here: it is not the solver's merit.
    p = QP.of(np.eye(2), np.zeros(2), lb=-1, ub=1)
    stand_in.answer = answers(x=x)
    r = solve_qp_problem(p, solver="osqp")
    assert r.status is QPStatus.FAILED and not r.details["gave_point"]
    assert r.x.tolist() == [0, 0] and r.verify()


def test_a_point_too_large_to_judge_has_failed(stand_in):
    stand_in.answer = answers(x=[1e200, -1e200])
    assert solve_qp_problem(BOX, solver="osqp").status is QPStatus.FAILED


class Panic(BaseException):
    """As Rust's are."""


@pytest.mark.parametrize("error", [ValueError("no\nway"), Panic("no way"), MemoryError("no way")])
def test_what_it_raises_is_its_result(error, stand_in):
    def fall(problem):
        raise error

    stand_in.answer = fall
    r = solve_qp_problem(BOX, solver="clarabel")
    assert r.status is QPStatus.FAILED and r.details["claim"] == f"{type(error).__name__}: no way"
    # A problem that cannot even be built.
    stand_in.Problem = lambda *parts: fall(None)
    assert solve_qp_problem(BOX, solver="clarabel").status is QPStatus.FAILED


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("run time limit reached", QPStatus.TIME_LIMIT), ("Status.PIQP_MAX_ITER_REACHED", QPStatus.ITERATION_LIMIT), ("interrupted", QPStatus.INTERRUPTED),
        ("primal infeasible", QPStatus.FAILED),
    ],
)  # fmt: skip
def test_what_ended_it(words, status, stand_in):
    info = types.SimpleNamespace(status=words, iter=np.int64(7))
    stand_in.answer = answers(found=False, x=np.zeros(2), extras={"info": info})
    r = solve_qp_problem(BOX, solver="osqp", time_limit=60)
    assert r.status is status and r.iterations == 7 and r.details["claim"] == f"not found: {words}"
    # It says nothing, but the time is over.
    stand_in.answer = answers(found=False, x=np.zeros(2))
    assert solve_qp_problem(BOX, solver="osqp", time_limit=1e-9).status is QPStatus.TIME_LIMIT


def test_infeasibility_is_believed_with_a_proof_only(stand_in):
    p = PRIMAL_INFEASIBLE
    stand_in.answer = answers(found=False, x=np.zeros(2), y=np.array([1.0, -1.0]), extras={"status": "infeasible"})
    r = solve_qp_problem(p, solver="clarabel")
    assert r.status is QPStatus.PRIMAL_INFEASIBLE
    assert primal_certificate(p, Point(x=r.x, y=r.ray["y"], z=r.ray["z"], z_box=r.ray["z_box"])) is not None
    stand_in.answer = answers(found=False, x=np.zeros(2), y=np.array([1.0, 1.0]), extras={"status": "infeasible"})
    r = solve_qp_problem(p, solver="clarabel")
    assert r.status is QPStatus.FAILED and r.ray is None and "infeasible" in r.details["claim"]
    # OSQP's stands apart: of G's rows, A's, and the bounds.
    stand_in.answer = answers(found=False, x=[np.nan, np.nan], extras={"prim_inf_cert": np.array([1.0, -1.0]), "dual_inf_cert": None})  # fmt: skip
    assert solve_qp_problem(p, solver="osqp").status is QPStatus.PRIMAL_INFEASIBLE

    p = UNBOUNDED
    stand_in.answer = answers(found=False, x=np.array([0.0, 1e9]))
    r = solve_qp_problem(p, solver="clarabel")
    assert r.status is QPStatus.DUAL_INFEASIBLE and dual_certificate(p, r.ray["x"]) is not None
    stand_in.answer = answers(found=False, x=np.array([1.0, 1.0]))
    assert solve_qp_problem(p, solver="clarabel").status is QPStatus.FAILED
    stand_in.answer = answers(found=False, x=np.zeros(2), extras={"dual_inf_cert": np.array([0.0, 3.0])})
    assert solve_qp_problem(p, solver="osqp").status is QPStatus.DUAL_INFEASIBLE


def test_nothing_is_made_up(stand_in):
    progress = []
    r = solve_qp_problem(BOX, solver="osqp", seed=3, callback=progress.append)
    assert (r.iterations, r.factorisations, r.polished) == (None, None, None)
    assert r.energy.account.status == "not counted" and r.energy.account.joules is None
    d = json.loads(json.dumps(r.to_dict()))
    assert d["energy"]["status"] == "not counted" and d["energy"]["joules"] is d["energy"]["events"] is None
    assert r.seed == 3 and r.time.solve_s >= 0 and r.time.build_s > 0 and len(r.trace) == 1
    assert [p.phase for p in progress] == ["osqp"] and progress[0].residuals == r.residuals
    # Setting up its model is no part of solving, and no more than the whole call.
    stand_in.answer = answers(x=np.full(2, 0.5), z_box=np.full(2, 0.5), build_time=1e9)
    r = solve_qp_problem(BOX, solver="osqp")
    assert r.time.solve_s >= 0 and r.time.build_s < 1e9


# ---------------------------------------------------------------- what they are told


def asked(name, **task):
    return methods.get(name)().asked(Task(**{"eps_abs": 1e-7, "eps_rel": 1e-5} | task))


def test_tolerances_and_limits_in_their_words():
    assert asked("clarabel", time_limit=3.0, max_iter=9, threads=2) == {
        "tol_feas": 1e-7, "tol_gap_abs": 1e-7, "tol_gap_rel": 1e-5, "time_limit": 3.0, "max_iter": 9, "max_threads": 2,
    }  # fmt: skip
    assert asked("osqp") == {"eps_abs": 1e-7, "eps_rel": 1e-5}
    # A first-order method stops at its own limit of iterations, unless it has one of time.
    assert asked("osqp", time_limit=3.0)["max_iter"] == 10**9
    assert asked("osqp", time_limit=3.0, max_iter=5)["max_iter"] == 5
    assert asked("piqp")["check_duality_gap"] is True
    # With one kind of tolerance only, the other stands in where that is 0; none is below what is taken.
    assert asked("daqp", eps_abs=0.0) == {"primal_tol": 1e-5, "dual_tol": 1e-5}
    assert asked("qpoases", eps_rel=0.0) == {"terminationTolerance": 1e-7}
    assert asked("highs", eps_abs=1e-12)["dual_feasibility_tolerance"] == 1e-10
    assert asked("ecos", eps_rel=0.0)["reltol"] > 0
    assert asked("scip", time_limit=2.0, seed=2**40)["limits/time"] == 2.0
    # The caller's options come last.
    assert KNOWN["osqp"](own={"eps_rel": 5.0, "rho": 1.0}).asked(Task(eps_abs=1.0, eps_rel=0.0)) == {"eps_abs": 1.0, "eps_rel": 5.0, "rho": 1.0}  # fmt: skip


def test_a_call_tells_them_so(stand_in):
    p = SOLVABLE["box"][0]
    r = solve_qp_problem(p, solver="clarabel", eps_abs=1e-8, time_limit=60, verbose=False)
    told = stand_in.asked[-1]
    assert (
        told["tol_feas"] == 1e-8
        and 0 < told["time_limit"] <= 60
        and told["max_threads"] == 1
        and told["verbose"] is False
    )
    assert r.settings == told | {"time_limit": 60}
    solve_qp_problem(p, solver="clarabel", threads=2)
    assert stand_in.asked[-1]["max_threads"] == 2
    assert [r.status for r in solve_qp_batch(np.eye(2), -np.ones((3, 2)), lb=0, ub=0.5, solver="osqp")] == [
        QPStatus.SOLVED
    ] * 3


def test_every_peer_says_what_it_is():
    names = methods.peer_names()
    assert {"clarabel", "osqp", "piqp", "proxqp", "highs", "daqp", "scip"} <= set(names) and not set(names) & set(
        methods.names()
    )
    for name in names:
        cls = methods.get(name)
        assert (
            cls.name == name and cls.package and cls.extra in ("qp-peers", "scip") and cls.budget_rule and cls.__doc__
        )
    assert KNOWN["clarabel"].budget_rule == (
        "tol_feas, tol_gap_abs = eps_abs; tol_gap_rel = eps_rel; time_limit = the time limit; max_iter = max_iter; max_threads = threads"
    )
    assert KNOWN["quadprog"].budget_rule == "its own tolerance; no time limit"


def test_the_names_are_those_of_qpsolvers():
    solvers = pytest.importorskip("qpsolvers.solvers")
    assert KNOWN.keys() >= set(solvers.solve_function) and set(solvers.available_solvers) <= set(methods.peer_names())
    for name in solvers.available_solvers:
        assert KNOWN[name].dense == (name not in solvers.sparse_solvers), name


def test_the_table_in_the_manual():
    text = (Path(__file__).parents[1] / "docs" / "qp.md").read_text(encoding="utf-8")
    for name in methods.peer_names():
        assert f"| `{name}` | {methods.get(name).budget_rule} |" in text, name


# ---------------------------------------------------------------- what is refused


def test_refusals(stand_in):
    def line(problem=BOX, solver="osqp", **arguments):
        with pytest.raises(InputError) as e:
            solve_qp_problem(problem, solver=solver, **arguments)
        assert "\n" not in str(e.value)
        return str(e.value)

    wide = QP.of(sp.eye_array(5001), np.ones(5001))
    assert "daqp works on dense matrices: 5001 variables and 0 rows are more than 5000" in line(wide, "daqp")
    assert "5001 variables in it are more than 2000" in line(wide, "scip")
    assert "takes no binary variables" in line(QP.of(np.eye(1), [1.0], lb=0, ub=1, binary=[True]))
    assert "not positive semidefinite" in line(QP.of(-np.eye(2), [0.0, 0.0], lb=0, ub=1))
    assert "may factorise" in line(polish=False)
    assert "no limit of iterations" in line(solver="quadprog", max_iter=3)
    assert "GPU" in line(backend="cuda")
    assert "analog weights are for the solver cells" in line(weights="fn-dam")
    assert "did you mean osqp" in line(solver="osqpp")

    def strict(problem):
        if "nonsense" in stand_in.asked[-1]:
            raise TypeError("no such option")
        return solved_by_ours(problem)

    stand_in.answer = strict
    assert line(nonsense=1) == "osqp does not take nonsense: TypeError: no such option"
    stand_in.available_solvers.remove("osqp")
    assert line() == 'the solver osqp is not installed: pip install "fnanneal[qp-peers]"'


def test_without_qpsolvers(monkeypatch):
    monkeypatch.setitem(sys.modules, "qpsolvers", None)
    with pytest.raises(InputError, match=r'scs is not installed: pip install "fnanneal\[qp-peers\]" scs'):
        solve_qp_problem(BOX, solver="scs")
    with pytest.raises(InputError, match="unknown solver 'newcomer'"):
        solve_qp_problem(BOX, solver="newcomer")
    monkeypatch.setitem(sys.modules, "pyscipopt", None)
    with pytest.raises(InputError, match=r'scip is not installed: pip install "fnanneal\[scip\]"$'):
        solve_qp_problem(BOX, solver="scip")


# ---------------------------------------------------------------- the command line


@pytest.fixture
def cli(capfdbinary, monkeypatch):
    def run(*arguments):
        code, out, err = inside(arguments, b"", capfdbinary, monkeypatch)
        return code, out.decode(), err.decode()

    return run


def test_the_command_line(cli, stand_in, tmp_path):
    path = tmp_path / "demo.lp"
    path.write_text(LP)

    def noisy(problem):
        os.write(1, b"Welcome to this solver!\n")
        return solved_by_ours(problem)

    stand_in.answer = noisy
    code, out, err = cli("qp", path, "--solver", "clarabel", "--json", "--set", "verbose=True", "--set", "method=fast")
    d = json.loads(out)
    assert code == 0 and d["status"] == "solved" and "Welcome" in err
    assert stand_in.asked[-1]["verbose"] is True and d["settings"]["method"] == "fast" and d["iterations"] is None
    code, out, _ = cli("qp", path, "--solver", "clarabel")
    assert code == 0 and "clarabel says: found" in out and "not counted" in out and "modelled" not in out
    assert "None" not in out and "factorisation" not in out
    stand_in.answer = answers(x=np.zeros(2))
    assert cli("qp", path, "--solver", "clarabel")[0] == 1
    stand_in.available_solvers.clear()
    code, out, err = cli("qp", path, "--solver", "clarabel")
    assert (code, out) == (2, "") and err.count("\n") == 1 and 'pip install "fnanneal[qp-peers]"' in err


def test_settings_on_the_command_line(cli, tmp_path):
    path = tmp_path / "demo.in"
    path.write_text("2\n1 -2\n0 3\n3 4\n")
    code, out, _ = cli("qp", path, "--solver", "boxqp", "--set", "population=3", "--set", "hot=0.25", "--json")
    assert code == 0 and json.loads(out)["settings"]["population"] == 3 and json.loads(out)["settings"]["hot"] == 0.25
    for pair, words in (("population", "KEY=VALUE"), ("eps_abs=1", "option of its own"), ("zest=1", "takes no zest")):
        code, out, err = cli("qp", path, "--solver", "boxqp", "--set", pair)
        assert code == 2 and words in err and err.count("\n") == 1 and out == ""


def test_the_list(cli):
    d = json.loads(cli("solvers", "list", "--json")[1])
    text = cli("solvers", "list")[1]
    for name in methods.peer_names():
        about = d.get(f"{name} (qp)") or d[name]
        assert about["command"] == "qp" and about["rule"] == methods.get(name).budget_rule and name in text
        assert about["version"] == methods.get(name).version()
        assert (about["install"] in text) or about["version"] is not None


# ---------------------------------------------------------------- the solvers themselves


@pytest.fixture(params=["clarabel", "daqp", "highs", "osqp", "piqp", "proxqp"])
def real(request):
    """One that is installed."""
    solvers = pytest.importorskip("qpsolvers")
    if request.param not in solvers.available_solvers:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.mark.parametrize("case", SOLVABLE)
def test_known_answers(real, case):
    problem, best = SOLVABLE[case]
    r = solve_qp_problem(problem, solver=real, time_limit=60, eps_abs=1e-5)
    assert r.status is QPStatus.SOLVED and r.residuals.worst <= 1e-5
    assert r.objective == pytest.approx(best, abs=1e-4) and r.details["claims_solved"]
    assert r.versions["qpsolvers"] and r.versions[KNOWN[real].package]


@pytest.mark.parametrize("seed", range(3))
def test_random_programs(real, seed):
    p = feasible_qp(np.random.default_rng(seed), 20, 10, 4, rank=20)
    r = solve_qp_problem(p, solver=real, time_limit=60)
    ours = solve_qp_problem(p, time_limit=60)
    assert r.status in (QPStatus.SOLVED, QPStatus.SOLVED_LOWER_ACCURACY) and ours.status is QPStatus.SOLVED
    assert r.objective == pytest.approx(ours.objective, abs=1e-3)


def test_programs_without_an_optimum_are_never_solved(real):
    for p, status in ((PRIMAL_INFEASIBLE, QPStatus.PRIMAL_INFEASIBLE), (UNBOUNDED, QPStatus.DUAL_INFEASIBLE)):
        r = solve_qp_problem(p, solver=real, time_limit=20)
        assert r.status in (status, QPStatus.FAILED)
        assert (r.ray is not None) == (r.status is status)


def test_options_that_do_not_exist(real):
    with pytest.raises(InputError, match="nonsense"):
        solve_qp_problem(BOX, solver=real, nonsense=1)


def test_x0_is_handed_on(real):
    assert solve_qp_problem(BOX, solver=real, x0=[0.4, 0.4], time_limit=60).status is QPStatus.SOLVED


# ---------------------------------------------------------------- SCIP


@pytest.mark.parametrize("seed", range(8))
def test_least_squares_multipliers(seed):
    p = feasible_qp(np.random.default_rng(seed), 12, 8, 3)
    r = solve_qp_problem(p, eps_abs=1e-10, time_limit=60)
    found = multipliers(p, r.x, 1e-6)
    assert p.residuals(r.x, found.y, found.z, found.z_box).worst <= 1e-5
    away = r.x + np.random.default_rng(seed).normal(size=p.n)
    found = multipliers(p, away, 1e-6)
    judged = p.residuals(away, found.y, found.z, found.z_box)
    assert judged.sign == 0 and judged.worst > 1e-3


@pytest.fixture
def scip():
    importlib.import_module("pyscipopt") if importlib.util.find_spec("pyscipopt") else pytest.skip("no pyscipopt")
    return "scip"


@pytest.mark.parametrize("case", SOLVABLE)
def test_scip_on_convex_programs(scip, case):
    problem, best = SOLVABLE[case]
    r = solve_qp_problem(problem, solver=scip, time_limit=60)
    assert r.status in (QPStatus.SOLVED, QPStatus.SOLVED_LOWER_ACCURACY) and r.details["claim"] in (
        "optimal",
        "gaplimit",
    )
    assert r.objective == pytest.approx(best, abs=1e-3) and r.primal_residual <= 1e-6 and 0 <= r.gap <= 1e-5


def test_scip_where_p_is_indefinite_and_variables_are_binary(scip):
    stream = np.random.default_rng(4)
    n = 7
    for kind in ("box", "binary", "rows"):
        M = stream.integers(-9, 10, (n, n))
        P, q = (M + M.T).astype(float), stream.integers(-9, 10, n).astype(float)
        # Concave in each variable, so that the best point is a vertex.
        np.fill_diagonal(P, -5.0)
        low, high = np.zeros(n), np.where(np.arange(n) % 2, 3.0, 1.0)
        rows = {"G": np.ones((1, n)), "h": [6.0]} if kind == "rows" else {}
        p = QP.of(P, q, **rows, lb=low, ub=high, binary=np.ones(n, bool) if kind != "box" else None)
        vertices = [np.where(bits, high, low) for bits in product([False, True], repeat=n)]
        best = min(p.objective(v) for v in vertices if kind != "rows" or v.sum() <= 6)
        r = solve_qp_problem(p, solver=scip, time_limit=60)
        assert r.status is QPStatus.SOLVED and r.objective == pytest.approx(best, abs=1e-4) and r.gap <= 1e-4


def test_scip_without_a_solution(scip):
    r = solve_qp_problem(PRIMAL_INFEASIBLE, solver=scip, time_limit=60)
    assert r.status is QPStatus.FAILED and "infeasible" in r.details["claim"] and not r.details["gave_point"]
    assert solve_qp_problem(UNBOUNDED, solver=scip, time_limit=60).status is not QPStatus.SOLVED


def test_scip_takes_its_own_parameters(scip):
    r = solve_qp_problem(BOX, solver=scip, seed=1, **{"limits/nodes": 5, "numerics/feastol": 1e-8})
    assert r.settings["limits/nodes"] == 5 and r.settings["numerics/feastol"] == 1e-8 and r.status is QPStatus.SOLVED
    with pytest.raises(InputError, match="scip does not take limits/nonsense"):
        solve_qp_problem(BOX, solver=scip, **{"limits/nonsense": 5})
    assert Scip.version()
