"""benchmarks/gpu.py, rehearsed without a GPU: all of it runs, and it notices spins that differ."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fnanneal
from fnanneal.solvers.cuda import finding

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import gpu

    return gpu


def test_a_rehearsal(on_device, gpu, capsys, tmp_path):
    store = tmp_path / "gpu.jsonl"
    assert gpu.main(["--minutes", "5", "--store", str(store)], small=True) == 0
    said = capsys.readouterr().out
    assert "2 of 2 runs are bit-identical" in said and "Ceilings of this run" in said and "| NO |" not in said
    assert "ensemble, GPU" in said and "simulated-bifurcation" in said
    assert {"equal", "rate", "reach"} <= {row["kind"] for row in gpu.Store(store).rows()}


def test_a_difference_is_counted(on_device, gpu, monkeypatch):
    solve = fnanneal.solve

    def other(problem, solver, *, backend, **settings):
        r = solve(problem, solver, backend="cpu", **settings)
        spins = -r.spins if backend == "cuda" else r.spins
        return SimpleNamespace(spins=spins, states=r.states, energy=r.energy, objective=r.objective, time=r.time)

    monkeypatch.setattr(fnanneal, "solve", other)
    bench = gpu.Bench(on_device, np.inf, None)
    assert list(gpu.equality(bench, gpu.SMALL))[-1].strip().startswith("0 of 2 runs")


def test_what_there_is_no_time_for_is_named(on_device, gpu, capsys):
    assert gpu.main(["--minutes", "0"], small=True) == 0
    assert "Left out: equality of ensemble on nx:cycle_graph(12)" in capsys.readouterr().out


def test_without_a_gpu(gpu, monkeypatch, capsys):
    monkeypatch.setattr(finding, "find", lambda: finding.Found(reason="no NVIDIA driver here"))
    assert gpu.main([]) == 2
    assert capsys.readouterr().err == "no GPU can be used: no NVIDIA driver here\n"


LISTING = """
\t.section\t.text.two,"ax",@progbits
.text.two:
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/                   LDG.E R2, desc[UR4][R2.64] ;
.L_x_0:
        /*0020*/                   IADD3 R2, R2, 0x1, RZ ;
        /*0030*/               @P0 BRA `(.L_x_0) ;
        /*0040*/              @!P1 BRA `(.L_x_1) ;
        /*0050*/                   EXIT ;
.L_x_2:
        /*0060*/                   BRA `(.L_x_2);
"""


def test_loops_are_found_and_nested(gpu):
    from instructions import loops

    assert loops(LISTING) == {"two": [(2, 4, ["IADD3", "BRA"]), (1, 5, ["LDG", "IADD3", "BRA", "BRA"])]}


def test_a_peer_without_a_target_is_given_twice_the_time(on_device, gpu, monkeypatch):
    given = []

    def peer(problem, seconds, seed):
        given.append(seconds)
        return np.where(np.arange(problem.n) % 2 == (seconds > 0.05), 1, -1) if seconds > 0.05 else np.ones(problem.n)

    monkeypatch.setattr(gpu, "bifurcation", peer)
    bench = gpu.Bench(on_device, np.inf, None)
    lines = list(gpu.reach(bench, "nx:cycle_graph(12)", 12, 0.64))
    assert "simulated-bifurcation, GPU | 0.08 s, 0.08 s" in lines[-1]
    assert given[:4] == pytest.approx([0.01, 0.02, 0.04, 0.08])
