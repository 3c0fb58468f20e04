"""The caches of kernels and instances: shared, damaged, missing, not writable, they change nothing but time."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fnanneal import cache
from fnanneal.problems import instances
from fnanneal.problems.known import instances as table
from fnanneal.solvers.kernels import jit
from fnanneal.solvers.kernels.colour import greedy_colours

from .cases import timeless

EDGES = [(0, 1), (1, 2), (2, 0), (2, 3)]
SOLVE = [
    sys.executable, "-m", "fnanneal.cli.main", "solve", "nx:petersen_graph()", "--seed", "3", "--num-sweeps", "50", "--num-reads", "2", "--json",
]  # fmt: skip


def start(folder, **environment):
    environment = os.environ | {"FNANNEAL_CACHE": str(folder)} | environment
    return subprocess.Popen(SOLVE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def answer(process):
    """What a solve said, but for the times; and how long it compiled."""
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (0, b"")
    found = json.loads(stdout)
    return timeless(found), found["time"]["compile_s"]


def kernels(folder):
    return sorted(Path(folder).glob(f"kernels/*{cache.SUFFIX}"))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Two processes that find nothing and compile at the same moment."""
    folder = tmp_path_factory.mktemp("shared") / "not" / "yet"
    both = [start(folder), start(folder)]
    return folder, *(answer(process) for process in both)


def test_two_processes_compile_at_once(first):
    folder, (one, _), (two, _) = first
    assert one == two and one["objective"] == 12
    assert len({p.name.rpartition("-")[0] for p in kernels(folder)}) >= 3
    assert [p for p in folder.rglob("*") if p.is_file() and p.suffix != cache.SUFFIX] == []


def test_the_next_process_compiles_nothing(first):
    folder, (expected, slow), _ = first
    before = {p: p.stat().st_mtime_ns for p in kernels(folder)}
    found, compile_s = answer(start(folder))
    assert found == expected and compile_s < slow
    assert {p: p.stat().st_mtime_ns for p in kernels(folder)} == before


def test_damaged_kernels_are_compiled_again(first):
    folder, (expected, _), _ = first
    whole = {p: p.read_bytes() for p in kernels(folder)}
    damage = [b"", b"nonsense", pickle.dumps((1, 2, 3)), pickle.dumps(None), None]
    for k, (path, content) in enumerate(whole.items()):
        wrong = damage[k % len(damage)]
        path.write_bytes(content[:-100] if wrong is None else wrong)
    assert answer(start(folder))[0] == expected
    for path, content in whole.items():
        assert abs(path.stat().st_size - len(content)) < 0.1 * len(content), "the damaged file was replaced"


def test_a_cache_that_cannot_be_written():
    # Root may write anywhere, but nowhere below a device.
    found, _ = answer(start("/dev/null/cache"))
    assert found["objective"] == 12 and found["problem"]["n"] == 10


def graph():
    """Arguments of `greedy_colours` and what it gives: a triangle with a tail needs three colours."""
    ends = sorted([*EDGES, *((v, u) for u, v in EDGES)])
    indptr = np.searchsorted([u for u, _ in ends], np.arange(5)).astype(np.int64)
    return indptr, np.array([v for _, v in ends], np.uint32), np.arange(4, dtype=np.uint32)


COLOURS = [0, 1, 2, 0]


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """The file of a kernel compiled into an empty cache, and a maker of kernels that know it by that file only."""
    monkeypatch.setenv("FNANNEAL_CACHE", str(tmp_path))

    def made():
        return jit.kernel(greedy_colours.py_func)

    assert made()(*graph()).tolist() == COLOURS
    (path,) = kernels(tmp_path)
    return path, made


def hits(kernel):
    assert kernel(*graph()).tolist() == COLOURS
    return sum(kernel.stats.cache_hits.values())


def test_a_kernel_is_loaded_once_it_is_stored(fresh):
    path, made = fresh
    assert hits(made()) == 1
    path.unlink()
    assert hits(made()) == 0 and path.is_file()
    assert [p.name for p in path.parent.iterdir()] == [path.name], "no temporary file is left"


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"\x80\x05.", pickle.dumps(("key", b"data")), pickle.dumps([]), b"cos\nabort\n(tR."],
    ids=repr,
)
def test_a_file_that_is_no_kernel(fresh, content):
    path, made = fresh
    path.write_bytes(content)
    assert hits(made()) == 0 and hits(made()) == 1, "compiled again, and stored"


