"""Pictures, by matplotlib (the `report` extra). Axes carry their units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..fndam import Device, ProgrammedArray, ProgramReport, TimerFit

SUFFIXES = (".png", ".svg", ".pdf")
BLUE, ORANGE, GREEN, GREY = "#1f5fa8", "#d97706", "#2f855a", "#8a8f98"

Table = list[list[str]]


def check(path: Path | None) -> None:
    """Refuse, before the work and not after it, what cannot be drawn to.

    Raises
    ------
    InputError
        For another suffix, a folder that is not there, or where matplotlib is missing.
    """
    from importlib.util import find_spec

    from .display import check_output

    if path is None:
        return
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a picture is one of {', '.join(SUFFIXES)}")
    check_output(path)
    if find_spec("matplotlib") is None:
        raise InputError("pictures need matplotlib: pip install 'fnanneal[report]'")


def save(figure: Any, path: Path) -> None:
    """Write a figure; the same figure gives the same bytes."""
    check(path)
    kind = path.suffix.lower()[1:]
    metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    try:
        figure.savefig(path, format=kind, dpi=160, metadata=metadata)
    except OSError as e:
        raise InputError(f"cannot write {path}: {e.strerror or e}") from e


def _axes(width: float = 7.0, height: float = 4.2, columns: int = 1) -> tuple[Any, Any]:
    try:
        from matplotlib import rcParams
        from matplotlib.figure import Figure
    except ImportError as e:
        raise InputError("pictures need matplotlib: pip install 'fnanneal[report]'") from e
    rcParams["svg.hashsalt"] = "fnanneal"
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns)
    for a in np.atleast_1d(axes):
        a.grid(True, which="major", color="#e3e6ea", linewidth=0.8)
        a.set_axisbelow(True)
        a.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _title(axes: Any, text: str, device: Device | None = None) -> None:
    axes.set_title(text, loc="left", fontsize=11, fontweight="bold", pad=20 if device is not None else 6)
    if device is not None:
        axes.annotate(
            f"device {device.name}, {device.status} parameters: t_ox {device.oxide_thickness * 1e9:g} nm, V0 {device.initial_voltage:g} V, {device.temperature:g} K",
            (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=8.5, color=GREY,
        )  # fmt: skip


def voltage(
    device: Device, seconds: NDArray[np.float64], volts: NDArray[np.float64], fits: Sequence[TimerFit | None]
) -> Any:
    """Node voltage against time with its 1/log fit."""
    figure, axes = _axes()
    hours = seconds / 3600
    line = np.geomspace(seconds[1], seconds[-1], 400)
    for k, (row, fit) in enumerate(zip(volts, fits, strict=True)):
        if fit is not None:
            label = "fit, k2 / ln(k1 t + k0)" if k == 0 else None
            axes.plot(line / 3600, fit.timer.voltage(line), color=ORANGE, linewidth=1.6, label=label)
        axes.plot(hours[1:], row[1:], ".", color=BLUE, markersize=4.5, label="node voltage" if k == 0 else None)
    axes.set_xscale("log")
    axes.set_xlabel("time since initialisation [h]")
    axes.set_ylabel("node voltage V [V]")
    axes.legend(frameon=False, loc="lower left")
    _title(axes, "A tunnelling node left alone: a plateau for t < t0, then 1/log t", device)
    t0 = device.time_constant / 3600
    if hours[1] < t0 < hours[-1]:
        axes.axvline(t0, color=GREY, linewidth=1, linestyle=":")
        axes.annotate(
            f"t0 = {t0:.3g} h", (t0, axes.get_ylim()[1]), (4, -10), textcoords="offset points", fontsize=8, color=GREY
        )
    return figure


def draw_voltage(device: Device) -> tuple[Any, Table]:
    """`voltage` over eleven decades."""
    from ..fndam import Nodes, fit_timer

    t = np.concatenate([[0.0], np.geomspace(1.0, 1e11, 67)])
    v = Nodes.of(device).voltage(t)
    table = [["time [s]", "V [V]"], *([f"{t[k]:.3g}", f"{v[k]:.6f}"] for k in range(1, t.size, 11))]
    return voltage(device, t, v[None], [fit_timer(t, v)]), table


def draw_pulse(device: Device) -> tuple[Any, Table]:
    """What one pulse takes from a node, against its height, for several widths."""
    from ..fndam import Nodes

    node = Nodes.of(device)
    heights = np.linspace(0, 12, 241)
    widths = (1e-5, 1e-4, 1e-3, 1e-2)
    figure, axes = _axes()
    for width, shade in zip(widths, ("#a9c4e4", "#6f9fd3", BLUE, "#123a69"), strict=True):
        loss = node.loss(device.initial_voltage, width, heights)
        axes.plot(heights, loss, color=shade, label=f"{width * 1e3:g} ms")
    axes.set_yscale("log")
    axes.set_ylim(1e-9, None)
    axes.set_xlabel("height of the pulse v [V]")
    axes.set_ylabel("voltage lost by the node [V]")
    axes.legend(frameon=False, title="width")
    _title(axes, f"Response of a node at {device.initial_voltage:g} V to one pulse", device)
    table = [["height [V]", *(f"{w * 1e3:g} ms [V]" for w in widths)]]
    for height in (2.0, 4.0, 6.0, 8.0, 10.0, 12.0):
        table.append([f"{height:g}", *(f"{float(node.loss(device.initial_voltage, w, height)):.4g}" for w in widths)])
    return figure, table


def draw_decay(device: Device) -> tuple[Any, Table]:
    """A weight left alone beside 1/(1 + t/t0), and the step of a pulse for several heights."""
    from ..fndam import DifferentialCell

    t0 = device.time_constant
    t = np.geomspace(t0 * 1e-3, t0 * 1e4, 141)
    cell = DifferentialCell.of(device)
    weight = 0.01
    held = DifferentialCell(
        set_nodes=cell.set_nodes, reset_nodes=cell.reset_nodes, set_voltage=cell.set_voltage, reset_voltage=cell.reset_voltage + weight
    ).rest(t)  # fmt: skip
    ratio = held.weight / weight
    rested = cell.rest(t)
    figure, axes = _axes()
    axes.plot(t / t0, 1 / (1 + t / t0), color=GREY, linestyle="--", label="1/(1 + t/t0)")
    axes.plot(t / t0, ratio, color=BLUE, label="weight, of 10 mV at first")
    steps = {}
    for rise, shade in ((0.1, GREEN), (2.0, ORANGE)):
        height, width = rise / device.coupling, 1e-4
        steps[rise] = rested.plasticity(height, width) / cell.plasticity(height, width)
        axes.plot(t / t0, steps[rise], color=shade, label=f"step of a SET pulse, node raised by {rise:g} V")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"time since initialisation, in units of t0 = {t0:.3g} s")
    axes.set_ylabel("relative to its first value")
    axes.legend(frameon=False)
    _title(axes, "Weights decay as 1/(t + t0), and small steps with them", device)
    table = [["t/t0", "weight", "step, 0.1 V", "step, 2 V", "1/(1 + t/t0)"]]
    for k in range(0, t.size, 20):
        table.append([f"{x:.4g}" for x in (t[k] / t0, ratio[k], steps[0.1][k], steps[2.0][k], 1 / (1 + t[k] / t0))])
    return figure, table


def draw_retention(device: Device) -> tuple[Any, Table]:
    """How long a full-scale weight stays within half a step of where it was, against bits."""
    from ..fndam import retention

    bits = np.arange(1, 15)
    seconds = np.array([retention(device, int(b)) for b in bits])
    figure, axes = _axes()
    axes.semilogy(bits, seconds / 3600, "o-", color=BLUE)
    for name, value in (("a minute", 60.0), ("an hour", 3600.0), ("a day", 86400.0), ("a year", 365.25 * 86400)):
        axes.axhline(value / 3600, color=GREY, linewidth=0.8, linestyle=":")
        axes.annotate(name, (1.1, value / 3600), (0, 2), textcoords="offset points", fontsize=8, color=GREY)
    axes.set_xticks(bits)
    axes.set_xlabel("resolution [bits]")
    axes.set_ylabel("retention [h]")
    _title(axes, "How long a full-scale weight stays within half a step", device)
    return figure, [["bits", "retention [s]"], *([str(b), f"{s:.4g}"] for b, s in zip(bits, seconds, strict=True))]


def programming(array: ProgrammedArray, report: ProgramReport) -> Any:
    """Errors and pulses of a programmed array; in the mode of fixed pulses, its staircase."""
    figure, axes = _axes(9.0, 4.2, 2)
    left, right = axes
    lsb = array.settings.lsb
    errors = (array.volts() - array.targets) / lsb
    left.hist(errors, bins=60, color=BLUE)
    left.set_xlabel("error [steps between levels]")
    left.set_ylabel("cells")
    _title(left, f"{report.cells} cells, {array.settings.bits} bits")
    if array.staircase:
        stairs = np.array(array.staircase) * 1e3
        for k in range(min(stairs.shape[1], 8)):
            right.step(np.arange(stairs.shape[0]), stairs[:, k], where="post", linewidth=1.2)
            right.axhline(array.targets[k] * 1e3, color=GREY, linewidth=0.7, linestyle=":")
        right.set_xlabel("pulses")
        right.set_ylabel("reading [mV]")
        _title(right, "Fixed pulses: readings and targets")
    else:
        counts = np.bincount(array.pulses)
        right.bar(np.arange(counts.size), counts, color=ORANGE)
        right.set_xlabel("pulses a cell")
        right.set_ylabel("cells")
        right.xaxis.get_major_locator().set_params(integer=True)
        _title(right, f"{report.pulses} pulses, {report.failures} failures")
    return figure


def energies(found: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    """Modelled energy by technology, in all and to the best, beside the bounds; what was measured stands apart."""
    drawn = [r for r in rows if r["joules"]]
    figure, axes = _axes(8.0, 1.6 + 0.42 * (len(drawn) + 4))
    labels, place, marked = [], 0, False
    for row in drawn:
        partial = " (partial)" if row["status"] == "partial" else ""
        axes.barh(place, row["joules"], height=0.62, color=BLUE, label=None if place else "modelled, in all")
        if row["joules_to_best"]:
            axes.plot(
                row["joules_to_best"],
                place,
                "D",
                color=ORANGE,
                markersize=6,
                label=None if marked else "modelled, to the best found",
            )
            marked = True
        labels.append(row["technology"] + partial)
        place += 1
    names = {
        "update_wall": "bound: static barrier *", "matched_barrier": "bound: learning in memory *", "consolidation": "bound: consolidation *",
        "landauer": "bound: Landauer",
    }  # fmt: skip
    first = True
    for key, name in names.items():
        value = found["energy"]["bounds"].get(key)
        if value:
            axes.barh(place, value, height=0.62, color=GREY, label="lower bound" if first else None)
            labels.append(name)
            place, first = place + 1, False
    if found["energy"]["measured"]:
        axes.barh(
            place, found["energy"]["measured"]["joules"], height=0.62, color=GREEN, label="measured on this machine"
        )
        labels.append("measured")
        place += 1
    axes.set_yticks(range(place), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("energy [J]      (* our reconstruction of learning in memory, docs/energy.md)")
    axes.legend(frameon=False, fontsize=8.5, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)
    figure.suptitle(
        f"{found['problem']['name'] or 'unnamed'}, {found['solver']}, {found['time']['solve_s']:.2f} s",
        x=0.02,
        ha="left",
        fontsize=11,
        fontweight="bold",
    )
    return figure
