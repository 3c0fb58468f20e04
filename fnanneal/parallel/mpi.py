"""The ranks of an MPI job as an executor: rank 0 gives out the tasks, the others run them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from ..errors import InputError

COMMAND = "mpiexec -n RANKS python -m mpi4py.futures -m fnanneal ..."


@contextmanager
def mpi_executor() -> Iterator[Executor]:
    """The other ranks of the job that this process was started in. A rank that dies ends the whole job: there is no retry.

    Raises
    ------
    InputError
        Where mpi4py is not installed, or the program was not started as `COMMAND`.
    """
    try:
        from mpi4py.futures import MPIPoolExecutor, _core
    except ImportError as e:
        raise InputError('--executor mpi needs mpi4py and an MPI: pip install "fnanneal[mpi]"') from e
    from mpi4py import MPI

    # Without its launcher mpi4py would start processes of its own, in every rank.
    if getattr(_core, "SharedPool", None) is None or MPI.COMM_WORLD.Get_size() < 2:
        raise InputError(f"--executor mpi needs two ranks or more, started as: {COMMAND}")
    executor = MPIPoolExecutor()
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()
