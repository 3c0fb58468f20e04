"""``fnanneal solvers``."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

app = typer.Typer(help="List the solvers.", no_args_is_help=True)


@app.command("list")
def list_(json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """The solvers and their settings with their defaults: of `solve`, then of `qp`; and other people's, installed or not."""
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
    for command, registry in (("solve", solvers), ("qp", method)):
        for name in registry.peer_names():
            cls = registry.get(name)
            summary = (inspect.getdoc(cls) or "").partition("\n")[0]
            settings = {f.name: f.default for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}
            about = {"command": command, "summary": summary, "settings": settings, "rule": cls.budget_rule}
            # One name may be of both commands.
            found[f"{name} ({command})" if name in found else name] = {
                **about,
                "version": cls.version(),
                "install": cls.install(),
            }
    if json_:
        typer.echo(json.dumps(found))
        return
    width = max(map(len, found))
    for command in ("solve", "qp"):
        typer.echo(f"fnanneal {command}")
        for name, about in found.items():
            if about["command"] == command:
                typer.echo(f"  {name:{width}} {about['summary']}")
                settings_text = ", ".join(f"{k}={v}" for k, v in about["settings"].items())
                if settings_text:
                    typer.echo(f"  {'':{width}} {settings_text}")
                if "install" in about:
                    typer.echo(f"  {'':{width}} {about['rule']}")
                    typer.echo(f"  {'':{width}} {about['version'] or 'not installed: ' + about['install']}")
