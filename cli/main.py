"""The command ``fnanneal``. Heavy imports wait until a command needs them."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from typing import Annotated, Any

import typer

from . import cache, compare, device, energy, info, problems, qp, report, solve, solvers, verify

app = typer.Typer(
    name="fnanneal",
    help="Solve Ising, QUBO, Max-Cut and QP problems by Fowler-Nordheim annealing.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help appears in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("solve")(solve.solve)
app.command("verify")(verify.verify)
app.command("compare")(compare.compare)
app.command("qp")(qp.qp)
app.command("report")(report.report)
app.add_typer(problems.app, name="problems")
app.add_typer(solvers.app, name="solvers")
app.add_typer(device.app, name="device")
app.command("energy")(energy.energy)
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


def _say(text: str) -> None:
    """One line on standard error, if there is one."""
    if sys.stderr is not None:
        print(f"fnanneal: {text}", file=sys.stderr)


def _warn(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
    _say(f"warning: {message}")


class _Told(logging.Handler):
    """What the library logs, as lines like all others."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(f"{record.levelname.lower()}: {record.getMessage()}")


def _terminate(number: int, frame: Any) -> None:
    """As Ctrl-C does; also where that is ignored, as in the background of a shell's script."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _abandon_output() -> None:
    """Send what Python still holds for standard output nowhere, lest it complain once more on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    from ..errors import InputError, ProblemWarning

    logging.getLogger("fnanneal").addHandler(_Told(logging.WARNING))
    warnings.showwarning = _warn
    warnings.simplefilter("always", ProblemWarning)
    signal.signal(signal.SIGTERM, _terminate)
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="fnanneal", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return int(code or 0)
    except InputError as e:
        _say(f"error: {e}")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted before there was a result")
        return 130
    except MemoryError:
        _say("error: out of memory")
        return 1
    except BrokenPipeError:
        _abandon_output()
        return 1
    except OSError as e:
        _say(f"error: {e.strerror or e}")
        _abandon_output()
        return 1
    except Exception as e:
        # Usage errors of the command-line parser know how to say themselves in one line.
        if hasattr(e, "format_message") and hasattr(e, "exit_code"):
            _say(f"error: {e.format_message()}")
            return int(e.exit_code)
        raise


def main() -> None:
    """Entry point of the console script."""
    sys.exit(_run(sys.argv[1:]))


if __name__ == "__main__":
    main()
