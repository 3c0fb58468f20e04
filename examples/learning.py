"""Learning in memory: a support vector machine and a lasso, trained as quadratic programs whose variables and multipliers are FN-DAM cells.

python examples/learning.py [--plot learning.png]      # under two minutes; needs the extras `examples`, and `report` for the picture

    SVM      min 1/2 |w|^2 + C sum xi          s.t.  y_i (w'x_i + b) >= 1 - xi_i,  xi >= 0      (breast_cancer: 30 features, 398 of 569 patients)
    lasso    min 1/(2N) |Xw - t|^2 + a sum u   s.t.  -u <= w <= u                               (diabetes: 10 features, 309 of 442 patients)

Each is solved in ideal arithmetic, by scikit-learn's own solver, and in cells of 2 to 14 bits; the last row is of a chip whose cells differ by 2 % and are read with 50 uV of noise.
`loss` is the problem's true objective at the trained w, xi and u being what w makes them; `excess` is it beside the ideal one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import fnanneal
from fnanneal import FNDAMArray
from fnanneal.energy import account, bounds, technology

try:
    from sklearn.datasets import load_breast_cancer, load_diabetes
    from sklearn.linear_model import Lasso
    from sklearn.metrics import r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC
except ModuleNotFoundError:
    sys.exit("this example needs scikit-learn: pip install 'fnanneal[examples]'")

BITS = (2, 3, 4, 6, 8, 11, 14)
CHIP = FNDAMArray(bits=8, mismatch=0.02, read_noise=5e-5, seed=1)
C, ALPHA = 1.0, 0.5
TIME_CONSTANTS = 2.0


def split(data: Any, **how: Any) -> tuple[np.ndarray, ...]:
    """Features with mean 0 and variance 1 in training, and targets: training, test, training, test."""
    train, test, t_train, t_test = train_test_split(data.data, data.target, test_size=0.3, random_state=0, **how)
    middle, spread = train.mean(axis=0), train.std(axis=0)
    return (train - middle) / spread, (test - middle) / spread, t_train, t_test


class SVM:
    """A linear support vector machine; variables w, b, xi."""

    name, measure = "SVM on breast_cancer", "test accuracy"

    def __init__(self) -> None:
        data = load_breast_cancer()
        self.X, self.X_test, y, y_test = split(data, stratify=data.target)
        self.y, self.y_test = 2.0 * y - 1, 2.0 * y_test - 1
        n, d = self.X.shape
        self.d = d
        rows = -np.hstack([self.y[:, None] * self.X, self.y[:, None], np.eye(n)])
        self.program = {
            "P": np.diag(np.r_[np.ones(d), np.zeros(n + 1)]),
            "q": np.r_[np.zeros(d + 1), np.full(n, C)],
            "G": rows,
            "h": -np.ones(n),
            "lb": np.r_[np.full(d + 1, -np.inf), np.zeros(n)],
        }

    def loss(self, x: np.ndarray) -> float:
        w, b = x[: self.d], x[self.d]
        return float(0.5 * w @ w + C * np.maximum(0, 1 - self.y * (self.X @ w + b)).sum())

    def score(self, x: np.ndarray) -> float:
        return float(np.mean((self.X_test @ x[: self.d] + x[self.d] > 0) == (self.y_test > 0)))

    def reference(self) -> np.ndarray:
        model = SVC(kernel="linear", C=C).fit(self.X, self.y)
        return np.r_[model.coef_[0], model.intercept_]


class LassoRegression:
    """A linear regression with an l1 penalty; variables w, u."""

    name, measure = "lasso on diabetes", "test R2"

    def __init__(self) -> None:
        self.X, self.X_test, t, t_test = split(load_diabetes())
        self.mean = t.mean()
        self.t, self.t_test = t - self.mean, t_test
        n, d = self.X.shape
        self.d = d
        eye = np.eye(d)
        P = np.zeros((2 * d, 2 * d))
        P[:d, :d] = self.X.T @ self.X / n
        self.program = {
            "P": P,
            "q": np.r_[-self.X.T @ self.t / n, np.full(d, ALPHA)],
            "G": np.block([[eye, -eye], [-eye, -eye]]),
            "h": np.zeros(2 * d),
            "lb": np.r_[np.full(d, -np.inf), np.zeros(d)],
        }

    def loss(self, x: np.ndarray) -> float:
        w = x[: self.d]
        return float(np.mean((self.X @ w - self.t) ** 2) / 2 + ALPHA * np.abs(w).sum())

    def score(self, x: np.ndarray) -> float:
        return float(r2_score(self.t_test, self.X_test @ x[: self.d] + self.mean))

    def reference(self) -> np.ndarray:
        return np.r_[Lasso(alpha=ALPHA, tol=1e-10).fit(self.X, self.t).coef_, 0.0]


def joules(value: float | None) -> str:
    for unit, size in (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6), ("nJ", 1e-9), ("pJ", 1e-12)):
        if value is not None and value >= size:
            return f"{value / size:.3g} {unit}"
    return "0" if value == 0 else "-" if value is None else f"{value:.2g} J"


def train(task: Any, array: FNDAMArray) -> Any:
    return fnanneal.solve_qp(**task.program, weights=array, time_constants=TIME_CONSTANTS, seed=1)


def study(make: Callable[[], Any]) -> tuple[str, str, float, list[tuple[int, float, float]]]:
    """Print a task's table; its name, measure, ideal score, and (bits, score, excess)."""
    task = make()
    ideal = fnanneal.solve_qp(**task.program, seed=1)
    best = task.loss(ideal.x)
    print(f"\n{task.name}: {task.program['q'].size} variables, {task.program['h'].size} rows")
    print(
        f"{'':16} {task.measure:>13} {'loss':>11} {'excess':>9} {'pulses/cell':>12} {'5 fJ each':>10} {'the rest, 45 nm':>16}"
    )

    def line(what: str, x: np.ndarray, more: str = "") -> None:
        print(f"{what:16} {task.score(x):13.4f} {task.loss(x):11.5g} {task.loss(x) / best - 1:9.2%} {more}")

    line("ideal", ideal.x, f"{'-':>12} {'-':>10} {joules(ideal.energy.account.joules):>16}")
    line("scikit-learn", task.reference())
    points = []
    for array in (*(FNDAMArray(bits=b, seed=1) for b in BITS), CHIP):
        result = train(task, array)
        e, cells = result.events, result.details["cells"]
        pulses = account(e, technology("fn-dam"), real_numbers=True).joules
        rest = account(replace(e, weight_pulses=0), technology("cmos-45nm"), real_numbers=True).joules
        what = f"{array.bits} bits" + (", real chip" if array is CHIP else "")
        line(what, result.x, f"{e.weight_pulses / cells:12.0f} {joules(pulses):>10} {joules(rest):>16}")
        if array is CHIP:
            memory = account({"weight_pulses": e.weight_pulses}, technology("cmos-45nm"), real_numbers=True).joules
            lim = bounds(e.weight_pulses, cells, result.details["chip_seconds"], time_constants=TIME_CONSTANTS)
            print(
                f"its {e.weight_pulses} updates: {joules(pulses)} in FN-DAM, {joules(memory)} as writes to 1 MB of SRAM; bounds (our reconstruction): "
                f"{lim.matched_barrier:.2g} J with a barrier that rises as the cells' does, {lim.update_wall:.2g} J with a static one"
            )
            left = result.details["step_left"]
            print(
                f"on the chip: {result.details['chip_seconds']:g} s; a pulse makes {left:.2f} of what it made at first: the 1/t law of the cells"
            )
        else:
            points.append((array.bits, task.score(result.x), task.loss(result.x) / best - 1))
    return task.name, task.measure, task.score(ideal.x), points


def plot(path: str, studies: list[Any]) -> None:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        sys.exit("the picture needs matplotlib: pip install 'fnanneal[report]'")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axis, (name, measure, ideal, points) in zip(figure.subplots(1, 2), studies, strict=True):
        bits, scores, excess = zip(*points, strict=True)
        axis.axhline(ideal, color="#8a8f98", lw=1, label="ideal arithmetic")
        axis.plot(bits, scores, "o-", color="#1f5fa8", label="FN-DAM cells")
        axis.set(title=name, xlabel="bits", ylabel=measure)
        other = axis.twinx()
        other.semilogy(bits, np.maximum(excess, 1e-7), "s--", color="#d97706", ms=4)
        other.set_ylabel("excess of the loss", color="#d97706")
    figure.legend(*axis.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=2)
    figure.savefig(path)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--plot", metavar="FILE", help="draw scores against bits")
    path = parser.parse_args().plot
    studies = [study(SVM), study(LassoRegression)]
    if path:
        plot(path, studies)


if __name__ == "__main__":
    main()
