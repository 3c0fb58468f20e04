"""Max-Cut problems from networkx: any of its generators by name (``nx:``), or a graph that the caller has."""

from __future__ import annotations

import inspect
import math
import numbers
import pkgutil
import warnings
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, ProblemWarning
from .couplings import Couplings
from .expressions import check_size, parse_call, parse_options, reweighted, split
from .models import MaxCut

if TYPE_CHECKING:
    import networkx

_LARGEST = 10**8
# Arguments that networkx adds to send the work elsewhere.
_DISPATCH = ("backend", "backend_kwargs")
# Edges of the generators that a small argument can make explode.
_EDGES: dict[str, Callable[[dict[str, Any]], float]] = {
    "complete_graph": lambda a: a["n"] * (a["n"] - 1) / 2,
    "hypercube_graph": lambda a: a["n"] * 2.0 ** min(a["n"] - 1, 900),
    "binomial_tree": lambda a: 2.0 ** min(a["n"], 900),
    "mycielski_graph": lambda a: 3.0 ** min(a["n"] - 2, 500),
    "dorogovtsev_goltsev_mendes_graph": lambda a: 3.0 ** min(a["n"], 500),
    "balanced_tree": lambda a: float(max(a["r"], 1)) ** min(a["h"], 30),
    "grid_2d_graph": lambda a: 2 * a["m"] * a["n"],
    "random_regular_graph": lambda a: a["d"] * a["n"] / 2,
}


@cache
def generators() -> dict[str, Callable[..., Any]]:
    """The public functions of networkx's generator modules, by name."""
    package = import_module("networkx.generators")
    found: dict[str, Callable[..., Any]] = {}
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if info.name.rpartition(".")[2].startswith(("_", "test")):
            continue
        module = import_module(info.name)
        found.update({name: getattr(module, name) for name in getattr(module, "__all__", ())})
    return {name: f for name, f in sorted(found.items()) if callable(f)}


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    whole = inspect.signature(function)
    return whole.replace(parameters=[p for p in whole.parameters.values() if p.name not in _DISPATCH])


def _within_reason(value: Any, where: str) -> None:
    if isinstance(value, list | tuple):
        for x in value:
            _within_reason(x, where)
    elif isinstance(value, dict):
        for k, x in value.items():
            _within_reason(k, where)
            _within_reason(x, where)
    elif isinstance(value, int | float) and abs(value) > _LARGEST:
        raise InputError(f"{where}: {value} is too large: at most 1e8")


def _make(name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """Call a generator by name, and turn whatever it says against it into one line."""
    function = generators().get(name)
    if function is None:
        close = get_close_matches(name, list(generators()), n=5, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else "see networkx.generators"
        raise InputError(f"networkx has no generator {name[:60]!r}; {hint}")
    signature = _signature(function)
    usage = f"nx:{name}{signature}"
    try:
        bound = signature.bind(*arguments, **keywords)
    except TypeError as e:
        raise InputError(f"nx:{name}: {e}; it is {usage}") from None
    for key, value in bound.arguments.items():
        if key != "seed":
            _within_reason(value, f"nx:{name}, argument {key}")
    if "seed" in signature.parameters and bound.arguments.get("seed") is None:
        bound.arguments["seed"] = 0
    if name in _EDGES and all(isinstance(x, int) for k, x in bound.arguments.items() if k in "nmdrh"):
        check_size(1, math.ceil(_EDGES[name](bound.arguments)), f"nx:{name}")
    try:
        return function(*bound.args, **bound.kwargs)
    except Exception as e:  # noqa: BLE001 (networkx raises whatever its own code meets)
        reason = " ".join(str(e).split()) or "no reason given"
        raise InputError(f"nx:{name}: {type(e).__name__}: {reason}; it is {usage}"[:600]) from None


def from_expression(text: str, options: Mapping[str, Any] | None = None) -> MaxCut:
    """A graph by the name of its networkx generator.

    Parameters
    ----------
    text
        ``random_regular_graph(d=3, n=2000, seed=7)``, perhaps followed by ``;weights=pm1;wseed=3``. Arguments are literals; nothing is evaluated.
        A generator with a seed gets 0 where none is given.
    options
        What `parse_options` gives, in place of options in the text.

    Returns
    -------
    MaxCut
        Vertices keep networkx's labels unless these are 0..n-1. Weights are those asked for, else the edges' ``weight``, else 1.

    Raises
    ------
    InputError
        For an unknown generator, arguments that do not fit or exceed 1e8, and results that are no undirected graph.
    """
    call, rest = split(text)
    chosen = parse_options(rest) if options is None or rest else dict(options)
    name, arguments, keywords = parse_call(call)
    graph = _make(name, arguments, keywords)
    import networkx

    if not isinstance(graph, networkx.Graph) or graph.is_directed():
        kind = "a directed graph" if isinstance(graph, networkx.Graph) else type(graph).__name__
        raise InputError(f"nx:{name} gives {kind}, not an undirected graph")
    if chosen.get("weights"):
        problem = from_graph(graph, weight=None)
        shown = ";".join(f"{k}={v}" for k, v in chosen.items())
        return MaxCut(
            couplings=reweighted(problem.couplings, chosen),
            variables=problem.variables,
            name=f"nx:{call.strip()};{shown}",
        )
    return from_graph(graph, name=f"nx:{call.strip()}")


def _finite(weight: Any) -> bool:
    try:
        return isinstance(weight, numbers.Real | np.bool_) and math.isfinite(weight)
    except OverflowError:  # a fraction beyond the floats
        return False


def from_graph(graph: networkx.Graph[Any], *, weight: str | None = "weight", name: str = "") -> MaxCut:
    """The Max-Cut problem of an undirected networkx graph.

    Parameters
    ----------
    graph
        Graph or MultiGraph; parallel edges add up, self-loops are ignored with a `ProblemWarning`.
    weight
        The edge attribute that holds the weight; 1 where an edge has none. With None all edges weigh 1.
    name
        The problem's name; by default the graph's.

    Returns
    -------
    MaxCut
        Vertices in the graph's order with its labels; plain 0..n-1 where these are the labels.

    Raises
    ------
    InputError
        For a directed or an empty graph, and weights that are not finite real numbers.
    """
    if graph.is_directed():
        raise InputError("the graph is directed: use graph.to_undirected()")
    n = graph.number_of_nodes()
    if n == 0:
        raise InputError("the graph is empty: it has no vertices")
    nodes = list(graph)
    plain = set(nodes) == set(range(n))
    index = {v: int(v) for v in nodes} if plain else {v: i for i, v in enumerate(nodes)}
    attribute: Any = object() if weight is None else weight  # nobody's attribute: every edge gets the default
    heads: list[int] = []
    tails: list[int] = []
    values: list[Any] = []
    # One pass into flat lists: a list of a million tuples costs more in garbage collection than all the rest.
    for u, v, w in graph.edges(data=attribute, default=1):
        if type(w) is not int and not _finite(w):
            raise InputError(f"edge {u!r} to {v!r}: the weight {w!r} is not a finite real number"[:300])
        heads.append(index[u])
        tails.append(index[v])
        values.append(w)
    rows, cols = np.array(heads, np.int64), np.array(tails, np.int64)
    couplings, _ = Couplings.build(n, rows, cols, values)
    loops = int((rows == cols).sum())
    if loops:
        warnings.warn(f"{loops} self-loop{'s' * (loops > 1)} ignored: they are never cut", ProblemWarning, stacklevel=2)
    return MaxCut(couplings=couplings, variables=None if plain else tuple(nodes), name=name or str(graph.name))
