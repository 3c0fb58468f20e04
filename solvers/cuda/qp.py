"""The methods `hpr` and `rapdhg` with their steps on a GPU; presolve, scaling, the finish and every judgement stay where they were."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...energy.events import Events
from ...problems.quadratic.program import QP
from ...qpresult import Residuals
from ..qp.form import Form, PrimalDual
from ..qp.halpern import events_of, first_sigma
from ..qp.method import Start, Step, Tolerance
from ..qp.norms import GENERAL, Norms, kind_of, norm_bounds
from ..qp.pipeline import Run, System
from ..qp.scaling import Scaling
from ..qp.splitting import SplittingMethod
from ..qp.warm import P_OF, warm_up
from .device import Device
from .hpr import Programs, Shape, Vector
from .pdhg import CudaAccelerated

if TYPE_CHECKING:
    from .qp_batch import Ended, Ends


def shape_of(form: Form, norms: Norms, scaling: Scaling, start: PrimalDual | None) -> Shape:
    """One program."""
    x = np.zeros(form.n) if start is None else np.clip(start.x, form.l, form.u)
    y = np.zeros(form.m) if start is None else start.y
    sigma = first_sigma(form.c, form.AL, form.AU, norms.lam_A, None if start is None else (x, y))
    return Shape(
        P=form.P, A=form.A, P_values=form.P.data[None], A_values=form.A.data[None],
        c=form.c[None], AL=form.AL[None], AU=form.AU[None], l=form.l[None], u=form.u[None], D=scaling.D[None], E=scaling.E[None],
        lam_A=np.array([norms.lam_A]), lam_P=np.array([norms.lam_P]), sigma=np.array([sigma]), x=x[None], y=y[None],
    )  # fmt: skip


def estimates(programs: Programs) -> tuple[Vector, ...]:
    """About the residuals of each program, before presolve is undone, from the sums of the last check: primal, dual, gap, and what each is computed from.

    Signs are right by construction: a multiplier is there only where a finite bound was met.
    """
    p = programs
    gap = np.abs(p.scalar("XPX") + p.scalar("CX") - p.scalar("BOX") - p.scalar("SIDES"))
    scale = np.abs([p.scalar(name) for name in ("XPX", "CX", "BOX", "SIDES")]).max(axis=0)
    found = p.scalar("PRIMAL"), p.scalar("DUAL"), gap, p.scalar("PRIMAL_SCALE"), p.scalar("DUAL_SCALE"), scale
    return tuple(np.where(np.isnan(v), np.inf, v) for v in found)


class CudaHalpern:
    """`Halpern` on a GPU: one run on a scaled form."""

    def __init__(
        self, device: Device, form: Form, norms: Norms, scaling: Scaling, start: PrimalDual | None, check: int
    ) -> None:
        self.form, self.check = form, check
        self.kind = kind_of(form)[0]
        self.programs = Programs(device, shape_of(form, norms, scaling, start), check)
        self.iterations = 0

    def advance(self) -> Residuals:
        """To the next check, and about what the residuals are there."""
        self.programs.advance()
        self.iterations += self.check
        primal, dual, gap, *scales = (float(v[0]) for v in estimates(self.programs))
        a, b, c = scales
        return Residuals(primal=primal, dual=dual, gap=gap, sign=0.0, primal_scale=a, dual_scale=b, gap_scale=c)

    def point(self) -> PrimalDual:
        """The bar point."""
        return self.programs.point(0)

    def difference(self) -> PrimalDual:
        """Bar point minus anchor."""
        return self.programs.difference(0)

    def events(self) -> Events:
        """The matrices are read twice a step."""
        f = self.form
        return events_of(f.n, f.m, f.P.nnz, f.A.nnz, self.kind, self.iterations, reads=2)


@dataclass(frozen=True, slots=True)
class SplittingOnCUDA(ABC):
    """The settings, and the GPUs; one program runs on the first."""

    method: SplittingMethod
    devices: tuple[Device, ...]
    name: ClassVar[str]
    convex_only: ClassVar[bool] = SplittingMethod.convex_only
    open_ended: ClassVar[bool] = SplittingMethod.open_ended

    @abstractmethod
    def splitting(
        self, form: Form, norms: Norms, scaling: Scaling, start: PrimalDual | None
    ) -> CudaHalpern | CudaAccelerated:
        """The iteration itself."""

    def settings(self) -> dict[str, Any]:
        return self.method.settings()

    def accepts(self, problem: QP) -> str | None:
        return self.method.accepts(problem)

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> System:
        return self.method.prepare(problem, tolerance, threads)

    def renew(self, system: System, problem: QP, matrices: bool) -> System:
        """The system for other numbers in the same places."""
        return self.method.renew(system, problem, matrices)

    def warm_up(self, system: System) -> None:
        """The host's kernels, and the GPU's."""
        self.method.warm_up(system)
        if system.scaled is not None:
            load_kernels(self)

    def init(self, system: System, *, seed: int, start: Start | None) -> Run:
        def make(form: Form, norms: Norms, first: PrimalDual | None) -> CudaHalpern | CudaAccelerated:
            assert system.scaling is not None
            return self.splitting(form, norms, system.scaling, first)

        return Run(system, make, start)

    def advance(self, system: System, state: Run, seconds_left: float) -> None:
        self.method.advance(system, state, seconds_left)

    def report(self, system: System, state: Run) -> Step:
        return self.method.report(system, state)


class HPROnCUDA(SplittingOnCUDA):
    """`HPR`, and batches of programs."""

    name: ClassVar[str] = "hpr"

    def splitting(self, form: Form, norms: Norms, scaling: Scaling, start: PrimalDual | None) -> CudaHalpern:
        return CudaHalpern(self.devices[0], form, norms, scaling, start, self.method.check)

    def load(self, problem: QP, tolerance: Tolerance) -> None:
        """Compile all that a batch of such programs calls."""
        warm_up(self.name, kind_of(Form.of(problem))[0], tolerance.polish)
        load_kernels(self)

    def together(self, problems: Sequence[QP], tolerance: Tolerance, ends: Ends) -> list[Ended]:
        """Many programs of one shape, side by side."""
        from .qp_batch import solve_together

        return solve_together(self.devices, problems, tolerance, self.method.check, ends)


class RAPDHGOnCUDA(SplittingOnCUDA):
    """`RAPDHG`."""

    name: ClassVar[str] = "rapdhg"

    def splitting(self, form: Form, norms: Norms, scaling: Scaling, start: PrimalDual | None) -> CudaAccelerated:
        return CudaAccelerated(self.devices[0], form, norms, scaling, start, self.method.check)


def load_kernels(method: SplittingOnCUDA) -> None:
    """Compile them, or load them from CuPy's cache."""
    for device in method.devices:
        by_object: Any = device
        _load(type(method), type(method.method), by_object)


@cache
def _load(placed: Any, method: Any, device: Any) -> None:
    form = Form.of(QP.of(np.array(P_OF[GENERAL]), np.ones(2), np.ones((1, 2)), np.ones(1)))
    scaling = Scaling(np.ones(2), np.ones(1))
    placed(method(check=2), (device,)).splitting(form, norm_bounds(form), scaling, None).advance()
