"""The plan of a comparison: problems x solvers x seeds x budgets, from arguments or a TOML file, and its cells."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import toml
from ..checks import integer, positive, real
from ..errors import FormatError, InputError, NotInstalled
from .cells import Budget, Cell, Kind, SolverSpec

QP_SUFFIXES = (".qps", ".mps", ".lp", ".qplib", ".mat", ".npz", ".in")
SEEDS, SECONDS = 5, 10.0
THRESHOLDS = (0.0, 0.001, 0.01)
# A cell that takes this many times its limit, and so much more, is ended from outside.
HARD, HARD_MORE_S = 3.0, 300.0
# Seconds of a spin test of a very slow solver.
SLOWEST_TEST_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSpec:
    """A problem as `load` (``spins``) or `load_qp` (``qp``) takes it. `identity` tells it from others, whatever it is called."""

    kind: Kind
    spec: str
    identity: str

    @classmethod
    def of(cls, text: str, folder: Path | None = None) -> ProblemSpec:
        """Of what users write; ``qp:SPEC`` is a quadratic program whatever its suffix. Files are relative to the folder, and told apart by their content.

        Raises
        ------
        InputError
            For a file that cannot be read, or an empty name.
        """
        from ..problems.quadratic.generators import families

        spec = text.strip()
        said = spec.lower().startswith("qp:")
        spec = spec[3:].strip() if said else spec
        if not spec or spec == "-":
            raise InputError(f"not a problem that can be run again: {text!r:.60}")
        path, _, index = spec.partition("#")
        where = Path(path) if folder is None else folder / path
        if where.is_file():
            plain = where.name.lower().removesuffix(".gz").removesuffix(".bz2").removesuffix(".xz")
            kind: Kind = "qp" if said or plain.endswith(QP_SUFFIXES) else "spins"
            resolved = str(where.resolve()) + (f"#{index}" if index else "")
            return cls(kind=kind, spec=resolved, identity=f"{_digest(where)}{f'#{index}' if index else ''}")
        if spec.lower().startswith("gen:") and (said or spec[4:].partition("(")[0].strip() in families()):
            return cls(kind="qp", spec=spec, identity=spec)
        if said:
            raise InputError(f"no such file: {spec}")
        return cls(kind="spins", spec=spec, identity=_named(spec))


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as f:
            return f"sha256:{hashlib.file_digest(f, 'sha256').hexdigest()}"
    except OSError as e:
        raise FormatError(str(path), None, (e.strerror or str(e)).lower()) from e


def _named(spec: str) -> str:
    """A name by which a problem is found in our tables is one problem however it is written; an unknown one is refused before anything runs."""
    from ..problems.known import instances

    body = spec[5:] if spec.lower().startswith("gset:") else spec
    for name in instances():
        if name.lower() == body.strip().lower():
            return f"gset:{name}"
    if ":" not in spec or spec.lower().startswith("gset:"):
        from ..problems.load import load

        load(spec)
    return spec


def _expected_s(budget: Budget) -> float:
    """The longest that a budget may take a solver that keeps to it."""
    return budget.seconds if budget.seconds is not None else SLOWEST_TEST_S * (budget.spin_tests or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is compared.

    Attributes
    ----------
    title
        For people.
    problems, solvers, seeds, budgets
        Every solver runs on every problem of its kind with every seed and budget.
    threads
        Of each run.
    stop
        Whether runs end once they are as good as the best known value; else every run takes its whole budget.
    thresholds
        Gaps to the reference value for which success and times are reported.
    eps
        The tolerance of quadratic programs.
    """

    title: str = "comparison"
    problems: tuple[ProblemSpec, ...]
    solvers: tuple[SolverSpec, ...]
    seeds: tuple[int, ...] = tuple(range(1, SEEDS + 1))
    budgets: tuple[Budget, ...] = (Budget(seconds=SECONDS),)
    threads: int = 1
    stop: bool = False
    thresholds: tuple[float, ...] = THRESHOLDS
    eps: float = 1e-6

    def __post_init__(self) -> None:
        for what in ("problems", "solvers", "seeds", "budgets"):
            given = getattr(self, what)
            if not given:
                raise InputError(f"a comparison needs {what}")
            object.__setattr__(self, what, tuple(dict.fromkeys(given)))
        integer(self.threads, "threads", 1, 1024)
        real(self.eps, "eps", 0)
        for seed in self.seeds:
            integer(seed, "a seed", 0, 2**64 - 1)
        for theta in self.thresholds:
            real(theta, "a threshold", 0)
        if not any(self._accepted(s, p) for s in self.solvers for p in self.problems):
            raise InputError("none of these solvers takes a problem of these kinds")

    def _accepted(self, solver: SolverSpec, problem: ProblemSpec) -> bool:
        return problem.kind in kinds_of(solver.name)

    def cells(self) -> list[Cell]:
        """Every run, seed by seed, so that a part of the plan is already a comparison."""
        return [
            Cell(
                kind=p.kind,
                problem=p.spec,
                identity=p.identity,
                solver=s,
                seed=seed,
                budget=budget,
                threads=self.threads,
                stop=self.stop,
                eps=self.eps,
                hard_s=HARD * _expected_s(budget) + HARD_MORE_S,
            )
            for seed in self.seeds
            for budget in self.budgets
            for p in self.problems
            for s in self.solvers
            if self._accepted(s, p) and (p.kind == "spins" or budget.seconds is not None)
        ]

    def about(self) -> dict[str, Any]:
        """What the store keeps of it, for reports."""
        return {
            "title": self.title,
            "problems": [p.spec for p in self.problems],
            "solvers": [s.label for s in self.solvers],
            "seeds": list(self.seeds),
            "budgets": [b.label for b in self.budgets],
            "threads": self.threads,
            "stop": self.stop,
            "thresholds": list(self.thresholds),
            "eps": self.eps,
        }

    def checked(self) -> Plan:
        """This plan, if every solver exists, is installed and takes its settings.

        Raises
        ------
        InputError
            Otherwise, with what to install.
        """
        for solver in self.solvers:
            check_solver(solver)
        return self


