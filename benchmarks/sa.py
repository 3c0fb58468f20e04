"""`sa` beside dwave-samplers' simulated annealing: spin tests per second, and the cut at equal time. One thread each, in one run.

    python benchmarks/sa.py [--seconds 10] [--seeds 3] [GRAPH ...]

Speed: both anneal once with the same number of sweeps; dwave-samplers' time is its own `sampling_ns`, which leaves its model building out,
ours is `time.solve_s`. Cut: both repeat anneals until the time is up (dwave-samplers, as the peer `dwave-sa`, at 1000 and at 10000 sweeps a read);
the median over seeds is printed. `neurosa` runs its published schedule of 1e8 steps once a seed, whatever that takes. Needs the extra `ocean`.
"""

from __future__ import annotations

import argparse
import statistics

from dwave.samplers import SimulatedAnnealingSampler

import fnanneal
from fnanneal.solvers.peers.ocean import bqm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("graphs", nargs="*", default=["G22", "G81"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    sampler = SimulatedAnnealingSampler()
    heads = ("graph", "sa ns", "dwave ns", "ratio", "sa", "dwave 1k", "dwave 10k", "neurosa", "in s", "best known")
    print(" ".join(f"{head:>10}" for head in heads))
    for name in options.graphs:
        problem = fnanneal.load(name)
        assert isinstance(problem, fnanneal.MaxCut)
        model = bqm(problem)
        sweeps = 1000 if problem.n <= 5000 else 200
        ours, theirs = [], []
        fnanneal.solve(problem, "sa", num_reads=1, num_sweeps=2, seed=0)
        for k in range(5):
            r = fnanneal.solve(problem, "sa", num_reads=2, num_sweeps=sweeps, threads=1, seed=k)
            ours.append((r.time.solve_s - r.time.prepare_s) / r.events.spin_tests * 1e9)
            d = sampler.sample(model, num_reads=2, num_sweeps=sweeps, seed=k)
            theirs.append(d.info["timing"]["sampling_ns"] / (2 * sweeps * problem.n))
        a, b = statistics.median(ours), statistics.median(theirs)
        cuts: dict[str, list[float]] = {"sa": [], "1k": [], "10k": [], "neurosa": [], "s": []}
        for seed in range(1, options.seeds + 1):
            cuts["sa"].append(fnanneal.solve(problem, "sa", time_limit=options.seconds, threads=1, seed=seed).objective)
            for read, num_sweeps in (("1k", 1000), ("10k", 10000)):
                r = fnanneal.solve(problem, "dwave-sa", time_limit=options.seconds, seed=seed, num_sweeps=num_sweeps)
                cuts[read].append(r.objective)
            r = fnanneal.solve(problem, "neurosa", threads=1, seed=seed)
            cuts["neurosa"].append(r.objective)
            cuts["s"].append(r.time.solve_s)
        median = {k: statistics.median(v) for k, v in cuts.items()}
        known = problem.best_known.value if problem.best_known else "?"
        row = (
            name,
            f"{a:.2f}",
            f"{b:.2f}",
            f"{b / a:.2f}",
            *(f"{median[k]:.0f}" for k in ("sa", "1k", "10k", "neurosa")),
        )
        print(" ".join(f"{x:>10}" for x in (*row, f"{median['s']:.2f}", known)), flush=True)


if __name__ == "__main__":
    main()
