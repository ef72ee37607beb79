"""Which folder may import which, and what has to import without Ray, Gymnasium and FAISS."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"ground", "memory", "tasks", "envs", "agents", "launch"}
# What each package may import of ours; each may import itself.
MAY_IMPORT = {
    "ground": set(),
    "memory": {"ground"},
    "tasks": {"ground"},
    "envs": {"ground"},
    "agents": {"ground", "memory", "tasks", "envs"},
    "launch": {"ground", "memory", "tasks", "envs", "agents"},
}
RAY_USERS = ("agents/rllib/", "launch/")
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}
# Packages that these have to do without at import time: all but torch and numpy.
PLAIN = ("memory", "tasks", "agents/policy", "agents/portable")
BLOCKED = ["ray", "gymnasium", "faiss", "popgym", "minigrid", "matplotlib", "rich", "tyro", "tensorboardX"]


@functools.cache
def sources() -> dict[str, Path]:
    """Every module of ours by its path from the root."""
    paths = [path for package in sorted(PACKAGES) for path in (ROOT / package).rglob("*.py")]
    return {path.relative_to(ROOT).as_posix(): path for path in sorted(paths)}


def name_of(called: ast.expr) -> str:
    """The last name of what is called."""
    return getattr(called, "attr", getattr(called, "id", ""))


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of the modules imported anywhere in a file, also inside functions and type checks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"lukasa.{alias.name}" for alias in node.names) if node.module == "lukasa" else (node.module,)
        elif isinstance(node, ast.Call) and name_of(node.func).endswith(("import_module", "__import__")):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


@functools.cache
def imports_of(path: Path) -> tuple[frozenset[str], int]:
    """The packages that a file imports, ours by the names of their folders; and how far relative imports climb."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    packages = frozenset(name.removeprefix("lukasa.").split(".")[0] for name in imported(tree))
    return packages, max(levels, default=0)


def modules_of(package: str) -> list[str]:
    found = [relative for relative in sources() if relative.startswith(f"{package}/")]
    names = [relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for relative in found]
    return [f"lukasa.{name}" for name in names]


def test_import_finder_sees_every_form_of_import():
    inside = "def f():\n    from gymnasium import spaces\n    importlib.import_module('faiss')\n"
    code = f"import ray.rllib\n{inside}from . import x\nfrom lukasa import envs, tasks"
    assert set(imported(ast.parse(code))) == {"ray.rllib", "gymnasium", "faiss", "lukasa.envs", "lukasa.tasks"}


@pytest.mark.parametrize("relative", sources())
def test_imports_point_one_way(relative: str):
    package, *inside = relative.split("/")
    packages, climbs = imports_of(sources()[relative])
    assert packages & PACKAGES <= {package, *MAY_IMPORT[package]}
    assert climbs <= len(inside)


@pytest.mark.parametrize("relative", [relative for relative in sources() if not relative.startswith(RAY_USERS)])
def test_ray_is_used_only_by_its_own_folders(relative: str):
    assert "ray" not in imports_of(sources()[relative])[0]


@pytest.mark.parametrize("relative", [relative for relative in sources() if relative.startswith(PLAIN)])
def test_memory_tasks_and_what_agents_play_with_never_use_gymnasium(relative: str):
    assert "gymnasium" not in imports_of(sources()[relative])[0]


@pytest.mark.parametrize("relative", [relative for relative in sources() if relative.startswith("ground/")])
def test_ground_uses_only_python_and_numpy(relative: str):
    assert imports_of(sources()[relative])[0] <= {"ground", "numpy", *sys.stdlib_module_names}


ALONE = """
import importlib, os, sys
sys.modules.update(dict.fromkeys({blocked!r}))
import numpy, torch
for package, names in {modules!r}.items():
    if not (child := os.fork()):  # which no other package was imported to
        for name in names:
            importlib.import_module(name)
        assert 'torch._dynamo' not in sys.modules, 'the compiler takes longer to import than all else together'
        os._exit(0)
    assert not os.waitpid(child, 0)[1], package
"""


def test_packages_import_with_only_torch_and_numpy():
    modules = {package: modules_of(package) for package in PLAIN}
    for package, names in modules.items():
        assert f"lukasa.{package.replace('/', '.')}" in names
    program = ALONE.format(blocked=BLOCKED, modules=modules)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_no_module_has_a_name_that_says_nothing():
    for folder in (*sorted(PACKAGES), "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix == ".py" or path.is_dir():
                assert path.stem not in NAMES_THAT_SAY_NOTHING, path.relative_to(ROOT)


def test_examples_import_by_the_names_that_users_have():
    bare = re.compile(rf"^\s*(?:>>> )?(?:import|from) (?:{'|'.join(sorted(PACKAGES))}|benchmarks)\b", re.MULTILINE)
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *sources_and_benchmarks()]
    assert {path.name for path in pages if bare.search(path.read_text(encoding="utf-8"))} <= {"old_names.py"}


def sources_and_benchmarks() -> list[Path]:
    return [*sources().values(), *(ROOT / "benchmarks").glob("*.py")]
