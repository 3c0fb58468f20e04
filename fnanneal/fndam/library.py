"""Whose arrays these are: NumPy's in the computer's memory, or CuPy's on a GPU.

What is given in CuPy arrays is computed and answered in them, on the GPU that holds them; nothing goes to the host and back but what the docstrings name.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray


def library(array: Any) -> Any:
    """The module that an array is of: `cupy` for its arrays, else `numpy`."""
    # Who has one of its arrays has imported CuPy.
    cupy = sys.modules.get("cupy")
    return cupy if isinstance(array, getattr(cupy, "ndarray", ())) else np


def beside(array: Any) -> AbstractContextManager[Any]:
    """Makes new arrays of CuPy lie on the GPU that holds this one."""
    out: AbstractContextManager[Any] = nullcontext() if library(array) is np else array.device
    return out


def on_host(array: Any) -> NDArray[Any]:
    """A NumPy array as it is, one of CuPy downloaded."""
    module = library(array)
    out: NDArray[Any] = array if module is np else module.asnumpy(array)
    return out
