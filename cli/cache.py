"""``fnanneal cache``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Compiled kernels and generated instances.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def clear() -> None:
    """Remove them; they are made again when needed."""
    from ..cache import cache_dir
    from ..cache import clear as remove

    freed = remove()
    typer.echo(f"{freed / 1e6:.1f} MB freed in {cache_dir()}")
