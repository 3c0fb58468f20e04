"""The ledger: counts of events into joules, under a technology.

    joules = sum over events of count x joules an event

as in Accelergy (Wu et al. 2019). A technology is a table of sourced figures; an event that it does not cover is listed with its count, never priced at 0, and the
sum is then called partial. Everything here is a model: what a machine has really drawn is `meter`'s affair and stands in a field of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from ..checks import integer, positive, real
from ..errors import FormatError, InputError
from ..toml import choose, parse
from .events import Events

DEFAULT = "cmos-45nm"
SHIPPED = "technologies.toml"
EVENTS = tuple(f.name for f in fields(Events))
UNITS = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15, "aJ": 1e-18}
FigureStatus = Literal["published", "derived", "assumed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one event costs.

    Attributes
    ----------
    joules, joules_real
        On integers, and on real numbers.
    status
        "published"; "derived" from published ones; or "assumed".
    source, derivation
    """

    joules: float
    joules_real: float
    status: FigureStatus
    source: str
    derivation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """Joules an event, and where they come from.

    Attributes
    ----------
    name, title, node, source
    temperature
        [K].
    figures
        By event; what is not in it is not covered.
    """

    name: str
    title: str
    node: str
    temperature: float
    source: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The modelled energy of a solve under one technology.

    Attributes
    ----------
    technology
        Its name.
    status
        "complete"; "partial" where events are not covered; or "not counted", where the solver does not count its events.
    joules
        The sum of the covered events; None if none of those that happened is, or none was counted.
    items
        Joules by event.
    not_covered
        Counts by event, of those that happened and have no figure.
    """

    technology: str
    status: Literal["complete", "partial", "not counted"]
    joules: float | None
    items: Mapping[str, float]
    not_covered: Mapping[str, int]


def account(events: Events | Mapping[str, int], technology: Technology, *, real_numbers: bool = False) -> Account:
    """Price events under a technology.

    Parameters
    ----------
    events
        Counts; of a mapping, the keys are attributes of `Events`.
    real_numbers
        Whether the arithmetic was on real numbers, not integers.

    Raises
    ------
    InputError
        For an unknown event or a count that is no whole number of at least 0.
    """
    counts = {k: getattr(events, k) for k in EVENTS} if isinstance(events, Events) else dict(events)
    for name, count in counts.items():
        if name not in EVENTS:
            raise InputError(f"unknown event {name!r:.40}; there are: {', '.join(EVENTS)}")
        counts[name] = integer(count, f"the count of {name}", 0, 2**63 - 1)
    happened = {k: v for k, v in counts.items() if v}
    items = {}
    for name, count in happened.items():
        figure = technology.figures.get(name)
        if figure is not None:
            items[name] = count * (figure.joules_real if real_numbers else figure.joules)
    not_covered = {k: v for k, v in happened.items() if k not in items}
    return Account(
        technology=technology.name,
        status="partial" if not_covered else "complete",
        joules=sum(items.values(), 0.0) if items or not happened else None,
        items=items,
        not_covered=not_covered,
    )


def not_counted(technology: Technology) -> Account:
    """The account of a solve whose events nobody has counted: no figure at all."""
    return Account(technology=technology.name, status="not counted", joules=None, items={}, not_covered={})


@cache
def technologies() -> dict[str, Technology]:
    """Those that come with the package, by name."""
    text = (files(__package__) / SHIPPED).read_text(encoding="utf-8")
    return _tables(parse(text, SHIPPED), SHIPPED, {})


def technology(spec: str | os.PathLike[str] | Technology | None = None) -> Technology:
    """A technology by name, or from a TOML file with one table (``FILE#NAME`` of several).

    Raises
    ------
    InputError
        For an unknown name, a figure that is negative or no number, a covered event without figure, unit, status or source, an unknown event or key.
    """
    if isinstance(spec, Technology):
        return spec

    def users(content: Mapping[str, Any], where: str) -> dict[str, Technology]:
        return _tables(content, where, technologies())

    return choose(DEFAULT if spec is None else spec, technologies(), users, "technology")


def _tables(content: Mapping[str, Any], where: str, shipped: Mapping[str, Technology]) -> dict[str, Technology]:
    found: dict[str, Technology] = {}
    for name, table in content.items():
        if not isinstance(table, dict):
            raise FormatError(where, None, f"{name}: expected a table [{name}]")
        found[name] = _technology(name, table, {**shipped, **found}, where)
    return found


def _technology(name: str, table: Mapping[str, Any], parents: Mapping[str, Technology], where: str) -> Technology:
    known = ("title", "node", "temperature_K", "source", "inherits", "events")
    _keys(f"technology {name}", table, known, ("title", "node", "temperature_K", "source"), where)
    figures: dict[str, Figure] = {}
    if "inherits" in table:
        if not isinstance(table["inherits"], str) or table["inherits"] not in parents:
            raise FormatError(
                where, None, f"technology {name}: inherits from {table['inherits']!r:.40}, which is not there"
            )
        figures.update(parents[table["inherits"]].figures)
    events = table.get("events", {})
    if not isinstance(events, dict) or not (events or figures):
        raise FormatError(where, None, f"technology {name}: covers no events")
    for event, entry in events.items():
        what = f"technology {name}: {event}"
        if event not in EVENTS:
            raise FormatError(where, None, f"{what}: unknown event; there are: {', '.join(EVENTS)}")
        if not isinstance(entry, dict):
            raise FormatError(where, None, f"{what}: expected a table with energy, unit, status and source")
        figures[event] = _figure(what, entry, where)
    try:
        kelvin = positive(table["temperature_K"], f"technology {name}: temperature_K")
    except InputError as e:
        raise FormatError(where, None, str(e)) from e
    texts = {k: _text(f"technology {name}: {k}", table[k], where) for k in ("title", "node", "source")}
    return Technology(name=name, temperature=kelvin, figures=figures, **texts)


def _figure(what: str, entry: Mapping[str, Any], where: str) -> Figure:
    needed = ("energy", "unit", "status", "source")
    _keys(what, entry, (*needed, "energy_real", "derivation"), needed, where)
    if not isinstance(entry["unit"], str) or entry["unit"] not in UNITS:
        raise FormatError(where, None, f"{what}: unit must be one of {', '.join(UNITS)}, not {entry['unit']!r:.40}")
    if entry["status"] not in get_args(FigureStatus):
        raise FormatError(where, None, f"{what}: status must be one of {', '.join(get_args(FigureStatus))}")
    unit = UNITS[entry["unit"]]
    try:
        energy = real(entry["energy"], f"{what}: energy", 0)
        energy_real = real(entry.get("energy_real", energy), f"{what}: energy_real", 0)
    except InputError as e:
        raise FormatError(where, None, str(e)) from e
    return Figure(
        joules=energy * unit,
        joules_real=energy_real * unit,
        status=entry["status"],
        source=_text(f"{what}: source", entry["source"], where),
        derivation=_text(f"{what}: derivation", entry.get("derivation", "-"), where),
    )


def _keys(what: str, table: Mapping[str, Any], known: tuple[str, ...], needed: tuple[str, ...], where: str) -> None:
    for key in needed:
        if key not in table:
            raise FormatError(where, None, f"{what}: no {key}")
    for key in table:
        if key not in known:
            raise FormatError(where, None, f"{what}: unknown key {key}")


def _text(what: str, value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise FormatError(where, None, f"{what} must be a text")
    return value