def kinds_of(name: str) -> set[Kind]:
    """The kinds of problems that a solver of this name takes. A name may be a solver of both.

    Raises
    ------
    InputError
        For an unknown name.
    """
    from ..solvers import registry
    from ..solvers.qp import method

    found: set[Kind] = set()
    if name in (*registry.names(), *registry.peer_names()):
        found.add("spins")
    if name == "auto" or name in (*method.names(), *method.peer_names()):
        found.add("qp")
    if not found:
        try:
            registry.get(name)
        except InputError as e:
            raise InputError(f"{e}; for quadratic programs: auto, {', '.join(method.names())}") from e
    return found


def check_solver(solver: SolverSpec) -> None:
    """Refuse one that is not installed, or settings that it does not take."""
    from ..solvers import registry
    from ..solvers.qp import method
    from ..solvers.qp.solve import build_method
    from ..solvers.solve import build_solver

    kinds = kinds_of(solver.name)
    refusals = []
    for kind in sorted(kinds):
        try:
            if solver.name != "auto":
                cls = (registry if kind == "spins" else method).get(solver.name)
                if hasattr(cls, "install") and cls.version() is None:
                    raise NotInstalled(f"{solver.name} is not installed: {cls.install()}")
                (build_solver if kind == "spins" else build_method)(cls, dict(solver.settings))
            elif solver.settings:
                raise InputError("auto takes no settings: it chooses the method by itself")
        except InputError as e:
            refusals.append(e)
    if len(refusals) == len(kinds):
        raise refusals[0]


