"""The driver alone, with a solver made for it: when it recomputes an objective, and when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fnanneal import Status
from fnanneal.energy import Events
from fnanneal.problems.models import Ising
from fnanneal.protocols import Report
from fnanneal.result import Spins
from fnanneal.run import drive

from .cases import ising

N = 40


@dataclass
class Steps:
    """State: how many spins are up; each step turns another one up."""

    up: int = 0


@dataclass
class Climber:
    """A solver of one read, whose value is `scale` times the spins that are up, plus 7."""

    scale: float
    name: str = "climber"
    shown: list[int] = field(default_factory=list)

    def settings(self) -> dict[str, Any]:
        return {}

    def prepare(self, problem: Any) -> Any:
        return problem

    def memory(self, problem: Any, *, open_ended: bool, threads: int) -> int:
        return 0

    def warm_up(self, system: Any) -> None: ...

    def init(self, system: Any, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> Steps:
        return Steps()

    def load_state(self, arrays: Any) -> Steps:
        return Steps(**arrays)

    def advance(self, system: Any, state: Steps, budget: int, run: Callable[..., Any]) -> None:
        state.up += 1

    def report(self, system: Any, state: Steps) -> Report:
        def spins(_: int) -> Spins:
            self.shown.append(state.up)
            return np.where(np.arange(N) < state.up, 1, -1).astype(np.int8)

        return Report(
            values=np.array([self.scale * state.up + 7]),
            spins=spins,
            round_over=state.up == N,
            finished=state.up == N,
            events=Events(spin_tests=state.up),
            sweeps=float(state.up),
            temperature=None,
            fraction=state.up / N,
        )


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Ising:
    """Energy: minus the spins that are up, plus those that are down; computed slowly."""
    problem = ising([], [-1] * N)
    plain = Ising.objective

    def objective(self: Ising, spins: Any) -> Any:
        time.sleep(0.01)
        return plain(self, spins)

    monkeypatch.setattr(Ising, "objective", objective)
    return problem


@pytest.mark.parametrize("scale", [2.0, 0.3, 1e-6, 1e12])
@pytest.mark.parametrize("up", [0, 1, 2, 29, N])
def test_a_target_is_seen_at_once_and_little_is_recomputed_before(slow: Ising, scale: float, up: int) -> None:
    climber = Climber(scale)
    r = drive(slow, climber, seed=1, target=N - 2 * up, versions={})
    assert r.status is Status.TARGET
    assert (r.objective, r.events.spin_tests) == (N - 2 * up, up)
    assert len(set(climber.shown)) <= 5


def test_without_a_target_little_is_recomputed_until_the_end(slow: Ising) -> None:
    climber = Climber(1.0)
    r = drive(slow, climber, seed=1, versions={})
    assert (r.status, r.objective) == (Status.COMPLETED, -N)
    assert r.verify()
    assert len(set(climber.shown)) <= 6


def test_a_target_out_of_reach_is_never_met(slow: Ising) -> None:
    r = drive(slow, Climber(1.0), seed=1, target=-N - 1, versions={})
    assert (r.status, r.objective) == (Status.COMPLETED, -N)
