"""A store of finished runs: one JSON object a line, appended whole and flushed, so that a kill at any moment loses no finished run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

Row = dict[str, Any]
KEY = ("kind", "graph", "solver", "settings", "seconds", "seed", "threads")


def key_of(row: Row) -> tuple[Any, ...]:
    """What makes two runs the same cell."""
    return tuple(row[k] for k in KEY)


class Store:
    """The rows of a file, by their key; of several with one key, the last counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells: dict[tuple[Any, ...], Row] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines():
            try:
                row = json.loads(line)
                self.cells[key_of(row)] = row
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        self._torn = bool(text) and not text.endswith("\n")

    def add(self, row: Row) -> None:
        """Append a row, on a line of its own even where the last one was cut short."""
        line = json.dumps(row) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as f:
            f.write("\n" + line if self._torn else line)
            f.flush()
            os.fsync(f.fileno())
        self._torn = False
        self.cells[key_of(row)] = row

    def rows(self, **wanted: Any) -> list[Row]:
        """The rows that have these values."""
        return [r for r in self.cells.values() if all(r.get(k) == v for k, v in wanted.items())]
