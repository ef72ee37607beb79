"""Examples in docstrings run, and every public name says what it is."""

import ast
import doctest
import importlib
import inspect
import itertools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ground", "memory", "tasks", "envs", "agents", "launch", "benchmarks")


def module_name(path: Path) -> str:
    """What a file of ours is imported as."""
    return ".".join(("lukasa", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
WITH_EXAMPLES = [module_name(path) for path in SOURCES if ">>> " in path.read_text(encoding="utf-8")]
WITH_PUBLIC_NAMES = [module_name(path) for path in SOURCES if path.name == "__init__.py"]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_run(name, monkeypatch, tmp_path):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    failed, attempted = doctest.testmod(module)
    assert (failed, attempted > 0) == (0, True)


@pytest.mark.parametrize("name", WITH_PUBLIC_NAMES)
def test_every_public_name_has_a_docstring(name):
    package = importlib.import_module(name)
    assert package.__doc__
    for public in getattr(package, "__all__", ()):
        value = getattr(package, public)
        if inspect.isclass(value) or inspect.isroutine(value):
            # A dataclass without a docstring gets its signature for one.
            written = inspect.getdoc(value) or ""
            assert written.strip(), public
            assert not written.startswith(f"{public}("), public
        else:
            assert has_text_below(package, public), public


def has_text_below(package, public):
    """Whether a string follows the assignment of a value, which has no docstring of its own."""
    for path in Path(package.__file__).parent.rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, following in itertools.pairwise(body):
            if isinstance(node, ast.Assign | ast.AnnAssign) and ast.unparse(node).startswith(
                (f"{public} =", f"{public}:")
            ):
                return isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
    return False


@pytest.mark.parametrize("package", PACKAGES)
def test_types_are_for_users_too(package):
    assert (ROOT / package / "py.typed").is_file()
    assert "py.typed" in (ROOT / "setup.py").read_text(encoding="utf-8")
