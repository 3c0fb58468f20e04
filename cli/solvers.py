"""``fnanneal solvers``."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

app = typer.Typer(help="List the solvers.", no_args_is_help=True)


@app.command("list")
def list_(json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """The solvers and their settings with their defaults: of `solve`, then of `qp`."""
    import inspect

    from .. import solvers
    from ..solvers.qp import method

    found: dict[str, dict[str, Any]] = {}
    for command, registry in (("solve", solvers), ("qp", method)):
        for name in registry.names():
            cls = registry.get(name)
            summary = (inspect.getdoc(cls) or "").partition("\n")[0]
            settings = {f.name: f.default for f in dataclasses.fields(cls)}
            found[name] = {"command": command, "summary": summary, "settings": settings}
    if json_:
        typer.echo(json.dumps(found))
        return
    for command in ("solve", "qp"):
        typer.echo(f"fnanneal {command}")
        for name, about in found.items():
            if about["command"] == command:
                typer.echo(f"  {name:9} {about['summary']}")
                settings_text = ", ".join(f"{k}={v}" for k, v in about["settings"].items())
                if settings_text:
                    typer.echo(f"  {'':9} {settings_text}")
