"""Measured energy: what the machine's own counters say.

    processor   /sys/class/powercap/intel-rapl*: package and DRAM, of the whole machine; counters wrap at max_energy_range_uj
    GPU         NVML's total energy, in mJ, renewed every 20 to 100 ms (the `energy` extra)

A counter sees everything that runs, so what the machine draws when idle is subtracted; a window shorter than a second means nothing. Where there is no counter
that this process may read, there is no figure: nothing is estimated here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")
SHORTEST = 1.0
BASELINE_S = 1.0
# A package that draws a kilowatt wraps its counter in minutes.
POLL_S = 30.0


class Counter(Protocol):
    """Joules since some moment, modulo `range` (None: never wraps)."""

    @property
    def name(self) -> str: ...
    @property
    def range(self) -> float | None: ...
    def joules(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Rapl:
    """One powercap domain."""

    name: str
    range: float | None
    file: Path

    def joules(self) -> float:
        return int(self.file.read_text()) * 1e-6


@dataclass(frozen=True, slots=True)
class Nvml:
    """One GPU."""

    name: str
    range: float | None
    read: Callable[[], int]

    def joules(self) -> float:
        return self.read() * 1e-3


def rapl(root: Path = POWERCAP) -> list[Counter]:
    """The packages and their DRAM, as far as this process may read them; cores and graphics are part of the package."""
    found: list[Counter] = []
    for domain in sorted(root.glob("intel-rapl:*")):
        try:
            name = (domain / "name").read_text().strip()
            if not (name.startswith("package") or name == "dram"):
                continue
            top = int((domain / "max_energy_range_uj").read_text()) * 1e-6
            counter = Rapl(f"{name} ({domain.name})", top, domain / "energy_uj")
            counter.joules()
        except (OSError, ValueError):
            continue
        found.append(counter)
    return found


def nvml() -> list[Counter]:
    """All NVIDIA GPUs whose driver counts energy; none without the library."""
    try:
        import pynvml  # type: ignore[import-not-found,import-untyped,unused-ignore]

        pynvml.nvmlInit()
        found: list[Counter] = []
        for k in range(pynvml.nvmlDeviceGetCount()):
            try:
                read = partial(pynvml.nvmlDeviceGetTotalEnergyConsumption, pynvml.nvmlDeviceGetHandleByIndex(k))
                read()
            except pynvml.NVMLError:
                continue
            found.append(Nvml(f"gpu {k}", None, read))
        return found
    except Exception:  # noqa: BLE001 (library, driver or permission: whatever is missing, there is no counter then)
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What counters say of a window.

    Attributes
    ----------
    joules
        Above the idle baseline, of one repetition.
    gross_joules
        With it, of the whole window.
    baseline_watts, seconds, repetitions, counters
    """

    joules: float
    gross_joules: float
    baseline_watts: float
    seconds: float
    repetitions: int
    counters: tuple[str, ...]


class Meter:
    """Reads counters; with none, every measurement is None.

    Parameters
    ----------
    counters
        Default: the processor's.
    """

    def __init__(
        self, counters: Sequence[Counter] | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.counters = rapl() if counters is None else list(counters)
        self._clock = clock
        self._baseline: float | None = None

    @contextmanager
    def window(self) -> Iterator[_Window]:
        """Count what is drawn inside."""
        w = _Window(self.counters, self._clock)
        w.start()
        try:
            yield w
        finally:
            w.stop()

    def baseline(self, seconds: float = BASELINE_S) -> float | None:
        """What the machine draws while this process sleeps [W]; measured once. None where a counter fails."""
        if self._baseline is None:
            with self.window() as w:
                time.sleep(seconds)
            if w.broken:
                return None
            self._baseline = w.joules / w.seconds
        return self._baseline

    def result(self, window: _Window, repetitions: int = 1) -> Measured | None:
        """A window's measurement; None without counters, where it was too short, or where it does not stand out of the baseline."""
        if not self.counters or window.broken or window.seconds < SHORTEST:
            return None
        watts = self.baseline()
        if watts is None:
            return None
        net = window.joules - watts * window.seconds
        if net <= 0:
            return None
        return Measured(
            joules=net / repetitions,
            gross_joules=window.joules,
            baseline_watts=watts,
            seconds=window.seconds,
            repetitions=repetitions,
            counters=tuple(c.name for c in self.counters),
        )

    def measure(self, function: Callable[[], Any], at_least: float = SHORTEST) -> Measured | None:
        """Repeat `function` until the window is long enough, and divide."""
        if not self.counters:
            return None
        repetitions = 0
        with self.window() as w:
            began = self._clock()
            while not repetitions or self._clock() - began < at_least:
                function()
                repetitions += 1
        return self.result(w, repetitions)


@cache
def machine_meter() -> Meter:
    """The meter of this machine's processor, one a process, so that its baseline is measured once."""
    return Meter()


class _Window:
    """Adds up what counters advance by, and looks often enough that no wrap is missed; `broken` once one cannot be read."""

    def __init__(self, counters: Sequence[Counter], clock: Callable[[], float]) -> None:
        self._counters, self._clock = counters, clock
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.joules = 0.0
        self.seconds = 0.0
        self.broken = False

    def start(self) -> None:
        self._began = self._clock()
        self._last = [0.0] * len(self._counters)
        self._advance()
        self.joules = 0.0
        if self._counters:
            self._thread = threading.Thread(target=self._poll, daemon=True)
            self._thread.start()

    def _poll(self) -> None:
        while not self._over.wait(POLL_S):
            self._advance()

    def _advance(self) -> None:
        with self._lock:
            for k, counter in enumerate(self._counters):
                try:
                    now = counter.joules()
                except (OSError, ValueError):
                    self.broken = True
                    return
                gone = now - self._last[k]
                if gone < 0:
                    gone += counter.range or 0.0
                self.joules += max(gone, 0.0)
                self._last[k] = now

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._advance()
        self.seconds = self._clock() - self._began
