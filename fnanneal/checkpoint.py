"""A run on disk: one .npz of plain arrays, written atomically, read without pickle."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .result import Number, Spins

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped.

    ``problem`` is the content's SHA-256; ``state`` holds the fields of the solver's state, each an array, a number or a bool.
    """

    problem: str
    solver: str
    settings: Mapping[str, Any]
    seed: int
    open_ended: bool
    state: Mapping[str, Any]
    spins: Spins
    claimed: float
    elapsed: float
    to_best: float
    trace: Sequence[tuple[float, Number]]
    samples: Mapping[str, NDArray[Any]]

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
            "seed": self.seed,
            "open_ended": self.open_ended,
            "claimed": self.claimed,
            "elapsed": self.elapsed,
            "to_best": self.to_best,
            "trace": list(self.trace),
            "state": scalars,
        }
        arrays = {"meta": np.array(json.dumps(meta)), "spins": self.spins}
        arrays |= {f"state.{k}": v for k, v in self.state.items() if isinstance(v, np.ndarray)}
        arrays |= {f"samples.{k}": v for k, v in self.samples.items()}
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
            with np.load(path, allow_pickle=False) as data:
                arrays = dict(data)
            meta = json.loads(str(arrays["meta"]))
            if meta.pop("fnanneal") != SCHEMA:
                raise InputError(f"{path}: a checkpoint of another version of fnanneal")
            state = meta.pop("state") | {k[6:]: v for k, v in arrays.items() if k.startswith("state.")}
            samples = {k[8:]: v for k, v in arrays.items() if k.startswith("samples.")}
            return cls(**meta, state=state, spins=arrays["spins"], samples=samples)
        except OSError as e:
            raise InputError(f"cannot read the checkpoint {path}: {e.strerror or e}") from e
        except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as e:
            if isinstance(e, InputError):
                raise
            raise InputError(f"{path} is not a whole checkpoint") from e
