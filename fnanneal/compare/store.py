"""The store: an SQLite file in the run's directory, one row a finished cell.

Rows are written in one transaction each, with the write-ahead log flushed to the disk: a kill at any moment loses no finished cell, and leaves no half of one.
Several processes may share a directory on one machine: each claims a cell before it runs it. A claim ends with its cell, with its process, or, where that is on
another machine, when its heartbeat stops.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..errors import InputError
from ..result import Spins
from .cells import Budget, Cell, SolverSpec
from .records import Record

FILE = "cells.sqlite"
SCHEMA = 1
BUSY_S = 60.0
BEAT_S, LAPSE_S = 10.0, 60.0

# Objectives are integers of any size, or floats, and stay what they are.
_JSON = {
    "size",
    "settings",
    "trace",
    "events",
    "events_to_best",
    "residuals",
    "versions",
    "host",
    "best_known",
    "objective",
}
_OWN = {"cell", "budget"}
_COLUMNS = [f.name for f in fields(Record) if f.name not in _OWN]
_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE planned (key TEXT PRIMARY KEY, position INTEGER NOT NULL, cell TEXT NOT NULL);
CREATE TABLE claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, beat REAL NOT NULL);
CREATE TABLE cells (key TEXT PRIMARY KEY, seconds REAL, tests INTEGER, {", ".join(_COLUMNS)}, spins BLOB, point BLOB);
"""