def make_plan(
    problems: Iterable[str],
    solvers: Iterable[str | SolverSpec],
    *,
    folder: Path | None = None,
    seeds: int | Sequence[int] = SEEDS,
    time_limits: Sequence[float] = (),
    spin_tests: Sequence[int] = (),
    **more: Any,
) -> Plan:
    """A plan of what users write.

    Parameters
    ----------
    problems
        As `ProblemSpec.of` takes them.
    solvers
        As `SolverSpec.parse` takes them.
    seeds
        The seeds, or how many: 1, 2 and so on.
    time_limits, spin_tests
        Budgets; 10 s if there are none.
    more
        Other attributes of `Plan`.
    """
    if not isinstance(seeds, Sequence):
        seeds = range(1, integer(seeds, "the number of seeds", 1, 100_000) + 1)
    budgets = [Budget(seconds=t) for t in time_limits] + [Budget(spin_tests=k) for k in spin_tests]
    return Plan(
        problems=tuple(ProblemSpec.of(text, folder) for text in problems),
        solvers=tuple(s if isinstance(s, SolverSpec) else SolverSpec.parse(s) for s in solvers),
        seeds=tuple(seeds),
        budgets=tuple(budgets) or (Budget(seconds=SECONDS),),
        **more,
    )


_KEYS = ("title", "problems", "solvers", "seeds", "time_limits", "spin_tests", "threads", "stop", "thresholds", "eps")


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """The plan of a TOML file (docs/comparison.md).

    Raises
    ------
    FormatError
        For a file that is no plan.
    """
    where = os.fspath(path)
    content = toml.read(path)
    for key in content:
        if key not in _KEYS:
            raise FormatError(where, None, f"unknown key {key!r}; there are: {', '.join(_KEYS)}")
    about = dict(content)
    for key in ("problems", "solvers"):
        if not isinstance(about.get(key), list) or not about[key]:
            raise FormatError(where, None, f"{key} must be a list with something in it")
    for key in ("time_limits", "spin_tests", "thresholds"):
        value = about.get(key, [])
        about[key] = value if isinstance(value, list) else [value]
    if not about["thresholds"]:
        del about["thresholds"]
    try:
        for key in ("time_limits", "thresholds"):
            for value in about.get(key, []):
                (positive if key == "time_limits" else _threshold)(value, f"{key}: a value")
        seeds = about.get("seeds", SEEDS)
        if isinstance(seeds, list):
            about["seeds"] = [integer(s, "seeds: a seed", 0, 2**64 - 1) for s in seeds]
        else:
            integer(seeds, "seeds", 1, 100_000)
        if not all(isinstance(p, str) for p in about["problems"]):
            raise InputError("problems must be strings")
        if not isinstance(about.get("stop", False), bool) or not isinstance(about.get("title", ""), str):
            raise InputError("title must be a string, and stop true or false")
        if "thresholds" in about:
            about["thresholds"] = tuple(float(t) for t in about["thresholds"])
        about["solvers"] = [_solver(s) for s in about["solvers"]]
        return make_plan(about.pop("problems"), about.pop("solvers"), folder=Path(where).parent, **about)
    except InputError as e:
        raise FormatError(where, None, str(e)) from e


def _threshold(value: Any, what: str) -> float:
    return real(value, what, 0)


def _solver(entry: Any) -> SolverSpec:
    if isinstance(entry, str):
        return SolverSpec.parse(entry)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise InputError("a solver is a name, or a table with a name and its settings")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items() if k != "name"}
    return SolverSpec.of(entry["name"], settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How much there is to do: cells, of them done, and seconds of all that are left together, one after the other."""

    cells: int
    done: int
    seconds: float


# What a cell takes beside its budget, and a spin test, where nothing better is known: a coarse guess for the estimate alone.
BESIDE_S, TEST_S = 0.7, 1e-8


def estimate(cells: Sequence[Cell], seen: Mapping[tuple[str, str], float], done: Iterable[str]) -> Estimate:
    """What is left of a plan.

    Parameters
    ----------
    seen
        Seconds that a cell took, by (identity, solver's label): what was run tells most.
    done
        Keys of the cells that are finished.
    """
    finished = set(done)
    left = [c for c in cells if c.key not in finished]
    total = 0.0
    for c in left:
        guess = (c.budget.seconds if c.budget.seconds is not None else (c.budget.spin_tests or 0) * TEST_S) + BESIDE_S
        total += seen.get((c.identity, c.solver.label), guess)
    return Estimate(cells=len(cells), done=len(cells) - len(left), seconds=total)
