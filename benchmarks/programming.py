"""How fast and how well ten million Gaussian weights are programmed into FN-DAM cells.

python benchmarks/programming.py --document docs/fn-dam.md
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from tables import markdown

from fnanneal.fndam import FNDAMArray

CELLS = 10_000_000
CASES: tuple[dict[str, Any], ...] = (
    {"bits": 8},
    {"bits": 8, "mismatch": 0.02},
    {"bits": 14, "mismatch": 0.02},
    {"bits": 8, "mismatch": 0.02, "read_noise": 5e-5},
    {"bits": 8, "mismatch": 0.05},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=CELLS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--document", type=Path)
    options = parser.parse_args()
    values = np.random.default_rng(1).normal(size=options.cells)
    body = []
    for case in CASES:
        began = time.perf_counter()
        report = FNDAMArray(**case).program(values, seed=1, threads=options.threads).report()
        seconds = time.perf_counter() - began
        body.append(
            [
                case["bits"], f"{case.get('mismatch', 0):.0%}", f"{1e6 * case.get('read_noise', 0):g} uV", f"{seconds:.1f}", f"{report.pulses / report.cells:.2f}",
                report.most_pulses, report.failures, f"{report.rms_error_lsb:.3f}", f"{report.effective_bits or 0:.1f}",
            ]
        )  # fmt: skip
        print(body[-1], flush=True)
    heads = [
        "bits",
        "mismatch",
        "read noise",
        "seconds",
        "pulses a cell",
        "most",
        "failures",
        "rms error [steps]",
        "effective bits",
    ]
    text = markdown(heads, body)
    print(text)
    if options.document is not None:
        before = options.document.read_text(encoding="utf-8")
        block = re.compile(r"<!-- programming -->\n.*?<!-- end -->", re.DOTALL)
        after = block.sub(lambda _: f"<!-- programming -->\n{text}\n<!-- end -->", before)
        options.document.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
