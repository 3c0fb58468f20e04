"""Measured energy, with made-up counters and clocks: few machines that run tests have real ones."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import fnanneal
from fnanneal.energy import Measured, Meter
from fnanneal.energy import meter as module
from fnanneal.energy.meter import Nvml, Rapl, nvml, rapl

PATIENCE = 60.0  # a hang, not a speed


@dataclass
class Machine:
    """A clock that moves when told to, and a power meter on it."""

    idle: float = 20.0
    now: float = 1000.0
    drawn: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def work(self, seconds: float, watts: float) -> None:
        self.now += seconds
        self.drawn += watts * seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.work(seconds, self.idle)


@dataclass
class Share:
    """A counter of part of what a machine draws, which wraps."""

    machine: Machine
    name: str = "package-0"
    range: float | None = None
    part: float = 1.0

    def joules(self) -> float:
        drawn = self.part * self.machine.drawn
        return drawn if self.range is None else drawn % self.range


@pytest.fixture(autouse=True)
def _anew(request: pytest.FixtureRequest) -> None:
    """What the process knows of its machine is forgotten before and after."""
    module.machine_meter.cache_clear()
    request.addfinalizer(module.machine_meter.cache_clear)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The meter sleeps on this machine."""
    m = Machine()
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=m.sleep))
    return m


def domain(root: Path, name: str, label: str | bytes, energy: str | None, top: str | None = "262143328850") -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "name").write_bytes(label if isinstance(label, bytes) else f"{label}\n".encode())
    if energy is not None:
        (folder / "energy_uj").write_text(energy)
    if top is not None:
        (folder / "max_energy_range_uj").write_text(f"{top}\n")
    return folder


# Counters


def test_rapl_finds_packages_and_memory(tmp_path: Path) -> None:
    domain(tmp_path, "intel-rapl:0", "package-0", "1500000\n")
    domain(tmp_path, "intel-rapl:0:0", "core", "700000\n")
    domain(tmp_path, "intel-rapl:0:1", "uncore", "70000\n")
    domain(tmp_path, "intel-rapl:0:2", "dram", "250000\n", "65712999613")
    domain(tmp_path, "intel-rapl:1", "package-1", "2000000\n")
    domain(tmp_path, "intel-rapl:2", "psys", "9000000\n")
    # The same package by another way, and no domain at all.
    domain(tmp_path, "intel-rapl-mmio:0", "package-0", "1500000\n")
    (tmp_path / "intel-rapl").mkdir()
    found = rapl(tmp_path)
    assert [c.name for c in found] == ["package-0 (intel-rapl:0)", "dram (intel-rapl:0:2)", "package-1 (intel-rapl:1)"]
    assert [c.joules() for c in found] == pytest.approx([1.5, 0.25, 2.0])
    assert [c.range for c in found] == pytest.approx([262143.32885, 65712.999613, 262143.32885])


def test_rapl_reads_anew(tmp_path: Path) -> None:
    folder = domain(tmp_path, "intel-rapl:0", "package-0", "1\n")
    (counter,) = rapl(tmp_path)
    (folder / "energy_uj").write_text("3000000\n")
    assert counter.joules() == pytest.approx(3.0)


def test_rapl_skips_what_it_cannot_read(tmp_path: Path) -> None:
    domain(tmp_path, "intel-rapl:0", "package-0", None)
    domain(tmp_path, "intel-rapl:1", "package-1", "no number\n")
    domain(tmp_path, "intel-rapl:2", "package-2", "5\n", "no number")
    domain(tmp_path, "intel-rapl:3", "package-3", "5\n", None)
    domain(tmp_path, "intel-rapl:4", b"package-\xff\n", "5\n")
    (domain(tmp_path, "intel-rapl:5", "package-5", None) / "energy_uj").mkdir()
    (tmp_path / "intel-rapl:6").mkdir()
    (tmp_path / "intel-rapl:7").write_text("a file")
    domain(tmp_path, "intel-rapl:8", "dram", "")
    domain(tmp_path, "intel-rapl:9", "package-9", "5\n")
    assert [c.name for c in rapl(tmp_path)] == ["package-9 (intel-rapl:9)"]


def test_rapl_without_powercap(tmp_path: Path) -> None:
    assert rapl(tmp_path / "nothing") == [] == rapl(tmp_path)


