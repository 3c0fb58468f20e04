"""The house: where packages live, which way imports point, and what `import fnanneal` may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import fnanneal

ROOT = Path(__file__).parents[1]
FOLDERS = ("problems", "solvers", "cli")
CORE = {
    "result",
    "qpresult",
    "interrupt",
    "run",
    "protocols",
    "memory",
    "toml",
    "errors",
    "checks",
    "cache",
    "samples",
    "checkpoint",
    "fndam",
    "energy",
    "parallel",
}
RANKS = {"core": 0, "problems": 1, "solvers": 2, "compare": 3, "cli": 4, "top": 5}
LARGEST_FILE = 420
META = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def sources():
    """Every module's dotted name with its file, under its real path: the symlinks are not followed."""
    found = {}
    for folder, package in (("fnanneal", "fnanneal"), *((f, f"fnanneal.{f}") for f in FOLDERS)):
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT / folder)
            if folder == "fnanneal" and (ROOT / folder / inside.parts[0]).is_symlink():
                continue
            parts = inside.with_suffix("").parts
            found[".".join((package, *parts))] = path
    return found


SOURCES = sources()
FOLDER_OF = {m.removesuffix(".__init__"): p.parent for m, p in SOURCES.items() if m.endswith(".__init__")}


def layer(module):
    """The layer of a dotted name in fnanneal; ``fnanneal`` itself stands above all."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] in ("__init__", "__main__"):
        return "top"
    return "core" if parts[1] in CORE else parts[1]


def imports(module, tree):
    """Absolute names of what a module imports anywhere in it, with their lines."""
    package = module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            name = ".".join(base)
            known = {f"{name}.{alias.name}" for alias in node.names}
            # "from . import x" imports the module x, not the package, where there is such a module.
            modules = {k for k in known if k in SOURCES or f"{k}.__init__" in SOURCES}
            yield from ((k, node.lineno) for k in sorted(modules))
            if modules != known:
                yield name, node.lineno


def upward(module, text):
    """Imports of a module's text that point to a higher layer."""
    mine = RANKS[layer(module)]
    return [
        (line, name)
        for name, line in imports(module, ast.parse(text))
        if name.split(".")[0] == "fnanneal" and RANKS[layer(name)] > mine
    ]


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_no_import_points_upwards(module):
    assert layer(module) in RANKS, f"{module}: give its folder a layer here"
    assert upward(module, SOURCES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("fnanneal.run", "from .problems import models"),
        ("fnanneal.run", "from . import solvers"),
        ("fnanneal.run", "import fnanneal.solvers.sa"),
        ("fnanneal.fndam.timer", "from ..problems.models import Ising"),
        ("fnanneal.fndam.__init__", "from ..cli import main"),
        ("fnanneal.problems.models", "def f():\n    from ..solvers import get"),
        ("fnanneal.problems.formats.base", "from ...cli.main import app"),
        ("fnanneal.problems.load", "from .. import solve"),
        ("fnanneal.problems.load", "from fnanneal import load"),
        ("fnanneal.solvers.kernels.jit", "from ...cli import main"),
        ("fnanneal.solvers.sa", "import fnanneal"),
    ],
)
def test_the_direction_test_bites(module, line):
    assert len(upward(module, line)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("fnanneal.cli.solve", "from ..solvers.solve import solve\nfrom ..problems import formats\nfrom ..errors import InputError"),
        ("fnanneal.solvers.kernels.jit", "from ...cache import cache_dir\nfrom .philox import TILE\nfrom .. import registry"),
        ("fnanneal.problems.instances", "from .. import cache\nfrom . import rudy\nimport numpy.problems"),
    ],
)  # fmt: skip
def test_the_direction_test_lets_pass(module, line):
    assert upward(module, line) == []


def test_no_bare_imports():
    bare = [
        (module, line)
        for module, path in SOURCES.items()
        for name, line in imports(module, ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] in FOLDERS
    ]
    assert bare == []


def test_only_the_command_line_prints():
    found = [
        (module, node.lineno)
        for module, path in SOURCES.items()
        if layer(module) != "cli"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
        and (getattr(node, "id", "") in ("print", "input", "breakpoint") or getattr(node, "attr", "") in ("stdout", "stderr"))
    ]  # fmt: skip
    assert found == []


def test_no_file_is_too_long():
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCES.values()}
    assert {path: k for path, k in lengths.items() if k > LARGEST_FILE} == {}


def test_every_module_says_what_it_is():
    for module, path in SOURCES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not tree.body or ast.get_docstring(tree), f"{module} has no docstring"


@pytest.mark.parametrize("name", FOLDERS)
def test_no_top_level_leak(name, tmp_path):
    code = f"import importlib.util as u; print(u.find_spec({name!r}))"
    out = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "None"


@pytest.mark.parametrize("name", FOLDERS)
def test_one_folder_two_names(name):
    link = ROOT / "fnanneal" / name
    assert link.is_symlink() and str(link.readlink()) == f"../{name}"
    assert not (ROOT / name).is_symlink()
    module = __import__(f"fnanneal.{name}", fromlist=["x"])
    assert Path(module.__file__).resolve() == ROOT / name / "__init__.py"


def test_every_package_is_declared():
    tool = META["tool"]["setuptools"]
    on_disk = {m.removesuffix(".__init__") for m in SOURCES if m.endswith(".__init__")}
    assert on_disk == set(tool["packages"])
    with_files = {m.rpartition(".")[0] for m in SOURCES}
    assert with_files == on_disk, "a folder of modules has no __init__.py"
    assert tool["package-dir"] == {"fnanneal": "fnanneal"} | {f"fnanneal.{f}": f for f in FOLDERS}


def test_every_data_file_is_declared():
    declared = {
        path
        for package, patterns in META["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in FOLDER_OF[package].glob(pattern)
    }
    on_disk = {
        path
        for folder in ("fnanneal", *FOLDERS)
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
        and not (folder == "fnanneal" and path.relative_to(ROOT / folder).parts[0] in FOLDERS)
    }  # fmt: skip
    assert declared == on_disk


def test_public_names():
    lazy = {*fnanneal._WHERE, *fnanneal._MODULES}
    assert len(fnanneal.__all__) == len(set(fnanneal.__all__)) and set(fnanneal.__all__) == lazy == set(dir(fnanneal))
    for name in fnanneal.__all__:
        assert getattr(fnanneal, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        fnanneal.nonsense  # noqa: B018


def test_type_checkers_see_the_same_names():
    """The imports under TYPE_CHECKING are those that `__getattr__` makes."""
    tree = ast.parse(SOURCES["fnanneal.__init__"].read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {}
    for node in block.body:
        for alias in node.names:
            assert alias.asname == alias.name
            seen[alias.name] = f".{node.module}" if node.module else "."
    assert seen == fnanneal._WHERE | dict.fromkeys(fnanneal._MODULES, ".")


@pytest.mark.parametrize("statement", ["import fnanneal", "import fnanneal.cli.main"])
def test_imports_are_cheap(statement):
    heavy = ("numpy", "numba", "scipy", "networkx", "rich.console")
    code = f"{statement}; import sys; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_version():
    assert version("fnanneal") == META["project"]["version"]


def test_python_versions_agree():
    lowest = META["project"]["requires-python"].removeprefix(">=")
    assert META["tool"]["ruff"]["target-version"] == "py" + lowest.replace(".", "")
    assert f"Programming Language :: Python :: {lowest}" in META["project"]["classifiers"]
