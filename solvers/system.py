"""`SpinSystem`: a problem in the one form that every kernel reads.

    energy = constant - unit * value,   value(s) = -(sum_{i<j} w_ij s_i s_j + sum_i h_i s_i)
    gain of flipping i = s_i (sum_j w_ij s_j + h_i):  value rises by 2 gain, the energy falls by 2 unit gain, the cut rises by unit gain

Integers stay integers: a QUBO's quarter-integer couplings become integers with unit 1/4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..problems.couplings import Couplings, Weights
from ..problems.model import Model
from ..problems.models import MaxCut
from ..result import Spins
from .kernels.colour import greedy_colours
from .kernels.rows import largest_row, local_fields
from .kernels.sweep import SPAN

_INT32_GAIN = 2**29


class Exact(NamedTuple):
    """weights (2m,) and fields (n,), int32 or int64, in units of quantum, a power of two."""

    weights: NDArray[Any]
    fields: NDArray[Any]
    quantum: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpinSystem:
    """Compressed rows in the kernels' own order of the spins.

    Attributes
    ----------
    indptr : (n+1,) int64
    indices : (2m,) uint32
    weights : (2m,) int32 or float64
        int32 where all is integer and no gain can leave 2**29, so that no sum overflows; else float64 (integers below 2**53 stay exact).
    fields : (n,) of the same kind
    unit
        Energy of one unit of weight.
    order : (n,) int64 or None
        order[k] is the problem's number of the kernels' spin k; None: the same.
    segments : (k,) int64
        Bounds of runs of spins of one colour, none straddling a multiple of `SPAN`.
    largest
        Bound on |gain|: the largest sum of a row's magnitudes.
    ideal
        The system of the problem that this one stands for, if any (`Model.ideal`).
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.uint32]
    weights: NDArray[Any]
    fields: NDArray[Any]
    unit: float
    order: NDArray[np.int64] | None
    segments: NDArray[np.int64]
    largest: float
    ideal: SpinSystem | None = None
    _cache: dict[str, Exact] = field(default_factory=dict, init=False, repr=False)

    @property
    def n(self) -> int:
        """Number of spins."""
        return int(self.fields.size)

    @property
    def integral(self) -> bool:
        """Whether the kernels compute in integers."""
        return bool(self.weights.dtype == np.int32)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        arrays = (self.indptr, self.indices, self.weights, self.fields, self.segments)
        return sum(a.nbytes for a in arrays) + (0 if self.order is None else self.order.nbytes)

    @property
    def exact(self) -> Exact:
        """Weights and fields as integers: the int32 themselves, or floats rounded to as many digits as leave every sum below 2**61.

        So sums of them are the same in any order. Made once.
        """
        if "exact" not in self._cache:
            self._cache["exact"] = (
                Exact(self.weights, self.fields, 1.0) if self.integral else fixed_point(self.weights, self.fields)
            )
        return self._cache["exact"]

    def inwards(self, spins: Spins) -> Spins:
        """Spins (..., n) from the problem's order to the kernels'."""
        return np.ascontiguousarray(spins if self.order is None else spins[..., self.order])

    def outwards(self, spins: Spins) -> Spins:
        """Spins (..., n) from the kernels' order to the problem's."""
        if self.order is None:
            return spins.copy()
        out = np.empty_like(spins)
        out[..., self.order] = spins
        return out

    def local_fields(self, spins: Spins) -> NDArray[Any]:
        """sum_j w_ij s_j + h_i of spins (n,), in the kernels' order: (n,)."""
        fields = np.empty_like(self.fields)
        local_fields(self.indptr, self.indices, self.weights, self.fields, np.ascontiguousarray(spins, np.int8), fields)
        return fields

    def value(self, spins: Spins) -> int | float:
        """value(s) of the module's docstring, of spins (n,) in the kernels' order."""
        both = spins * (self.local_fields(spins).astype(np.int64 if self.integral else np.float64) + self.fields)
        total = both.sum()
        return -int(total) // 2 if self.integral else -float(total) / 2


def fixed_point(weights: Weights, fields: Weights) -> Exact:
    """Floats as int64 in the smallest unit that keeps the sum of all magnitudes below 2**61: integers below that are not rounded."""
    # A running sum, as `np.sum` adds in an order that depends on the processor.
    total = sum(float(np.cumsum(np.abs(a))[-1]) for a in (weights, fields) if a.size)
    digits = 61 - int(np.frexp(total)[1])
    exact_weights, exact_fields = (np.rint(np.ldexp(a, digits)).astype(np.int64) for a in (weights, fields))
    return Exact(exact_weights, exact_fields, float(np.ldexp(1.0, -digits)))