def fake_nvml(energies: list[int], init: Callable[[], None] = lambda: None) -> ModuleType:
    """The library, with GPUs that have drawn so many mJ."""
    library = ModuleType("pynvml")
    library.nvmlInit = init  # type: ignore[attr-defined]
    library.nvmlDeviceGetCount = lambda: len(energies)  # type: ignore[attr-defined]
    library.nvmlDeviceGetHandleByIndex = lambda k: f"handle {k}"  # type: ignore[attr-defined]

    def total(handle: str) -> int:
        mj = energies[int(handle.split()[1])]
        if mj < 0:
            raise RuntimeError("Not Supported")
        return mj

    library.nvmlDeviceGetTotalEnergyConsumption = total  # type: ignore[attr-defined]
    return library


def test_nvml_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml() == []


def test_nvml_counts_millijoules(monkeypatch: pytest.MonkeyPatch) -> None:
    energies = [1500, 250_000]
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(energies))
    found = nvml()
    assert [(c.name, c.range) for c in found] == [("gpu 0", None), ("gpu 1", None)]
    assert [c.joules() for c in found] == pytest.approx([1.5, 250.0])
    energies[0] = 2500
    assert [c.joules() for c in found] == pytest.approx([2.5, 250.0]), "read anew, each its own"
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml([]))
    assert nvml() == []


def test_nvml_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def init() -> None:
        raise RuntimeError("Driver Not Loaded")

    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml([1500], init))
    assert nvml() == []
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml([-1]))
    assert nvml() == [], "a GPU whose driver does not count energy"
    monkeypatch.setitem(sys.modules, "pynvml", ModuleType("pynvml"))
    assert nvml() == [], "another module of that name"


# Windows


def test_a_window_adds_up_its_counters(machine: Machine) -> None:
    machine.drawn = 12345.0
    meter = Meter([Share(machine, "package-0"), Share(machine, "dram", part=0.25)], machine.clock)
    with meter.window() as w:
        machine.work(2.0, 30.0)
    machine.work(5.0, 30.0)
    assert (w.joules, w.seconds) == pytest.approx((75.0, 2.0)), "what comes after it is not in it"


@pytest.mark.parametrize(("before", "inside"), [(90.0, 30.0), (99.5, 1.0), (0.0, 99.0), (50.0, 50.0)])
def test_a_wrap_is_counted(machine: Machine, before: float, inside: float) -> None:
    machine.drawn = before
    meter = Meter([Share(machine, range=100.0)], machine.clock)
    with meter.window() as w:
        machine.work(1.0, inside)
    assert w.joules == pytest.approx(inside)


def test_a_powercap_file_that_wraps(tmp_path: Path, machine: Machine) -> None:
    folder = domain(tmp_path, "intel-rapl:0", "package-0", "262143000000\n", "262143328850")
    meter = Meter(rapl(tmp_path), machine.clock)
    with meter.window() as w:
        (folder / "energy_uj").write_text("671150\n")
    assert w.joules == pytest.approx(1.0, rel=1e-6)


def test_a_counter_that_never_wraps_does_not_run_backwards(machine: Machine) -> None:
    # A driver that was loaded anew begins at 0: what it counts after that is all that is known.
    counts = iter([5_000_000, 3000, 4000])
    meter = Meter([Nvml("gpu 0", None, lambda: next(counts))], machine.clock)
    with meter.window() as w:
        w._advance()
    assert w.joules == pytest.approx(1.0)


class Watched:
    """A counter that says when it has been read."""

    name, range = "package-0", 10.0

    def __init__(self, value: float) -> None:
        self.value, self.reads, self.read = value, 0, threading.Condition()

    def joules(self) -> float:
        with self.read:
            self.reads += 1
            self.read.notify_all()
            return self.value

    def go(self, value: float) -> None:
        """Set it, and wait until somebody has seen it."""
        with self.read:
            self.value, before = value, self.reads
            assert self.read.wait_for(lambda: self.reads > before, PATIENCE)


def test_a_long_window_is_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two wraps between its ends would leave the ends' difference 20 short.
    monkeypatch.setattr(module, "POLL_S", 1e-3)
    counter = Watched(2.0)
    with Meter([counter]).window() as w:
        for value in (9.0, 3.0, 8.0, 1.0):
            counter.go(value)
    assert w.joules == pytest.approx(7 + 4 + 5 + 3)


