"""``fnanneal info``."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def info(json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Versions, processor, threads and folders: what to put into a bug report."""
    import os
    import platform

    from llvmlite import binding

    from ..cache import cache_dir
    from ..memory import available_memory
    from ..solvers import names
    from ..solvers.solve import available_threads, versions

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
        "backends": ["cpu"],
        "solvers": names(),
    }
    if json_:
        typer.echo(json.dumps(facts))
        return
    facts["memory_free"] = f"{available_memory() / 2**30:.1f} GiB"
    for key, value in facts.items():
        typer.echo(f"{key.replace('_', ' '):15} {', '.join(value) if isinstance(value, list) else value}")
