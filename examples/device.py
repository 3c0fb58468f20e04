"""FN-DAM cells in a few lines: a node, a weight that learns, an array that holds a graph, and what a solve on it would cost.

python examples/device.py
"""

from __future__ import annotations

import numpy as np

import fnanneal
from fnanneal import FNDAMArray
from fnanneal.energy import account, technologies
from fnanneal.fndam import DifferentialCell, Nodes, load_device


def main() -> None:
    # One node of the illustrative device: a plateau, then 1/log t.
    device = load_device("sio2")
    hours = np.array([0.1, 10, 1000, 100_000])
    volts = Nodes.of(device).voltage(3600 * hours)
    print("V(t):", ", ".join(f"{v:.4f} V after {h:g} h" for h, v in zip(hours, volts, strict=True)))

    # A weight in two nodes: pulses raise and lower it, and it forgets as 1/t.
    cell = DifferentialCell.of(device).set(8.0, 1e-2).set(8.0, 1e-2).reset(7.0, 1e-2)
    print(f"weight {1e3 * float(cell.weight):.3f} mV, a month later {1e3 * float(cell.rest(30 * 86400).weight):.3f} mV")

    # A graph's weights in an array of cells that differ by 2 %, and a solve on what is read from them.
    graph = "nx:random_regular_graph(d=6,n=500,seed=1);weights=gauss(0,1);wseed=1"
    for bits in (2, 4, 8):
        result = fnanneal.solve(graph, weights=FNDAMArray(bits=bits, mismatch=0.02), num_sweeps=1000, seed=1)
        done = result.weights["programming"]
        print(
            f"{bits} bits: cut {result.objective:.2f} of the true graph; {done['pulses']} pulses for {done['cells']} cells"
        )

    # The events of the last solve, priced under every technology.
    for name, technology in technologies().items():
        a = account(result.events, technology, real_numbers=result.energy.real_numbers)
        shown = "nothing covered" if a.joules is None else f"{a.joules:.3g} J modelled"
        print(f"{name:15} {shown}, {a.status}")
    b = result.energy.bounds
    print(f"bounds: Landauer {b.landauer:.2g} J, learning in memory (our reconstruction) {b.matched_barrier:.2g} J")


if __name__ == "__main__":
    main()
