"""The command ``fnanneal``. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from typing import Annotated, Any

import typer

from . import cache, info, problems, solve, solvers, verify

app = typer.Typer(
    name="fnanneal",
    help="Solve Ising, QUBO and Max-Cut problems with Fowler-Nordheim annealing.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help appears in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("solve")(solve.solve)
app.command("verify")(verify.verify)
app.add_typer(problems.app, name="problems")
app.add_typer(solvers.app, name="solvers")
app.add_typer(cache.app, name="cache")
app.command("info")(info.info)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(version("fnanneal"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass


def _warn(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
    print(f"fnanneal: warning: {message}", file=sys.stderr)


def _run(arguments: list[str]) -> int:
    from ..errors import InputError, ProblemWarning

    warnings.showwarning = _warn
    warnings.simplefilter("always", ProblemWarning)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="fnanneal", standalone_mode=False)
        return int(code or 0)
    except InputError as e:
        print(f"fnanneal: error: {e}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print("fnanneal: interrupted before there was a result", file=sys.stderr)
        return 130
    except MemoryError:
        print("fnanneal: error: out of memory", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader has gone (head, say); Python must not try to flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as e:
        # Usage errors of the command-line parser know how to say themselves in one line.
        if hasattr(e, "format_message") and hasattr(e, "exit_code"):
            print(f"fnanneal: error: {e.format_message()}", file=sys.stderr)
            return int(e.exit_code)
        raise


def main() -> None:
    """Entry point of the console script."""
    sys.exit(_run(sys.argv[1:]))


if __name__ == "__main__":
    main()
