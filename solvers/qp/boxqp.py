"""`boxqp`: any box QP, convex or not, by a population of annealed descents: the best optimum found, with the certificate of a local one.

    min 1/2 x'Px + q'x,  lb <= x <= ub,  some x_i perhaps binary: at one of their two bounds

A round (`kernels.boxqp`) cools a point from a Fowler-Nordheim timer's temperature, noise being added to each coordinate's slope before its exact minimisation
(`kernels.box_moves`), descends to a local optimum, crosses it with members of a pool (`kernels.box_cross`) and may enter the pool. Later rounds start from the pool,
at lower temperatures, or anew. The best point is polished until its projected gradient is rounding (`box_certificate`).

The end: when `repeats` anneals from nothing have met the best value, or after `num_rounds`, or when the gap to a lower bound (`box_bound`) is within the tolerance. Where P is
convex the first descent is all. A time limit alone raises the first two to `MORE_REPEATS` and to no end.

Events: a spin test is a coordinate considered, with a random draw while annealing; a spike is a move; a timer read is a sweep's temperature; multiply-adds are the products of
the rows that moves add, of conjugate gradients and of factorisations; crossover operations are coordinates compared and entries followed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...checks import integer, positive
from ...energy.events import Events
from ...problems.quadratic.program import QP
from ..kernels import boxqp as kernels
from ..kernels.boxqp import Rules, Search, new_search, search, settle
from .box_bound import eigenvalue_bound, eigenvalue_cost, indefinite, interval_bound
from .box_certificate import Certified, certify
from .box_system import BoxSystem, box_system
from .convexity import convex
from .method import Start, Step, Tolerance, method

if TYPE_CHECKING:
    from ..cuda.boxqp import CudaBoxQP
    from ..cuda.device import Device

ROUNDS, FEW_REPEATS, REPEATS, MORE_REPEATS = 200, 4, 12, 1024
NO_END = 2**62
# Sweeps of the first anneal, and of the longest: as many as variables, within limits.
FIRST, SHORTEST, LONGEST = 20.0, 50.0, 1000.0
SECONDS, FIRST_RATE = 0.04, 2e8
# Reports take at most a third of the time, the eigenvalue bound a quarter of the work; so many products are always cheap enough in the end.
REPORTS, BOUNDS, CHEAP = 2.0, 3.0, 1e8
# A coordinate's slope, value, curvature and draw; two coordinates compared, or an entry followed.
TEST_BYTES, CROSSING_BYTES = 34, 16


@dataclass(slots=True, kw_only=True, eq=False)
class State:
    """The search, and its best point as it was polished last: `certified`, made of the value `of`.

    `begun`: whether there is a point worth judging. `lower` is the best lower bound of the objective without its constant; `rate` products a second, `report_s` what the last report took.
    """

    search: Search
    key: np.uint64
    lower: float
    begun: bool
    certified: Certified | None = None
    of: float = math.inf
    bounded: bool = False
    done: bool = False
    rate: float = FIRST_RATE
    report_s: float = 0.0
    factorisations: int = 0
    products: int = 0

    def budget(self, seconds_left: float) -> int:
        """Products until the next report."""
        return max(int(min(max(SECONDS, REPORTS * self.report_s), seconds_left) * self.rate), 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What `prepare` finds out."""

    system: BoxSystem
    tolerance: Tolerance
    convex: bool | None
    intervals: float


