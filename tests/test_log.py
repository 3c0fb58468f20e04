"""`kernels.log`: logarithms as good as a library's, the same on a GPU, and NeuroSA's rule, which they decide."""

from __future__ import annotations

import math
import shutil
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from fnanneal.solvers.cuda import source
from fnanneal.solvers.kernels.log import ln, ln_plus_one
from fnanneal.solvers.kernels.neurosa import _spikes, exceeds

KERNEL = """#include "log.cuh"

extern "C" __global__ void logs(const double* x, double* out, int64 n, int plus_one) {
    for (int64 k = threadIdx.x; k < n; k += blockDim.x) out[k] = plus_one ? ln_plus_one(x[k]) : ln(x[k]);
}
"""


@numba.njit
def every(x: Any, out: Any, plus_one: bool) -> None:
    for k in range(x.size):
        out[k] = ln_plus_one(x[k]) if plus_one else ln(x[k])


def numbers(plus_one: bool, count: int) -> NDArray[np.float64]:
    """From the smallest to the largest, many of them where the result is near 0 or where the formula changes."""
    rng = np.random.default_rng(1)
    edges = [math.sqrt(0.5), math.sqrt(2), 1.0, 5e-324, 2.0**-1022, np.nextafter(2.0**-1022, 0), 1.7e308, 0.375, 0.25]
    near = np.exp(rng.uniform(-40, 0, count))
    wide = np.exp(rng.uniform(-745, 709.7, count))
    if plus_one:
        x = np.concatenate(
            [
                wide,
                near,
                -near,
                -np.exp(rng.uniform(-700, -1e-9, count)),
                rng.uniform(-0.999, 4, count),
                [-0.25, *edges],
            ]
        )
        return x[x > -1]  # type: ignore[no-any-return]
    x = np.concatenate([wide, 1 + near, 1 - near, rng.uniform(0, 4, count), 2.0 ** np.arange(-1074, 1024), edges])
    return x[x > 0]  # type: ignore[no-any-return]


def error(x: float, value: float, plus_one: bool) -> float:
    """Relative, against 40 digits."""
    with localcontext() as context:
        context.prec = 40
        true = ((1 if plus_one else 0) + Decimal(x)).ln()
        return float(abs((Decimal(value) - true) / true)) if true else abs(value)


@pytest.mark.parametrize("plus_one", [False, True])
def test_digits(plus_one: bool) -> None:
    x = numbers(plus_one, 100_000)
    out, library = np.empty_like(x), np.array([math.log1p(v) if plus_one else math.log(v) for v in x])
    every(x, out, plus_one)
    off = np.abs(out - library) / np.where(library == 0, 1, np.abs(library))
    assert off.max() < 4.5e-16
    worst = np.argsort(off)[-300:]
    assert max(error(float(x[k]), float(out[k]), plus_one) for k in worst) < 2.5e-16


@pytest.mark.nojit
def test_ends() -> None:
    assert (ln(1.0), ln_plus_one(0.0)) == (0, 0)
    assert ln(0.0) == -math.inf
    for f in (ln, ln_plus_one):
        assert f(math.inf) == math.inf and math.isnan(f(math.nan))
    assert [ln_plus_one(x) for x in (5e-324, -1e-300)] == [5e-324, -1e-300]
    assert ln(5e-324) == pytest.approx(math.log(5e-324), rel=1e-15)


@pytest.mark.parametrize("plus_one", [False, True])
def test_the_same_on_a_device(device: Any, plus_one: bool, monkeypatch: Any, tmp_path: Path) -> None:
    for header in ("common.cuh", "log.cuh"):
        shutil.copy(source.FOLDER / header, tmp_path)
    (tmp_path / "test_logs.cu").write_text(KERNEL)
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    x = np.concatenate([numbers(plus_one, 20_000), [math.inf, math.nan, 0.0]])
    out, twin = device.zeros(x.size, np.float64), np.empty_like(x)
    for block in (32, 128):
        device.launch(
            source.Kernels("test_logs"), "logs", 1, block, device.upload(x), out, np.int64(x.size), np.int32(plus_one)
        )
        every(x, twin, plus_one)
        assert np.array_equal(device.download(out).view(np.int64)[:-2], twin.view(np.int64)[:-2])
        assert np.isnan(twin[-2]) and np.isnan(device.download(out)[-2]) and twin[-1] == device.download(out)[-1]


@pytest.mark.nojit
@pytest.mark.parametrize("wide", [1.0, 1.5])
def test_the_rule_is_that_of_the_exact_logarithms(wide: float) -> None:
    """However near the threshold, and whatever interval of temperatures is known."""
    rng = np.random.default_rng(2)
    timer, seen = (2.0, 0.5, 1e-3), set()
    for step in rng.integers(0, 10_000, 300).tolist():
        x = 2.5 * float(rng.random()) + 1e-6
        t = timer[0] / ln_plus_one(timer[1] + timer[2] * step)
        mu = t * ln(x)
        gains = [
            mu,
            np.nextafter(mu, -math.inf),
            np.nextafter(mu, math.inf),
            *(mu * (1 + d) for d in (-1e-3, 1e-3, -1e-12, 1e-12)),
        ]
        for gain in gains:
            assert exceeds(gain, *timer, step, x) == (gain > mu) == _spikes(gain, t * wide, t / wide, *timer, step, x)
            seen.add(gain > mu)
    assert seen == {True, False}
    for hot in (math.inf, math.nan):
        assert not _spikes(1.0, hot, hot, 2.0, 0.5, 1e-3, 10, 2.5) and _spikes(5.0, hot, hot, 2.0, 0.5, 1e-3, 10, 2.5)
