"""Make problems/data/instances.csv from a table of rudy expressions, text digests and best-known cuts.

    python benchmarks/make_instances_table.py ../shared/data/gset.csv

Every graph is made anew and compared with its digest; a row that does not fit stops the script before anything is written.
"""

from __future__ import annotations

import csv
import hashlib
import io
import sys
from pathlib import Path

from fnanneal.problems import rudy

TARGET = Path(__file__).parents[1] / "problems" / "data" / "instances.csv"
HEADER = [
    "name",
    "n",
    "m",
    "rudy_expression",
    "text_sha256",
    "couplings_sha256",
    "best_known_cut",
    "best_known_source",
]


def checked(row: dict[str, str]) -> list[str]:
    """One line of the table, after a look at the graph."""
    c = rudy.generate(row["rudy_expression"]).couplings
    digest = hashlib.sha256(rudy.to_text(c)).hexdigest()
    if digest != row["sha256"] or (c.n, c.m) != (int(row["n"]), int(row["m"])):
        raise SystemExit(f"{row['name']}: the graph made differs from the table's")
    best = str(int(row["best_known_cut"]))
    return [row["name"], row["n"], row["m"], row["rudy_expression"], digest, c.sha256(), best, row["best_known_source"]]


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: make_instances_table.py TABLE.csv")
    with Path(sys.argv[1]).open(newline="", encoding="utf-8") as f:
        rows = [checked(row) for row in csv.DictReader(f)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
    TARGET.write_text(text.getvalue(), encoding="utf-8", newline="")
    print(f"{TARGET}: {len(rows)} instances")


if __name__ == "__main__":
    main()
