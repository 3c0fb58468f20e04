"""Lower bounds on the energy of a solve: Landauer's, and learning in memory.

    Landauer           kT ln 2 for each stored bit that is overwritten; a spike overwrites one
    learning in memory a bit is a particle in a double well of barrier E_b, which escapes at the rate w0 exp(-E_b/kT)

A tilt dE of the wells makes updates go the right way but for an error probability delta: dE = kT ln((1-delta)/delta). Updates can follow at the rate R while

    E_b <= kT ln( w0 (1-2 delta) / ((1-delta) R) ),   at least 0

    update wall         a static barrier that holds a bit for T_ret: every update pays kT ln(w0 T_ret) + dE
    matched barrier     the barrier rises as updates become rarer, R_n = R_0 n0/(n + n0), which is how an FN cell falls: update n pays E_b(R_n) + dE
    consolidation wall  at the end, parameters x bits x kT ln(w0 T_ret), once

Source: arXiv 2402.14878 has the idea; its formulae were not available to us, so **this is our reconstruction**, and is called so wherever it is shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..checks import integer, positive, real
from ..errors import InputError

BOLTZMANN = 1.380649e-23
YEAR = 365.25 * 24 * 3600
DIRECT = 1000


def landauer(bits: float, temperature: float = 300.0) -> float:
    """bits x kT ln 2 [J]; 2.87e-21 J a bit at 300 K (Landauer 1961)."""
    return real(bits, "bits", 0) * BOLTZMANN * positive(temperature, "temperature") * math.log(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningInMemory:
    """The reconstructed bound's constants.

    Attributes
    ----------
    temperature
        [K].
    attempt_rate
        w0 [1/s].
    retention
        T_ret [s]: how long a static or consolidated bit must hold.
    error
        delta, the probability that an update goes the wrong way, in (0, 1/2).
    """

    temperature: float = 300.0
    attempt_rate: float = 1e9
    retention: float = 10 * YEAR
    error: float = 1e-3

    def __post_init__(self) -> None:
        for what in ("temperature", "attempt_rate", "retention", "error"):
            object.__setattr__(self, what, positive(getattr(self, what), what))
        if self.error >= 0.5:
            raise InputError(f"error must be below 1/2 (got {self.error})")
        if self.attempt_rate * self.retention <= 1:
            raise InputError("attempt_rate x retention must be above 1")

    @property
    def kt(self) -> float:
        """kT [J]."""
        return BOLTZMANN * self.temperature

    @property
    def tilt(self) -> float:
        """dE [J]."""
        return self.kt * math.log((1 - self.error) / self.error)

    @property
    def static_barrier(self) -> float:
        """kT ln(w0 T_ret) [J]; 40.3 kT by default."""
        return self.kt * math.log(self.attempt_rate * self.retention)

    def barrier(self, rate: float) -> float:
        """The highest barrier that lets updates follow at `rate` [1/s], in [J]."""
        limit = self.attempt_rate * (1 - 2 * self.error) / (1 - self.error)
        return self.kt * max(0.0, math.log(limit / positive(rate, "rate")))

    def update_wall(self, updates: int) -> float:
        """Energy of so many updates under the static barrier [J]."""
        return real(updates, "updates", 0) * (self.static_barrier + self.tilt)

    def matched(self, updates: int, first_rate: float, n0: float) -> float:
        """Energy of updates n = 0, ..., updates - 1 of one parameter, at rates first_rate n0/(n + n0), under the matched barrier [J]."""
        updates = integer(updates, "updates", 0, 2**62)
        first_rate, n0 = positive(first_rate, "first_rate"), positive(n0, "n0")
        limit = self.attempt_rate * (1 - 2 * self.error) / (1 - self.error)
        # Where rates are above the limit the barrier is 0; they fall below it at n = first.
        first = min(updates, max(0, math.ceil(n0 * (first_rate / limit - 1))))
        logs = _log_gamma_ratio(n0, updates) - _log_gamma_ratio(n0, first)
        return self.kt * ((updates - first) * math.log(limit / first_rate) + logs) + updates * self.tilt

    def consolidation(self, parameters: int, bits: float = 1.0) -> float:
        """parameters x bits x kT ln(w0 T_ret) [J]."""
        return real(parameters, "parameters", 0) * real(bits, "bits", 0) * self.static_barrier


def _log_gamma_ratio(n0: float, n: int) -> float:
    """sum_{k<n} ln(1 + k/n0)."""
    begin = min(n, DIRECT)
    total = math.fsum(math.log1p(k / n0) for k in range(begin))
    if n > begin:
        # Euler and Maclaurin; the difference of two log-gammas would lose everything where n0 is large.
        x, y = begin / n0, n / n0
        total += n0 * (_primitive(y) - _primitive(x)) - 0.5 * (math.log1p(y) - math.log1p(x))
        total += (1 / (n0 + n) - 1 / (n0 + begin)) / 12
    return total


def _primitive(x: float) -> float:
    """Integral of ln(1 + x) from 0: (1 + x) ln(1 + x) - x."""
    if x < 1e-2:
        return x * x * (1 / 2 - x * (1 / 6 - x * (1 / 12 - x * (1 / 20 - x * (1 / 30 - x / 42)))))
    return (1 + x) * math.log1p(x) - x


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds on the updates of one solve [J]: see the module.

    ``update_wall``, ``matched_barrier`` and ``consolidation`` are our reconstruction of learning in memory.
    """

    landauer: float
    update_wall: float
    matched_barrier: float
    consolidation: float


def bounds(
    updates: int,
    parameters: int,
    seconds: float,
    *,
    time_constants: float = 1.0,
    constants: LearningInMemory | None = None,
) -> Bounds:
    """Bounds for a solve.

    Parameters
    ----------
    updates
        Stored bits that changed: spikes.
    parameters
        Spins, a bit each.
    seconds
        How long the solve took: it sets the rates, all parameters updated alike.
    time_constants
        How many time constants k0/k1 of its annealing timer the solve lasted: n0 is a parameter's updates by this number, so that the barrier rises as
        the timer falls.
    """
    lim = constants or LearningInMemory()
    parameters = integer(parameters, "parameters", 1, 2**62)
    seconds = positive(seconds, "seconds")
    each = integer(updates, "updates", 0, 2**62) / parameters
    if not each:
        return Bounds(landauer=0.0, update_wall=0.0, matched_barrier=0.0, consolidation=lim.consolidation(parameters))
    n0 = each / positive(time_constants, "time_constants")
    count = max(1, round(each))
    # The updates must take just the time they took: sum 1/R_n = (N + N(N-1)/(2 n0))/R_0.
    first_rate = (count + count * (count - 1) / (2 * n0)) / seconds
    return Bounds(
        landauer=landauer(updates, lim.temperature),
        update_wall=lim.update_wall(updates),
        matched_barrier=lim.matched(count, first_rate, n0) * updates / count,
        consolidation=lim.consolidation(parameters),
    )