class Store:
    """The cells of a run's directory. Made by `open`; a context manager.

    Safe in one thread; another one opens it again.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder, self._db = folder, connection
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{started(os.getpid())}"

    @staticmethod
    def exists(folder: str | os.PathLike[str]) -> bool:
        """Whether a directory holds one."""
        return Path(folder, FILE).exists()

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, create: bool = False) -> Self:
        """The store of a directory; with `create`, made if there is none. Nothing is written otherwise, and one that may only be read can be.

        Raises
        ------
        InputError
            Where there is no store, or one that cannot be used.
        """
        where = Path(folder)
        path = where / FILE
        if not create and not cls.exists(where):
            there = "there is no such directory" if not where.exists() else f"it has no {FILE}"
            raise InputError(f"{where} holds no comparison: {there}")
        read_only = path.exists() and not (os.access(path, os.W_OK) and os.access(where, os.W_OK))
        try:
            if create:
                where.mkdir(parents=True, exist_ok=True)
                if not path.exists():
                    _make(path)
            # Without a log beside it, SQLite reads a file where nothing may be written only if it is told that nobody writes.
            target = f"{path.resolve().as_uri()}?mode=ro&immutable=1" if read_only else str(path)
            db = sqlite3.connect(target, timeout=BUSY_S, isolation_level=None, uri=read_only)
        except (OSError, sqlite3.Error) as e:
            raise InputError(f"cannot open {path}: {getattr(e, 'strerror', None) or e}") from e
        try:
            store = cls(where, db)
            if create:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
            if (found := store.meta("schema")) != str(SCHEMA):
                raise InputError(f"{path} has schema {found}, and this version of fnanneal reads {SCHEMA}")
        except sqlite3.Error as e:
            db.close()
            raise InputError(f"cannot use {path}: {e}") from e
        except InputError:
            db.close()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Close the file; nothing is pending."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def meta(self, key: str) -> str | None:
        """A text that is kept for the whole run."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def plan(self) -> Mapping[str, Any]:
        """What was asked for last: title, problems, solvers, seeds, budgets, thresholds and the rest of `Plan.about`."""
        found: Mapping[str, Any] = json.loads(self.meta("plan") or "{}")
        return found

    def add_plan(self, about: Mapping[str, Any], cells: Mapping[str, Cell]) -> None:
        """Note what is to be run, by its keys, after what already was."""
        with self._writing():
            before = self.plan()
            # What an earlier call asked for in this directory is still part of the comparison.
            merged = {
                k: [*before.get(k, []), *(x for x in v if x not in before.get(k, []))] if isinstance(v, list) else v
                for k, v in about.items()
            }
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('plan', ?)", (_dumps(merged),))
            position = self._db.execute("SELECT COALESCE(MAX(position), -1) + 1 FROM planned").fetchone()[0]
            rows = ((key, position + k, _dumps(asdict(c))) for k, (key, c) in enumerate(cells.items()))
            self._db.executemany("INSERT OR IGNORE INTO planned VALUES (?, ?, ?)", rows)

    def planned(self) -> list[Cell]:
        """All cells that were ever asked for, in their order."""
        rows = self._db.execute("SELECT cell FROM planned ORDER BY position").fetchall()
        return [_cell(json.loads(text)) for (text,) in rows]

    def finished(self) -> set[str]:
        """Keys of the cells that have a row."""
        return set(self.outcomes())

    def outcomes(self) -> dict[str, str]:
        """What became of the cells that have a row, by key."""
        return dict(self._db.execute("SELECT key, outcome FROM cells"))

    def forget(self, keys: Iterable[str]) -> None:
        """Remove rows, so that their cells are run again."""
        with self._writing():
            self._db.executemany("DELETE FROM cells WHERE key = ?", ((k,) for k in keys))

    def claim(self, key: str) -> bool:
        """Whether this process may run a cell: nobody has, and nobody who is alive is about to."""
        with self._writing():
            if self._db.execute("SELECT 1 FROM cells WHERE key = ?", (key,)).fetchone():
                return False
            held = self._db.execute("SELECT owner, beat FROM claims WHERE key = ?", (key,)).fetchone()
            if held is not None and held[0] != self.owner and alive(*held):
                return False
            self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (key, self.owner, time.time()))
        return True

    def release(self, key: str | None = None) -> None:
        """Give back a claim, or all that this process has."""
        with self._writing():
            if key is None:
                self._db.execute("DELETE FROM claims WHERE owner = ?", (self.owner,))
            else:
                self._db.execute("DELETE FROM claims WHERE owner = ? AND key = ?", (self.owner, key))

    def beat(self) -> None:
        """Say that this process is alive."""
        with self._writing():
            self._db.execute("UPDATE claims SET beat = ? WHERE owner = ?", (time.time(), self.owner))

    @contextmanager
    def beating(self) -> Iterator[None]:
        """A thread that calls `beat` every ten seconds; at the end all claims are given back."""
        stop = threading.Event()

        def run() -> None:
            with Store.open(self.folder) as mine:
                while not stop.wait(BEAT_S):
                    with suppress(sqlite3.Error):
                        mine.beat()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.release()

    def add(self, record: Record, *, spins: Spins | None = None, point: Mapping[str, Any] | None = None) -> None:
        """Keep what came of a cell, in one transaction with the end of its claim.

        Parameters
        ----------
        spins : (n,)
            The best.
        point
            Of a program: vectors x, y, z, z_box.
        """
        values: list[Any] = [record.cell, record.budget.seconds, record.budget.spin_tests]
        for name in _COLUMNS:
            value = getattr(record, name)
            # A seed may be beyond SQLite's integers.
            values.append(
                None if value is None else _dumps(value) if name in _JSON else str(value) if name == "seed" else value
            )
        values += [None if spins is None else pack_spins(spins), None if point is None else pack_point(point)]
        with self._writing():
            self._db.execute(f"INSERT OR REPLACE INTO cells VALUES ({', '.join('?' * len(values))})", values)
            self._db.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (record.cell, self.owner))

    def records(self) -> list[Record]:
        """All finished cells, in the plan's order."""
        names = ", ".join(f"cells.{c}" for c in _COLUMNS)
        rows = self._db.execute(
            f"SELECT cells.key, seconds, tests, {names} FROM cells LEFT JOIN planned USING (key) ORDER BY planned.position IS NULL, planned.position, cells.key"
        ).fetchall()
        return [_record(row) for row in rows]

    def spins(self, key: str) -> Spins | None:
        """The best spins of a cell: (n,) int8."""
        row = self._db.execute("SELECT spins FROM cells WHERE key = ?", (key,)).fetchone()
        return None if row is None or row[0] is None else unpack_spins(row[0])

    def point(self, key: str) -> dict[str, Any] | None:
        """The vectors of a program's point."""
        row = self._db.execute("SELECT point FROM cells WHERE key = ?", (key,)).fetchone()
        return None if row is None or row[0] is None else unpack_point(row[0])

    def specs(self) -> dict[str, Cell]:
        """The planned cells by key."""
        return {c.key: c for c in self.planned()}