@method("boxqp")
@dataclass(frozen=True, slots=True, kw_only=True)
class BoxQP:
    """A population of annealed coordinate descents, with crossover: the best optimum found of a box QP, convex or not.

    Attributes
    ----------
    num_rounds
        At most so many rounds: descents, the first from the start, each other after an anneal. None: 200, or with a time limit no end.
    repeats
        The end is also when so many anneals from nothing have met the best value. None: 12, or with a time limit 1024; 4 where P may be convex for all that is known.
    population
        Members of the pool.
    hot, cold
        Temperatures of an anneal, in units of the norm of a coordinate's couplings.
    kappa
        The timer's knob (`FNTimer.between`): small is linear in 1/T.
    """

    convex_only: ClassVar[bool] = False
    open_ended: ClassVar[bool] = False

    num_rounds: int | None = None
    repeats: int | None = None
    population: int = 16
    hot: float = 0.5
    cold: float = 0.025
    kappa: float = 0.1

    def __post_init__(self) -> None:
        for what in ("num_rounds", "repeats"):
            if getattr(self, what) is not None:
                object.__setattr__(self, what, integer(getattr(self, what), what, 1, 2**32 - 1))
        object.__setattr__(self, "population", integer(self.population, "population", 1, 2**16))
        for what in ("hot", "cold", "kappa"):
            object.__setattr__(self, what, positive(getattr(self, what), what))

    def settings(self) -> dict[str, Any]:
        """All of them."""
        return asdict(self)

    def accepts(self, problem: QP) -> str | None:
        """None for a box, every bound finite."""
        p = problem
        for count, one, many in (
            (p.b.size, "equality", "equalities"),
            (p.h.size, "inequality", "inequalities"),
        ):
            if count:
                return f"boxqp takes only bounds: the problem has {count} {one if count == 1 else many}"
        for bound, what in ((p.lb, "lower"), (p.ub, "upper")):
            if not np.isfinite(bound).all():
                i = int(np.argmin(np.isfinite(bound)))
                return f"boxqp needs two finite bounds a variable: variable {i} has no {what} bound"
        return None

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> Plan:
        """The unit box, and whether a descent will do."""
        system = box_system(problem, tolerance.polish)
        curved = False if problem.binary is not None or indefinite(system) else convex(problem.P)
        return Plan(system=system, tolerance=tolerance, convex=curved, intervals=interval_bound(system))

    def warm_up(self, system: Plan) -> None:
        """Compile the kernels, or load them."""
        s = new_search(system.system.n, 1, 1.0)
        box = system.system.box
        rules = Rules(self.hot, self.cold, self.kappa, 1.0, 0, 1, -math.inf)
        search(box, rules, s, np.uint64(0), 0)
        settle(box, s, 0)
        eigenvalue_bound(system.system, s.u, convex=True)

    def init(self, system: Plan, *, seed: int, start: Start | None) -> State:
        """From the start, or the middle of the box; with what one descent finds."""
        inner = system.system
        s = new_search(inner.n, self.population, min(FIRST, self._longest(inner.n)))
        if start is not None and start.x is not None:
            s.start[:] = inner.inwards(start.x)
        elif system.system.problem.binary is not None:
            s.start[system.system.problem.binary[inner.free]] = 0.0
        s.u[:] = s.start
        # Nobody asked about the middle of the box, and products with a large P take their time.
        begun = inner.n == 0 or (start is not None and start.x is not None)
        return State(search=s, key=np.uint64(seed), lower=system.intervals, done=inner.n == 0, begun=begun)

    def on_cuda(self, devices: Sequence[Device]) -> CudaBoxQP:
        """The same on GPUs."""
        from ..cuda.boxqp import CudaBoxQP

        return CudaBoxQP(method=self, devices=tuple(devices))

    def cuda_pays(self, work: float) -> bool:
        """One search alone is faster on a CPU's core; where there is time for many, on a GPU: which it is, `work` does not say."""
        return False

    def _longest(self, n: int) -> float:
        return min(max(SHORTEST, float(n)), LONGEST)

    def rules(self, system: Plan, seconds_left: float) -> Rules:
        """Where the search ends, which depends on whether there is a time limit."""
        open_ended = math.isfinite(seconds_left)
        # Where not even Lanczos found a direction of negative curvature, a few repeats will do.
        repeats = FEW_REPEATS if system.convex is None else MORE_REPEATS if open_ended else REPEATS
        return Rules(
            hot=self.hot,
            cold=self.cold,
            kappa=self.kappa,
            longest=self._longest(system.system.n),
            rounds=1 if system.convex else self.num_rounds or (NO_END if open_ended else ROUNDS),
            hits=self.repeats or repeats,
            target=-math.inf,
        )

    def advance(self, system: Plan, state: State, seconds_left: float) -> None:
        """Some tens of milliseconds of rounds; where they are cut does not matter to what they find."""
        rules, budget = self.rules(system, seconds_left), state.budget(seconds_left)
        began = perf_counter()
        ended, spent = search(system.system.box, rules, state.search, state.key, budget)
        took = perf_counter() - began
        state.done, state.begun = state.done or bool(ended), True
        if took > 1e-3:
            state.rate = spent / took

    def report(self, system: Plan, state: State) -> Step:
        """The best point, polished; its gap to the best lower bound there is."""
        began = perf_counter()
        inner, s = system.system, state.search
        best = float(s.levels[kernels.BEST])
        found = state.certified
        if best < state.of:
            new = certify(inner, s.best, polish=True)
            state.factorisations += new.factorisations
            state.products += new.products
            found = new if found is None or new.value <= found.value else found
            state.certified, state.of = found, best
        elif found is None:
            found = certify(inner, s.u, polish=False, judge=state.begun)
        self._bound(system, state, found)
        gap = None if math.isinf(found.value) else max(found.value - state.lower, 0.0)
        t = system.tolerance
        state.done = state.done or (gap is not None and gap <= t.eps_abs + t.eps_rel * abs(found.value))
        counts = s.counts
        rounds = int(s.numbers[kernels.ROUND])
        products = int(counts[kernels.PRODUCTS]) + state.products
        tests, moves = int(counts[kernels.TESTS]), int(counts[kernels.MOVES])
        crossing = int(counts[kernels.CROSSING])
        state.report_s = perf_counter() - began
        return Step(
            point=found.point,
            residuals=found.residuals,
            iterations=rounds,
            events=Events(
                spin_tests=tests,
                spikes=moves,
                threshold_draws=int(counts[kernels.DRAWS]),
                timer_reads=int(counts[kernels.READS]),
                crossover_operations=crossing,
                multiply_adds=products,
                bytes_moved=TEST_BYTES * tests + inner.product_bytes * products + CROSSING_BYTES * crossing,
            ),
            phase="descending" if rounds == 0 else "annealing",
            finished=state.done,
            searching=not system.convex,
            factorisations=state.factorisations,
            polished=found.factorisations > 0,
            gap=gap,
            details={
                "rounds": rounds,
                "repeats": int(s.numbers[kernels.HITS]),
                "sweeps": float(s.levels[kernels.LENGTH]),
            },
        )

    def _bound(self, system: Plan, state: State, found: Certified) -> None:
        """A better bound, once: where that is cheap beside what has been done."""
        if state.bounded or not math.isfinite(state.of):
            return
        inner = system.system
        if system.convex:
            state.lower = max(state.lower, eigenvalue_bound(inner, found.u, convex=True))
            state.bounded = state.done
            return
        cost = eigenvalue_cost(inner)
        if (state.done and cost <= CHEAP) or int(state.search.counts[kernels.PRODUCTS]) >= BOUNDS * cost:
            state.lower = max(state.lower, eigenvalue_bound(inner, found.u))
            state.bounded = True
