"""Neuromorphic optimisation with Fowler-Nordheim annealing: Ising, QUBO, Max-Cut and quadratic programs.

This module is the list of what is public. Names are imported at first use, so that ``import fnanneal`` costs nothing.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import compare as compare
    from . import energy as energy
    from . import fndam as fndam
    from . import problems as problems
    from . import solvers as solvers
    from .energy.events import Events as Events
    from .errors import FormatError as FormatError
    from .errors import InputError as InputError
    from .errors import ProblemWarning as ProblemWarning
    from .fndam.array import FNDAMArray as FNDAMArray
    from .problems.load import load as load
    from .problems.models import QUBO as QUBO
    from .problems.models import Ising as Ising
    from .problems.models import MaxCut as MaxCut
    from .problems.quadratic.load import load_qp as load_qp
    from .problems.quadratic.program import QP as QP
    from .protocols import Progress as Progress
    from .qpresult import QPProgress as QPProgress
    from .qpresult import QPResult as QPResult
    from .qpresult import QPStatus as QPStatus
    from .result import BestKnown as BestKnown
    from .result import Energy as Energy
    from .result import Result as Result
    from .result import Status as Status
    from .solvers.qp.batch import solve_qp_batch as solve_qp_batch
    from .solvers.qp.solve import solve_qp as solve_qp
    from .solvers.qp.solver import QPSolver as QPSolver
    from .solvers.solve import solve as solve

# A library says nothing of itself: who wants to hear it adds a handler.
logging.getLogger(__name__).addHandler(logging.NullHandler())

_WHERE = {
    "BestKnown": ".result",
    "Energy": ".result",
    "Events": ".energy.events",
    "FNDAMArray": ".fndam.array",
    "FormatError": ".errors",
    "InputError": ".errors",
    "Ising": ".problems.models",
    "MaxCut": ".problems.models",
    "ProblemWarning": ".errors",
    "Progress": ".protocols",
    "QP": ".problems.quadratic.program",
    "QPProgress": ".qpresult",
    "QPResult": ".qpresult",
    "QPSolver": ".solvers.qp.solver",
    "QPStatus": ".qpresult",
    "QUBO": ".problems.models",
    "Result": ".result",
    "Status": ".result",
    "load": ".problems.load",
    "load_qp": ".problems.quadratic.load",
    "solve": ".solvers.solve",
    "solve_qp": ".solvers.qp.solve",
    "solve_qp_batch": ".solvers.qp.batch",
}
_MODULES = ("compare", "energy", "fndam", "problems", "solvers")

__all__ = [  # noqa: RUF022 (by what they are)
    "load", "solve", "load_qp", "solve_qp", "solve_qp_batch",
    "Ising", "MaxCut", "QUBO", "QP",
    "FNDAMArray", "QPSolver",
    "BestKnown", "Energy", "Events", "Progress", "Result", "Status", "QPProgress", "QPResult", "QPStatus",
    "FormatError", "InputError", "ProblemWarning",
    "compare", "energy", "fndam", "problems", "solvers",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
