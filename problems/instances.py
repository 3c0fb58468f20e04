"""Named instances, made by rudy at first use and cached.

The table is ``data/instances.csv`` (`known.instances`); what is made is compared with its digest before anybody sees it.
"""

from __future__ import annotations

import hashlib
import io
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import cache
from ..errors import InputError
from . import rudy
from .couplings import Couplings, frozen
from .known import Instance, instances
from .models import MaxCut

_FOLDER = "instances"
_VERSION = 1
_BIG = 10**5  # edges from which reading the cache beats making the graph


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the smallest integer type that holds them."""
    if not values.size:
        return values.astype(np.int8)
    low, high = int(values.min()), int(values.max())
    return values.astype(np.min_scalar_type(high if low >= 0 else min(low, -1 - high)))


def _stored(name: str, stamp: str) -> Couplings | None:
    payload = cache.read(_FOLDER, name, stamp)
    if payload is None:
        return None
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        return Couplings(
            n=int(arrays["n"]),
            rows=frozen(arrays["rows"].astype(np.int32)),
            cols=frozen(arrays["cols"].astype(np.int32)),
            weights=frozen(arrays["weights"].astype(np.int64)),
        )


def _store(name: str, stamp: str, c: Couplings) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, n=np.int64(c.n), rows=_compact(c.rows), cols=_compact(c.cols), weights=_compact(c.weights))
    cache.write(_FOLDER, name, stamp, buffer.getvalue())


def _find(name: str) -> Instance | None:
    wanted = name.strip().lower().removeprefix("gset:").strip()
    return next((i for i in instances().values() if i.name.lower() == wanted), None)


def near(name: str) -> list[str]:
    """Names of instances like this one, best first, at most five."""
    wanted = name.strip().upper().removeprefix("GSET:").strip()
    return get_close_matches(wanted, list(instances()), n=5, cutoff=0.6)


def instance(name: str) -> MaxCut:
    """A named instance, with its best-known cut.

    Parameters
    ----------
    name
        ``G22``, ``gset:G22`` or ``K2000``, in upper or lower case.

    Returns
    -------
    MaxCut

    Raises
    ------
    InputError
        For a name that is not in the table.
    RuntimeError
        If the graph made is not the table's: the installation is broken.
    """
    found = _find(name)
    if found is None:
        close = near(name)
        hint = f"did you mean {', '.join(close)}?" if close else "there are G1 to G67, G70, G72, G77, G81 and K2000"
        raise InputError(f"unknown instance {name.strip()[:40]!r}: {hint}")
    stamp = f"{_VERSION} {found.expression} {found.text_sha256}"
    couplings = _stored(found.name, stamp)
    if couplings is None:
        couplings = rudy.generate(found.expression).couplings
        if hashlib.sha256(rudy.to_text(couplings)).hexdigest() != found.text_sha256:
            raise RuntimeError(f"{found.name}: the graph made differs from the table's; the installation is broken")
        _store(found.name, stamp, couplings)
    return MaxCut(couplings=couplings, name=found.name, known=found.best_known)


def from_rudy(expression: str) -> MaxCut:
    """As `rudy.generate`, but big graphs are kept in the cache.

    Parameters
    ----------
    expression
        A rudy expression.

    Returns
    -------
    MaxCut

    Raises
    ------
    InputError
        As `rudy.generate`.
    """
    plain = " ".join(expression.split())
    name, stamp = "rudy-" + hashlib.sha256(plain.encode()).hexdigest(), f"{_VERSION} {plain}"
    couplings = _stored(name, stamp)
    if couplings is None:
        problem = rudy.generate(plain)
        if problem.m > _BIG:
            _store(name, stamp, problem.couplings)
        return problem
    return MaxCut(couplings=couplings, name=f"rudy:{plain}")
