"""`growth`: the growth-transform dynamics, all neurons at once; constraints are spikes, and the mean rates of the spikes are their multipliers.

    box             min 1/2 v'Qv - b'v on [-1, 1]^n,  v = (2x - l - u)/(u - l)
    drive           G_i = b_i - (Qv)_i - sum_r psi_r s_r D_ri
    spike           s_r = 1 while D_r v > c_r (a row of G), the sign of D_r v - c_r (a row of A), else 0
    growth          v_i <- a (G_i + L_i v_i)/(v_i G_i + L_i) + (1 - a) v_i,   L_i = lam_i 2^j

(Gangopadhyay, Mehta, Chakrabartty, Front. Neurosci. 14:425, 2020, with one neuron a constraint there, and one lam.)
lam_i = |b_i| + sum_j |Q_ij| + sum_r psi_r |D_ri| is the largest |G_i| on the box, so |v| < 1 stays; and since then all coefficients of the growth transform's polynomial
are at least 0, the objective of a box problem never rises, for any a in (0, 1] (Baum and Sell, Pacific J. Math. 27 (1968) 211). This is derived, as is what follows.

A row that is active is crossed again and again. Between crossings v moves by lam^-1 sum of G, so over a window G is 0 on average up to the window's ends: the mean potentials
and psi times the mean spikes are a solution with its multipliers, as a sigma-delta converter's mean is its input. Each
window is twice as long as the last, and j goes up by one where that did not help: so steps fall as 1/k in the end, and the error with them; fixed steps would leave it. Rows are scaled to max |D_ri| = 1. psi must exceed the multipliers; `psi=None` doubles it for rows that spike all the time. If they never stop, the
spikes are a certificate that there is no feasible point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from ...checks import integer, positive, real
from ...energy.events import Events
from ...errors import InputError
from ...problems.quadratic.program import QP, Vector, canonical
from ..kernels.growth import INSIDE, growth_steps
from .method import Point, Start, Step, Tolerance, method
from .safe_box import Box, safe_box

FIRST_WINDOW = 250
# A row spikes "all the time" above this rate, if what it is violated by falls more slowly than this from window to window.
ALWAYS, FALLS = 0.95, 0.7
MOST_PSI = 1e12
CHUNK = 2e7
# A matrix with at least one in so many entries is stored in full.
MOSTLY = 4
# psi begins at this share of the largest drive, and a window is of use that brings the residuals below this share of the last one's.
FIRST_PSI, OF_USE = 1e-3, 0.75
RECORDED = 2**24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class System:
    """A problem on [-1, 1]^n; `rows` are those of G with finite sides (`bounded`), then those of A."""

    problem: QP
    box: Box
    middle: Vector
    radius: Vector
    Q: Any
    dense: Any
    b: Vector
    D: Any
    c: Vector
    scale: Vector
    two_sided: Any
    bounded: Any
    hold: Vector
    psi: Vector


@dataclass(slots=True, kw_only=True, eq=False)
class State:
    """The potentials v, the window that is being averaged and the last one that was.

    A trajectory, where one is recorded: `kept` samples of v, objective and spikes since the sample before, every `stride` steps.
    """

    v: Vector
    psi: Vector
    sums: Vector
    spikes: Vector
    mean: Vector
    rates: Vector
    violation: Vector
    worst: float = np.inf
    slow: float = 1.0
    step: int = 0
    window: int = FIRST_WINDOW
    since: int = 0
    averaged: int = 0
    still: bool = False
    hopeless: bool = False
    fired: int = 0
    met: int = 0
    stride: int = 0
    kept: int = 0
    record_v: Any = field(default_factory=lambda: np.zeros((1, 1)))
    record_f: Any = field(default_factory=lambda: np.zeros(1))
    record_s: Any = field(default_factory=lambda: np.zeros((1, 1), np.int64))


@method("growth")
@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The growth-transform dynamics: neurons whose potentials are the variables and whose spikes are the constraints.

    Attributes
    ----------
    mix
        a of the update, in (0, 1]; the authors' is 1/2.
    lam
        None: each neuron's own, the least that is safe. A number: one for all, as the authors have it, at least the largest of those; what spikes add is added to it.
        In units of the objective.
    psi
        What a spike takes off the drive of the neuron that its row concerns most, in units of the objective. None: found.
    record
        Keep every so many steps of the trajectory: `details["trajectory"]`; 0: none. Where it grows too large the stride doubles.
    max_steps
        Budget.
    """

    convex_only: ClassVar[bool] = False
    open_ended: ClassVar[bool] = False

    mix: float = 0.5
    lam: float | None = None
    psi: float | None = None
    record: int = 0
    max_steps: int = 1_000_000

    def __post_init__(self) -> None:
        def put(what: str, value: Any) -> None:
            object.__setattr__(self, what, value)

        put("mix", real(positive(self.mix, "mix"), "mix", 0, 1))
        put("record", integer(self.record, "record", 0, 2**31))
        put("max_steps", integer(self.max_steps, "max_steps", 1, 2**62))
        for what in ("lam", "psi"):
            if getattr(self, what) is not None:
                put(what, positive(getattr(self, what), what))

    def settings(self) -> dict[str, Any]:
        """All of them."""
        return asdict(self)

    def accepts(self, problem: QP) -> str | None:
        """Any problem that has or implies a finite box; of binary variables it knows nothing."""
        if problem.binary is not None:
            return "growth moves continuous variables; it cannot keep binary ones at their bounds"
        box = safe_box(problem)
        return f"growth needs a finite box, but {box}" if isinstance(box, str) else None

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> System:
        """Scale to [-1, 1]^n."""
        box = safe_box(problem)
        if isinstance(box, str):
            raise InputError(f"growth needs a finite box, but {box}")
        # Halves first: their sum may overflow where they do not.
        middle, radius = 0.5 * box.lb + 0.5 * box.ub, 0.5 * box.ub - 0.5 * box.lb
        scaled = sp.diags_array(radius)
        Q = canonical(scaled @ problem.P @ scaled)
        b = -radius * (problem.P @ middle + problem.q)
        bounded = np.isfinite(problem.h)
        rows = sp.vstack([problem.G[bounded], problem.A], format="csr")
        D = canonical(rows @ scaled)
        side = np.concatenate([problem.h[bounded], problem.b]) - rows @ middle
        scale = np.ones(side.size) if D.nnz == 0 else np.asarray(abs(D).max(axis=1).todense()).ravel()
        scale[scale == 0] = 1.0
        least = np.abs(b) + np.asarray(abs(Q).sum(axis=1)).ravel()
        largest = float(least.max())
        if self.lam is not None and self.lam < largest:
            raise InputError(f"growth: lam = {self.lam:g} may leave the box; this problem needs {largest:.6g} or more")
        hold = least if self.lam is None else np.full(problem.n, self.lam)
        psi = self.psi or FIRST_PSI * (float(np.abs(b).max()) or largest or 1.0)
        return System(
            problem=problem,
            box=box,
            middle=middle,
            radius=radius,
            Q=Q,
            dense=Q.toarray() if Q.nnz * MOSTLY >= problem.n**2 else np.zeros((0, 0)),
            b=b,
            D=canonical(sp.diags_array(1 / scale) @ D),
            c=side / scale,
            scale=scale,
            two_sided=np.arange(side.size) >= int(bounded.sum()),
            bounded=bounded,
            hold=hold,
            psi=np.full(side.size, psi),
        )

    def warm_up(self, system: System) -> None:
        """Compile the kernel."""
        self._run(system, self.init(system, seed=0, start=None), 0)

    def init(self, system: System, *, seed: int, start: Start | None) -> State:
        """Potentials at the start, strictly inside; else small random ones, since 0 may be a saddle."""
        n, rows = system.b.size, system.c.size
        v = np.random.Generator(np.random.Philox(seed)).uniform(-0.1, 0.1, n)
        if start is not None and start.x is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                v = np.where(system.radius > 0, (start.x - system.middle) / system.radius, 0.0)
        v = np.clip(v, -INSIDE, INSIDE)
        state = State(
            v=v,
            psi=system.psi.copy(),
            sums=np.zeros(n),
            spikes=np.zeros(rows),
            mean=v.copy(),
            rates=np.zeros(rows),
            violation=np.full(rows, np.inf),
            stride=self.record,
        )
        if self.record:
            most = max(16, min(4096, RECORDED // (n + rows)))
            state.record_v, state.record_f = np.zeros((most, n)), np.zeros(most)
            state.record_s = np.zeros((most + 1, rows), np.int64)
        return state

    def advance(self, system: System, state: State, seconds_left: float) -> None:
        """Some 20 ms of steps, or to the end of the window that is averaged."""
        work = system.Q.nnz + system.D.nnz + 8 * system.b.size + 100
        steps = min(max(1, int(CHUNK / work)), self.max_steps - state.step)
        if system.c.size:
            steps = min(steps, state.since + state.window - state.step)
        before = state.v.copy()
        while steps > 0:
            part = steps
            if state.stride:
                self._make_room(system, state)
                part = min(steps, (state.record_f.size - state.kept) * state.stride)
            self._run(system, state, part)
            steps -= part
        state.still = bool(np.abs(state.v - before).max() <= 1e-16)
        if not system.c.size:
            state.mean = state.v
        elif state.step == state.since + state.window:
            self._close_window(system, state)

    def _run(self, system: System, state: State, steps: int) -> None:
        Q, D = system.Q, system.D
        hold = state.slow * (system.hold + abs(D).T @ state.psi)
        hold = np.where(hold > 0, hold, 1.0)
        state.kept, fired, met = growth_steps(
            (Q.indptr, Q.indices, Q.data), system.dense, system.b, (D.indptr, D.indices, D.data), system.c, system.two_sided,
            state.psi, hold, self.mix, state.v, state.step, steps, state.sums, state.spikes,
            state.stride, state.kept, state.record_v, state.record_f, state.record_s,
        )  # fmt: skip
        state.step, state.fired, state.met = state.step + steps, state.fired + fired, state.met + met

    def _close_window(self, system: System, state: State) -> None:
        """Take the window's means, double the next one's length, and lam where that did not help; psi of rows that spike all the time, and begin again."""
        state.averaged = state.window
        state.mean, state.rates = state.sums / state.window, state.spikes / state.window
        above = system.D @ state.mean - system.c
        violation = np.where(system.two_sided, np.abs(above), np.maximum(above, 0.0))
        stuck = (np.abs(state.rates) > ALWAYS) & (violation > FALLS * state.violation)
        state.violation = violation
        state.since, state.window = state.step, 2 * state.window
        state.sums[:], state.spikes[:] = 0.0, 0.0
        if not stuck.any():
            point = _point(system, state.mean, state.psi * state.rates)
            r = system.problem.residuals(point.x, point.y, point.z, point.z_box)
            # What rows are violated by on average is of the size of a step; only smaller ones mend it, and the share of the gap that it explains.
            explained = float(violation @ np.abs(state.psi * state.rates))
            if r.gap < max(r.primal, 2 * explained) or r.worst > OF_USE * state.worst:
                state.slow *= 2.0
            state.worst = r.worst
            return
        if self.psi is not None:
            # One neuron's drive is at most this; what it takes to hold a row of several is only seen when it is held.
            safe = float(system.hold.max())
            if self.psi < safe:
                i = int(np.argmax(stuck))
                inequalities = int(system.bounded.sum())
                which = (
                    f"row {i - inequalities} of A"
                    if system.two_sided[i]
                    else f"row {np.flatnonzero(system.bounded)[i]} of G"
                )
                raise InputError(
                    f"growth: psi = {self.psi:g} does not hold {which}, which spikes all the time; leave psi out, or give more (the drive reaches {safe:.4g})"
                )
            state.hopeless = True
        elif (state.psi[stuck] > MOST_PSI * system.psi[stuck]).any():
            state.hopeless = True
        else:
            state.psi[stuck] *= 2.0
            state.slow, state.worst = max(1.0, state.slow / 4), np.inf
            state.window = max(FIRST_WINDOW, state.window // 8)

    def _make_room(self, system: System, state: State) -> None:
        """A larger record, up to `RECORDED` numbers; then twice the stride."""
        most = state.record_f.size
        if state.kept < most:
            return
        if 2 * most * (system.b.size + system.c.size) <= RECORDED:
            state.record_v = np.concatenate([state.record_v, np.zeros_like(state.record_v)])
            state.record_f = np.concatenate([state.record_f, np.zeros(most)])
            state.record_s = np.concatenate([state.record_s, np.zeros((most, system.c.size), np.int64)])
            return
        kept = -(-most // 2)
        state.record_v, v = np.zeros_like(state.record_v), state.record_v
        state.record_f, f = np.zeros_like(state.record_f), state.record_f
        state.record_s, s = np.zeros_like(state.record_s), state.record_s
        state.record_v[:kept], state.record_f[:kept] = v[::2], f[::2]
        # Spikes belong to the sample that follows them: two that become one add up.
        state.record_s[0] = s[0]
        state.record_s[1:kept] = s[1 : 2 * kept - 2 : 2] + s[2 : 2 * kept - 1 : 2]
        state.record_s[kept] = s[most] + (s[most - 1] if most % 2 == 0 else 0)
        state.kept, state.stride = kept, 2 * state.stride

    def report(self, system: System, state: State) -> Step:
        """The window's means as a point; the point of a problem without rows is the potentials themselves."""
        point = _point(system, state.mean, state.psi * state.rates)
        p, n = system.problem, system.b.size
        entries = system.Q.nnz + system.D.nnz
        events = Events(
            spikes=state.fired,
            synaptic_events=state.met,
            multiply_adds=state.step * (entries + 5 * n),
            bytes_moved=state.step * (20 * entries + 48 * n) + 28 * state.met,
        )
        details: dict[str, Any] = {
            "lam": state.slow * float((system.hold + abs(system.D).T @ state.psi).max()),
            "psi": float(state.psi.max(initial=0.0)),
            "largest_rate": float(np.abs(state.rates).max(initial=0.0)),
            "averaged_steps": state.averaged,
            "box": "given" if bool(system.box.lower_given.all() and system.box.upper_given.all()) else "derived",
        }
        if state.stride:
            details["trajectory"] = _trajectory(system, state)
        rowless = system.c.size == 0
        return Step(
            point=point,
            iterations=state.step,
            events=events,
            phase="growth" if rowless else "spiking",
            finished=state.step >= self.max_steps or state.hopeless or (rowless and state.still),
            primal_ray=None if rowless else _certificate(p, point),
            details=details,
        )


def _point(system: System, v: Vector, forces: Vector) -> Point:
    """A point from potentials and mean spike forces; what is left of the gradient is the box's where it has that side."""
    p, box = system.problem, system.box
    multipliers = forces / system.scale
    inequalities = int(system.bounded.sum())
    z = np.zeros(p.h.size)
    z[system.bounded] = multipliers[:inequalities]
    y = multipliers[inequalities:]
    x = system.middle + system.radius * v
    gradient = p.P @ x + p.q + p.A.T @ y + p.G.T @ z
    near = 1 - 10 * (1 - INSIDE)
    x = np.where((v >= near) & (gradient <= 0), box.ub, np.where((v <= -near) & (gradient >= 0), box.lb, x))
    s = -(p.P @ x + p.q + p.A.T @ y + p.G.T @ z)
    s = np.where(box.lower_given, s, np.maximum(s, 0.0))
    s = np.where(box.upper_given, s, np.minimum(s, 0.0))
    return Point(x=np.clip(x, box.lb, box.ub), y=y, z=z, z_box=s)


def _certificate(p: QP, point: Point) -> Point | None:
    """The spikes as a proof that no point is feasible: A'y + G'z + z_box = 0 and b'y + h'z + lb'[z_box]- + ub'[z_box]+ < 0, where they are one."""
    largest = max(float(np.abs(point.y).max(initial=0.0)), float(point.z.max(initial=0.0)))
    if largest == 0:
        return None
    y, z = point.y / largest, point.z / largest
    s = -(p.A.T @ y + p.G.T @ z)
    down, up = np.minimum(s, 0.0), np.maximum(s, 0.0)
    if (down[~np.isfinite(p.lb)] != 0).any() or (up[~np.isfinite(p.ub)] != 0).any():
        return None
    bounded, lower, upper = np.isfinite(p.h), np.isfinite(p.lb), np.isfinite(p.ub)
    terms = (p.b * y, p.h[bounded] * z[bounded], p.lb[lower] * down[lower], p.ub[upper] * up[upper])
    value, size = sum(float(t.sum()) for t in terms), sum(float(np.abs(t).sum()) for t in terms)
    return Point(x=np.zeros(p.n), y=y, z=z, z_box=s) if value < -1e-9 * size else None


def _trajectory(system: System, state: State) -> Mapping[str, Any]:
    """`step` (k,); `v` (k, n); `objective` (k,), the problem's own; `spikes` (k, rows) since the sample before, rows of G with finite sides first."""
    k = state.kept
    p = system.problem
    sign = -1.0 if p.sense == "max" else 1.0
    return {
        "step": state.stride * np.arange(k),
        "v": state.record_v[:k],
        "objective": p.objective(system.middle) + sign * state.record_f[:k],
        "spikes": state.record_s[:k],
    }
