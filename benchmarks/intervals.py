"""How often the interval of TTS99 holds the true value: the figures of docs/statistics.md. Simulated exponential times, of which TTS99 is ln 100 time constants.

    python benchmarks/intervals.py [--trials 300]

The plain way: p(t) is the bare share of runs that have hit by t, the minimum is over all hits, the interval BCa over the same resamples. Ours: `fnanneal.compare.statistics`.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from numpy.typing import NDArray

from fnanneal.compare.statistics import Observations, time_to_solution
from fnanneal.compare.statistics.bootstrap import bca, leave_one_out, resamples

TRUE = math.log(100)


def plain(times: NDArray[np.float64], hits: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """min over hits t of t max(1, ln 0.01/ln(1 - p(t))), of each row of weights of the runs; infinite without a hit."""
    t = times[hits]
    if not t.size:
        return np.full(len(weights), np.inf)
    share = (weights @ (hits[:, None] & (times[:, None] <= t))) / weights.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        tts = t * np.maximum(1.0, math.log(0.01) / np.log(np.clip(1 - share, 1e-300, 1 - 1e-15)))
    tts[share == 0] = np.inf
    return np.asarray(tts.min(axis=1))


def trial(rng: np.random.Generator, runs: int, limit: float) -> tuple[float, bool, float, bool] | None:
    """Estimate and whether its interval holds the truth, the plain way and ours; None where no run hit."""
    drawn = rng.exponential(size=runs)
    hits, times = drawn <= limit, np.minimum(drawn, limit)
    if not hits.any():
        return None
    value = float(plain(times, hits, np.ones((1, runs)))[0])
    spread = plain(times, hits, resamples(runs, runs))
    jackknife = plain(times, hits, leave_one_out(runs)) / value
    ends = bca(value, spread, [1 - 1 / (1 + jackknife)])
    order = np.argsort(times)
    ours = time_to_solution(
        Observations(
            times=tuple(times[order].tolist()), hits=tuple(hits[order].tolist()), spent=tuple(times[order].tolist())
        )
    )
    assert ours.value is not None and ours.interval is not None
    return value, ends.low <= TRUE <= ends.high, ours.value, ours.interval.low <= TRUE <= ours.interval.high


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    trials = parser.parse_args().trials
    print(
        "| runs | cut off after | plain: median estimate | plain: interval holds | ours: median estimate | ours: interval holds |"
    )
    print("|---|---|---|---|---|---|")
    for runs in (5, 20, 200):
        for limit in (1.0, 10.0):
            rng = np.random.default_rng(runs)
            found = [f for f in (trial(rng, runs, limit) for _ in range(trials)) if f is not None]
            values = np.array(found, dtype=np.float64)
            medians, held = np.median(values, axis=0), values.mean(axis=0)
            print(f"| {runs} | {limit:g} | {medians[0]:.2f} | {held[1]:.0%} | {medians[2]:.2f} | {held[3]:.0%} |")
    print(f"\nIn time constants; the true value is ln 100 = {TRUE:.2f}. {trials} trials each.")


if __name__ == "__main__":
    main()
