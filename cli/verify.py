"""``fnanneal verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .solve import PROBLEM_HELP, Kind


def verify(
    problem: Annotated[str, typer.Argument(help=PROBLEM_HELP, show_default=False)],
    solution: Annotated[Path, typer.Argument(help="One spin (+1/-1) or bit (0/1) a line.", show_default=False)],
    as_: Annotated[Kind | None, typer.Option("--as", help="Convert the problem first, exactly.")] = None,
    format: Annotated[str | None, typer.Option(help="The problem file's format.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute the objective of a solution file, in exact arithmetic."""
    from .display import number, word
    from .solve import read_problem, read_solution

    model = read_problem(problem, as_, format)
    objective = model.objective(read_solution(model, solution))
    known = model.best_known
    if json_:
        out = {"problem": model.summary(), "sense": model.sense, "objective": objective}
        typer.echo(json.dumps({**out, "best_known": None if known is None else known.value}))
        return
    typer.echo(
        f"{word(model.kind)} {number(objective)}" + ("" if known is None else f"  (best known {number(known.value)})")
    )
