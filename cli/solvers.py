"""``fnanneal solvers``."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

app = typer.Typer(help="List the solvers.", no_args_is_help=True)


@app.command("list")
def list_(json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """The solvers and their settings with their defaults."""
    import inspect

    from ..solvers import get, names

    found = {}
    for name in names():
        cls = get(name)
        summary = (inspect.getdoc(cls) or "").partition("\n")[0]
        found[name] = {"summary": summary, "settings": {f.name: f.default for f in dataclasses.fields(cls)}}
    if json_:
        typer.echo(json.dumps(found))
        return
    for name, about in found.items():
        typer.echo(f"{name:9} {about['summary']}")
        settings = ", ".join(f"{k}={v}" for k, v in about["settings"].items())  # type: ignore[attr-defined]
        if settings:
            typer.echo(f"{'':9} {settings}")
