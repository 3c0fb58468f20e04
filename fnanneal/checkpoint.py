"""A run on disk: one .npz of plain arrays, written atomically, read without pickle."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .result import Number, Spins

SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped.

    ``problem`` is the content's SHA-256; ``threads`` are those of the run that began it, on which its number of reads may depend; ``state`` holds the fields of the solver's state, each an array, a number or a bool.
    """

    problem: str
    solver: str
    settings: Mapping[str, Any]
    weights: str | Mapping[str, Any]
    seed: int
    open_ended: bool
    threads: int
    state: Mapping[str, Any]
    spins: Spins
    claimed: float
    settled: float
    elapsed: float
    to_best: float
    events_to_best: Mapping[str, int]
    trace: Sequence[tuple[float, Number]]
    samples: Mapping[str, NDArray[Any]]
    path: Path = Path()

    def write(self, path: Path) -> None:
        """Write beside `path`, then rename: a kill at any moment leaves the previous file whole.

        Raises
        ------
        InputError
            Where the file cannot be written.
        """
        scalars = {k: v for k, v in self.state.items() if not isinstance(v, np.ndarray)}
        meta = {
            "fnanneal": SCHEMA,
            "problem": self.problem,
            "solver": self.solver,
            "settings": dict(self.settings),
            "weights": self.weights if isinstance(self.weights, str) else dict(self.weights),
            "seed": self.seed,
            "open_ended": self.open_ended,
            "threads": self.threads,
            "claimed": self.claimed,
            "settled": self.settled,
            "elapsed": self.elapsed,
            "to_best": self.to_best,
            "events_to_best": dict(self.events_to_best),
            "trace": list(self.trace),
            "state": scalars,
        }
        arrays: dict[str, NDArray[Any]] = {"meta": np.array(json.dumps(meta)), "spins": self.spins}
        arrays |= {f"state.{k}": v for k, v in self.state.items() if isinstance(v, np.ndarray)}
        arrays |= {f"samples.{k}": v for k, v in self.samples.items()}
        arrays["sha256"] = np.array(_digest(arrays))
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with os.fdopen(handle, "wb") as f:
                    np.savez(f, allow_pickle=False, **arrays)
                    f.flush()
                    os.fsync(f.fileno())
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as e:
            raise InputError(f"cannot write the checkpoint {path}: {e.strerror or e}") from e

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a checkpoint.

        Raises
        ------
        InputError
            For a missing or damaged file, or one that is no checkpoint of this version.
        """
        try:
            with open(path, "rb") as f, np.load(f, allow_pickle=False) as data:
                arrays = dict(data)
            meta = json.loads(str(arrays["meta"]))
            if meta.pop("fnanneal") != SCHEMA:
                raise InputError(f"{path}: a checkpoint of another version of fnanneal")
            if str(arrays.pop("sha256")) != _digest(arrays):
                raise InputError(f"{path} is damaged: its content does not fit its digest")
            state = meta.pop("state") | {k[6:]: v for k, v in arrays.items() if k.startswith("state.")}
            samples = {k[8:]: v for k, v in arrays.items() if k.startswith("samples.")}
            return cls(**meta, path=path, state=state, spins=arrays["spins"], samples=samples)
        except InputError:
            raise
        except OSError as e:
            raise InputError(f"cannot read the checkpoint {path}: {e.strerror or e}") from e
        except Exception as e:
            # A damaged archive makes zipfile and NumPy raise almost anything.
            raise InputError(f"{path} is not a whole checkpoint") from e

    def check(self, fresh: Any) -> None:
        """Refuse a state that is not built like a fresh one, a dataclass: a kernel trusts names, types and shapes.

        Raises
        ------
        InputError
            At the first difference. Where a field's metadata has ``length``, its length is free.
        """
        expected = {f.name: f for f in fields(fresh)}
        same = expected.keys() == self.state.keys()
        for name in expected if same else ():
            mine, other = self.state[name], getattr(fresh, name)
            if isinstance(other, np.ndarray):
                same = isinstance(mine, np.ndarray) and mine.dtype == other.dtype and mine.ndim == other.ndim
                free = 1 if "length" in expected[name].metadata else 0
                same = same and mine.shape[free:] == other.shape[free:]
            else:
                same = type(mine) is type(other)
            if not same:
                break
        if not same:
            raise InputError(f"{self.path}: a checkpoint of another version of {self.solver}")


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of names, types, shapes and contents."""
    h = hashlib.sha256()
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        h.update(f"{name} {a.dtype.str} {np.shape(arrays[name])}\n".encode())
        h.update(a.tobytes())
    return h.hexdigest()
