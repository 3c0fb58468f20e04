"""`Device`: the parameters of a tunnelling node, with units, and named sets of them.

    current density  J = alpha(T) E^2 exp(-beta/E),   E = V / t_ox
    alpha(T) = alpha f(T)/f(T_ref),   f(T) = x / sin x,   x = pi c k T,   c = (3/2) beta / (q phi E0)

(Fowler and Nordheim 1928; the thermal factor f is Murphy and Good's, as Lenzlinger and Snow, J. Appl. Phys. 40 (1969) 278, apply it to SiO2). f depends on
the field; it is taken at E0, the field at the initial voltage, so that alpha is a constant of the cell and the closed form stays exact.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self, get_args

from ..checks import positive
from ..errors import FormatError, InputError
from ..toml import choose, parse

BOLTZMANN = 1.380649e-23
CHARGE = 1.602176634e-19
SHIPPED = "devices.toml"

DeviceStatus = Literal["illustrative", "published", "measured", "assumed"]
# A file's key: the attribute and the factor to its SI unit.
_KEYS = {
    "alpha_A_per_V2": ("alpha", 1.0),
    "beta_V_per_cm": ("beta", 1e2),
    "barrier_eV": ("barrier", 1.0),
    "oxide_thickness_nm": ("oxide_thickness", 1e-9),
    "area_um2": ("area", 1e-12),
    "capacitance_fF": ("capacitance", 1e-15),
    "coupling_capacitance_fF": ("coupling_capacitance", 1e-15),
    "initial_voltage_V": ("initial_voltage", 1.0),
    "temperature_K": ("temperature", 1.0),
    "reference_temperature_K": ("reference_temperature", 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One tunnelling node, in SI units.

    Attributes
    ----------
    name, status, source
        Where the figures come from; status is "illustrative", "published", "measured" or "assumed".
    alpha, beta
        Fowler-Nordheim constants at the reference temperature [A/V^2], [V/m].
    barrier
        Height of the tunnelling barrier [eV]; it enters the thermal factor alone.
    oxide_thickness, area
        t_ox [m], A [m^2].
    capacitance, coupling_capacitance
        C_T, all of the node's [F], and C_c, the part that couples it to its input [F].
    initial_voltage
        V0 [V].
    temperature, reference_temperature
        [K].

    Raises
    ------
    InputError
        For figures that are not positive and finite, C_c >= C_T, or a combination outside the tunnelling law's range.
    """

    name: str
    status: DeviceStatus
    source: str
    alpha: float
    beta: float
    barrier: float
    oxide_thickness: float
    area: float
    capacitance: float
    coupling_capacitance: float
    initial_voltage: float
    temperature: float = 300.0
    reference_temperature: float = 300.0

    def __post_init__(self) -> None:
        if self.status not in get_args(DeviceStatus):
            raise InputError(f"device {self.name}: status must be one of {', '.join(get_args(DeviceStatus))}")
        for what, _ in _KEYS.values():
            object.__setattr__(self, what, positive(getattr(self, what), f"device {self.name}: {what}"))
        if self.coupling_capacitance >= self.capacitance:
            raise InputError(f"device {self.name}: the coupling capacitance must be below the total capacitance")
        if not 1 < self.k2 / self.initial_voltage < 600:
            raise InputError(
                f"device {self.name}: beta t_ox / V0 is {self.k2 / self.initial_voltage:.3g}; tunnelling cells have 1 to 600"
            )
        for kelvin in (self.temperature, self.reference_temperature):
            if self._thermal(kelvin) >= math.pi:
                raise InputError(f"device {self.name}: at {kelvin:g} K and this field the node emits thermally")

    def _thermal(self, kelvin: float) -> float:
        """x of the module's docstring."""
        field = self.initial_voltage / self.oxide_thickness
        return math.pi * 1.5 * self.beta * BOLTZMANN * kelvin / (CHARGE * self.barrier * field)

    @property
    def k1(self) -> float:
        """k1 = A alpha(T) beta / (C_T t_ox) [1/s]."""
        x, x_ref = self._thermal(self.temperature), self._thermal(self.reference_temperature)
        factor = x / math.sin(x) * math.sin(x_ref) / x_ref
        return factor * self.area * self.alpha * self.beta / (self.capacitance * self.oxide_thickness)

    @property
    def k2(self) -> float:
        """k2 = beta t_ox [V]."""
        return self.beta * self.oxide_thickness

    @property
    def log_k0(self) -> float:
        """ln k0 = k2 / V0."""
        return self.k2 / self.initial_voltage

    @property
    def coupling(self) -> float:
        """C_c / C_T: what the node's voltage rises by, a volt of input."""
        return self.coupling_capacitance / self.capacitance

    @property
    def time_constant(self) -> float:
        """t0 = k0 / k1 [s]: weights and steps fall as 1/(t + t0)."""
        return math.exp(self.log_k0 - math.log(self.k1))

    def pulse_energy(self, height: float) -> float:
        """C_in v^2 / 2 [J] of a pulse of `height` [V], C_in = C_c (C_T - C_c)/C_T; twice that is drawn from a supply.

        FN-DAM's published 5 fJ an update belong to a chip whose capacitances we do not know: `fnanneal.energy` has that figure.
        """
        return 0.5 * self.coupling_capacitance * (1 - self.coupling) * height**2

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], where: str) -> Self:
        """From one table of a TOML file, whose keys carry their units.

        Raises
        ------
        FormatError
            For a key that is missing, unknown or no number; names `where`.
        """
        unknown = [k for k in table if k not in _KEYS and k not in ("status", "source")]
        missing = [k for k in (*_KEYS, "status", "source") if k not in table]
        for what, keys in (("unknown", unknown), ("missing", missing)):
            if keys:
                raise FormatError(where, None, f"device {name}: {what} key {keys[0]}")
        for key in ("status", "source"):
            if not isinstance(table[key], str) or not table[key].strip():
                raise FormatError(where, None, f"device {name}: {key} must be a text")
        try:
            numbers = {attribute: positive(table[key], key) * factor for key, (attribute, factor) in _KEYS.items()}
            return cls(name=name, status=table["status"], source=table["source"], **numbers)
        except InputError as e:
            raise FormatError(where, None, str(e)) from e


@cache
def devices() -> dict[str, Device]:
    """The sets that come with the package, by name."""
    text = (files(__package__) / SHIPPED).read_text(encoding="utf-8")
    return _tables(parse(text, SHIPPED), SHIPPED)


def load_device(spec: str | os.PathLike[str] | Device) -> Device:
    """A device by name, or from a TOML file with one table (``FILE#NAME`` of several).

    Raises
    ------
    InputError
        For an unknown name, or a file that does not hold a device.
    """
    return spec if isinstance(spec, Device) else choose(spec, devices(), _tables, "device")


def _tables(content: Mapping[str, Any], where: str) -> dict[str, Device]:
    found = {}
    for name, table in content.items():
        if not isinstance(table, dict):
            raise FormatError(where, None, f"{name}: expected a table [{name}]")
        found[name] = Device.from_table(name, table, where)
    return found
