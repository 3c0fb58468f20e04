"""Work on many processes or machines, through any `concurrent.futures.Executor`.

`open_executor` makes one from what the user writes (processes of this machine, a Dask cluster, MPI), `run_tasks` runs tasks on it and runs those anew whose worker died, and
`guarded` ends a worker's process that hangs.
"""

from __future__ import annotations

from .opening import describe as describe
from .opening import open_executor as open_executor
from .opening import slots as slots
from .processes import Processes as Processes
from .tasks import Done as Done
from .tasks import WorkerDied as WorkerDied
from .tasks import is_worker_death as is_worker_death
from .tasks import run_tasks as run_tasks
from .watchdog import guarded as guarded
from .watchdog import process_token as process_token