def _make(path: Path) -> None:
    """A store without cells. It appears whole, for another process may be waiting to read it, or make it too."""
    new = path.with_name(f".{FILE}.{os.getpid()}.{threading.get_ident()}")
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.execute("BEGIN")
            for statement in _TABLES.strip().split(";\n"):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
            db.execute("COMMIT")
        try:
            os.link(new, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            if not path.exists():
                os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def _dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=isinstance(value, Mapping), separators=(",", ":"), allow_nan=False, default=str)


def _cell(about: Mapping[str, Any]) -> Cell:
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in about["solver"]["settings"]}
    solver = SolverSpec.of(about["solver"]["name"], settings)
    return Cell(**{**about, "solver": solver, "budget": Budget(**about["budget"])})


def _record(row: Sequence[Any]) -> Record:
    key, seconds, tests, *rest = row
    about: dict[str, Any] = {}
    for name, value in zip(_COLUMNS, rest, strict=True):
        about[name] = json.loads(value) if name in _JSON and value is not None else value
    about["trace"] = tuple((t, v) for t, v in about["trace"])
    about["seed"] = int(about["seed"])
    for name in ("real_numbers", "solved"):
        about[name] = None if about[name] is None else bool(about[name])
    return Record(cell=key, budget=Budget(seconds=seconds, spin_tests=tests), **about)


def pack_spins(spins: Spins) -> bytes:
    """One bit a spin, after their number."""
    return len(spins).to_bytes(8, "little") + zlib.compress(np.packbits(np.asarray(spins) > 0).tobytes(), 9)


def unpack_spins(blob: bytes) -> Spins:
    """The spins of `pack_spins`."""
    n = int.from_bytes(blob[:8], "little")
    bits = np.unpackbits(np.frombuffer(zlib.decompress(blob[8:]), np.uint8), count=n)
    return np.where(bits == 1, 1, -1).astype(np.int8)


def pack_point(point: Mapping[str, Any]) -> bytes:
    """The vectors in double precision, in the order of their names."""
    vectors = {k: np.asarray(v, "<f8") for k, v in sorted(point.items()) if v is not None}
    head = json.dumps({k: v.size for k, v in vectors.items()}).encode() + b"\n"
    return head + zlib.compress(b"".join(v.tobytes() for v in vectors.values()))


def unpack_point(blob: bytes) -> dict[str, Any]:
    """The vectors of `pack_point`."""
    head, _, body = blob.partition(b"\n")
    sizes: dict[str, int] = json.loads(head)
    values = np.frombuffer(zlib.decompress(body), "<f8")
    ends = np.cumsum(list(sizes.values()))
    return {k: values[e - n : e].copy() for (k, n), e in zip(sizes.items(), ends.tolist(), strict=True)}


def started(pid: int) -> str:
    """When a process of this machine began, in its own units: a number may be used again, and this tells the two apart. Empty where there is none, or no /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = text.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]


def alive(owner: str, beat: float) -> bool:
    """Whether a claim's owner still is at work."""
    host, pid, began = owner.rsplit(":", 2)
    if host == socket.gethostname() and began:
        return started(int(pid)) == began
    return time.time() - beat < LAPSE_S
