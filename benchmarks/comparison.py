"""Our own comparison over Gset: brings its tables into the manual and the README. The runs themselves are `fnanneal compare`'s.

    fnanneal compare benchmarks/gset.toml --out runs/gset                  half an hour on two cores; the peers need their extras, and MQLib on PATH
    python benchmarks/comparison.py runs/gset [--documents] [--keep benchmarks/results/gset]

--documents writes the tables between the marks in docs/comparison.md and README.md; --keep stores a compact copy, for `fnanneal report` and
`fnanneal compare --verify`.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from fnanneal.compare import Record, Store, render
from fnanneal.compare.store import FILE

ROOT = Path(__file__).parents[1]
MARKS = ("<!-- gset -->", "<!-- end -->")
# Each family of every kind and size; of a solver's settings, the best median counts.
SHOWN = ("G1", "G14", "G22", "G32", "G39", "G43", "G48", "G55", "G60", "G70", "G81")
COLUMNS = {
    "`ensemble`": "ensemble",
    "`sa`": "sa",
    "`neurosa`": "neurosa",
    "dwave-samplers SA": "dwave-sa",
    "dwave-samplers tabu": "dwave-tabu",
    "OpenJij SA": "openjij-sa",
    "OpenJij SQA": "openjij-sqa",
    "simulated-bifurcation": "sb",
    "MQLib": "mqlib",
}


def tables(markdown: str, captions: Sequence[str]) -> Iterator[str]:
    """Tables of a report by the beginnings of their captions, each with its caption and note."""
    blocks = markdown.split("\n\n")
    for caption in captions:
        k = next(k for k, b in enumerate(blocks) if b.startswith(f"**{caption}"))
        yield "\n\n".join(blocks[k : k + 3])


def manual(folder: Path) -> str:
    """The headline, what to know before trusting it, and the tables at a glance."""
    with Store.open(folder) as store:
        text = render(store.records(), store.plan(), planned=store.planned(), format="md")
    head = text.partition("\n\n")[2].partition("\n## ")[0].strip()
    return "\n\n".join([head, *tables(text, ("Median cut", "ensemble against the others"))])


def readme(records: Sequence[Record]) -> str:
    """Median cuts of some graphs, the best in bold."""
    lines = ["| graph | best known | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---|" * len(COLUMNS)]
    for graph in SHOWN:
        mine = [r for r in records if r.problem == graph]
        medians = [best_median(mine, name) for name in COLUMNS.values()]
        top = max(m for m in medians if m is not None)
        cells = ("-" if m is None else f"**{m:g}**" if m == top else f"{m:g}" for m in medians)
        lines.append(f"| {graph} | {mine[0].best_known} | {' | '.join(cells)} |")
    return "\n".join(lines)


def best_median(records: Sequence[Record], name: str) -> float | None:
    """Over the settings of a solver; None where it cannot take the problem."""
    settings: dict[str, list[float]] = {}
    for r in records:
        if r.solver.partition(":")[0] == name and r.objective is not None:
            settings.setdefault(r.solver, []).append(r.objective)
    return max((statistics.median(v) for v in settings.values()), default=None)


def insert(path: Path, content: str) -> None:
    """Between the marks of a document."""
    before, mark, rest = path.read_text(encoding="utf-8").partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (mark and end):
        raise SystemExit(f"{path} has no marks {MARKS[0]} ... {MARKS[1]}")
    path.write_text(f"{before}{mark}\n{content}\n{end}{after}", encoding="utf-8")


def keep(folder: Path, target: Path) -> None:
    """A copy without a log beside it."""
    target.mkdir(parents=True, exist_ok=True)
    copy = target / FILE
    copy.unlink(missing_ok=True)
    with sqlite3.connect(folder / FILE) as db:
        db.execute("VACUUM INTO ?", (str(copy),))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with Store.open(options.folder) as store:
        short = readme(store.records())
    long = manual(options.folder)
    if options.documents:
        insert(ROOT / "docs" / "comparison.md", long)
        insert(ROOT / "README.md", short)
    else:
        print(long, short, sep="\n\n")
    if options.keep is not None:
        keep(options.folder, options.keep)


if __name__ == "__main__":
    main()
