"""``fnanneal report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md", ".csv": "csv", ".parquet": "parquet"}


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
        typer.Option(
            "--format", help="html, md, csv or parquet. [default: by the file's suffix, or html]", show_default=False
        ),
    ] = None,
) -> None:
    """Show a comparison: one page that needs nothing else (html), its tables as Markdown (md), or all runs as CSV or Parquet.

    The same store gives the same bytes. What is not finished yet is said to be missing.
    """
    from ..errors import InputError

    found = "html" if output is None else _SUFFIXES.get(output.suffix.lower())
    chosen = format_ or found
    if chosen is None:
        raise InputError(f"{output}: what format? Give --format, or a suffix out of {', '.join(_SUFFIXES)}")

    from ..compare.report import FORMATS, Format, render
    from ..compare.report.parquet import render as render_parquet
    from ..compare.store import Store

    formats: dict[str, Format] = {known: known for known in FORMATS}
    if chosen not in formats and chosen != "parquet":
        raise InputError(f"unknown format {chosen!r:.40}; there are: {', '.join((*FORMATS, 'parquet'))}")
    if output is None and chosen == "parquet":
        raise InputError("Parquet needs a file: give -o FILE.parquet")
    with Store.open(folder) as store:
        if chosen == "parquet":
            content = render_parquet(store.records())
        else:
            content = render(store.records(), store.plan(), planned=store.planned(), format=formats[chosen]).encode()
    if output is None and chosen != "html":
        typer.echo(content, nl=False)
        return
    where = folder / "report.html" if output is None else output
    try:
        where.write_bytes(content)
    except OSError as e:
        raise InputError(f"cannot write {where}: {e.strerror or e}") from e
    typer.echo(f"wrote {where}", err=True)
