"""The cells as CSV: one row each, all that is a number or a word, in full precision."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...energy.ledger import EVENTS
from ..records import Record


def render(records: Iterable[Record]) -> str:
    """The table with its head, lines ended by CR LF as RFC 4180 has it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_field(value(r)) for value in COLUMNS.values()] for r in records)
    return out.getvalue()


def _field(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return "'" + value
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else value


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, default=str) if value else ""


def _plain(name: str) -> Callable[[Record], Any]:
    return lambda r: getattr(r, name)


def _inside(name: str, key: str) -> Callable[[Record], Any]:
    return lambda r: (getattr(r, name) or {}).get(key)


def _whole(name: str) -> Callable[[Record], Any]:
    return lambda r: _json(getattr(r, name))


COLUMNS: dict[str, Callable[[Record], Any]] = {
    **{name: _plain(name) for name in ("cell", "kind", "problem", "sha256")},
    **{name: _inside("size", key) for name, key in (("problem_kind", "kind"), ("n", "n"), ("m", "m"))},
    "size": _whole("size"),
    **{name: _plain(name) for name in ("sense", "best_known", "best_known_source", "solver")},
    "settings": _whole("settings"),
    "seed": _plain("seed"),
    "budget_s": lambda r: r.budget.seconds,
    "budget_spin_tests": lambda r: r.budget.spin_tests,
    **{name: _plain(name) for name in ("threads", "outcome", "status", "error", "attempts", "objective", "solved")},
    **{name: _plain(name) for name in ("solve_s", "to_best_s", "load_s", "compile_s", "build_s", "wall_s")},
    **{name: _plain(name) for name in ("spin_tests", "real_numbers", "measured_j")},
    **{f"residual_{key}": _inside("residuals", key) for key in ("primal", "dual", "gap", "sign")},
    **{f"events_{key}": _inside("events", key) for key in EVENTS},
    **{f"events_to_best_{key}": _inside("events_to_best", key) for key in EVENTS},
    **{name: _plain(name) for name in ("started", "revision")},
    **{name: _whole(name) for name in ("versions", "host")},
    "command": _plain("command"),
}
