"""Compiles the kernels of the splitting methods, or loads them from the cache, by running them on programs of two variables."""

from __future__ import annotations

from functools import cache

import numpy as np

from ...problems.quadratic.program import QP
from .accelerated import Accelerated
from .form import Form
from .halpern import Halpern
from .kkt import KKT
from .norms import norm_bounds
from .presolve import presolve
from .scaling import Scaling


@cache
def warm_up() -> None:
    """All kernels that a solve can call, with the types that it calls them with."""
    form = Form.of(QP.of(np.array([[2.0, 1.0], [1.0, 2.0]]), np.ones(2), np.ones((1, 2)), np.ones(1)))
    presolve(form)
    form = Scaling.of(form).apply(form)
    norms = norm_bounds(form)
    Halpern(form, norms, check=2).advance()
    Accelerated(form, norms, check=2).advance()
    KKT(form.P, form.A)