def scaled_numbers(couplings: Weights, fields: Weights) -> tuple[Weights, Weights, float]:
    """Couplings and fields in a unit that suits kernels, and the unit.

    Integers where a factor of 1, 2 or 4 makes all of them so, in int64; else floats whose largest is in [1, 2), so that neither squares
    nor temperatures leave a float's range. Units are powers of two: nothing is rounded.

    Raises
    ------
    InputError
        Where integers beyond 2**53 stand beside fractions.
    """
    both = (couplings, fields)
    for factor in (1, 2, 4):
        if all(
            a.dtype == np.int64
            or (float(np.abs(a).max(initial=0)) * factor < 2**53 and np.all(a * factor == np.rint(a * factor)))
            for a in both
        ):
            return *((a * factor).astype(np.int64) for a in both), 1 / factor  # type: ignore[return-value]
    if any(a.dtype == np.int64 and int(np.abs(a).max(initial=0)) >= 2**53 for a in both):
        raise InputError("weights too large: beside fractions, keep integers below 2**53")
    largest = max(float(np.abs(a).max(initial=0)) for a in both)
    exponent = int(np.frexp(largest)[1]) - 1
    return *(np.ldexp(a.astype(np.float64), -exponent) for a in both), float(np.ldexp(1.0, exponent))  # type: ignore[return-value]


def as_spins(problem: Model) -> tuple[Couplings, Weights]:
    """J and h of a problem for its own n variables; a Max-Cut graph as J = w, its ancilla a spin like any other."""
    if isinstance(problem, MaxCut):
        return problem.couplings, np.zeros(problem.n, np.int64)
    ising = problem.to_ising()
    return ising.couplings, ising.fields


def spin_system(problem: Model, *, coloured: bool) -> SpinSystem:
    """The kernels' form of a problem.

    Parameters
    ----------
    problem
        Any model; a Max-Cut problem as the Ising problem with J = w.
    coloured
        Whether to number the spins colour by colour, as the sweeping kernels ask.

    Raises
    ------
    InputError
        Where the problem has integers that a float64 cannot hold and an int32 kernel cannot take.
    """
    graph, external = as_spins(problem)
    couplings, fields, unit = scaled_numbers(graph.weights, external)
    if couplings.dtype != graph.weights.dtype or not np.array_equal(couplings, graph.weights):
        graph = graph.replace_weights(couplings)
    # A problem's own rows are kept with it, for the next solve.
    indptr, indices, weights = graph.csr()
    system = assembled(indptr, indices.view(np.uint32), weights, fields, unit, coloured=coloured)
    return system if problem.ideal is None else replace(system, ideal=spin_system(problem.ideal, coloured=coloured))


def assembled(
    indptr: NDArray[np.int64], indices: NDArray[np.uint32], weights: Weights, fields: Weights, unit: float, *, coloured: bool
) -> SpinSystem:  # fmt: skip
    """The system of a symmetric matrix in compressed rows and fields, both int64 or float64, in the given unit.

    Raises
    ------
    InputError
        As `spin_system`.
    """
    largest = float(largest_row(indptr, weights, fields))
    kind: type[np.int32 | np.float64] = np.float64
    if fields.dtype == np.int64:
        if largest < _INT32_GAIN:
            kind = np.int32
        elif largest >= 2**53:
            raise InputError("weights too large: a vertex's weights must add up to less than 2**53")
    system = SpinSystem(
        indptr=indptr,
        indices=indices,
        weights=weights.astype(kind),
        fields=fields.astype(kind),
        unit=unit,
        order=None,
        segments=np.array([0, fields.size], np.int64),
        largest=largest,
    )
    return by_colour(system) if coloured else system


def by_colour(system: SpinSystem) -> SpinSystem:
    """An uncoloured system, numbered colour by colour."""
    n, indptr, indices = system.n, system.indptr, system.indices
    colours = greedy_colours(indptr, indices, np.argsort(-np.diff(indptr), kind="stable").astype(np.uint32))
    order = np.argsort(colours, kind="stable")
    bounds = np.cumsum(np.bincount(colours))
    segments = np.unique(np.concatenate([[0], bounds, np.arange(0, n, SPAN), [n]])).astype(np.int64)
    if np.array_equal(order, np.arange(n)):
        return replace(system, segments=segments)
    indptr, indices, weights = _permuted(indptr, indices, system.weights, order)
    return replace(
        system,
        indptr=indptr,
        indices=indices,
        weights=weights,
        fields=system.fields[order],
        order=order,
        segments=segments,
    )


def _permuted(
    indptr: NDArray[np.int64], indices: NDArray[np.uint32], weights: Weights, order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint32], Weights]:
    """Rows and columns renumbered: new spin k is old spin order[k]."""
    place = np.empty(order.size, np.uint32)
    place[order] = np.arange(order.size, dtype=np.uint32)
    degree = np.diff(indptr)[order]
    out = np.zeros(order.size + 1, np.int64)
    np.cumsum(degree, out=out[1:])
    entries = np.repeat(indptr[:-1][order] - out[:-1], degree) + np.arange(int(out[-1]))
    return out, place[indices[entries]], weights[entries]


def field_traffic(width: int, tests: int, spikes: int, synaptic: int, *, drawn: int) -> int:
    """Bytes that a loop over local fields reads and writes, weights and fields being `width` wide and a test's random words `drawn`.

    A test reads a spin, its field and its random words; a spike writes a spin; a synaptic event reads a neighbour's number and a weight, and reads and writes a field.
    """
    return tests * (1 + width + drawn) + spikes + synaptic * (4 + 3 * width)
