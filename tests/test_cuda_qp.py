"""HPR-QP on a GPU beside its Numba twin and the oracle, whole solves, and programs in batches."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

import fnanneal
from fnanneal import QP, InputError, QPSolver, QPStatus, solve_qp_batch
from fnanneal.problems.quadratic.hopeless import infeasible, unbounded
from fnanneal.solvers.cuda import csr, finding, hpr, qp_batch
from fnanneal.solvers.cuda import pdhg as pdhg_module
from fnanneal.solvers.cuda.hpr import Programs
from fnanneal.solvers.cuda.pdhg import CudaAccelerated
from fnanneal.solvers.cuda.qp import estimates, shape_of
from fnanneal.solvers.cuda.qp_batch import stack, union
from fnanneal.solvers.cuda.source import Kernels, text
from fnanneal.solvers.qp import splitting
from fnanneal.solvers.qp.accelerated import Accelerated
from fnanneal.solvers.qp.form import Form, PrimalDual
from fnanneal.solvers.qp.halpern import Halpern
from fnanneal.solvers.qp.norms import norm_bounds
from fnanneal.solvers.qp.scaling import Scaling
from fnanneal.solvers.qp.solve import solve_qp_problem

from .cases_qp import feasible_qp
from .oracles_splitting import HPROracle, pdhg
from .test_cli import COMMAND
from .test_qp_splitting import KINDS, form_of

INF = np.inf


class Counting:
    """A device that notes what is launched and fetched."""

    def __init__(self, device):
        self.device = device
        self.log = []

    def __getattr__(self, name):
        return getattr(self.device, name)

    def download(self, array):
        self.log.append(("download", array.size))
        return self.device.download(array)

    def launch(self, kernels, name, *args, **more):
        self.log.append(("launch", name))
        self.device.launch(kernels, name, *args, **more)

    @property
    def downloads(self):
        return [size for what, size in self.log if what == "download"]


def found(device):
    return finding.Found(devices=(device,), driver=(12, 0), cupy="0")


@pytest.fixture
def counted(device, monkeypatch):
    counting = Counting(device)
    monkeypatch.setattr(finding, "find", lambda: found(counting))
    return counting


def programs_of(device, form, check, start=None, **how):
    plain = Scaling(np.ones(form.n), np.ones(form.m))
    return Programs(device, shape_of(form, norm_bounds(form), plain, start), check, **how)


def arrow(n, rows, seed=0):
    """A program with a few long rows and columns in P and in A, so that both are cut into chunks."""
    rng = np.random.default_rng(seed)
    P = sp.lil_array((n, n))
    P.setdiag(4.0 + rng.random(n))
    for j in (0, 7, n - 1):
        P[j, :] = 0.2 / n * rng.random(n)
        P[j, j] = 5.0
    P = (P + P.T).tocsr() / 2
    A = sp.lil_array((rows, n))
    A.setdiag(1.0)
    for i in (0, 2, 40):
        A[i, :] = rng.normal(size=n) / n
    for j in (1, 5, 6):
        A[:, [j]] = rng.normal(size=(rows, 1)) / rows
    return QP.of(P, rng.normal(size=n), A.tocsr(), rng.random(rows), None, None, -1.0, 2.0)


def test_python_and_cuda_name_the_same_things():
    source = text(Kernels("hpr"))

    def names(enum):
        return re.findall(r"[A-Z]_(\w+)", re.search(rf"enum {enum} {{(.*?)}}", source, re.DOTALL)[1])

    assert names("Vectors") == [*hpr.VECTORS, "END"]
    assert names("Scalars") == [*hpr.STATE, "SUMS"] and names("Sums") == [*hpr.SUMS, "END"]
    assert list(hpr.SCALARS) == [*hpr.STATE, *hpr.SUMS]
    assert hpr.SUMS.index("DYDY") == hpr.SUMS_OF_COLUMNS and hpr.VECTORS["ROW_LOW"] == len(hpr.OF_COLUMNS)
    constants = {"TILE_OF_SUMS": hpr.TILE, "GRID_OF_SIGMA": hpr.GRID.size, "LONG": csr.LONG}
    assert {k: int(re.search(rf"#define {k} (\d+)", source)[1]) for k in constants} == constants
    assert "enum Kind { GENERAL, DIAGONAL, ZERO }" in source and (hpr.GENERAL, hpr.DIAGONAL, hpr.ZERO) == (0, 1, 2)
    assert "enum Mode { RESTARTING, FIRST, CHECKING }" in source
    assert (hpr.RESTARTING, hpr.FIRST, hpr.CHECKING) == (0, 1, 2)


def test_python_and_cuda_name_the_same_things_in_pdhg():
    source = text(Kernels("pdhg"))

    def names(enum):
        return re.findall(r"[A-Z]_(\w+)", re.search(rf"enum {enum} {{(.*?)}}", source, re.DOTALL)[1])

    assert names("Vectors") == [*pdhg_module.VECTORS, "END"] and names("Sums") == [*pdhg_module.SUMS, "END"]
    assert pdhg_module.SUMS.index("PRIMAL_SQUARE") == pdhg_module.OF_VARIABLES
    assert f"#define TILE_OF_SUMS {pdhg_module.TILE}\n" in source
    assert pdhg_module.VECTORS["ROW_LOW"] == len(pdhg_module.OF_COLUMNS)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_match_the_oracle(device, kind, whole):
    f = form_of(kind, 1)
    p = programs_of(device, f, 7, whole=whole, block=64 if whole else 128)
    o = HPROracle(
        f.P.toarray(), f.c, f.A.toarray(), f.AL, f.AU, f.l, f.u, *(float(p.scalar(k)[0]) for k in ("SIGMA", "LAM_A", "LAM_P")),
        np.zeros(f.n), np.zeros(f.n), np.zeros(f.m), diagonal=kind == "diagonal",
    )  # fmt: skip
    p.advance()
    for _ in range(7):
        o.step()
    q = p.point(0)
    for ours, slow in ((q.x, o.xb), (q.y, o.yb), (q.z, o.zb), (p.vectors("X", 0), o.x), (p.vectors("Y", 0), o.y)):
        np.testing.assert_allclose(ours, slow, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(p.vectors("T", 0), f.A.T @ o.y, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("check", [1, 5, 30])
@pytest.mark.parametrize("case", [*KINDS, "started", "arrow", "rowless", "single"])
def test_steps_restarts_and_sigma_match_numba(device, case, check):
    start = None
    if case == "arrow":
        f = Form.of(arrow(300, 290))
    elif case == "rowless":
        f = Form.of(QP.of([[2.0, 1.0], [1.0, 2.0]], [1.0, -3.0], lb=[-1, -INF]))
    elif case == "single":
        f = Form.of(QP.of([[2.0]], [1.0], A=[[1.0]], b=[0.25]))
    else:
        f = form_of("general" if case == "started" else case, 0)
    if case == "started":
        start = PrimalDual(np.linspace(-1, 1, f.n), np.linspace(1, 2, f.m), np.zeros(f.n))
    twin = Halpern(f, norm_bounds(f), start, check)
    p = programs_of(device, f, check, start, whole=check == 5)
    if case == "arrow":
        assert min(p.P.longs, p.A.longs, p.At.longs) >= 3
    restarts = 0
    for _ in range(6):
        before = twin.sigma
        twin.advance()
        p.advance()
        restarts += twin.sigma != before
        assert p.scalar("INNER")[0] == twin.inner and p.scalar("ITERATIONS")[0] == twin.iterations
        assert p.scalar("SIGMA")[0] == pytest.approx(twin.sigma, rel=1e-9)
        q, t = p.point(0), twin.point()
        for ours, theirs in ((q.x, t.x), (q.y, t.y), (q.z, t.z)):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
        d, e = p.difference(0), twin.difference()
        for ours, theirs in ((d.x, e.x), (d.y, e.y), (d.z, e.z)):
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
        if twin.merit > 1e-8:
            assert p.scalar("MERIT")[0] == pytest.approx(twin.merit, rel=1e-5)
    assert restarts


def test_restarts_are_due_as_on_the_cpu(device):
    p = programs_of(device, form_of("general", 0), 5)
    for _ in range(3):
        p.advance()
    merit, held = float(p.scalar("MERIT")[0]), p.scalars.copy()
    assert merit > 1e-9
    answers = set()
    for share in (0.05, 0.15, 0.25, 0.5, 0.75, 0.85, 1.5):
        for previous in (0.9, 1.1):
            for inner, iterations in ((0, 5), (0, 6), (10, 100), (19, 100), (20, 100), (50, 100)):
                given = {
                    "LAST": merit / share,
                    "PREVIOUS": merit * previous,
                    "INNER": inner,
                    "ITERATIONS": iterations,
                    "BEST": merit / 2,
                    "BEST_SIGMA": 7.0,
                }
                for name, value in given.items():
                    held[0, hpr.SCALARS[name]] = value
                device.write(p.state, held)
                p._sums(hpr.CHECKING, 0)
                now = dict(zip(hpr.SCALARS, device.download(p.state)[0], strict=True))
                twin = Halpern.__new__(Halpern)
                twin.merit, twin.last, twin.previous, twin.first = merit, merit / share, merit * previous, INF
                twin.inner, twin.iterations, twin.check = inner, iterations, 5
                assert bool(now["DUE"]) is twin._restart_due()
                assert (now["PREVIOUS"], now["BEST"], now["BEST_SIGMA"]) == (twin.previous, merit / 2, 7.0)
                answers.add(bool(now["DUE"]))
    assert answers == {True, False}
    held[0, hpr.SCALARS["BEST"]] = 2 * merit
    device.write(p.state, held)
    p._sums(hpr.CHECKING, 3)
    now = dict(zip(hpr.SCALARS, device.download(p.state)[0], strict=True))
    assert (now["BEST"], now["BEST_SIGMA"]) == (merit, now["SIGMA"]) and (now["INNER"], now["ITERATIONS"]) == (53, 103)


@pytest.mark.parametrize("check", [7, 70])
@pytest.mark.parametrize("case", [*KINDS, "started", "arrow", "rowless"])
def test_pdhg_matches_numba(device, case, check):
    if case == "arrow":
        f, check = Form.of(arrow(560, 540)), check // 5
    elif case == "rowless":
        f = Form.of(QP.of([[2.0, 1.0], [1.0, 2.0]], [1.0, -3.0], lb=[-1, -INF]))
    else:
        f = form_of("general" if case == "started" else case, 0)
    start = None
    if case == "started":
        start = PrimalDual(np.linspace(-1, 1, f.n), np.linspace(1, 2, f.m), np.zeros(f.n))
    plain, norms = Scaling(np.ones(f.n), np.ones(f.m)), norm_bounds(f)
    twin = Accelerated(f, norms, start, check)
    ours, other = (CudaAccelerated(device, f, norms, plain, start, check, block=b) for b in (64, 256))
    if case == "arrow":
        assert min(ours.P.longs, ours.A.longs, ours.At.longs) >= 3
    for _ in range(5):
        t = twin.advance()
        r = ours.advance()
        assert r == other.advance()
        q, same = ours.point(), other.point()
        for a, b, c in ((q.x, t.x, same.x), (q.y, t.y, same.y), (q.z, t.z, same.z)):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
            assert np.array_equal(a, c)
        for name in ("inner", "iterations", "length"):
            assert getattr(ours.pace, name) == getattr(twin.pace, name)
        assert ours.pace.weight == pytest.approx(twin.pace.weight, rel=1e-6)
        d, e = ours.difference(), twin.difference()
        np.testing.assert_allclose(
            np.concatenate([d.x, d.y, d.z]), np.concatenate([e.x, e.y, e.z]), rtol=1e-8, atol=1e-10
        )


@pytest.mark.parametrize("seed", range(2))
def test_pdhg_steps_match_the_oracle(device, seed):
    f = form_of("general", seed)
    run = CudaAccelerated(device, f, norm_bounds(f), Scaling(np.ones(f.n), np.ones(f.m)), None, 9)
    _, _, tau, eta = next(run.pace.pieces(9))
    x, y = np.clip(np.zeros(f.n), f.l, f.u), np.zeros(f.m)
    expected = pdhg(f.P.toarray(), f.c, f.A.toarray(), f.AL, f.AU, f.l, f.u, tau, eta, 9, x, y)
    run.advance()
    q = run.point()
    np.testing.assert_allclose(q.x, expected[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(q.y, expected[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", ["general", "diagonal", "arrow"])
def test_every_way_of_launching_gives_the_same_bits(device, case):
    f = Form.of(arrow(200, 90)) if case == "arrow" else form_of(case, 2)
    results = []
    for how in (
        {"whole": True, "block": 64},
        {"whole": True, "block": 256},
        {"whole": False, "block": 64},
        {"whole": False, "block": 256},
    ):
        p = programs_of(device, f, 6, **how)
        for _ in range(4):
            p.advance()
        results.append(
            [p.vectors(name, 0) for name in hpr.VECTORS if name not in ("V", "DW", "PDW", "PDT")] + [p.scalars]
        )
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


def test_vectors_stay_in_global_memory_where_shared_memory_is_small(device):
    f = form_of("general", 2)
    a, b = programs_of(device, f, 6, whole=True), programs_of(device, f, 6, whole=True)
    assert a.held == 8 * a.work.shape[1] > 0
    b.held = 0
    for p in (a, b, a, b):
        p.advance()
    assert np.array_equal(a.point(0).x, b.point(0).x) and np.array_equal(a.scalars, b.scalars)


def test_estimates_are_the_residuals_of_the_form(device):
    p = feasible_qp(np.random.default_rng(5), 10, 6, 3)
    f = Form.of(p)
    scaling = Scaling.of(f)
    scaled = scaling.apply(f)
    run = Programs(device, shape_of(scaled, norm_bounds(scaled), scaling, None), 25)
    for _ in range(3):
        run.advance()
        q = scaling.unscale(run.point(0))
        r = p.residuals(q.x, -q.y[:3], -q.y[3:], -q.z)
        primal, dual, gap, *scales = (float(v[0]) for v in estimates(run))
        assert (primal, dual, gap) == pytest.approx((r.primal, r.dual, r.gap), rel=1e-9, abs=1e-12)
        assert r.sign == 0
        assert scales[0] == pytest.approx(r.primal_scale, rel=1e-9)
        assert 0.4 <= scales[1] / r.dual_scale <= 2.5 and 0.4 <= scales[2] / r.gap_scale <= 2.5


def box(n):
    rng = np.random.default_rng(n)
    F = rng.normal(size=(n, n))
    return QP.of(F.T @ F + np.eye(n), rng.normal(size=n), lb=-0.5, ub=0.5)


PROGRAMS = {
    "sparse": lambda: feasible_qp(np.random.default_rng(0), 15, 8, 3, rank=15),
    "low rank": lambda: feasible_qp(np.random.default_rng(1), 15, 8, 3, rank=5),
    "equalities": lambda: feasible_qp(np.random.default_rng(2), 12, 0, 5, rank=12, bounds=False),
    "inequalities": lambda: feasible_qp(np.random.default_rng(3), 12, 9, 0, rank=12, bounds=False),
    "linear": lambda: QP.of(None, [1.0, -2.0, 0.5], [[1.0, 1, 1]], [2.0], [[1.0, -1, 0]], [0.25], 0.0, 3.0),
    "diagonal": lambda: QP.of(np.diag([1.0, 2, 0]), [1.0, -2.0, 0.5], [[1.0, 1, 1]], [2.0], lb=-1.0, ub=3.0),
    "dense box": lambda: box(12),
    "free": lambda: QP.of(np.diag([1.0, 2, 4]) + 0.1, [1.0, -2.0, 0.5]),
    "one variable": lambda: QP.of([[2.0]], [-1.0], lb=0.0, ub=0.3),
    "one row": lambda: QP.of([[2.0]], [-1.0], [[1.0]], [0.25]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "solver"),
    [*((name, "hpr") for name in PROGRAMS), *((name, "rapdhg") for name in ("sparse", "linear", "free", "one row"))],
)
def test_solves_as_on_the_cpu(on_device, name, solver):
    p = PROGRAMS[name]()
    for polish, eps, presolve in ((True, 1e-8, True), (False, 1e-5, False)):
        a, b = (
            solve_qp_problem(p, solver=solver, backend=w, polish=polish, eps_abs=eps, presolve=presolve, seed=1)
            for w in ("cpu", "cuda")
        )
        assert (a.backend, b.backend) == ("cpu", "cuda")
        assert a.status is b.status is QPStatus.SOLVED
        assert b.residuals == p.residuals(b.x, b.y, b.z, b.z_box) and b.residuals.worst <= eps
        assert b.objective == pytest.approx(a.objective, abs=1e-3 * (1 + abs(a.objective)))
        assert b.polished <= polish and b.verify()
        assert b.settings == a.settings and "gpu" in b.versions and "gpu" not in a.versions
        if not polish:
            assert b.iterations == a.iterations and b.factorisations == 0
            assert b.events.multiply_adds == a.events.multiply_adds


@pytest.mark.parametrize("solver", ["hpr", "rapdhg"])
@pytest.mark.parametrize("polish", [True, False])
def test_programs_without_an_optimum(on_device, polish, solver):
    for p, status in (
        (infeasible(8, "farkas", 0, seed=0), QPStatus.PRIMAL_INFEASIBLE),
        (unbounded(8, "linear", 0, seed=0), QPStatus.DUAL_INFEASIBLE),
        (QP.of(np.eye(2), np.ones(2), [[1.0, 1.0], [-1.0, -1.0]], [-1.0, -1.0]), QPStatus.PRIMAL_INFEASIBLE),
        (QP.of(np.diag([1.0, 0, 0]), [0.0, -1.0, -1.0], [[1.0, 0.5, -0.5]], [1.0]), QPStatus.DUAL_INFEASIBLE),
    ):
        r = solve_qp_problem(p, solver=solver, backend="cuda", polish=polish, presolve=False, time_limit=30)
        assert (r.status, r.backend) == (status, "cuda") and r.ray is not None


def test_pdhg_fetches_its_sums_and_few_points(counted):
    p = feasible_qp(np.random.default_rng(4), 15, 8, 3, rank=10)
    r = solve_qp_problem(p, solver="rapdhg", backend="cuda", polish=False, eps_abs=1e-6, presolve=False, check=10)
    assert r.status is QPStatus.SOLVED
    sums = counted.downloads.count(len(pdhg_module.SUMS))
    assert sums == counted.log.count(("launch", "pdhg_totals"))
    looks = 2 + np.log(r.iterations / 10) / np.log(1.1) + np.log2(1e7)
    assert len(counted.downloads) - sums <= 8 * looks


@pytest.mark.parametrize("whole", [True, False])
def test_an_advance_ends_with_its_only_download(counted, whole):
    run = programs_of(counted, form_of("general", 0), 12, whole=whole)
    for _ in range(4):
        counted.log.clear()
        run.advance()
        assert [what for what, _ in counted.log].count("download") == 1 and counted.log[-1][0] == "download"


def test_nothing_is_fetched_between_checks(counted):
    p = feasible_qp(np.random.default_rng(4), 15, 8, 3, rank=10)
    r = solve_qp_problem(p, solver="hpr", backend="cuda", polish=False, eps_abs=1e-9, presolve=False, check=2)
    assert r.status is QPStatus.SOLVED and r.iterations >= 400
    log = counted.log
    # Between two launches of all steps to a check there is one download, of the sums, or the few of a point and a ray.
    checks = [k for k, (what, which) in enumerate(log) if (what, which) == ("launch", "hpr_totals")]
    runs = [log[a + 1 : b] for a, b in itertools.pairwise(checks)]
    sums = len(hpr.SCALARS)
    fetched = [[size for what, size in part if what == "download"] for part in runs]
    assert all(f in ([], [sums]) or (f[0] == sums and max(f[1:]) <= max(p.n, p.rows) and len(f) <= 10) for f in fetched)
    # Points come back ever more rarely: at a tenth more steps, at half the residuals, and at the end.
    looks = sum(len(f) > 1 for f in fetched)
    assert looks <= 2 + np.log(r.iterations / 2) / np.log(1.1) + np.log2(1e10) and looks < r.iterations / 4
    assert counted.downloads.count(sums) == r.iterations / 2 + 1


def test_a_limit_brings_the_newest_point(on_device):
    p = feasible_qp(np.random.default_rng(4), 15, 8, 3, rank=10)
    given = {"solver": "hpr", "polish": False, "eps_abs": 1e-10, "presolve": False, "check": 10, "max_iter": 390}
    a, b = (solve_qp_problem(p, backend=w, **given) for w in ("cpu", "cuda"))
    assert a.status is b.status is QPStatus.ITERATION_LIMIT and a.iterations == b.iterations == 390
    # At 390 steps no look is due.
    assert b.residuals.worst == pytest.approx(a.residuals.worst, rel=1e-3)


def test_one_device_gives_the_same_twice(on_device):
    p = feasible_qp(np.random.default_rng(6), 15, 8, 3, rank=15)
    a, b = (solve_qp_problem(p, solver="hpr", backend="cuda", polish=False, eps_abs=1e-5) for _ in range(2))
    assert np.array_equal(a.x, b.x) and np.array_equal(a.z_box, b.z_box) and a.iterations == b.iterations


def test_qpsolver_on_a_gpu(on_device):
    p = feasible_qp(np.random.default_rng(7), 10, 5, 2, rank=10)
    s = QPSolver(p.P, p.q, p.G, p.h, p.A, p.b, p.lb, p.ub, backend="cuda", polish=False, eps_abs=1e-6)
    first = s.solve()
    s.update(q=p.q * 1.001, P=p.P * 1.01)
    again, cold = s.solve(), s.solve(warm=False)
    for r in (first, again, cold):
        assert r.status is QPStatus.SOLVED and r.backend == "cuda" and r.residuals.worst <= 1e-6
    assert again.iterations <= cold.iterations


# --- where it runs ---


def test_without_a_gpu_there_is_one_line(monkeypatch):
    monkeypatch.setattr(finding, "find", lambda: finding.Found(reason="no NVIDIA driver here (libcuda.so.1)"))
    p = PROGRAMS["sparse"]()
    for call in (
        lambda: solve_qp_problem(p, backend="cuda"),
        lambda: QPSolver(p.P, p.q, backend="cuda"),
        lambda: solve_qp_batch(p.P, np.array([p.q, p.q]), backend="cuda"),
    ):
        with pytest.raises(InputError, match="no GPU can be used: no NVIDIA driver") as e:
            call()
        assert "\n" not in str(e.value)
    assert solve_qp_problem(p, backend="auto").backend == "cpu"


@pytest.mark.skipif(bool(finding.find().devices), reason="there is a GPU")
def test_the_command_line_without_a_gpu(tmp_path):
    file = tmp_path / "p.lp"
    file.write_text("min\n x + [ x^2 ] / 2\nst\n c: x >= 1\nend\n")
    done = subprocess.run(
        [*COMMAND, "qp", str(file), "--backend", "cuda"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "no GPU can be used" in done.stderr and done.stdout == ""


def test_methods_without_a_gpu_form_say_so(on_device):
    p = PROGRAMS["dense box"]()
    with pytest.raises(InputError, match="growth does not run on a GPU: use backend=cpu"):
        solve_qp_problem(p, solver="growth", backend="cuda")
    assert solve_qp_problem(p, solver="growth", backend="auto", eps_abs=1e-2, max_iter=1000).backend == "cpu"


def test_auto_takes_the_gpu_where_it_pays_and_has_room(counted, monkeypatch):
    p = PROGRAMS["sparse"]()
    given = {"solver": "hpr", "polish": False, "eps_abs": 1e-3}
    assert solve_qp_problem(p, **given).backend == "cpu" and not counted.log
    monkeypatch.setattr(splitting, "PAYS", 10)
    assert solve_qp_problem(p, **given).backend == "cuda"
    assert solve_qp_problem(p, backend="cpu", **given).backend == "cpu"
    monkeypatch.setattr(counted, "free_bytes", lambda: 1000)
    assert solve_qp_problem(p, **given).backend == "cpu"
    with pytest.raises(InputError, match=r"the GPU has 0\.00 GiB free, and this takes .* GiB: use backend=cpu"):
        solve_qp_problem(p, backend="cuda", **given)


def test_a_batch_pays_sooner_than_a_program(counted, monkeypatch):
    p = PROGRAMS["sparse"]()
    work = p.P.nnz + p.A.nnz + p.G.nnz
    monkeypatch.setattr(splitting, "PAYS", 3 * work)
    for count, where in ((2, "cpu"), (3, "cuda")):
        q = np.tile(p.q, (count, 1))
        results = solve_qp_batch(p.P, q, p.G, p.h, p.A, p.b, p.lb, p.ub, polish=False, eps_abs=1e-3)
        assert [r.backend for r in results] == [where] * count


# --- batches ---


def family(count, n=8, k=4, m=2, seed=0):
    """Programs that differ in everything but their shape."""
    return [feasible_qp(np.random.default_rng(seed + j), n, k, m, rank=n) for j in range(count)]


def arguments(problems):
    return {
        "P": [p.P for p in problems], "G": [p.G for p in problems], "A": [p.A.toarray() for p in problems],
        **{name: np.array([getattr(p, name) for p in problems]) for name in ("q", "h", "b", "lb", "ub")},
    }  # fmt: skip


@pytest.mark.parametrize("whole", [True, False])
def test_a_batch_makes_the_steps_of_its_programs(device, whole):
    problems = family(4)
    shape = stack(problems)
    together = Programs(device, shape, 9, whole=whole, block=64)
    rows = {name for name in shape.__dataclass_fields__ if name not in ("P", "A")}
    alone = []
    for k in range(4):
        one = replace(shape, **{name: getattr(shape, name)[k : k + 1] for name in rows})
        alone.append(Programs(device, one, 9))
    for _ in range(3):
        together.advance()
        for one in alone:
            one.advance()
    # One drops out and stays as it is.
    left = np.array([0, 2, 3])
    together.choose(left)
    for _ in range(2):
        together.advance()
        for k in left:
            alone[k].advance()
    x, y, z = together.points()
    for k, one in enumerate(alone):
        q = one.point(0)
        assert np.array_equal(q.x, x[k]) and np.array_equal(q.y, y[k]) and np.array_equal(q.z, z[k])
        assert np.array_equal(one.scalars[0], together.scalars[k])


def test_union_of_patterns():
    rng = np.random.default_rng(0)
    matrices = [sp.random_array((4, 6), density=0.3, rng=rng, format="csr") for _ in range(5)]
    pattern, values = union(matrices)
    for M, v in zip(matrices, values, strict=True):
        assert np.array_equal(sp.csr_array((v, pattern.indices, pattern.indptr), shape=M.shape).toarray(), M.toarray())
    same, held = union([matrices[0], 2 * matrices[0]])
    assert same is matrices[0] and np.array_equal(held[1], 2 * held[0])


@pytest.mark.parametrize("polish", [True, False])
def test_batches_solve_as_one_by_one(on_device, polish):
    problems = family(5)
    eps = 1e-8 if polish else 1e-5
    given = arguments(problems)
    on_cpu = solve_qp_batch(**given, backend="cpu", polish=polish, eps_abs=eps)
    on_gpu = solve_qp_batch(**given, backend="cuda", polish=polish, eps_abs=eps)
    assert len(on_cpu) == len(on_gpu) == 5
    for p, a, b in zip(problems, on_cpu, on_gpu, strict=True):
        assert (a.backend, b.backend) == ("cpu", "cuda") and a.status is b.status is QPStatus.SOLVED
        assert p.residuals(b.x, b.y, b.z, b.z_box).worst <= eps * (1 + 1e-6)
        assert b.problem.sha256() == p.sha256() == a.problem.sha256()
        assert b.objective == pytest.approx(a.objective, abs=1e-3 * (1 + abs(a.objective)))
        assert b.iterations > 0 and b.events.multiply_adds > 0


def test_programs_that_share_their_matrices(counted):
    p = feasible_qp(np.random.default_rng(3), 10, 5, 2, rank=10)
    q = p.q + 5.0 * np.random.default_rng(0).normal(size=(6, 10))
    results = solve_qp_batch(
        p.P, q, p.G, p.h, p.A, p.b, p.lb, p.ub, backend="cuda", polish=False, eps_abs=1e-6, check=10
    )
    assert all(r.status is QPStatus.SOLVED for r in results)
    assert all(r.problem.P is results[0].problem.P for r in results)
    # Some end before others, and one download a check serves all.
    steps = sorted({r.iterations for r in results})
    assert len(steps) > 1
    assert counted.downloads.count(6 * len(hpr.SCALARS)) == steps[-1] / 10
    for k, r in enumerate(results):
        alone = solve_qp_problem(QP.of(p.P, q[k], p.G, p.h, p.A, p.b, p.lb, p.ub), solver="hpr", backend="cpu")
        assert r.objective == pytest.approx(alone.objective, abs=1e-5)


def test_a_batch_with_hopeless_members(on_device):
    p = feasible_qp(np.random.default_rng(3), 6, 3, 0, rank=6, bounds=False)
    G = np.vstack([p.G.toarray(), np.ones((1, 6)), -np.ones((1, 6))])
    h = np.array([[*p.h, 50.0, 50.0], [*p.h, -1.0, -1.0], [*p.h, 50.0, 50.0]])
    for polish in (True, False):
        results = solve_qp_batch(p.P, p.q, G, h, backend="cuda", polish=polish, eps_abs=1e-5)
        assert [r.status for r in results] == ["solved", "primal_infeasible", "solved"]
        assert results[1].ray is not None and results[1].iterations < max(r.iterations for r in results) + 10_000
    P = np.array([np.eye(2), np.diag([1.0, 0.0]), np.zeros((2, 2))])
    results = solve_qp_batch(
        P, [1.0, -1.0], lb=[[-9, -9], [-9, -INF], [0, 0]], ub=[[9, 9], [9, INF], [9, 9]], backend="cuda"
    )
    assert [r.status for r in results] == ["solved", "dual_infeasible", "solved"]


def test_limits_of_a_batch(on_device):
    problems = family(3)
    given = arguments(problems)
    results = solve_qp_batch(**given, backend="cuda", polish=False, eps_abs=1e-12, max_iter=200)
    assert [(r.status, r.iterations) for r in results] == [("iteration_limit", 200)] * 3
    for backend in ("cuda", "cpu"):
        results = solve_qp_batch(**given, backend=backend, polish=False, eps_abs=1e-12, time_limit=1e-6)
        assert [r.status for r in results] == ["time_limit"] * 3
        assert all(np.isfinite(r.residuals.worst) for r in results)


@pytest.mark.parametrize("backend", ["cuda", "cpu"])
def test_ctrl_c_ends_a_batch(counted, backend, monkeypatch):
    calls = []

    def at_last(*args, **more):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Programs, "advance", after(Programs.advance, at_last))
    monkeypatch.setattr(Halpern, "advance", after(Halpern.advance, at_last))
    results = solve_qp_batch(**arguments(family(3)), backend=backend, polish=False, eps_abs=1e-12)
    assert [r.status for r in results] == ["interrupted"] * 3
    assert len(calls) <= 4 and all(np.isfinite(r.x).all() for r in results)


def after(method, also):
    def both(self):
        found = method(self)
        also()
        return found

    return both


def test_what_the_steps_leave_is_finished_on_the_host(on_device, monkeypatch):
    monkeypatch.setattr(qp_batch, "STEPS_BEFORE_FINISH", 100)
    results = solve_qp_batch(**arguments(family(3)), backend="cuda", eps_abs=1e-9)
    assert all(r.status is QPStatus.SOLVED and r.polished and r.backend == "cuda" for r in results)


def test_a_batch_larger_than_the_memory_goes_in_pieces(on_device, monkeypatch):
    monkeypatch.setattr(qp_batch, "MOST", 2)
    problems = family(5)
    results = solve_qp_batch(**arguments(problems), backend="cuda", polish=False, eps_abs=1e-4)
    assert [r.problem.sha256() for r in results] == [p.sha256() for p in problems]
    assert all(r.status is QPStatus.SOLVED for r in results)


def test_two_gpus_share_a_batch(device, monkeypatch):
    pair = Counting(device), Counting(device)
    monkeypatch.setattr(finding, "find", lambda: finding.Found(devices=pair, driver=(12, 0), cupy="0"))
    problems = family(5)
    together = solve_qp_batch(**arguments(problems), backend="cuda", polish=False, eps_abs=1e-4)
    assert all(d.log for d in pair) and [r.problem.sha256() for r in together] == [p.sha256() for p in problems]
    monkeypatch.setattr(finding, "find", lambda: found(pair[0]))
    alone = solve_qp_batch(**arguments(problems), backend="cuda", polish=False, eps_abs=1e-4)
    assert all(
        a.iterations == b.iterations and a.status == b.status == "solved" for a, b in zip(together, alone, strict=True)
    )


def test_other_methods_in_batches():
    given = arguments(family(2))
    assert [r.status for r in solve_qp_batch(**given, solver="rapdhg")] == ["solved"] * 2
    one = solve_qp_batch(np.eye(2), [-1.0, -1.0], ub=0.5)
    assert len(one) == 1 and one[0].x.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"q": np.zeros((2, 2)), "lb": np.zeros((3, 2))}, "sizes of the batch disagree: q has 2, lb has 3"),
        ({"q": np.zeros((0, 2))}, "a batch of no programs"),
        ({"q": [[1.0, 2.0], [1.0, np.nan]]}, r"program 1: q\[1\] is nan: it must be finite"),
        ({"q": [[1.0, 2.0], [1.0, 0.0]], "lb": [[0, 0], [0, 2.0]], "ub": 1.0}, r"program 1: lb\[1\] = 2 exceeds ub\[1\] = 1"),
        ({"P": [np.eye(2), -np.eye(2)], "q": np.ones(2)}, "program 1: P is not positive semidefinite, and hpr solves convex programs"),
        ({"q": np.zeros((2, 2, 2))}, "q has 3 axes; of a batch it has 2"),
        ({"q": np.ones(2), "A": [np.ones((1, 2)), np.ones((2, 2))], "b": [[1.0], [1.0]]}, "program 1: A has 2 rows, b has 1 entries"),
        ({"q": "x"}, "q must be numbers"),
        ({"q": np.ones((2, 2)), "solver": "auto"}, "a batch needs a solver by name"),
        ({"q": np.ones((2, 2)), "solver": "hrp"}, "unknown solver 'hrp'"),
        ({"q": np.ones((2, 2)), "presolv": True}, "hpr takes no presolv"),
        ({"q": np.ones((2, 2)), "backend": "gpu"}, "unknown backend 'gpu'"),
    ],
)  # fmt: skip
def test_batches_that_cannot_be(given, message):
    with pytest.raises(InputError, match=message):
        solve_qp_batch(**{"P": np.eye(2), **given})


def test_vectors_of_a_batch_are_checked_as_single_ones_are():
    results = solve_qp_batch(
        np.eye(2), [[-1.0, -1.0]] * 2, [[1.0, 1.0]], [[1e30], [0.5]], lb=[[-1e25, 0], [0, 0]], ub=7.0
    )
    assert results[0].problem.h.tolist() == [INF] and results[0].problem.lb.tolist() == [-INF, 0]
    assert results[1].problem.h.tolist() == [0.5] and results[1].problem.ub.tolist() == [7.0, 7.0]
    with pytest.raises(InputError, match=r"program 1: h\[0\] is -infinity"):
        solve_qp_batch(np.eye(2), [1.0, 1.0], [[1.0, 1.0]], [[1.0], [-1e30]])
    assert fnanneal.solve_qp_batch is solve_qp_batch
