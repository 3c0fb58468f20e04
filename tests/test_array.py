"""Arrays of cells: programmed by pulses and readings, read, left to drift."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal.errors import InputError
from fnanneal.fndam import DifferentialCell, FNDAMArray, Mismatch, Nodes, load_device
from fnanneal.fndam.array import CHUNK, ProgrammedArray

SIO2 = load_device("sio2")
RNG = np.random.default_rng(11)
GAUSS = RNG.normal(size=(40, 50))


def slow_levels(bits: int) -> list[float]:
    """The levels of full scale 1, written out."""
    if bits == 1:
        return [-1.0, 1.0]
    top = 2 ** (bits - 1) - 1
    return [k / top for k in range(-top, top + 1)]


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 8])
def test_targets_are_the_nearest_levels(bits: int) -> None:
    array = FNDAMArray(bits=bits, scaling="largest").program(GAUSS)
    scale = np.abs(GAUSS).max()
    levels = slow_levels(bits)
    assert FNDAMArray(bits=bits).levels == len(levels)
    for target, value in zip(array.targets * array.gain / scale, GAUSS.ravel() / scale, strict=True):
        nearest = min(abs(value - level) for level in levels)
        assert min(abs(target - level) for level in levels) < 1e-12
        assert abs(value - target) == pytest.approx(nearest, abs=1e-12)
    assert array.report().rounding_rms == pytest.approx(
        float(np.sqrt(np.mean((array.targets * array.gain - GAUSS.ravel()) ** 2)))
    )


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 10])
def test_the_scale_is_that_of_the_least_squares(bits: int) -> None:
    array, largest = FNDAMArray(bits=bits).program(GAUSS), np.abs(GAUSS).max()
    levels = np.array(slow_levels(bits))

    def error(scale: float) -> float:
        nearest = np.abs(GAUSS.ravel()[:, None] - scale * levels).min(axis=1)
        return float(np.mean(nearest**2))

    chosen = array.gain * array.settings.full_scale
    least = min(error(s) for s in np.linspace(0.05, 1, 400) * largest)
    assert error(chosen) <= 1.02 * least and array.report().rounding_rms == pytest.approx(math.sqrt(error(chosen)))
    if bits <= 4:
        assert error(chosen) < 0.9 * error(largest)
    assert FNDAMArray(bits=bits, scaling="largest").program(GAUSS).gain * 0.05 == pytest.approx(largest)


@pytest.mark.parametrize("bits", range(1, 15))
def test_plus_and_minus_one_are_levels_and_so_is_zero(bits: int) -> None:
    ideal = np.array([1.0, -1.0, 1.0] + ([] if bits == 1 else [0.0]))
    array = FNDAMArray(bits=bits).program(ideal)
    assert array.targets * array.gain == pytest.approx(ideal, abs=1e-15)
    assert array.report().rounding_rms < 1e-15


@pytest.mark.parametrize(
    "mismatch",
    [0.0, 0.02, Mismatch(area=0.1), Mismatch(capacitance=0.03), Mismatch(oxide=0.02), Mismatch(initial=0.02)],
)
@pytest.mark.parametrize("bits", [3, 8, 14])
def test_every_cell_ends_within_tolerance(bits: int, mismatch: Any) -> None:
    array = FNDAMArray(bits=bits, mismatch=mismatch).program(GAUSS, seed=5)
    report = array.report()
    assert (report.failures, report.cells) == (0, GAUSS.size)
    assert report.max_error_lsb <= 0.5 and report.most_pulses <= 20
    error = np.abs(array.volts() - array.targets) / array.settings.lsb
    assert error.max() == pytest.approx(report.max_error_lsb) and np.sqrt(np.mean(error**2)) == pytest.approx(
        report.rms_error_lsb
    )
    assert report.max_error == pytest.approx(report.max_error_lsb * array.settings.lsb * array.gain)
    assert report.pulses == array.pulses.sum() and report.seconds == report.most_pulses * array.settings.pulse_width
    read = array.read()
    assert read.shape == GAUSS.shape
    assert read == pytest.approx(
        (array.targets * array.gain).reshape(GAUSS.shape), abs=0.5 * array.settings.lsb * array.gain
    )


def test_pulses_only_lower_nodes() -> None:
    array = FNDAMArray(bits=10, mismatch=0.02).program(GAUSS, seed=2)
    up, down = array._nodes(0, array.cells)
    assert np.all(array.set_voltage <= up.initial_voltage) and np.all(array.reset_voltage <= down.initial_voltage)
    assert np.any(array.set_voltage < up.initial_voltage) and np.any(array.reset_voltage < down.initial_voltage)
    # A cell without pulses is as it came.
    untouched = array.pulses == 0
    assert np.all(array.set_voltage[untouched] == up.initial_voltage[untouched])


def test_without_mismatch_the_model_is_right_at_once() -> None:
    assert FNDAMArray(bits=12).program(GAUSS).report().most_pulses == 1


def test_a_narrower_tolerance_takes_more_pulses_and_errs_less() -> None:
    reports = [
        FNDAMArray(bits=8, mismatch=0.02, tolerance=t).program(GAUSS, seed=1).report() for t in (0.5, 0.05, 0.005)
    ]
    assert reports[0].pulses < reports[1].pulses < reports[2].pulses
    assert reports[0].rms_error > reports[1].rms_error > reports[2].rms_error
    assert reports[2].max_error_lsb <= 0.005 and (reports[2].effective_bits or 0) > (reports[0].effective_bits or 99)


def test_too_few_pulses_fail_and_say_so() -> None:
    report = FNDAMArray(bits=12, mismatch=0.05, max_pulses=2).program(GAUSS, seed=1).report()
    assert report.most_pulses == 2 and 0 < report.failures < report.cells
    assert report.max_error_lsb > 0.5


def test_noise_of_the_readings_limits_the_resolution() -> None:
    silent, noisy = (FNDAMArray(bits=8, mismatch=0.02, read_noise=v).program(GAUSS, seed=3) for v in (0.0, 1e-4))
    assert noisy.report().rms_error > 1.2 * silent.report().rms_error
    # A solve's reading has the noise; the same each time.
    spread = (noisy.read() - noisy.read(noise=False)) / noisy.gain
    assert spread.std() == pytest.approx(1e-4, rel=0.05) and np.array_equal(noisy.read(), noisy.read())
    later = (noisy.read(1e-3) - noisy.read(1e-3, noise=False)) / noisy.gain
    assert abs(np.corrcoef(spread.ravel(), later.ravel())[0, 1]) < 0.1, "another moment, another reading"
    assert np.array_equal(silent.read(), silent.read(noise=False))


def test_effective_bits_of_an_ideal_rounding() -> None:
    # Errors even over a step between levels have an rms of step/sqrt(12): the resolution is then that of the levels.
    array = FNDAMArray(bits=6).program(GAUSS)
    lsb = array.settings.lsb
    spread = replace(
        array, reset_voltage=array.set_voltage + array.targets + lsb * (np.linspace(-0.5, 0.5, array.cells))
    )
    assert spread.report().effective_bits == pytest.approx(math.log2(array.settings.levels), abs=0.01)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "lil", "dok"])
@pytest.mark.parametrize("kind", [sp.coo_array, sp.coo_matrix])
def test_sparse_stays_sparse(form: str, kind: Any) -> None:
    rng = np.random.default_rng(1)
    matrix = kind(np.where(rng.random((60, 70)) < 0.05, rng.normal(size=(60, 70)), 0.0)).asformat(form)
    array = FNDAMArray(bits=9, mismatch=0.01).program(matrix, seed=4)
    read: Any = array.read()
    assert sp.issparse(read) and type(read) is type(matrix) and read.shape == matrix.shape and array.cells == matrix.nnz
    assert np.array_equal(read.toarray() != 0, matrix.toarray() != 0)
    step = array.settings.lsb * array.gain
    assert np.abs(read.toarray() - matrix.toarray()).max() <= 1.001 * step


def test_threads_do_not_matter_and_chips_differ() -> None:
    values = np.random.default_rng(0).normal(size=2 * CHUNK + 100)
    settings = FNDAMArray(bits=8, mismatch=0.02, read_noise=2e-5)
    one, two = (settings.program(values, seed=9, threads=t) for t in (1, 2))
    assert np.array_equal(one.set_voltage, two.set_voltage) and np.array_equal(one.reset_voltage, two.reset_voltage)
    assert np.array_equal(one.read(1e5, threads=1), two.read(1e5, threads=2))
    assert not np.array_equal(one.read(), settings.program(values, seed=10).read())
    mine = replace(settings, seed=9).program(values, seed=77)
    assert np.array_equal(one.read(), mine.read()), "an array's own seed names the chip"
    # No two chunks have the same cells.
    assert not np.array_equal(one._nodes(0, CHUNK)[0].k2, one._nodes(1, CHUNK)[0].k2)


@pytest.mark.parametrize("mismatch", [0.0, 0.02])
def test_drift_is_that_of_the_cells(mismatch: float) -> None:
    array = FNDAMArray(bits=8, mismatch=mismatch).program(GAUSS, seed=6)
    up, down = array._nodes(0, array.cells)
    cells = DifferentialCell(
        set_nodes=up, reset_nodes=down, set_voltage=array.set_voltage, reset_voltage=array.reset_voltage
    )
    for seconds in (1.0, 1e4, 1e7):
        assert array.volts(seconds) == pytest.approx(cells.rest(seconds).weight, abs=1e-13)
        assert array.read(seconds).ravel() == pytest.approx(array.gain * cells.rest(seconds).weight, abs=1e-12)
    assert np.array_equal(array.volts(0.0), array.reset_voltage - array.set_voltage)
    with pytest.raises(InputError, match="seconds must be positive"):
        array.volts(-1.0)


def test_one_fixed_pulse_makes_a_staircase() -> None:
    values = np.array([1.0, -0.6, 0.0, 0.3])
    array = FNDAMArray(bits=8, fixed_height=8.0).program(values)
    stairs = np.array(array.staircase)
    assert stairs.shape == (array.pulses.max() + 1, 4) and np.all(stairs[0] == 0)
    assert np.all(np.diff(stairs[:, 0]) >= 0) and np.all(np.diff(stairs[:, 1]) <= 0) and np.all(stairs[:, 2] == 0)
    # Each step is that of the cell, and the stairs end where the target is passed.
    cell = DifferentialCell.of(SIO2)
    for k in range(1, 6):
        cell = replace(cell, set_voltage=cell.set_nodes.pulse(cell.set_voltage, 8.0, array.settings.pulse_width))
        assert stairs[k, 0] == pytest.approx(cell.weight, rel=1e-9)
    end = stairs[-1]
    assert (
        end[0] >= array.targets[0] > stairs[array.pulses[0] - 1, 0]
        and end[1] <= array.targets[1] < stairs[array.pulses[1] - 1, 1]
    )
    assert np.array_equal(end, array.volts())
    coarse = FNDAMArray(bits=8, fixed_height=11.0).program(values).report()
    assert coarse.failures > 0, "a large step misses the tolerance"
    with pytest.raises(InputError, match="at most 1000 cells"):
        FNDAMArray(fixed_height=8.0).program(np.ones(1001))


@settings(max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), min_size=0, max_size=40), st.integers(1, 14), st.floats(0, 0.02))
def test_any_numbers(values: list[float], bits: int, mismatch: float) -> None:
    array = FNDAMArray(bits=bits, mismatch=mismatch).program(values, seed=1)
    read = array.read()
    largest = max(map(abs, values), default=0.0)
    assert read.shape == (len(values),) and np.all(np.isfinite(read))
    if largest > 1e-290:
        step = array.settings.lsb * array.gain
        scale = array.settings.full_scale * array.gain
        assert np.all(np.abs(read - np.clip(values, -scale, scale)) <= 1.001 * step)
        assert scale <= largest * (1 + 1e-12)


def test_nothing_at_all() -> None:
    report = FNDAMArray().program([]).report()
    assert (report.cells, report.pulses, report.rms_error, report.effective_bits) == (0, 0, 0.0, None)


def test_zeros_alone() -> None:
    array = FNDAMArray(bits=4, mismatch=0.02).program(np.zeros((3, 3)), seed=1)
    assert np.abs(array.volts()).max() <= 0.5 * array.settings.lsb and array.report().failures == 0


def test_settings_come_back() -> None:
    mine = FNDAMArray(
        bits=5,
        mismatch=Mismatch(area=0.1),
        read_noise=1e-5,
        seed=3,
        device=replace(SIO2, name="x", initial_voltage=7.0),
    )
    assert FNDAMArray.from_settings(mine.settings()) == mine
    assert FNDAMArray(mismatch=0.1) == FNDAMArray(mismatch=Mismatch.of(0.1)) and FNDAMArray(
        device="sio2"
    ) == FNDAMArray(device=SIO2)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"bits": 0}, "bits must be an integer from 1 to 14"), ({"bits": 15}, "bits"), ({"bits": 3.5}, "bits"), ({"bits": True}, "bits"),
    ({"mismatch": -0.1}, "mismatch"), ({"mismatch": math.nan}, "mismatch"), ({"mismatch": "large"}, "mismatch"),
    ({"read_noise": -1.0}, "read_noise"), ({"read_noise": math.inf}, "read_noise"), ({"tolerance": 0.0}, "tolerance"),
    ({"full_scale": 5.0}, "more than a fifth"), ({"full_scale": -0.1}, "full_scale"), ({"max_pulses": 0}, "max_pulses"),
    ({"pulse_width": 0.0}, "pulse_width"), ({"max_height": -1.0}, "max_height"), ({"fixed_height": 0.0}, "fixed_height"),
    ({"sweep_seconds": -1.0}, "sweep_seconds"), ({"hold_seconds": math.nan}, "hold_seconds"), ({"reread_sweeps": 0}, "reread_sweeps"),
    ({"seed": -1}, "seed"), ({"scaling": "none"}, "unknown scaling 'none'"), ({"device": "gold"}, "unknown device 'gold'"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "says"), BAD)
def test_bad_settings(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as e:
        FNDAMArray(**wrong)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "matrix", [[1.0, math.nan], [[1, 2], [3]], ["a", "b"], [1j], [math.inf], np.array([None, 1.0])]
)
def test_bad_matrices(matrix: Any) -> None:
    with pytest.raises(InputError, match="matrix to program"):
        FNDAMArray().program(matrix)
    with pytest.raises(InputError, match="not finite"):
        FNDAMArray().program(sp.csr_array(np.array([[0.0, math.nan]])))


def test_wild_cells_fail_but_stay_numbers() -> None:
    # At 15 % mismatch some oxides are so thin that their cells cannot hold anything.
    array: ProgrammedArray = FNDAMArray(bits=8, mismatch=0.15).program(
        np.random.default_rng(2).normal(size=20_000), seed=1
    )
    assert 0 < array.failed.sum() < array.cells
    assert np.all(np.isfinite(array.volts())) and np.all(np.isfinite(array.volts(1e6)))
    assert np.all(np.abs(array.volts() - array.targets)[~array.failed] <= 0.5 * array.settings.lsb * (1 + 1e-9))


def test_nodes_by_number() -> None:
    nodes = Nodes.drawn(SIO2, Mismatch.of(0.05), 6, np.random.default_rng(1))
    some = nodes.of_some(np.array([4, 1]))
    assert np.array_equal(some.k2, nodes.k2[[4, 1]]) and np.array_equal(
        some.initial_voltage, nodes.initial_voltage[[4, 1]]
    )
