"""The mixed-integer solver SCIP."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...problems.model import Model
from ..registry import peer
from . import linear
from .peer import Batch, Limits, Peer, peer_seed
from .stream import Show, streamed


@peer("scip")
@dataclass(frozen=True, slots=True, kw_only=True)
class Scip(Peer):
    """SCIP: branch and cut on the problem as a linear program with a variable for each pair, which can prove optima."""

    package: ClassVar[str] = "PySCIPOpt"
    extra: ClassVar[str | None] = "scip"
    modules: ClassVar[tuple[str, ...]] = ("pyscipopt",)
    budget_rule: ClassVar[str] = (
        "time: its own time limit, less where it has proved the optimum; spin tests: not counted; neither: 60 s"
    )

    def unfit(self, problem: Model) -> str | None:
        return linear.too_large(problem)

    def memory(self, problem: Model) -> int:
        return 20_000 * (problem.n + problem.m)

    def warm_up(self) -> None:
        import pyscipopt

        m = pyscipopt.Model()
        m.hideOutput()
        m.addVar(vtype="B")
        m.optimize()

    def build(self, problem: Model) -> linear.Program:
        return linear.Program.of(problem)

    def run(self, model: linear.Program, limits: Limits, seed: int) -> Generator[Batch]:
        scip, variables = _model(model)
        n = model.form.n
        allowed = linear.seconds(limits.seconds, limits.open_ended)
        if allowed < np.inf:
            scip.setParam("limits/time", allowed)
        scip.setParam("randomization/randomseedshift", peer_seed(seed, 0))

        def state(solution: Any) -> Any:
            return model.state([scip.getSolVal(solution, x) for x in variables])

        def work(show: Show) -> Batch:
            _watch(scip, lambda: show(state(scip.getBestSol()), scip.getSolvingTime()))
            scip.optimizeNogil()
            took = scip.getSolvingTime()
            if not scip.getNSols():
                return Batch(states=np.empty((0, n), np.int8), seconds=np.empty(0), took=took)
            best = state(scip.getBestSol())
            done = scip.getStatus() == "optimal"
            proved = done and model.closed(best, scip.getDualbound())
            finished = done or limits.seconds is None
            return Batch(states=best[None], seconds=np.array([took]), took=took, finished=finished, proved=proved)

        return streamed(work, scip.interruptSolve, limit=allowed, n=n)


def _model(program: linear.Program) -> tuple[Any, list[Any]]:
    """The program in SCIP, and its binary variables."""
    import pyscipopt

    scip = pyscipopt.Model()
    scip.hideOutput()
    scip.setParam("misc/catchctrlc", False)
    scip.setParam("lp/threads", 1)
    n = program.form.n
    x = [scip.addVar(vtype="B", obj=c) for c in program.cost[:n].tolist()]
    y = [scip.addVar(vtype="C", lb=0.0, ub=1.0, obj=c) for c in program.cost[n:].tolist()]
    if program.fixed:
        scip.chgVarUb(x[0], 0.0)
    columns, index, value = x + y, program.index.tolist(), program.value.tolist()
    for k, right in enumerate(program.right.tolist()):
        row = range(program.start[k], program.start[k + 1])
        scip.addCons(pyscipopt.quicksum(value[e] * columns[index[e]] for e in row) <= right)
    scip.addObjoffset(program.constant)
    return scip, x


def _watch(scip: Any, on_best: Any) -> None:
    """Call `on_best` at every new incumbent."""
    import pyscipopt

    class Watcher(pyscipopt.Eventhdlr):  # type: ignore[misc]
        def eventinit(self) -> None:
            self.model.catchEvent(pyscipopt.SCIP_EVENTTYPE.BESTSOLFOUND, self)

        def eventexit(self) -> None:
            self.model.dropEvent(pyscipopt.SCIP_EVENTTYPE.BESTSOLFOUND, self)

        def eventexec(self, event: Any) -> None:
            on_best()

    scip.includeEventhdlr(Watcher(), "fnanneal", "incumbents")
