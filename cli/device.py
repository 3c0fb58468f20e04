"""``fnanneal device``: the tunnelling cell, alone and in arrays."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .solve import PROBLEM_HELP, Kind

if TYPE_CHECKING:
    from ..fndam import Device, TimerFit

app = typer.Typer(help="Simulate, program and plot Fowler-Nordheim cells.", no_args_is_help=True)

DeviceOption = Annotated[
    str, typer.Option("--device", help="A device's name, or a TOML file (devices.toml shows the form).")
]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="Draw it: a .png, .svg or .pdf file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Picture(enum.StrEnum):
    """What `plot` draws."""

    voltage = "voltage"
    pulse = "pulse"
    decay = "decay"
    retention = "retention"


@app.command()
def simulate(
    hours: Annotated[float, typer.Option(help="How long the node is left alone.")] = 1000.0,
    cells: Annotated[int, typer.Option(help="How many cells.")] = 1,
    mismatch: Annotated[float, typer.Option(help="Relative sigma of the cells' parameters.")] = 0.0,
    read_noise: Annotated[float, typer.Option(help="Sigma of a reading, in volts.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Names the chip and its readings.")] = 0,
    device: DeviceOption = "sio2",
    plot: PlotOption = None,
    json_: JsonOption = False,
) -> None:
    """A node's voltage against time, and the 1/log law fitted to it."""
    import numpy as np

    from ..checks import integer, positive, real
    from ..fndam import Mismatch, Nodes, load_device
    from . import figures

    figures.check(plot)
    which = load_device(device)
    seconds = positive(positive(hours, "--hours") * 3600, "--hours, in seconds,")
    cells = integer(cells, "--cells", 1, 1000)
    spread, noise = Mismatch.of(mismatch), real(read_noise, "--read-noise", 0)
    rng = np.random.Generator(np.random.Philox(integer(seed, "--seed", 0, 2**64 - 1)))
    nodes = Nodes.drawn(which, spread, (cells, 1), rng) if spread else Nodes.of(which)
    t = np.concatenate([[0.0], np.geomspace(min(1.0, seconds / 100), seconds, 60)])
    v = np.broadcast_to(nodes.voltage(t), (cells, t.size))
    v = v + noise * rng.standard_normal(v.shape)
    fits = _fits(t, v)
    facts = {
        **_about(which),
        "seconds": t.tolist(),
        "volts": v.tolist(),
        "fits": [
            None
            if f is None
            else {"k2_V": f.timer.k2, "ln_k0": f.timer.log_k0, "t0_s": f.time_constant, "rms_V": f.rms}
            for f in fits
        ],
    }
    if json_:
        typer.echo(json.dumps(facts))
    else:
        _head(which)
        typer.echo(f"{'time':>12} {'V':>12} {'fallen':>12} {'1/log fit':>12}")
        for k in (0, *range(1, t.size, 10), t.size - 1):
            fit = "-" if fits[0] is None else f"{float(fits[0].timer.voltage(t[k])):.6f} V"
            typer.echo(f"{_duration(t[k]):>12} {v[0, k]:10.6f} V {_volts(v[0, 0] - v[0, k]):>12} {fit:>12}")
        for number, f in enumerate(fits, 1):
            which_one = f"fit {number}" if cells > 1 else "fit"
            if f is None:
                typer.echo(f"{which_one}: none; nothing has fallen beyond the readings' scatter")
                continue
            law = f"V = {f.timer.k2:.5g} V / (ln k0 + ln(1 + t/t0))"
            typer.echo(
                f"{which_one}: {law}, ln k0 = {f.timer.log_k0:.5g}, t0 = {_duration(f.time_constant)}; rms {_volts(f.rms)}"
            )
    if plot is not None:
        figures.save(figures.voltage(which, t, v, fits), plot)


