"""The mixed-integer solver HiGHS."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...problems.model import Model
from ..registry import peer
from . import linear
from .peer import Batch, Limits, Peer, peer_seed
from .stream import Show, streamed


@peer("highs")
@dataclass(frozen=True, slots=True, kw_only=True)
class Highs(Peer):
    """HiGHS: branch and cut on the problem as a linear program with a variable for each pair, which can prove optima."""

    package: ClassVar[str] = "highspy"
    extra: ClassVar[str | None] = "highs"
    modules: ClassVar[tuple[str, ...]] = ("highspy",)
    budget_rule: ClassVar[str] = (
        "time: its own time limit, less where it has proved the optimum; spin tests: not counted; neither: 60 s"
    )

    def unfit(self, problem: Model) -> str | None:
        return linear.too_large(problem)

    def memory(self, problem: Model) -> int:
        return 10_000 * (problem.n + problem.m)

    def warm_up(self) -> None:
        h = _quiet()
        h.addVar(0.0, 1.0)
        h.run()

    def build(self, problem: Model) -> linear.Program:
        return linear.Program.of(problem)

    def run(self, model: linear.Program, limits: Limits, seed: int) -> Generator[Batch]:
        import highspy

        n, columns = model.form.n, model.cost.size
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = columns, model.right.size
        lp.col_cost_, lp.offset_ = model.cost, model.constant
        top = np.ones(columns)
        top[0] -= model.fixed
        lp.col_lower_, lp.col_upper_ = np.zeros(columns), top
        lp.row_lower_, lp.row_upper_ = np.full(model.right.size, -np.inf), model.right
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = model.start, model.index, model.value
        lp.integrality_ = [highspy.HighsVarType.kInteger] * n + [highspy.HighsVarType.kContinuous] * (columns - n)
        h = _quiet()
        h.setOptionValue("random_seed", peer_seed(seed, 0))
        h.setOptionValue("mip_rel_gap", 0.0)
        allowed = linear.seconds(limits.seconds, limits.open_ended)
        h.setOptionValue("time_limit", allowed)
        h.passModel(lp)
        over = threading.Event()

        def interrupt(event: Any) -> None:
            if over.is_set():
                event.interrupt()

        def work(show: Show) -> Batch:
            h.cbMipImprovingSolution += lambda e: show(model.state(e.data_out.mip_solution), e.data_out.running_time)
            h.cbMipInterrupt += interrupt
            h.cbSimplexInterrupt += interrupt
            h.run()
            info, solution = h.getInfo(), h.getSolution()
            took = h.getRunTime()
            if not solution.value_valid:
                return Batch(states=np.empty((0, n), np.int8), seconds=np.empty(0), took=took)
            state = model.state(solution.col_value)
            done = h.getModelStatus() == highspy.HighsModelStatus.kOptimal
            proved = done and model.closed(state, info.mip_dual_bound)
            finished = done or limits.seconds is None
            return Batch(states=state[None], seconds=np.array([took]), took=took, finished=finished, proved=proved)

        return streamed(work, over.set, limit=allowed, n=n)


def _quiet() -> Any:
    """An instance on one thread, without output."""
    import highspy

    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    h.setOptionValue("threads", 1)
    return h
