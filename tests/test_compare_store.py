"""The store: what goes in comes out, kills lose nothing finished, claims keep two processes apart."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal.compare.cells import Budget
from fnanneal.compare.plan import make_plan
from fnanneal.compare.records import Record
from fnanneal.compare.store import (
    FILE,
    LAPSE_S,
    Store,
    alive,
    pack_point,
    pack_spins,
    started,
    unpack_point,
    unpack_spins,
)
from fnanneal.compare.work import empty
from fnanneal.errors import InputError

PLAN = make_plan(["G1", "G2"], ["sa:beta_range=(0.1,3.0)", "ensemble"], seeds=2, time_limits=[1])


def record(k: int = 0, **changes: Any) -> Record:
    made = replace(empty(PLAN.cells()[k], {}, "nothing"), settings={"num_reads": 3, "schedule": None})
    about: dict[str, Any] = {
        "outcome": "done",
        "status": "time_limit",
        "sha256": "ab",
        "size": {"n": 3, "kind": "maxcut"},
        "sense": "max",
        "objective": 2**70,
        "best_known": -5,
        "best_known_source": "somebody",
        "trace": ((0.25, 1), (0.5, 2**70)),
        "events": {"spin_tests": 2**60},
        "events_to_best": {"spin_tests": 7},
        "residuals": None,
        "solved": None,
        "seed": 2**64 - 1,
        "spin_tests": 2**60,
        "real_numbers": True,
        "measured_j": 1e-9,
        "versions": {"fnanneal": "1"},
        "error": None,
        "to_best_s": 0.5,
    }
    return replace(made, **{**about, **changes})


def test_a_record_comes_back(tmp_path: Path) -> None:
    spins = np.array([1, -1, -1, 1, 1, 1, -1, 1, -1], np.int8)
    point = {"x": np.array([0.1, -np.inf, 3]), "z": np.zeros(0), "y": None}
    kept = [
        record(),
        record(1, objective=-0.1, best_known=None, trace=(), measured_j=None, budget=Budget(spin_tests=10**15)),
        record(2, kind="qp", solved=True, residuals={"primal": 1e-300}, objective=1.5),
        record(3, outcome="failed", objective=None, error="died: 'quoted'\x00\u2603"),
    ]
    with Store.open(tmp_path / "a" / "b", create=True) as store:
        store.add_plan(PLAN.about(), {c.key: c for c in PLAN.cells()})
        for r in reversed(kept):
            store.add(r, spins=spins, point=point)
        assert store.records() == kept
    with Store.open(tmp_path / "a" / "b") as store:
        assert store.records() == kept
        assert np.array_equal(store.spins(kept[0].cell), spins)
        back = store.point(kept[0].cell)
        assert back.keys() == {"x", "z"} and np.array_equal(back["x"], point["x"]) and back["z"].size == 0
        assert store.spins("nothing") is None and store.point("nothing") is None
        assert type(store.records()[0].objective) is int and type(store.records()[1].objective) is float
        assert store.planned() == PLAN.cells() and [c.key for c in store.planned()] == [c.key for c in PLAN.cells()]


@given(st.lists(st.sampled_from([1, -1]), max_size=200))
def test_spins_are_bits(spins: list[int]) -> None:
    assert unpack_spins(pack_spins(np.array(spins, np.int8))).tolist() == spins


@settings(max_examples=50)
@given(st.dictionaries(st.text("xyz_", min_size=1, max_size=3), st.lists(st.floats(), max_size=20), max_size=4))
def test_points_keep_every_bit(point: dict[str, list[float]]) -> None:
    back = unpack_point(pack_point({k: np.array(v) for k, v in point.items()}))
    assert {k: np.array(v).tobytes() for k, v in point.items()} == {k: v.tobytes() for k, v in back.items()}


def test_plans_add_up(tmp_path: Path) -> None:
    more = make_plan(["G3"], ["ensemble"], seeds=[9], time_limits=[1], title="second", thresholds=(0.5,))
    with Store.open(tmp_path, create=True) as store:
        for plan in (PLAN, more, PLAN):
            store.add_plan(plan.about(), {c.key: c for c in plan.cells()})
        about = store.plan()
        assert (
            about["problems"] == ["G1", "G2", "G3"] and about["title"] == "comparison" and about["seeds"] == [1, 2, 9]
        )
        assert len(store.planned()) == 9


def test_claims(tmp_path: Path) -> None:
    key = PLAN.cells()[0].key
    with Store.open(tmp_path, create=True) as mine, Store.open(tmp_path) as also_mine:
        assert mine.claim(key) and mine.claim(key)
        also_mine.owner = f"elsewhere:{os.getpid()}:1"
        assert not also_mine.claim(key)
        mine.release(key)
        assert also_mine.claim(key) and not mine.claim(key)
        # A claim from another machine lapses with its heartbeat.
        mine._db.execute("UPDATE claims SET beat = ?", (time.time() - LAPSE_S - 1,))
        assert mine.claim(key)
        mine.add(record())
        assert not also_mine.claim(key) and not mine.claim(key)
        mine.forget([key])
        assert also_mine.claim(key)


def test_a_dead_process_of_this_machine_claims_nothing() -> None:
    host = os.uname().nodename
    mine = f"{host}:{os.getpid()}:{started(os.getpid())}"
    assert alive(mine, 0.0)
    # The number of a process that is gone, or that is another one's now.
    assert not alive(f"{host}:{os.getpid()}:12", time.time())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    was = started(gone.pid)
    assert was
    gone.wait()
    assert not alive(f"{host}:{gone.pid}:{was}", time.time())


WRITER = """
import sys
from dataclasses import replace
sys.path.insert(0, sys.argv[2])
from tests.test_compare_store import record
from fnanneal.compare.store import Store
with Store.open(sys.argv[1], create=True) as store:
    print("ready", flush=True)
    for k in range(10**6):
        store.add(record(cell=f"{k:016x}", error="x" * 20000))
        print(k, flush=True)
