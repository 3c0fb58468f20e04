"""Simulated bifurcation: the package simulated-bifurcation."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from ...checks import integer
from ...errors import InputError
from ...problems.model import Model
from ..registry import peer
from .form import Form
from .peer import Batch, Limits, Peer, check_counts, peer_seed
from .reads import in_reads

MOST_SPINS = 10_000


@peer("sb")
@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedBifurcation(Peer):
    """Simulated bifurcation of the package of that name: runs of many agents on a dense matrix, in single precision.

    Parameters
    ----------
    num_reads
        Runs of all agents. None: as many as the limit has time for, or 1 without one; a first run that does not fit is cut by it.
    num_steps
        Of a run. The package's pump reaches its full strength after 1000 steps, and hardly a spin turns after that.
    agents
        Of a run, each of which ends in a state.
    mode
        "ballistic" or "discrete".
    heated
        Whether thermal fluctuation is added.
    """

    num_reads: int | None = None
    num_steps: int = 1000
    agents: int = 32
    mode: Literal["ballistic", "discrete"] = "ballistic"
    heated: bool = False

    package: ClassVar[str] = "simulated-bifurcation"
    extra: ClassVar[str | None] = "sb"
    modules: ClassVar[tuple[str, ...]] = ("simulated_bifurcation",)
    budget_rule: ClassVar[str] = (
        "time: as many runs of all agents as fit, the first cut where it does not; spin tests: not counted; neither: 1 run"
    )

    def __post_init__(self) -> None:
        check_counts(self, "num_reads")
        for name in ("num_steps", "agents"):
            object.__setattr__(self, name, integer(getattr(self, name), name, 1, 10**9))
        if self.mode not in ("ballistic", "discrete"):
            raise InputError(f"mode must be ballistic or discrete, not {self.mode!r:.40}")
        if not isinstance(self.heated, bool):
            raise InputError(f"heated must be True or False, not {self.heated!r:.40}")

    def unfit(self, problem: Model) -> str | None:
        if problem.n <= MOST_SPINS:
            return None
        return f"its matrix is dense, and it is run on {MOST_SPINS} spins at most, not on {problem.n}"

    def memory(self, problem: Model) -> int:
        return 4 * (5 * problem.n**2 + 8 * self.agents * problem.n) + 100 * problem.m

    def warm_up(self) -> None:
        import torch

        with _one_thread():
            self._minimize(_ising(torch.ones((2, 2)), torch.zeros(2)), 1, None)

    def build(self, problem: Model) -> Any:
        import torch

        # The package's energy is -1/2 s J s + h s.
        f = Form.of(problem)
        matrix = torch.zeros((f.n, f.n), dtype=torch.float32)
        matrix[torch.from_numpy(f.rows), torch.from_numpy(f.cols)] = torch.from_numpy(-f.couplings.astype(np.float32))
        return _ising(matrix + matrix.T, torch.from_numpy(f.fields.astype(np.float32))), f.n

    def run(self, model: tuple[Any, int], limits: Limits, seed: int) -> Generator[Batch]:
        import torch

        ising, n = model

        def read(runs: int, k: int) -> Batch:
            states, ends = [], []
            # PyTorch's generator is everybody's: its state is put back.
            with torch.random.fork_rng(devices=[]), _one_thread():
                torch.manual_seed(peer_seed(seed, k))
                began = time.perf_counter()
                for _ in range(runs):
                    states.append(self._minimize(ising, self.num_steps, None if k else limits.seconds))
                    ends.append(time.perf_counter() - began)
            found = np.concatenate([np.where(s.numpy().T > 0, 1, -1).astype(np.int8) for s in states])
            return Batch(states=found, seconds=np.repeat(ends, self.agents), took=ends[-1], reads=runs)

        return in_reads(read, limits, num_reads=self.num_reads, default=1, n=n * self.agents)

    def _minimize(self, model: Any, steps: int, timeout: float | None) -> Any:
        return model.minimize(
            agents=self.agents,
            max_steps=steps,
            mode=self.mode,
            heated=self.heated,
            timeout=timeout,
            early_stopping=False,
            verbose=False,
        )


def _ising(couplings: Any, fields: Any) -> Any:
    from simulated_bifurcation import Ising

    return Ising(couplings, fields)


@contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread; then as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
