"""Quadratic programs in FN-DAM cells: kernel, bank, accuracy, decay, what the result says of the cells."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from fnanneal.energy import account, technology
from fnanneal.errors import InputError
from fnanneal.fndam import FNDAMArray, Mismatch, Nodes, load_device
from fnanneal.problems.quadratic.program import QP
from fnanneal.qpresult import QPResult
from fnanneal.solvers.kernels.cells import cell_updates
from fnanneal.solvers.qp import cells as module
from fnanneal.solvers.qp.bank import Bank
from fnanneal.solvers.qp.cell_system import System
from fnanneal.solvers.qp.cells import BLOCK, Cells, State
from fnanneal.solvers.qp.method import Start, Tolerance
from fnanneal.solvers.qp.solve import solve_qp_problem

from .oracles_qp import SlowCell, cells_update
from .test_growth import constrained, random_box

SIO2 = load_device("sio2")
TOLERANCE = Tolerance(eps_abs=1e-6, eps_rel=0.0, polish=False)


def solve(problem: QP, bits: int = 10, updates: int = 6000, array: dict[str, Any] | None = None, **kw: Any) -> QPResult:
    weights = FNDAMArray(bits=bits, **(array or {}))
    return solve_qp_problem(problem, weights=weights, seed=kw.pop("seed", 1), updates=updates, **kw)


def curved(n: int = 20, seed: int = 5) -> QP:
    """A box with a well-conditioned P."""
    rng = np.random.default_rng(seed)
    M = rng.normal(size=(n, 2 * n))
    return QP.of(M @ M.T / n, 2 * rng.normal(size=n), lb=-np.ones(n), ub=np.ones(n))


def run(method: Cells, problem: QP, seed: int = 0, start: Start | None = None) -> tuple[System, State]:
    system = method.prepare(problem, TOLERANCE, 1)
    state = method.init(system, seed=seed, start=start)
    while state.done < method.updates:
        method.advance(system, state, 1.0)
    return system, state


@pytest.mark.nojit
@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 4, 9])
def test_kernel_against_oracle(bits: int, dense: bool) -> None:
    rng = np.random.default_rng(bits)
    n, m, updates = 4, 3, 60
    M, A = rng.normal(size=(n, n)), rng.normal(size=(m, n))
    P, q, b = M @ M.T, rng.normal(size=n), rng.normal(size=m)
    array = FNDAMArray(bits=bits)
    levels, cells = array.levels, n + m
    low, resolution = -rng.uniform(0.5, 2, cells), rng.uniform(1, 3, cells) / (levels - 1)
    rate = 0.05 / resolution
    nodes = Nodes.drawn(SIO2, Mismatch.of(0.01), (2, cells), rng)
    volts = 7.5 - 0.02 * rng.random((2, cells))
    k1, rise = np.exp(nodes.log_k1), nodes.coupling * 5.0
    unit = nodes.width_for(array.lsb * rng.uniform(0.7, 1.3, (2, cells)), volts, 5.0)
    rest = 1e-7 * rng.random((2, cells))
    most, keep = max(1, levels // 8), 1e-3
    slow = [
        SlowCell(
            float(low[i]), float(resolution[i]), float(rate[i]), levels, array.full_scale,
            *((float(v[0, i]), float(v[1, i])) for v in (k1, nodes.k2, rise, unit, rest)), volts[:, i].tolist(),
        )
        for i in range(cells)
    ]  # fmt: skip
    index = np.floor((volts[1] - volts[0] + array.full_scale) / array.lsb + 0.5).astype(np.int64).clip(0, levels - 1)
    for i, cell in enumerate(slow):
        cell.level = int(index[i])
    value = low + resolution * index
    gradient, above = P @ value[:n] + q + A.T @ value[n:], A @ value[:n] - b
    sums, squares, held, pulses = (
        np.zeros(cells),
        np.zeros(cells),
        np.zeros((2, cells), np.int64),
        np.zeros(cells, np.int64),
    )

    def stored(matrix: Any) -> Any:
        s = sp.csr_array(matrix)
        return (s.indptr, s.indices, s.data), np.ascontiguousarray(matrix) if dense else np.zeros((0, 0))

    carry = np.zeros(cells)
    spikes, met = cell_updates(
        stored(P), stored(A.T), stored(A), resolution, rate, keep, levels - 1, most, array.full_scale, array.lsb,
        nodes.k2, k1, rise, unit, rest, volts, carry, index, gradient, above,
        np.zeros((0, 0)), updates, sums, squares, held, pulses,
    )  # fmt: skip
    total, total_squares, changes = np.zeros(cells), np.zeros(cells), np.zeros(cells)
    for _ in range(updates):
        before = [c.level for c in slow]
        cells_update(P.tolist(), q.tolist(), A.tolist(), b.tolist(), keep, most, slow)
        away = np.array([c.level for c in slow]) - 0.5 * (levels - 1)
        total, total_squares = total + away, total_squares + away**2
        changes += [c.level != old for c, old in zip(slow, before, strict=True)]
    assert index.tolist() == [c.level for c in slow]
    assert pulses.tolist() == [c.pulses for c in slow] and held.sum(axis=0).tolist() == [c.held for c in slow]
    assert carry == pytest.approx([c.carry for c in slow], abs=1e-8)
    assert volts == pytest.approx(np.array([c.volts for c in slow]).T, abs=1e-12)
    assert np.array_equal(sums, total) and squares == pytest.approx(total_squares)
    assert spikes == changes.sum() and met == changes[:n].sum() * (n + m) + changes[n:].sum() * n
    value = low + resolution * index
    assert gradient == pytest.approx(P @ value[:n] + q + A.T @ value[n:], abs=1e-9)
    assert above == pytest.approx(A @ value[:n] - b, abs=1e-9)


def test_a_pulse_is_that_of_the_nodes() -> None:
    # One cell, one update that asks for 5 units.
    array = FNDAMArray(bits=8)
    nodes = Nodes.of(SIO2)
    volts, unit = np.full((2, 1), 7.5), np.full((2, 1), 1e-3)
    shape = np.ones((2, 1))
    none = (np.zeros(2, np.int32), np.zeros(0, np.int32), np.zeros(0)), np.zeros((0, 0))
    index = np.array([127])
    cell_updates(
        none, none, none, np.ones(1), np.ones(1), 0.0, 254, 31, 0.05, array.lsb, nodes.k2 * shape, SIO2.k1 * shape, 0.5 * 6.0 * shape, unit, 0 * shape,
        volts, np.zeros(1), index, np.array([-5.4]), np.zeros(0), np.zeros((0, 0)), 1, np.zeros(1), np.zeros(1), np.zeros((2, 1), np.int64), np.zeros(1, np.int64),
    )  # fmt: skip
    assert volts[0, 0] - 7.5 == pytest.approx(-nodes.loss(7.5, 5e-3, 6.0), rel=1e-9) and volts[1, 0] == 7.5
    assert index[0] == 127 + round(float(nodes.loss(7.5, 5e-3, 6.0)) / array.lsb)


@pytest.mark.parametrize("mismatch", [0.0, 0.005, 0.03])
def test_a_bank_is_programmed_and_trimmed(mismatch: float) -> None:
    array = FNDAMArray(bits=10, mismatch=mismatch)
    targets = np.linspace(-0.05, 0.05, 200)
    bank = Bank.programmed(array, targets, np.random.default_rng(1))
    assert np.abs(bank.weights() - targets).max() <= array.tolerance * array.lsb and bank.failures == 0
    assert bank.levels() == pytest.approx(np.floor((targets + 0.05) / array.lsb + 0.5), abs=1)
    # A trimmed cell steps as a nominal one does, but for what programming has worn off it since.
    assert bank.step().min() > 0.6 and bank.step().max() < 1.25
    before, pulses = bank.weights(), bank.pulses.copy()
    some = np.arange(200) % 2 == 0
    bank.move(-targets, some)
    assert np.abs(bank.weights() + targets)[some].max() <= array.tolerance * array.lsb
    assert np.array_equal(bank.weights()[~some], before[~some]) and np.array_equal(bank.pulses[~some], pulses[~some])
    bank.rest(1e6)
    if mismatch == 0:
        assert np.all(np.abs(bank.weights()[[0, -1]]) < 0.04), "weights decay"


@pytest.mark.parametrize("bits", [6, 8, 10, 12])
def test_a_box_is_solved_to_the_resolution(bits: int) -> None:
    problem = curved()
    exact = solve_qp_problem(problem, eps_abs=1e-9, seed=1)
    result = solve(problem, bits, time_constants=0.5)
    resolution = np.array(result.details["resolution"])
    assert resolution == pytest.approx(2 / (2**bits - 2))
    assert np.abs(result.x - exact.x).max() <= 1.01 * resolution[0]
    assert (
        result.objective - exact.objective
        <= 0.5 * np.linalg.eigvalsh(problem.P.toarray())[-1] * 20 * resolution[0] ** 2
    )
    assert result.residuals.primal == 0 and result.verify()
    # On a level, each.
    assert (result.x + 1) / resolution == pytest.approx(np.rint((result.x + 1) / resolution), abs=1e-9)


def test_a_bit_halves_the_error() -> None:
    problem = curved(40, 6)
    exact = solve_qp_problem(problem, eps_abs=1e-9, seed=1).x
    rms = [float(np.sqrt(np.mean((solve(problem, bits).x - exact) ** 2))) for bits in (4, 6, 8, 10)]
    ratios = np.array(rms[:-1]) / np.array(rms[1:])
    assert np.all((ratios > 2.5) & (ratios < 6.5)), "two bits: a factor of about 4"


def test_means_are_finer_than_levels() -> None:
    problem = curved()
    exact = solve_qp_problem(problem, eps_abs=1e-9, seed=1)
    levels, means = (solve(problem, 5, readout=r, time_constants=0.5) for r in ("levels", "mean"))
    assert np.abs(means.x - exact.x).max() < 0.3 * np.abs(levels.x - exact.x).max()
    assert (
        means.details["objective"]["mean"] == means.objective
        and levels.details["objective"]["levels"] == levels.objective
    )
    assert levels.details["excess"] == abs(levels.details["objective"]["levels"] - levels.details["objective"]["mean"])


def test_constraints() -> None:
    problem = constrained()
    exact = solve_qp_problem(problem, eps_abs=1e-9, seed=1)
    result = solve(problem, 12, updates=20_000)
    assert result.x == pytest.approx(exact.x, abs=0.01)
    assert result.z == pytest.approx(exact.z, abs=0.02) and result.y == pytest.approx(exact.y, abs=0.02)
    assert np.all(result.z >= 0) and result.residuals.worst < 0.02 and result.residuals.sign == 0


def test_a_linear_program() -> None:
    # max x + 2y, x + y <= 1, x <= 0.7, both at least 0, without upper bounds: (0, 1), multipliers 2 and 0.
    problem = QP.of(None, [-1.0, -2.0], [[1.0, 1.0], [1.0, 0.0]], [1.0, 0.7], lb=[0, 0])
    result = solve(problem, 10, updates=20_000)
    assert result.x == pytest.approx([0, 1], abs=0.02) and result.z == pytest.approx([2, 0], abs=0.05)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
def test_free_variables_find_their_ranges(scale: float) -> None:
    rng = np.random.default_rng(2)
    M, t = rng.normal(size=(30, 6)), rng.normal(size=30)
    # Ridge regression in other units.
    problem = QP.of((M.T @ M + np.eye(6)) / scale**2, -M.T @ t / scale)
    exact = scale * np.linalg.solve(M.T @ M + np.eye(6), M.T @ t)
    result = solve(problem, 10)
    assert result.x == pytest.approx(exact, abs=6e-3 * np.abs(exact).max())
    resolution = np.array(result.details["resolution"])
    assert np.all(np.abs(result.x) <= 511 * resolution) and np.all(resolution * 511 < 25 * np.abs(exact).max())


def test_other_units_of_the_objective_change_nothing() -> None:
    p = constrained()
    scaled = QP.of(p.P * 1e3, p.q * 1e3, p.G, p.h, p.A, p.b, p.lb, p.ub)
    one, other = solve(p, 10), solve(scaled, 10)
    assert other.x == pytest.approx(one.x, abs=0.02) and other.z == pytest.approx(1e3 * one.z, abs=60)


def test_steps_fall_as_one_over_time() -> None:
    # Without a gradient nothing is pulsed, and cells age with time alone, by the exponent of docs/fn-dam.md.
    still = QP.of(np.eye(3), np.zeros(3), lb=-np.ones(3), ub=np.ones(3))
    for tau in (0.5, 2.0, 8.0):
        method = Cells(weights=FNDAMArray(bits=8), updates=2000, time_constants=tau)
        details = method.report(*run(method, still)).details
        assert details is not None and details["pulses"] == 0
        volts, rise = details["common_mode"][0], SIO2.coupling * details["pulse_height"]
        exponent = (volts / (volts + rise)) ** 2 * (1 + 2 * (volts + rise) / SIO2.k2)
        assert exponent > 0.75 and details["step_left"] == pytest.approx((1 + tau) ** -exponent, rel=0.02)
    # At the device's own voltage, time does nothing, and pulses wear a node off: coarse ones soon.
    worn = [solve(constrained(), bits, time_constants=0, updates=4000).details["step_left"] for bits in (3, 8)]
    assert worn[0] < worn[1] < 1


def test_common_modes_only_fall() -> None:
    result = solve(constrained(), 8)
    first, last = result.details["common_mode"]
    assert 9 < last < first < 10 and result.details["chip_seconds"] == 60.0


def test_forgetting_is_a_ridge_term() -> None:
    # Far from the middle of their ranges, where forgetting tells: its fixed point is the solution of the program with the ridge.
    rng = np.random.default_rng(3)
    n = 6
    M = rng.normal(size=(n, n))
    P, x = M @ M.T / n + 0.01 * np.eye(n), rng.uniform(0.5, 0.9, n)
    problem = QP.of(P, -P @ x, lb=-np.ones(n), ub=np.ones(n))
    kept = solve(problem, 12, updates=30_000, time_constants=8.0, forgetting="kept", readout="mean")
    ridge, centre = np.array(kept.details["ridge"]), np.array(kept.details["ridge_centre"])
    assert centre == pytest.approx(np.zeros(n), abs=1e-9) and np.all(ridge > 0)
    shrunk = np.linalg.solve(P + np.diag(ridge), P @ x)
    cancelled = solve(problem, 12, updates=30_000, time_constants=8.0, readout="mean")
    bias = np.abs(shrunk - x).max()
    assert bias > 0.02
    assert np.abs(kept.x - shrunk).max() < 0.25 * bias
    assert np.abs(cancelled.x - x).max() < 0.25 * bias


def test_chips_differ_and_all_learn() -> None:
    problem = curved()
    exact = solve_qp_problem(problem, eps_abs=1e-9, seed=1).x
    for array in (
        {"mismatch": 0.02},
        {"read_noise": 1e-4},
        {"mismatch": 0.02, "read_noise": 5e-5},
        {"hold_seconds": 50.0},
        {"sweep_seconds": 0.1},
    ):
        result = solve(problem, 8, array=array)
        assert np.abs(result.x - exact).max() <= 4 * result.details["resolution"][0], array
        assert result.details["missed"] <= 2 and result.details["unprogrammed"] == 0
    a, b, c = (solve(problem, 8, array={"mismatch": 0.02}, seed=s) for s in (1, 1, 2))
    assert np.array_equal(a.x, b.x) and a.events == b.events and a.events != c.events
    named = [solve(problem, 8, array={"mismatch": 0.02, "seed": 9}, seed=s) for s in (1, 2)]
    assert named[0].events == named[1].events, "an array's own seed names the chip"


def test_without_mismatch_in_the_limit() -> None:
    problem = constrained()
    ideal, nearly = (solve(problem, 10, array={"mismatch": m}) for m in (0.0, 1e-6))
    resolution = np.array(ideal.details["resolution"])
    assert np.all(np.abs(ideal.x - nearly.x) <= 3 * resolution)


def test_pieces_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    method = Cells(weights=FNDAMArray(bits=8, mismatch=0.01, read_noise=2e-5), updates=2050)
    _, whole = run(method, constrained())
    monkeypatch.setattr(module, "WORK", 1)
    system = method.prepare(constrained(), TOLERANCE, 1)
    pieces = method.init(system, seed=0, start=None)
    steps = []
    while pieces.done < 2050:
        method.advance(system, pieces, 1e-9)
        steps.append(method.report(system, pieces).iterations)
    assert steps[0] == BLOCK and steps[-1] == 2050
    for f in fields(State):
        if f.name != "bank":
            assert np.array_equal(getattr(whole, f.name), getattr(pieces, f.name)), f.name
    assert np.array_equal(whole.bank.volts, pieces.bank.volts) and np.array_equal(whole.bank.pulses, pieces.bank.pulses)


def test_the_answer_is_what_the_cells_hold() -> None:
    method = Cells(weights=FNDAMArray(bits=9, mismatch=0.01), updates=3000)
    problem = curved()
    system, state = run(method, problem)
    step = method.report(system, state)
    assert step.finished and state.missed == 0
    w = state.bank.weights() + 0.05
    assert step.point.x == pytest.approx(-1 + np.floor(w / method.array.lsb + 0.5) * state.resolution, abs=1e-12)
    assert step.details is not None and step.details["consolidated"]


def test_a_start_is_programmed() -> None:
    problem = constrained()
    exact = solve_qp_problem(problem, eps_abs=1e-9, seed=1)
    method = Cells(weights=FNDAMArray(bits=12), updates=400)
    system = method.prepare(problem, TOLERANCE, 1)
    warm = method.init(system, seed=0, start=Start(x=exact.x, y=exact.y, z=exact.z))
    point = method.report(system, warm).point
    assert point.x == pytest.approx(exact.x, abs=1e-3) and point.z == pytest.approx(exact.z, abs=5e-3)
    assert point.y == pytest.approx(exact.y, abs=5e-3)
    result = solve(problem, 12, updates=200, x0=exact.x, y0=exact.y, z0=exact.z)
    assert result.residuals.worst < 0.2 * solve(problem, 12, updates=200).residuals.worst


def test_pulses_are_counted_and_priced() -> None:
    method = Cells(weights=FNDAMArray(bits=8), updates=1500)
    problem = curved()
    system, state = run(method, problem)
    step = method.report(system, state)
    assert step.events.weight_pulses == state.bank.pulses.sum() == step.details["pulses"] > 0  # type: ignore[index]
    a = account(step.events, technology("fn-dam"), real_numbers=True)
    assert a.items["weight_pulses"] == pytest.approx(5e-15 * step.events.weight_pulses) and a.status == "partial"
    assert step.events.synaptic_events == 20 * step.events.spikes, "each change of a reading meets a column of P"


def test_degenerate_programs() -> None:
    assert solve(QP.of(np.eye(2), [1.0, 1.0], lb=[3, -2], ub=[3, -2]), 4, updates=200).x == pytest.approx([3, -2])
    one_bit = solve(QP.of(np.eye(2), [-9.0, 9.0], lb=-np.ones(2), ub=np.ones(2)), 1, updates=1000)
    assert one_bit.x == pytest.approx([1, -1]) and one_bit.residuals.worst < 1e-9
    empty_row = QP.of(np.eye(2), [-1.0, 0.0], np.zeros((1, 2)), [1.0], lb=[0, 0], ub=[1, 1])
    assert solve(empty_row, 8, updates=1000).x == pytest.approx([1, 0], abs=0.01)
    infinite = QP.of(np.eye(2), [-1.0, 0.0], np.eye(2), [np.inf, 0.5], lb=[-2, -2], ub=[2, 2])
    result = solve(infinite, 8, updates=3000)
    assert result.x == pytest.approx([1, 0], abs=0.02) and result.z.shape == (2,) and result.z[0] == 0


def test_solve_qp_chooses_cells() -> None:
    result = solve_qp_problem(curved(), weights="fn-dam", seed=1, updates=500)
    assert result.solver == "cells" and result.details["bits"] == 8 and result.settings["weights"]["bits"] == 8
    assert solve_qp_problem(random_box(5, 0), solver="cells", seed=1, updates=200).solver == "cells"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"updates": 0}, "updates must be an integer"), ({"readout": "best"}, "unknown readout 'best'; there are: levels, mean"),
    ({"forgetting": "lost"}, "unknown forgetting 'lost'"), ({"time_constants": -1}, "time_constants"), ({"time_constants": 1e6}, "more than the oxide stands"),
    ({"array": {"max_height": 1.0}}, "the array allows 1 V"), ({"speed": 1}, "cells takes no speed"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "says"), BAD)
def test_bad_settings(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as e:
        solve(random_box(4, 0), **wrong)
    assert "\n" not in str(e.value)


def test_wrong_weights_and_binary_variables() -> None:
    with pytest.raises(InputError, match="weights must be an FNDAMArray, not 8"):
        Cells(weights=8)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cells holds continuous variables"):
        solve(QP.of(np.eye(2), np.zeros(2), lb=[0, 0], ub=[1, 1], binary=[True, False]))
    assert replace(Cells(), updates=7).settings()["updates"] == 7
