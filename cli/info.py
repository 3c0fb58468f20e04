"""``fnanneal info``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

_LABELS = {"gpus": "GPUs", "no_gpu": "no GPU", "cuda_driver": "driver's CUDA", "cupy": "CuPy"}


def info(json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Versions, processor, GPUs, threads and folders: what to put into a bug report."""
    import os
    import platform

    from llvmlite import binding

    from ..cache import cache_dir
    from ..memory import available_memory
    from ..parallel.cores import available_threads
    from ..solvers import names
    from ..solvers.cuda import finding
    from ..solvers.solve import versions

    found = finding.find()
    features = binding.get_host_cpu_features()
    simd = next((f for f in ("avx512bw", "avx2", "neon", "sse2") if features.get(f)), "none")
    folder = cache_dir()
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    facts = {
        **versions(),
        "platform": platform.platform(),
        "processor": binding.get_host_cpu_name(),
        "simd": simd,
        "threads": available_threads(),
        "memory_free": available_memory(),
        "cache": str(folder),
        "cache_writable": os.access(parent, os.W_OK),
        "jit": os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0"),
        "backends": ["cpu", "cuda"] if found.devices else ["cpu"],
        "gpus": finding.gpus(),
        "no_gpu": found.reason,
        "cuda_driver": None if found.driver is None else ".".join(map(str, found.driver)),
        "cupy": found.cupy,
        "solvers": names(),
    }
    if json_:
        typer.echo(json.dumps(facts))
        return
    facts["memory_free"] = f"{available_memory() / 2**30:.1f} GiB"
    facts["gpus"] = [
        f"{g['name']} ({g['memory'] / 2**30:.1f} GiB, compute capability {g['compute_capability']})"
        for g in finding.gpus()
    ]
    for key, value in facts.items():
        if value is not None and value != []:
            typer.echo(
                f"{_LABELS.get(key, key.replace('_', ' ')):15} {', '.join(value) if isinstance(value, list) else value}"
            )
