"""Compiles the kernels that a solve will call, or loads them from the cache, by running them on programs of two variables."""

from __future__ import annotations

from functools import cache

import numpy as np

from ...problems.quadratic.program import QP
from . import method as methods
from .form import Form
from .kkt import KKT
from .norms import DIAGONAL, GENERAL, ZERO, norm_bounds
from .presolve import presolve
from .scaling import Scaling

P_OF = {GENERAL: [[2.0, 1.0], [1.0, 2.0]], DIAGONAL: [[2.0, 0.0], [0.0, 2.0]], ZERO: [[0.0, 0.0], [0.0, 0.0]]}


@cache
def warm_up(name: str, kind: int, polish: bool) -> None:
    """All kernels for this method and kind of P, with the types that it calls them with."""
    form = Form.of(QP.of(np.array(P_OF[kind]), np.ones(2), np.ones((1, 2)), np.ones(1)))
    presolve(form)
    form = Scaling.of(form).apply(form)
    methods.get(name)().splitting(form, norm_bounds(form), None).advance()
    if polish:
        KKT(form.P, form.A)
