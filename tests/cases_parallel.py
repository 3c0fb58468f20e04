"""Tasks for the tests of fnanneal.parallel: workers import them from here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from fnanneal import parallel


class Odd(Exception):
    """Pickles, and then does not load."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def square(x):
    return x * x


def divide(x):
    return 12 // x


def odd(x):
    raise Odd(x, x)


def leave(code):
    sys.exit(code)


def unpicklable(x):
    return lambda: x


def speak(x):
    """On every way out that there is."""
    print("print")
    os.write(1, b"C\n")
    os.write(2, b"x" * x)
    return x


def die(code):
    os.write(2, b"last words\n")
    os._exit(code)


def kill_once(task):
    """The square, from the second run on: the first one, of tasks below 0, kills the worker in its middle."""
    number, folder = task
    if number < 0:
        try:
            (Path(folder) / str(number)).touch(exist_ok=False)
        except FileExistsError:
            return number * number
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def kill_below(number):
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def about():
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return os.getpid(), cores, os.environ["OMP_NUM_THREADS"], threading.current_thread() is threading.main_thread()


def where(name):
    """A file that says which process is at work, there whole or not at all."""
    path = Path(name)
    part = path.with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.rename(path)


def hold(name):
    where(name)
    time.sleep(600)


def hold_the_interpreter(name):
    where(name)
    sum(range(10**13))


def hold_a_child(name):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        Path(name).with_suffix(".part").write_text(str(child.pid))
        Path(name).with_suffix(".part").rename(name)
        child.wait()


def hang(coordinator):
    parallel.guarded(0.3, coordinator, sum, range(10**13))


def hang_or_square(task):
    coordinator, x = task
    return parallel.guarded(0.3, coordinator, square, x) if x else hang(coordinator)


def in_time(coordinator):
    """The watchdog of a call that is over does not bite."""
    parallel.guarded(1.0, coordinator, square, 3)
    time.sleep(1.3)
    return os.getpid()


def guarded_pid(coordinator):
    """Too long for the watchdog, if it is awake."""
    return parallel.guarded(0.05, coordinator, sleepy, 0.3)


def sleepy(seconds):
    time.sleep(seconds)
    return os.getpid()


def where_and_wait(task):
    name, signal_file = task
    where(name)
    wait_for(signal_file)
    return name


def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.01)
    return name