"""


def test_a_kill_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    script = [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parents[1])]
    for _ in range(3):
        process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(12)]
        process.kill()
        rest = process.stdout.read().split()
        process.wait()
        finished = {f"{int(k):016x}" for k in [*told[1:], *rest] if k.isdigit()}
        with Store.open(tmp_path) as store:
            assert finished <= store.finished()
            assert all(r.error == "x" * 20000 for r in store.records())
            assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_store_appears_whole(tmp_path: Path) -> None:
    """Whoever sees the file can read it, and of several that make it at once all have the same."""

    def make(k: int) -> None:
        with Store.open(tmp_path / str(k // 4), create=True) as store:
            store.add(record(cell=f"{k:016x}"))

    def read(k: int) -> None:
        where = tmp_path / str(k // 4)
        while not Store.exists(where):
            time.sleep(0.0005)
        with Store.open(where) as store:
            assert isinstance(store.records(), list)

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(f, k) for k in range(32) for f in (read, make)]
        for future in done:
            future.result()
    for group in range(8):
        assert {p.name for p in (tmp_path / str(group)).iterdir()} == {FILE}
        with Store.open(tmp_path / str(group)) as store:
            assert len(store.finished()) == 4


def test_what_is_no_store(tmp_path: Path) -> None:
    def told(folder: Path) -> str:
        with pytest.raises(InputError) as e:
            Store.open(folder)
        assert "\n" not in str(e.value)
        return str(e.value)

    assert "no such directory" in told(tmp_path / "nothing")
    assert f"no {FILE}" in told(tmp_path)
    (tmp_path / FILE).write_bytes(b"this is no database, but long enough to look at" * 100)
    assert "cannot use" in told(tmp_path)
    (tmp_path / FILE).unlink()
    with Store.open(tmp_path, create=True) as store:
        store._db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    assert "schema 99" in told(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError):
        Store.open(tmp_path / "file", create=True)


def test_a_store_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = record()
    with Store.open(tmp_path, create=True) as store:
        store.add_plan(PLAN.about(), {c.key: c for c in PLAN.cells()})
        store.add(kept)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    # Root may write anywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Store.open(tmp_path) as store:
        assert store.records() == [kept] and len(store.planned()) == len(PLAN.cells())
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store.add(record(1))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_reading_changes_nothing(tmp_path: Path) -> None:
    kept = record()
    with Store.open(tmp_path / "a", create=True) as store:
        store.add_plan(PLAN.about(), {c.key: c for c in PLAN.cells()})
        store.add(kept)
        store._db.execute("VACUUM INTO ?", (str(tmp_path / FILE),))
    before = (tmp_path / FILE).read_bytes()
    with Store.open(tmp_path) as store:
        assert store.records() == [kept] and store.plan() and store.planned()
    assert (tmp_path / FILE).read_bytes() == before and {p.name for p in tmp_path.iterdir()} == {"a", FILE}


def test_any_sqlite_reads_it(tmp_path: Path) -> None:
    with Store.open(tmp_path, create=True) as store:
        store.add(record())
        db = sqlite3.connect(tmp_path / FILE)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        solver, trace, cut = db.execute("SELECT solver, trace, objective FROM cells").fetchone()
        assert (solver, json.loads(trace)[0], int(cut)) == ("sa:beta_range=(0.1, 3.0)", [0.25, 1], 2**70)
        db.close()