def test_polling_ends_with_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 1e-3)
    counter, threads = Watched(2.0), threading.active_count()
    with pytest.raises(KeyError), Meter([counter]).window() as w:
        counter.go(5.0)
        raise KeyError
    assert threading.active_count() == threads and w.joules == pytest.approx(3.0) and w.seconds > 0
    reads = counter.reads
    threading.Event().wait(0.02)
    assert counter.reads == reads


def test_without_counters_nothing_is_polled() -> None:
    threads = threading.active_count()
    with Meter([]).window() as w:
        assert threading.active_count() == threads
    assert w.joules == 0 and w.seconds > 0


# Results


def test_the_baseline_is_subtracted(machine: Machine) -> None:
    meter = Meter([Share(machine, "package-0"), Share(machine, "dram", part=0.5)], machine.clock)
    with meter.window() as w:
        machine.work(4.0, 50.0)
    m = meter.result(w)
    # 1.5 times 50 W in the window and 20 W of idling.
    assert m is not None
    assert (m.gross_joules, m.baseline_watts, m.joules, m.seconds) == pytest.approx((300.0, 30.0, 180.0, 4.0))
    assert (m.repetitions, m.counters) == (1, ("package-0", "dram"))
    divided = meter.result(w, 9)
    assert divided is not None and divided.joules == pytest.approx(20.0) and divided.repetitions == 9
    assert divided.gross_joules == pytest.approx(300.0), "of the whole window"


def test_the_baseline_is_measured_once(machine: Machine) -> None:
    meter = Meter([Share(machine)], machine.clock)
    assert meter.baseline() == pytest.approx(20.0) and machine.slept == [1.0]
    machine.idle = 90.0
    with meter.window() as w:
        machine.work(4.0, 50.0)
    m = meter.result(w)
    assert m is not None and m.baseline_watts == pytest.approx(20.0) and machine.slept == [1.0]
    assert Meter([Share(machine)], machine.clock).baseline(3.0) == pytest.approx(90.0) and machine.slept == [1.0, 3.0]


@pytest.mark.parametrize(
    ("seconds", "measured"), [(0.0, False), (0.5, False), (0.999, False), (1.0, True), (30.0, True)]
)
def test_a_short_window_means_nothing(seconds: float, measured: bool, machine: Machine) -> None:
    machine.now = 0.0
    meter = Meter([Share(machine)], machine.clock)
    with meter.window() as w:
        machine.work(seconds, 50.0)
    assert (meter.result(w) is not None) == measured
    # No time is spent on a baseline that nobody needs.
    assert machine.slept == ([1.0] if measured else [])


@pytest.mark.parametrize(("watts", "joules"), [(10.0, None), (20.0, None), (20.5, 1.0), (21.0, 2.0)])
def test_what_does_not_stand_out_is_not_measured(watts: float, joules: float | None, machine: Machine) -> None:
    machine.now = 0.0
    meter = Meter([Share(machine)], machine.clock)
    with meter.window() as w:
        machine.work(2.0, watts)
    m = meter.result(w)
    assert (None if m is None else m.joules) == (None if joules is None else pytest.approx(joules))


def test_without_counters_nothing_is_measured(machine: Machine) -> None:
    meter = Meter([], machine.clock)
    with meter.window() as w:
        machine.work(100.0, 50.0)
    assert w.seconds == pytest.approx(100.0) and meter.result(w) is None

    def never() -> None:
        raise AssertionError("there is nothing to run it for")

    assert meter.measure(never) is None and machine.slept == []


@pytest.mark.parametrize(
    ("each", "at_least", "repetitions"),
    [(0.25, 1.0, 4), (0.25, 3.0, 12), (0.375, 1.0, 3), (8.0, 1.0, 1), (1.0, 1.0, 1)],
)
def test_measure_repeats_and_divides(each: float, at_least: float, repetitions: int, machine: Machine) -> None:
    machine.now = 0.0
    calls: list[None] = []

    def function() -> None:
        calls.append(None)
        machine.work(each, 50.0)

    found = Meter([Share(machine)], machine.clock).measure(function, at_least)
    assert len(calls) == repetitions
    assert found == Measured(
        joules=pytest.approx(30.0 * each), gross_joules=pytest.approx(50.0 * each * repetitions),
        baseline_watts=pytest.approx(20.0), seconds=pytest.approx(each * repetitions), repetitions=repetitions,
        counters=("package-0",),
    )  # fmt: skip


