"""Our own generators by name (``gen:``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ..errors import InputError
from .expressions import parse_call, parse_options, reweighted, split
from .glasses import sk, torus2d, torus3d
from .models import QUBO, Ising
from .planted import loops, tile2d
from .workloads import mis

_FAMILIES: dict[str, Callable[..., Ising | QUBO]] = {f.__name__: f for f in (torus2d, torus3d, sk, tile2d, loops, mis)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One generator: what `fnanneal problems list` shows of it."""

    signature: str
    summary: str
    make: Callable[..., Ising | QUBO]


def families() -> dict[str, Family]:
    """The generators by name."""
    found = {}
    for name, f in _FAMILIES.items():
        plain = [p.replace(annotation=p.empty) for p in inspect.signature(f).parameters.values()]
        usage = f"{name}{inspect.Signature(plain)}"
        found[name] = Family(signature=usage, summary=(inspect.getdoc(f) or "").partition("\n")[0], make=f)
    return found


def from_expression(text: str, options: Mapping[str, Any] | None = None) -> Ising | QUBO:
    """A problem by the name of its family.

    Parameters
    ----------
    text
        ``torus3d(10, 10, 10, seed=1)``, perhaps followed by ``;weights=int(-3,3);wseed=5``. Arguments are literals; nothing is evaluated.
    options
        What `parse_options` gives, in place of options in the text.

    Returns
    -------
    Ising or QUBO
        With its optimum in ``known`` where it is planted, or a best known value.

    Raises
    ------
    InputError
        For an unknown family, arguments that do not fit, and other weights for a planted problem or a QUBO.
    """
    call, rest = split(text)
    chosen = parse_options(rest) if options is None or rest else dict(options)
    name, arguments, keywords = parse_call(call)
    family = families().get(name)
    if family is None:
        close = get_close_matches(name, list(_FAMILIES), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(_FAMILIES)}"
        raise InputError(f"gen has no family {name[:60]!r}; {hint}")
    try:
        inspect.signature(family.make).bind(*arguments, **keywords)
    except TypeError as e:
        raise InputError(f"gen:{name}: {e}; it is {family.signature}") from None
    problem = family.make(*arguments, **keywords)
    label = f"gen:{call.strip()}"
    if not chosen.get("weights"):
        return problem.named(label)
    if isinstance(problem, QUBO):
        raise InputError(f"gen:{name} is a QUBO of its own weights: it takes no others")
    if problem.known is not None:
        raise InputError(f"gen:{name} is planted: other weights would destroy its optimum")
    shown = ";".join(f"{k}={v}" for k, v in chosen.items())
    return Ising(couplings=reweighted(problem.couplings, chosen), name=f"{label};{shown}")
