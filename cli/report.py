"""``fnanneal report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md", ".csv": "csv"}


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The directory that `fnanneal compare` wrote to.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The file. [default: DIR/report.html; standard output for md and csv]",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="html, md or csv. [default: by the file's suffix, or html]", show_default=False),
    ] = None,
) -> None:
    """Show a comparison: one page that needs nothing else (html), its tables as Markdown (md), or all runs as CSV (csv).

    The same store gives the same bytes. What is not finished yet is said to be missing.
    """
    from ..errors import InputError

    found = "html" if output is None else _SUFFIXES.get(output.suffix.lower())
    chosen = format_ or found
    if chosen is None:
        raise InputError(f"{output}: what format? Give --format, or a suffix out of {', '.join(_SUFFIXES)}")

    from ..compare.report import FORMATS, render
    from ..compare.store import Store

    for known in FORMATS:
        if known == chosen:
            break
    else:
        raise InputError(f"unknown format {chosen!r:.40}; there are: {', '.join(FORMATS)}")
    with Store.open(folder) as store:
        text = render(store.records(), store.plan(), planned=store.planned(), format=known)
    if output is None and known != "html":
        typer.echo(text, nl=False)
        return
    where = folder / "report.html" if output is None else output
    _write(where, text)
    typer.echo(f"wrote {where}", err=True)


def _write(where: Path, text: str) -> None:
    """A file of exactly these characters, whatever the system's line ends."""
    from ..errors import InputError

    try:
        with where.open("w", encoding="utf-8", newline="") as f:
            f.write(text)
    except OSError as e:
        raise InputError(f"cannot write {where}: {e.strerror or e}") from e
