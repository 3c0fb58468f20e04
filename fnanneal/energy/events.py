"""`Events`: what a solve did, counted; the raw material of its energy account."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Counts of the algorithm's own operations, whatever machine carries them out.

    Attributes
    ----------
    spin_tests
        Proposals: one spin's gain compared with one threshold.
    spikes
        Flips: tests that passed.
    synaptic_events
        Couplings added to a local field: those of each spin that flips, or, in SIMD lanes, of each spin that is tested.
    threshold_draws
        Random thresholds drawn.
    timer_reads
        Temperatures read from an annealing timer.
    crossover_operations
        Spins compared and couplings followed when two states are crossed.
    weight_pulses
        Pulses that program analog weights.
    multiply_adds
        Products added up, in linear algebra.
    bytes_moved
        Read and written by the loops over spins and couplings, whichever level of memory serves them; by formula from the other counts and the widths of
        the arrays (docs/energy.md), not measured.
    """

    spin_tests: int = 0
    spikes: int = 0
    synaptic_events: int = 0
    threshold_draws: int = 0
    timer_reads: int = 0
    crossover_operations: int = 0
    weight_pulses: int = 0
    multiply_adds: int = 0
    bytes_moved: int = 0

    def __add__(self, other: Events) -> Events:
        return Events(**{k: v + getattr(other, k) for k, v in asdict(self).items()})
