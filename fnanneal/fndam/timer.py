"""The Fowler-Nordheim cell as an annealing timer.

A floating node that leaks by Fowler-Nordheim tunnelling falls as

    V(t) = k2 / ln(k1 t + k0)

(derived from C dV/dt = -A alpha E^2 exp(-beta/E); Mehta et al., Nat. Commun. 13 (2022) 1670). Read as a temperature, this is the 1/log
cooling of simulated annealing theory (Hajek 1988), and with a small k1/k0 it is the schedule linear in 1/T that finite runs favour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class FNTimer:
    """V(t) = k2 / ln(k1 t + k0), kept in the log domain: exp(k2/V) is about 1e18 in a real cell.

    Attributes
    ----------
    k2
        Scale of the voltage; read as a temperature, in units of energy.
    log_k0
        ln k0, so that V(0) = k2 / log_k0.
    log_ratio
        ln(k1/k0), with k1 per unit of t (a second, a step, or the whole run).
    """

    k2: float
    log_k0: float
    log_ratio: float

    def __post_init__(self) -> None:
        if not (0 < self.k2 < math.inf and 0 < self.log_k0 < math.inf and math.isfinite(self.log_ratio)):
            raise InputError("an FN timer needs k2 > 0, k0 > 1 and k1 > 0, all finite")

    @classmethod
    def from_constants(cls, *, k2: float, k0_minus_1: float, k1: float) -> Self:
        """From the constants of the closed form; k0 - 1 is given by itself since it may be tiny.

        Raises
        ------
        InputError
            Unless all three are positive and finite.
        """
        if not (k2 > 0 and k0_minus_1 > 0 and k1 > 0):
            raise InputError("an FN timer needs k2 > 0, k0 > 1 and k1 > 0, all finite")
        log_k0 = math.log1p(k0_minus_1)
        return cls(k2=k2, log_k0=log_k0, log_ratio=math.log(k1) - log_k0)

    @classmethod
    def between(cls, hot: float, cold: float, kappa: float) -> Self:
        """The timer with V(0) = hot and V(1) = cold.

        Parameters
        ----------
        hot, cold
            hot > cold > 0, in units of energy.
        kappa
            The one knob left, k2 (1/cold - 1/hot) > 0: far below 1 makes 1/V linear in t; far above 1 is a plunge, then a 1/log tail.

        Raises
        ------
        InputError
            For values outside these ranges.
        """
        if not (0 < cold < hot < math.inf):
            raise InputError(f"a schedule needs hot > cold > 0 (got {hot} and {cold})")
        if not 0 < kappa < math.inf:
            raise InputError(f"kappa must be positive and finite (got {kappa})")
        k2 = kappa / (1 / cold - 1 / hot)
        log_expm1 = kappa + math.log(-math.expm1(-kappa))
        return cls(k2=k2, log_k0=k2 / hot, log_ratio=log_expm1)

    def voltage(self, t: ArrayLike) -> NDArray[np.float64]:
        """V at times t >= 0, elementwise, of t's shape."""
        with np.errstate(divide="ignore"):
            log_t = np.log(np.asarray(t, np.float64))
        v: NDArray[np.float64] = self.k2 / (self.log_k0 + np.logaddexp(0.0, self.log_ratio + log_t))
        return v

    @property
    def k0_minus_1(self) -> float:
        """k0 - 1, without cancellation."""
        return math.expm1(self.log_k0)

    @property
    def k1(self) -> float:
        """k1, per unit of t."""
        return math.exp(self.log_ratio + self.log_k0)


NEUROSA = FNTimer.from_constants(k2=0.3125, k0_minus_1=1 / 8e4, k1=0.002 / 8e4)
"""NeuroSA's schedule, t in steps: T(n) = 0.3125 / ln(1 + (1 + 0.002 n)/8e4) (Chen et al., Nat. Commun. 16 (2025))."""
