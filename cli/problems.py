"""``fnanneal problems``: what there is, what a problem is, and a file of it."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from .solve import PROBLEM_HELP, Kind

app = typer.Typer(help="List, show and write problems.", no_args_is_help=True)


@app.command("list")
def list_(json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """The named instances, the generators and the file formats."""
    from ..problems.families import families
    from ..problems.formats import formats
    from ..problems.known import instances

    if json_:
        out = {
            "instances": [
                {"name": i.name, "n": i.n, "m": i.m, "best_known": i.best_known.value, "source": i.best_known.source}
                for i in instances().values()
            ],
            "gen": {name: f.signature for name, f in families().items()},
            "formats": {name: f.description for name, f in formats().items()},
        }
        typer.echo(json.dumps(out))
        return
    typer.echo(f"{'name':6} {'n':>6} {'m':>8} {'best known':>11}  rudy expression")
    for i in instances().values():
        typer.echo(f"{i.name:6} {i.n:6} {i.m:8} {i.best_known.value:11}  {i.expression}")
    typer.echo("\nGenerators: rudy:EXPR, nx:NAME(args) for any networkx generator, and")
    for family in families().values():
        typer.echo(f"  gen:{family.signature}\n      {family.summary}")
    typer.echo("  nx: and gen: may be followed by ;weights=unit|pm1|int(lo,hi)|gauss(mean,std) and ;wseed=N")
    typer.echo("\nFile formats:")
    for name, format in formats().items():
        typer.echo(f"  {name:8} {format.description}")


@app.command()
def show(
    problem: Annotated[str, typer.Argument(help=PROBLEM_HELP, show_default=False)],
    as_: Annotated[Kind | None, typer.Option("--as", help="Convert the problem first, exactly.")] = None,
    format: Annotated[str | None, typer.Option(help="The file's format.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Size, weights, degrees and best-known value of a problem."""
    import numpy as np

    from .display import KINDS, number
    from .solve import read_problem

    model = read_problem(problem, as_, format)
    c = model.couplings
    degree = np.bincount(c.rows, minlength=c.n) + np.bincount(c.cols, minlength=c.n)
    known = model.best_known
    facts = {
        **model.summary(),
        "integral": model.integral,
        "weights": None
        if not c.m
        else {"min": c.weights.min().item(), "max": c.weights.max().item(), "sum": c.weights.sum().item()},
        "degree": {"min": int(degree.min()), "mean": float(degree.mean()), "max": int(degree.max())},
        "best_known": None if known is None else known.value,
        "source": None if known is None else known.source,
    }
    if json_:
        typer.echo(json.dumps(facts))
        return
    pairs = "edges" if model.kind == "maxcut" else "couplings"
    typer.echo(f"{model.name or 'unnamed'}: {KINDS[model.kind]}, {c.n} variables, {c.m} {pairs}")
    if c.m:
        low, high = number(c.weights.min().item()), number(c.weights.max().item())
        typer.echo(f"weights     {low} to {high}, {'integers' if model.integral else 'real'}")
    typer.echo(f"degrees     {degree.min()} to {degree.max()}, mean {degree.mean():.2f}")
    typer.echo("best known  " + ("unknown" if known is None else f"{number(known.value)}  ({known.source})"))
    typer.echo(f"sha256      {model.sha256()}")


@app.command()
def write(
    problem: Annotated[str, typer.Argument(help=PROBLEM_HELP, show_default=False)],
    out: Annotated[str, typer.Argument(help="The file to write (packed if it ends in .gz), or - for standard output.")],
    format: Annotated[str | None, typer.Option(help="The format to write; else by the file's suffix.")] = None,
    as_: Annotated[Kind | None, typer.Option("--as", help="Convert the problem first, exactly.")] = None,
    input_format: Annotated[str | None, typer.Option(help="The format of the problem's own file.")] = None,
) -> None:
    """Write a problem to a file: Gset graphs come out bit for bit."""
    from ..errors import InputError
    from ..problems import formats
    from .solve import read_problem

    if out == "-" and sys.stdout is None:
        raise InputError("standard output is closed")
    model = read_problem(problem, as_, input_format)
    formats.write(model, sys.stdout.buffer if out == "-" else out, format=format)
    if out == "-":
        sys.stdout.flush()
