"""The finish of a solve with `polish`: work that factorises, and so is not local.

Two things take turns with the splitting method: an active-set polish (`polish`) of its point, first at a relative accuracy of 1e-2, then at every 15 % more steps; and an
interior point (`interior`), whose own points are polished too once they are good. What a factorisation will cost is known before it is begun (`kkt.cost_of`), and is
only begun where it fits: in `SHARE` times what the splitting has used, or in what is left of the time limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...energy.events import Events
from .feasibility import Phase
from .form import Form, PrimalDual
from .interior import Interior
from .kkt import cost_of
from .polish import ROUNDS, Guess, Polish
from .scaling import Scaling

# The splitting goes first: so many steps.
FIRST_STEPS = 200
# Its point is polished from this relative accuracy on, and again after this many times more steps.
POLISH_FROM, POLISH_AGAIN = 1e-2, 1.15
# An interior point is polished from this one on, or when it has not improved for so many iterations.
POLISH_INTERIOR, POLISH_STALLED = 1e-7, 6
# The finish may take so many times the splitting's time, and this at once.
SHARE, SLACK_S = 4.0, 0.02
# Iterations that an interior point is expected to take; without progress it ends after `PATIENCE`, and in any case after `MOST`.
WHOLE, PATIENCE, MOST = 16, 25, 300
# Rounds of a polish end when one is so many times worse than the best.
AWAY = 10.0


class Finish:
    """The turns of one solve, on what presolve left.

    Attributes
    ----------
    seconds
        Used so far; kept by the caller.
    phase
        Of the last turn.
    over
        Whether the interior point has ended.
    """

    def __init__(self, form: Form, *, warm: bool = False) -> None:
        self.scaling = Scaling.of(form, pock_chambolle=False)
        scaled = self.scaling.apply(form)
        self.cost_scale = max(float(np.abs(scaled.c).max()), float(np.abs(scaled.P.data).max(initial=0)), 1e-12)
        self.form = replace(scaled, P=scaled.P / self.cost_scale, c=scaled.c / self.cost_scale)
        self.polish = Polish(self.form)
        self.first_steps = 0 if warm else FIRST_STEPS
        self.interior: Interior | None = None
        self.cost: float | None = None
        self.seconds = 0.0
        self.phase = ""
        self.over = False
        self.seen: PrimalDual | None = None
        self.accuracy = self.last = np.inf
        self.next_polish = 0.0
        self.best, self.since, self.next_accuracy = np.inf, 0, POLISH_INTERIOR
        self.rounds: tuple[Guess, PrimalDual, int] | None = None
        self.phases: list[Phase] = []
        self.looked = 0

    @property
    def factorisations(self) -> int:
        interior = 0 if self.interior is None else self.interior.kkt.count
        return self.polish.factorisations + interior + sum(p.factorisations for p in self.phases)

    def events(self) -> Events:
        interior = 0 if self.interior is None else self.interior.kkt.products
        return Events(multiply_adds=self.polish.products + interior + sum(p.products for p in self.phases))

    def inside(self, point: PrimalDual) -> PrimalDual:
        p = self.scaling.scale(point)
        return PrimalDual(p.x, p.y / self.cost_scale, p.z / self.cost_scale)

    def outside(self, point: PrimalDual) -> PrimalDual:
        return self.scaling.unscale(PrimalDual(point.x, point.y * self.cost_scale, point.z * self.cost_scale))

    def saw(self, point: PrimalDual, accuracy: float) -> None:
        """The splitting's latest point."""
        self.seen, self.accuracy = point, accuracy

    def judged(self, accuracy: float) -> None:
        """How good the last turn's point was."""
        if self.phase != "interior point":
            # A guess that leads away is given up.
            if not accuracy < AWAY * self.last:
                self.rounds = None
            self.last = min(accuracy, self.last)
            return
        if accuracy < 0.9 * self.best:
            self.best, self.since = accuracy, 0
        else:
            self.since += 1
        assert self.interior is not None
        if accuracy <= self.next_accuracy or self.since == POLISH_STALLED:
            self.next_accuracy = min(0.1 * accuracy, self.next_accuracy)
            self._begin(self.interior.point())
        elif self.since > PATIENCE or self.interior.iterations > MOST:
            self.over = True

    def ray(self) -> PrimalDual | None:
        """Where an interior point's multipliers and variables grow without bound, they point along certificates."""
        if self.phase == "feasibility" and self.phases and self.phases[-1].done:
            found = self.phases[-1].ray()
            return None if found is None else self.outside(found)
        return (
            self.outside(self.interior.point())
            if self.phase == "interior point" and self.interior is not None
            else None
        )

    def _begin(self, point: PrimalDual) -> None:
        self.rounds = Guess(self.form, point), point, 0
        self.last = np.inf

    def due(self, steps: int, splitting_s: float, seconds_left: float) -> Callable[[], PrimalDual | None] | None:
        """The turn to take now, if any."""
        if self.rounds is not None:
            return self._round
        if steps < self.first_steps:
            return None
        allowed = SHARE * splitting_s + SLACK_S - self.seconds
        limited = np.isfinite(seconds_left)

        def fits(cost: float, times: int) -> bool:
            """Whether one factorisation is within the share of time, or so many of them within the limit."""
            return cost <= 0.5 * seconds_left and (cost <= allowed or (limited and times * cost <= 0.9 * seconds_left))

        if (self.accuracy <= POLISH_FROM or steps == 0) and steps >= self.next_polish and self.seen is not None:
            self.next_polish = max(POLISH_AGAIN * steps, FIRST_STEPS)
            point = self.inside(self.seen)
            guess = Guess(self.form, point)
            if fits(self.polish.cost(guess), ROUNDS):
                self.rounds, self.last = (guess, point, 0), np.inf
                return self._round
        if steps < FIRST_STEPS:
            return None
        if self.cost is None:
            self.cost = cost_of(self.form.P, self.form.A)
        if not self.over:
            done = 0 if self.interior is None else self.interior.iterations
            left = max(WHOLE - done, 1)
            # One that the limit would cut off is not begun; one that has begun is brought to its end.
            if limited and 0.5 * left * self.cost > seconds_left:
                return None
            return self._step if (limited and done) or fits(self.cost, left) else None
        return self._look if self.looked < 2 and fits(self.cost, WHOLE) else None

    def _round(self) -> PrimalDual | None:
        assert self.rounds is not None
        guess, point, count = self.rounds
        found = self.polish.round(guess, point)
        self.phase = "polish"
        centre = self.polish.centre
        self.rounds = None if found is None or centre is None or count + 1 >= ROUNDS else (guess, centre, count + 1)
        return None if found is None else self.outside(found)

    def _look(self) -> PrimalDual | None:
        """Why has nothing worked? Perhaps there is no solution: a step of the search for a ray, of the primal kind, then of the dual one."""
        self.phase = "feasibility"
        if len(self.phases) == self.looked:
            self.phases.append(Phase(self.form, primal=self.looked == 0))
        self.phases[-1].step()
        if self.phases[-1].done:
            self.looked += 1
        return None

    def _step(self) -> PrimalDual | None:
        if self.interior is None:
            self.interior = Interior(self.form)
        self.phase = "interior point"
        if not self.interior.step():
            self.over = True
            self._begin(self.interior.point())
        return self.outside(self.interior.point())
