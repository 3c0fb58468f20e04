"""Stopping and going on: a resumed run ends where an uninterrupted one does, and a file that is not its checkpoint is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fnanneal.run
from fnanneal import Progress, Result, Status, solve
from fnanneal.errors import InputError
from fnanneal.problems.model import Model
from fnanneal.solvers import names

from .test_solvers import one_line, run, same, small

LONGER: dict[str, dict[str, Any]] = {
    "neurosa": {"num_steps": 120_000, "num_reads": 2, "k1": 1e-5},
    "sa": {"num_reads": 3, "num_sweeps": 3000},
}


def stopping(after: int) -> Any:
    calls = 0

    def callback(_: Progress) -> bool:
        nonlocal calls
        calls += 1
        return calls >= after

    return callback


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fnanneal.run, "CHUNK_S", 1e-4)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
@pytest.mark.parametrize("name", names())
def test_a_resumed_run_ends_like_an_uninterrupted_one(name: str, weights: str, tmp_path: Path) -> None:
    problem = small(31, 20 if name == "exact" else 50, weights)
    whole = run(problem, name, **LONGER.get(name, {}))
    file = tmp_path / "run.npz"
    part = run(problem, name, **LONGER.get(name, {}), checkpoint=file, callback=stopping(3))
    assert part.status is Status.STOPPED
    assert 0 < part.events.spin_tests < whole.events.spin_tests
    again = solve(problem, resume=file, checkpoint=file, callback=stopping(2), threads=2)
    assert again.status is Status.STOPPED
    assert part.events.spin_tests < again.events.spin_tests < whole.events.spin_tests
    last = solve(problem, resume=file, checkpoint=file, threads=1)
    same(last, whole)
    assert (last.status, last.seed, dict(last.settings)) == (whole.status, whole.seed, dict(whole.settings))
    assert last.time.solve_s >= again.time.solve_s >= part.time.solve_s
    assert last.trace[: len(part.trace)] == part.trace
    # A run that is over does no more work.
    over = solve(problem, resume=file, threads=1)
    assert over.status is whole.status
    assert over.events == whole.events
    assert np.array_equal(over.spins, whole.spins)
    assert over.objective == whole.objective


@pytest.mark.usefixtures("small_chunks")
def test_a_run_in_rounds_resumes_with_its_samples(tmp_path: Path) -> None:
    problem, file = small(32, 30, "pm1"), tmp_path / "run.npz"
    limits = {"target": -(10**6), "time_limit": 60.0}
    # Into the second round, whose first has 1000 sweeps.
    stop = lambda progress: progress.spin_tests > 1100 * 2 * 30
    part = solve(problem, "sa", num_reads=2, seed=3, checkpoint=file, callback=stop, **limits)
    assert part.num_sweeps > 1000
    longer = solve(problem, resume=file, target=-(10**6), time_limit=part.time.solve_s + 0.2)
    assert longer.status is Status.TIME_LIMIT
    assert longer.num_sweeps > part.num_sweeps
    assert longer.num_reads >= part.num_reads
    assert longer.multiplicity.sum() == longer.num_reads
    assert longer.objective <= part.objective


@pytest.mark.usefixtures("small_chunks")
def test_a_run_of_all_samples_counts_them_once(tmp_path: Path) -> None:
    problem, file = small(33, 30, "pm1"), tmp_path / "run.npz"
    r = run(problem, "sa", num_reads=4, num_sweeps=500, checkpoint=file)
    over = solve(problem, resume=file)
    same(over, r)


def make(path: Path, problem: Model) -> Result:
    return run(problem, "sa", num_sweeps=2000, checkpoint=path, callback=stopping(1))


@pytest.mark.usefixtures("small_chunks")
def test_another_problem_solver_seed_or_setting_is_refused(tmp_path: Path) -> None:
    problem, file = small(34, 20, "pm1"), tmp_path / "run.npz"
    make(file, problem)
    for wrong, what in (
        ({"problem": small(35, 20, "pm1")}, "problem"),
        ({"problem": problem.to_qubo()}, "problem"),
        ({"solver": "neurosa"}, "solver"),
        ({"seed": 6}, "seed"),
        ({"num_reads": 7}, "num_reads"),
        ({"num_sweeps": 1999}, "num_sweeps"),
        ({"rule": "heat-bath"}, "rule"),
        ({"beta_range": (0.1, 1.0)}, "beta_range"),
        ({"nonsense": 1}, "nonsense"),
        ({"initial_states": [1] * 20}, "initial_states"),
    ):
        arguments: dict[str, Any] = {"problem": problem, "resume": file, **wrong}
        with pytest.raises(InputError) as e:
            solve(**arguments)
        assert what in one_line(e)
    alike = solve(problem, "sa", resume=file, seed=5, num_reads=6, num_sweeps=2000, rule="metropolis")
    assert alike.status is Status.COMPLETED


@pytest.mark.usefixtures("small_chunks")
def test_settings_that_are_tuples_survive(tmp_path: Path) -> None:
    problem, file = small(36, 20, "pm1"), tmp_path / "run.npz"
    whole = run(problem, "sa", num_sweeps=2000, beta_range=(0.1, 3))
    run(problem, "sa", num_sweeps=2000, beta_range=(0.1, 3), checkpoint=file, callback=stopping(1))
    same(solve(problem, resume=file, beta_range=(0.1, 3)), whole)


@pytest.mark.usefixtures("small_chunks")
def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    problem, good = small(37, 20, "pm1"), tmp_path / "good.npz"
    make(good, problem)
    content = good.read_bytes()
    rng = np.random.default_rng(1)
    bad = tmp_path / "bad.npz"
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.save(tmp_path / "single.npy", np.zeros(3))
    damaged = [
        b"",
        b"PK",
        b"not a checkpoint",
        rng.bytes(3000),
        (tmp_path / "other.npz").read_bytes(),
        (tmp_path / "single.npy").read_bytes(),
        *(content[:k] for k in rng.integers(1, len(content), 20)),
    ]
    for data in damaged:
        bad.write_bytes(data)
        with pytest.raises(InputError) as e:
            solve(problem, resume=bad)
        assert "bad.npz" in one_line(e)
    for path in (tmp_path / "absent.npz", tmp_path):
        with pytest.raises(InputError) as e:
            solve(problem, resume=path)
        assert str(path) in one_line(e)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Model, Path]:
    """A problem and a checkpoint of it, early in the run."""
    problem, file = small(38, 20, "pm1"), tmp_path / "good.npz"
    with monkeypatch.context() as m:
        m.setattr(fnanneal.run, "CHUNK_S", 1e-4)
        make(file, problem)
    return problem, file


def test_one_changed_byte_is_refused_or_harmless(checkpoint: tuple[Model, Path], tmp_path: Path) -> None:
    problem, good = checkpoint
    bad = tmp_path / "bad.npz"
    whole = solve(problem, resume=good)
    content = good.read_bytes()
    rng = np.random.default_rng(2)
    # The headers of the archive's members are where damage takes the oddest forms.
    starts = [k for k in range(len(content)) if content[k : k + 2] == b"PK"]
    places = [s + d for s in starts for d in range(0, 60, 3) if s + d < len(content)]
    outcomes: dict[str, int] = {}
    for k in [*places, *rng.integers(0, len(content), 200).tolist()]:
        data = bytearray(content)
        data[k] ^= 1 << int(rng.integers(8))
        bad.write_bytes(bytes(data))
        try:
            same(solve(problem, resume=bad), whole)
            outcome = "the same"
        except InputError as e:
            outcome = "refused"
            assert "\n" not in str(e)
        except Exception as e:  # noqa: BLE001 (any other is what this test looks for)
            outcome = f"{type(e).__name__}: {e}"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes.keys() == {"the same", "refused"}, outcomes
    assert outcomes["refused"] > 100


CHANGES: dict[str, dict[str, Any]] = {
    "a field of the state is missing": {"state.spins": None},
    "a field of the state is unknown": {"state.more": np.zeros(2)},
    "a shape of the state": {"state.spins": np.ones((6, 19), np.int8)},
    "a type of the state": {"state.fields": np.zeros((6, 20), np.float64)},
    "a value of the spins": {"spins": np.full(20, 3, np.int8)},
    "a shape of the spins": {"spins": np.ones(19, np.int8)},
    "no samples": {"samples.bits": None},
    "samples of another length": {"samples.counts": np.ones(7, np.int64)},
    "no dictionary": {"meta": np.array("[]")},
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_checkpoint_of_another_making_is_refused(change: str, checkpoint: tuple[Model, Path], tmp_path: Path) -> None:
    problem, good = checkpoint
    bad = tmp_path / "bad.npz"
    with np.load(good) as data:
        arrays = {**dict(data), **CHANGES[change]}
    np.savez(bad, **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError) as e:
        solve(problem, resume=bad)
    one_line(e)


def test_a_checkpoint_of_another_version_is_refused(checkpoint: tuple[Model, Path], tmp_path: Path) -> None:
    problem, good = checkpoint
    bad = tmp_path / "bad.npz"
    with np.load(good) as data:
        arrays = dict(data)
    meta = json.loads(str(arrays["meta"]))
    np.savez(bad, **{**arrays, "meta": np.array(json.dumps({**meta, "fnanneal": 999}))})
    with pytest.raises(InputError, match="another version"):
        solve(problem, resume=bad)


def test_a_checkpoint_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as e:
        run(small(40, 20, "pm1"), "sa", checkpoint=tmp_path / "absent" / "run.npz")
    assert "cannot write the checkpoint" in one_line(e)
