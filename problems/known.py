"""The table of named instances: expression, digests, best-known cut and its source."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ..result import BestKnown

if TYPE_CHECKING:
    from .couplings import Couplings


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One named Max-Cut instance.

    ``text_sha256`` is of the exact rudy text, ``couplings_sha256`` of the content (`Couplings.sha256`).
    """

    name: str
    n: int
    m: int
    expression: str
    text_sha256: str
    couplings_sha256: str
    best_known: BestKnown


@cache
def instances() -> dict[str, Instance]:
    """All named instances, by name, in the table's order."""
    text = (files(__package__) / "data" / "instances.csv").read_text(encoding="utf-8")
    return {
        row["name"]: Instance(
            name=row["name"],
            n=int(row["n"]),
            m=int(row["m"]),
            expression=row["rudy_expression"],
            text_sha256=row["text_sha256"],
            couplings_sha256=row["couplings_sha256"],
            best_known=BestKnown(value=int(row["best_known_cut"]), source=row["best_known_source"]),
        )
        for row in csv.DictReader(text.splitlines())
    }


@cache
def _by_size() -> dict[tuple[int, int], list[Instance]]:
    table: dict[tuple[int, int], list[Instance]] = {}
    for i in instances().values():
        table.setdefault((i.n, i.m), []).append(i)
    return table


def lookup(couplings: Couplings) -> BestKnown | None:
    """The best-known cut of a graph with this content, or None. The digest is computed only where the size fits."""
    for i in _by_size().get((couplings.n, couplings.m), []):
        if i.couplings_sha256 == couplings.sha256():
            return i.best_known
    return None