@app.command()
def timer(
    hot: Annotated[float | None, typer.Option(help="T at the beginning.", show_default=False)] = None,
    cold: Annotated[float | None, typer.Option(help="T at the end.", show_default=False)] = None,
    kappa: Annotated[
        float, typer.Option(help="The knob: small is linear in 1/T, large a plunge and a 1/log tail.")
    ] = 0.1,
    neurosa: Annotated[
        bool, typer.Option("--neurosa", help="The published schedule of NeuroSA, 1e8 steps, instead.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="How long the run takes on the chip.")] = 1.0,
    device: DeviceOption = "sio2",
    json_: JsonOption = False,
) -> None:
    """What an annealing schedule asks of a real cell.

    k0, k1, initial voltage and read-out gain.
    """
    from dataclasses import asdict

    from ..errors import InputError
    from ..fndam import FNTimer, load_device
    from ..fndam.timer import NEUROSA

    if neurosa == (hot is not None or cold is not None) or (hot is None) != (cold is None):
        raise InputError("give --hot and --cold, or --neurosa")
    which = load_device(device)
    steps = 1e8 if neurosa else 1.0
    schedule = NEUROSA if hot is None or cold is None else FNTimer.between(hot, cold, kappa)
    r = schedule.realisation(which, seconds, steps)
    if json_:
        typer.echo(json.dumps({**_about(which), **asdict(r)}))
        return
    _head(which)
    typer.echo(
        f"schedule         T from {schedule.voltage(0.0):.5g} to {schedule.voltage(steps):.5g} in {_duration(seconds)}; c = {schedule.k2:.5g}, k0 = {r.k0:.7g}, k1 = {r.k1:.5g} 1/s"
    )
    typer.echo(
        f"read as T = gain V                 gain {r.gain:.5g} per V, V(0) = {_volts(r.initial_voltage)}: {'the oxide stands it' if r.direct else 'beyond the breakdown of the oxide, 10 MV/cm'}"
    )
    typer.echo(
        f"read as T = 1/(gain/V + offset)    gain {r.inverse_gain:.5g} V, offset {r.inverse_offset:.5g}, V(0) = {_volts(r.inverse_voltage)}; exact, too: 1/V is a constant plus ln(1 + t/t0)"
    )


@app.command()
def program(
    problem: Annotated[str, typer.Argument(help=PROBLEM_HELP, show_default=False)],
    bits: Annotated[int, typer.Option(help="Resolution, 1 to 14.")] = 8,
    mismatch: Annotated[float, typer.Option(help="Relative sigma of the cells' parameters.")] = 0.0,
    read_noise: Annotated[float, typer.Option(help="Sigma of a reading, in volts.")] = 0.0,
    tolerance: Annotated[
        float, typer.Option(help="Distance from the target that is left alone, in steps between levels.")
    ] = 0.25,
    max_pulses: Annotated[int, typer.Option(help="Pulses a cell, at most.")] = 20,
    fixed_height: Annotated[
        float | None,
        typer.Option(
            help="Use this one pulse height [V] throughout, for at most 1000 cells: the staircase.", show_default=False
        ),
    ] = None,
    hold_hours: Annotated[float, typer.Option(help="Read the cells so long after programming.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Names the chip.")] = 0,
    device: DeviceOption = "sio2",
    as_: Annotated[Kind | None, typer.Option("--as", help="Convert the problem first, exactly.")] = None,
    format: Annotated[str | None, typer.Option(help="The file's format.")] = None,
    plot: PlotOption = None,
    json_: JsonOption = False,
) -> None:
    """Program a problem's numbers into an array.

    By pulses and readings; and say how well it went.
    """
    from dataclasses import asdict

    from ..checks import real
    from ..fndam import FNDAMArray, load_device
    from ..parallel.cores import available_threads
    from ..solvers.analog import AnalogProblem
    from . import figures
    from .display import joules, quantity
    from .solve import read_problem

    figures.check(plot)
    seconds = real(hold_hours, "--hold-hours", 0) * 3600
    settings = FNDAMArray(
        bits=bits, mismatch=mismatch, read_noise=read_noise, tolerance=tolerance, max_pulses=max_pulses, fixed_height=fixed_height, seed=seed, device=device
    )  # fmt: skip
    model = read_problem(problem, as_, format)
    array = AnalogProblem.program(model, settings, seed=seed, threads=available_threads()).array
    report = array.report()
    held = array.volts(seconds)
    drift = float(abs(held - array.volts()).max(initial=0.0)) / settings.lsb
    price = _update_energy() * report.pulses
    which = load_device(device)
    if json_:
        typer.echo(
            json.dumps(
                {
                    **_about(which),
                    "problem": model.summary(),
                    "settings": array.settings.settings(),
                    **asdict(report),
                    "drift_lsb": drift,
                    "modelled_joules": price,
                }
            )
        )
    else:
        _head(which)
        typer.echo(f"cells            {report.cells}, {settings.levels} levels {_volts(settings.lsb)} apart")
        typer.echo(
            f"pulses           {quantity(report.pulses)}, at most {report.most_pulses} a cell; {_duration(report.seconds)} on the chip, all cells side by side"
        )
        typer.echo(f"failures         {report.failures} cells not within {tolerance:g} steps")
        typer.echo(
            f"error            rms {report.rms_error_lsb:.3g}, largest {report.max_error_lsb:.3g} steps; {report.rms_error:.3g} and {report.max_error:.3g} in the problem's units"
        )
        typer.echo(f"rounding         rms {report.rounding_rms:.3g} in the problem's units, before any programming")
        if report.effective_bits is not None:
            typer.echo(f"effective bits   {report.effective_bits:.2f}")
        if seconds:
            typer.echo(f"drift            at most {drift:.3g} steps after {_duration(seconds)}")
        typer.echo(
            f"energy           {joules(price)} modelled: pulses x 5 fJ (published for another cell: arXiv 2104.05926)"
        )
    if plot is not None:
        figures.save(figures.programming(array, report), plot)


@app.command()
def plot(
    what: Annotated[
        Picture,
        typer.Argument(
            help="The voltage against time, the response to a pulse, the decay of a weight, or how long bits last."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .png, .svg or .pdf file.")],
    device: DeviceOption = "sio2",
) -> None:
    """Draw what a cell does, and print the figures drawn."""
    from ..fndam import load_device
    from . import figures

    figures.check(output)
    which = load_device(device)
    _head(which)
    figure, table = getattr(figures, f"draw_{what.value}")(which)
    for row in table:
        typer.echo("  ".join(f"{cell:>16}" for cell in row))
    figures.save(figure, output)


def _fits(seconds: Any, volts: Any) -> list[TimerFit | None]:
    from ..errors import InputError
    from ..fndam import fit_timer

    found: list[TimerFit | None] = []
    for row in volts:
        try:
            found.append(fit_timer(seconds, row))
        except InputError:
            found.append(None)
    return found


def _update_energy() -> float:
    from ..energy import technology

    return technology("fn-dam").figures["weight_pulses"].joules


def _about(device: Device) -> dict[str, Any]:
    from dataclasses import asdict

    return {"device": {**asdict(device), "k1": device.k1, "k2": device.k2, "time_constant": device.time_constant}}


def _head(device: Device) -> None:
    typer.echo(f"device           {device.name}: {device.status} parameters; {device.source}")
    typer.echo(
        f"                 t_ox {device.oxide_thickness * 1e9:g} nm, V0 {device.initial_voltage:g} V, {device.temperature:g} K: "
        f"k1 {device.k1:.3g} 1/s, k2 {device.k2:.4g} V, t0 = k0/k1 = {_duration(device.time_constant)}"
    )


def _duration(seconds: float) -> str:
    for size, name in (
        (365.25 * 86400, "years"),
        (86400, "days"),
        (3600, "h"),
        (60, "min"),
        (1, "s"),
        (1e-3, "ms"),
        (1e-6, "us"),
    ):
        if seconds >= size:
            return f"{seconds / size:.4g} {name}"
    return f"{seconds:.3g} s"


def _volts(v: float) -> str:
    for size, name in ((1e6, "MV"), (1e3, "kV"), (1.0, "V"), (1e-3, "mV"), (1e-6, "uV"), (1e-9, "nV")):
        if abs(v) >= size:
            return f"{v / size:.4g} {name}"
    return f"{v:.3g} V"