def test_measure_of_too_short_a_window(machine: Machine) -> None:
    machine.now = 0.0
    assert Meter([Share(machine)], machine.clock).measure(lambda: machine.work(0.25, 50.0), at_least=0.5) is None


def test_the_default_counters_are_the_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    domain(tmp_path, "intel-rapl:0", "package-0", "1\n")
    monkeypatch.setattr(module, "rapl", lambda: rapl(tmp_path))
    monkeypatch.setattr(module, "nvml", lambda: pytest.fail("a solve on the processor is not charged for GPUs"))
    assert Meter().counters == [Rapl("package-0 (intel-rapl:0)", 262143.32885, tmp_path / "intel-rapl:0" / "energy_uj")]


# Solves


def test_a_solve_without_counters_says_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "rapl", list)
    result = fnanneal.solve("nx:cycle_graph(8)", "exact")
    assert result.energy.measured is None and result.to_dict()["energy"]["measured"] is None
    assert result.energy.account.joules is not None, "the model does not need them"


def test_a_short_solve_says_null(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    counter = Share(machine)
    monkeypatch.setattr(module, "rapl", lambda: [counter])
    monkeypatch.setattr(module, "SHORTEST", 1e9)
    assert fnanneal.solve("nx:cycle_graph(8)", "exact").energy.measured is None
    assert machine.slept == []


def test_a_solve_reports_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every reading is 3 J above the last, and the solve has one before it and one after it.
    counts = iter(range(0, 3000, 3))
    counter = SimpleNamespace(name="package-0", range=None, joules=lambda: float(next(counts)))
    monkeypatch.setattr(module, "rapl", lambda: [counter])
    monkeypatch.setattr(module, "SHORTEST", 0.0)
    monkeypatch.setattr(Meter, "baseline", lambda self: 1e-6)
    result = fnanneal.solve("nx:cycle_graph(8)", "exact")
    m = result.energy.measured
    assert m is not None and (m.gross_joules, m.repetitions, m.counters) == (3.0, 1, ("package-0",))
    assert m.joules == pytest.approx(3.0 - 1e-6 * m.seconds, rel=1e-12)
    d = result.to_dict()["energy"]
    assert d["measured"] == {
        "joules": m.joules, "gross_joules": 3.0, "baseline_watts": 1e-6, "seconds": m.seconds,
        "repetitions": 1, "counters": ("package-0",),
    }  # fmt: skip
    assert d["joules"] == result.energy.account.joules != m.joules, "the model is as it was"


@dataclass
class Dying:
    """A counter that can be read so many times."""

    left: int
    name: str = "package-0"
    range: float | None = None

    def joules(self) -> float:
        self.left -= 1
        if self.left < 0:
            raise OSError("gone")
        return 0.0


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_a_counter_that_fails_leaves_no_measurement(left: int, machine: Machine) -> None:
    meter = Meter([Dying(left)], clock=machine.clock)
    with meter.window() as window:
        machine.work(5.0, 100.0)
    assert meter.result(window) is None


def test_a_solve_survives_a_counter_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "rapl", lambda: [Dying(1)])
    r = fnanneal.solve("nx:petersen_graph()", "sa", seed=1, num_sweeps=10)
    assert r.energy.measured is None and r.objective == 12


def test_one_gpu_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    class Trouble(Exception):
        pass

    def energy(k: int) -> int:
        if k == 0:
            raise Trouble
        return 5000

    fake = ModuleType("pynvml")
    for name, value in {
        "NVMLError": Trouble, "nvmlInit": lambda: None, "nvmlDeviceGetCount": lambda: 2, "nvmlDeviceGetHandleByIndex": lambda k: k,
        "nvmlDeviceGetTotalEnergyConsumption": energy,
    }.items():  # fmt: skip
        setattr(fake, name, value)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    (counter,) = nvml()
    assert counter.name == "gpu 1" and counter.joules() == 5.0


def test_the_baseline_is_measured_once_a_process(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "rapl", lambda: [Share(machine)])
    monkeypatch.setattr(module, "SHORTEST", 0.0)
    for _ in range(3):
        fnanneal.solve("nx:petersen_graph()", "sa", seed=1, num_sweeps=10)
    assert len(machine.slept) == 1