def test_a_folder_in_the_kernels_place(fresh):
    path, made = fresh
    path.unlink()
    path.mkdir()
    assert hits(made()) == 0 and path.is_dir()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("share", [0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_flipped_byte_is_noticed(fresh, share):
    # Machine code with a wrong byte would run: nothing but a digest can tell.
    path, made = fresh
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0x10
    path.write_bytes(content)
    loaded = []
    with pytest.MonkeyPatch.context() as patch:
        load = jit._Files.load
        patch.setattr(jit._Files, "load", lambda self, key: loaded.append(load(self, key)))  # seen, and not run
        assert made()(*graph()).tolist() == COLOURS
    assert loaded == [None]
    assert hits(made()) == 1, "compiled again, and stored"


def test_a_change_of_any_kernel_source_makes_other_entries(monkeypatch):
    digests = {jit._sources.__wrapped__()}
    for name in ("sweep.py", "philox.py"):
        read = Path.read_bytes
        change = lambda p, name=name, read=read: read(p) + (b" " if p.name == name else b"")
        monkeypatch.setattr(Path, "read_bytes", change)
        digests.add(jit._sources.__wrapped__())
    monkeypatch.setattr(jit.numba, "__version__", "0.0.1")
    digests.add(jit._sources.__wrapped__())
    assert len(digests) == 4


def test_an_entry_of_other_sources_is_not_run(fresh, monkeypatch):
    path, made = fresh
    monkeypatch.setattr(jit, "_sources", lambda: "others")
    assert hits(made()) == 0 and len(kernels(path.parents[1])) == 2


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """The cache file of an instance, and what the instance is."""
    monkeypatch.setenv("FNANNEAL_CACHE", str(tmp_path))
    model = instances.instance("G11")
    (path,) = tmp_path.rglob(f"*{cache.SUFFIX}")
    return path, model


def test_an_instance_is_read_from_the_cache(stored, monkeypatch):
    _, model = stored
    monkeypatch.setattr(instances.rudy, "generate", lambda text: pytest.fail("made again"))
    again = instances.instance("G11")
    assert again == model and again.couplings.rows.tolist() == model.couplings.rows.tolist()
    assert again.sha256() == table()["G11"].couplings_sha256
    with pytest.raises(ValueError, match="read-only"):
        again.couplings.weights[0] = 5


@pytest.mark.parametrize("damage", ["empty", "short", "flipped", "longer", "nonsense", "another"])
def test_damaged_instances_are_made_again(stored, damage):
    path, model = stored
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    if damage == "another":
        instances.instance("G12")
        other = next(p for p in path.parent.glob(f"*{cache.SUFFIX}") if p != path)
        wrong = other.read_bytes()
    else:
        wrong = {
            "empty": b"",
            "short": content[:-1],
            "flipped": bytes(flipped),
            "longer": content + b"x",
            "nonsense": b"x" * 500,
        }[damage]
    path.write_bytes(wrong)
    assert instances.instance("G11") == model
    assert path.read_bytes() == content


def test_instances_without_a_cache(monkeypatch):
    for folder in ("/dev/null/cache", "/proc/cache", "~nobody-by-this-name/x"):
        monkeypatch.setenv("FNANNEAL_CACHE", folder)
        assert instances.instance("G11").sha256() == table()["G11"].couplings_sha256


def test_entries(tmp_path, monkeypatch):
    monkeypatch.setenv("FNANNEAL_CACHE", str(tmp_path / "a" / "b"))
    assert cache.read("f", "x", "1") is None
    assert cache.write("f", "x", "1", b"payload") and bytes(cache.read("f", "x", "1")) == b"payload"
    assert cache.read("f", "x", "2") is None, "another stamp"
    assert cache.write("f", "x", "2", b"") and bytes(cache.read("f", "x", "2")) == b""
    assert cache.read("f", "x", "1") is None
    assert [p.name for p in (tmp_path / "a" / "b" / "f").iterdir()] == [f"x{cache.SUFFIX}"]
    monkeypatch.setenv("FNANNEAL_CACHE", "/dev/null/x")
    assert not cache.write("f", "x", "1", b"payload") and cache.read("f", "x", "1") is None and cache.clear() == 0


def test_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("FNANNEAL_CACHE", "~/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_dir() == tmp_path / "somewhere"
    monkeypatch.setenv("FNANNEAL_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_dir().name == "fnanneal"
    assert not cache.cache_dir().exists(), "asking makes nothing"
