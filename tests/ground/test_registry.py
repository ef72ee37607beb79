"""Registries: by name, by package.module:Name, and one sentence for what cannot be found."""

import sys

import pytest

from lukasa import envs, memory, tasks
from lukasa.agents.few_shot import LEARNERS
from lukasa.ground.names import UnknownNameError
from lukasa.ground.registry import Registry, import_named, subclass_of
from lukasa.launch.kinds.table import KINDS
from lukasa.memory.sparse.indexes import INDEXES

MODULE = """
class Shape:
    class Square:
        sides = 4


class Round(Shape):
    pass


number = 3
"""
REGISTRIES = [memory.CORES, tasks.TASKS, tasks.DATASETS, envs.ENVIRONMENTS, LEARNERS, INDEXES, KINDS]


class Base:
    pass


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "shapes.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("x = 1\nx / 0\n")
    (tmp_path / "script.py").write_text("raise SystemExit\n")
    (tmp_path / "needy.py").write_text("import nothing_like_it\n")
    (tmp_path / "wrong.py").write_text("def (\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("shapes", "broken", "script", "needy", "wrong"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.what)
def test_every_sort_is_one_and_refuses_in_one_way(registry):
    name = next(iter(registry))
    assert registry.find(name) is registry[name]
    with pytest.raises(UnknownNameError, match=f"^unknown {registry.what} '{name}x': did you mean '"):
        registry.find(f"{name}x")
    with pytest.raises(UnknownNameError, match=f"^{registry.what} 'nowhere.at_all:X': there is no module 'nowhere'"):
        registry.find("nowhere.at_all:X")
    with pytest.raises(UnknownNameError, match=f"^{registry.what} 'shapes:number' is a int: expected "):
        registry.find("shapes:number")
    with pytest.raises(ValueError, match=f"^there is a {registry.what} '{name}' already"):
        registry.register(name, registry[name])
    with pytest.raises(ValueError, match="a name has no colon"):
        registry.register("a:b", registry[name])


def test_registered_ones_are_found():
    registry = Registry("base", {"plain": Base}, subclass_of(Base, "tests.Base"))
    registry.register("other", Base)
    assert dict(registry) == {"plain": Base, "other": Base}
    assert registry.find("other") is Base
    with pytest.raises(UnknownNameError, match=r"^base 'shapes:Round' is Round: expected a subclass of tests\.Base$"):
        registry.find("shapes:Round")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("shapes:Rount", r"module 'shapes' has no 'Rount': did you mean 'Round'\?"),
        ("shapes:xyz", "module 'shapes' has no 'xyz': give package.module:Name of one that it has"),
        ("shapes:Shape.Sqare", "module 'shapes' has no 'Shape.Sqare': did you mean 'Square'"),
        ("shape:Round", "there is no module 'shape' to import: start in the folder that holds it, or install it"),
        ("broken:x", r"its module 'broken' cannot be imported: ZeroDivisionError: .* \(broken.py, line 2\)$"),
        ("script:x", "its module 'script' cannot be imported: SystemExit"),
        ("needy:x", r"its module 'needy' cannot be imported: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("wrong:x", "its module 'wrong' cannot be imported: SyntaxError"),
        *((path, "expected package.module:Name") for path in (":", "a:", ":b", "a:b:c", "../a:b", "a.py/b:c", ".a:b")),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(path, message):
    with pytest.raises(UnknownNameError, match=f"^shape '{path}': {message}") as refused:
        import_named("shape", path)
    assert "\n" not in str(refused.value)


def test_names_inside_a_class_are_found():
    assert import_named("shape", "shapes:Shape.Square").sides == 4
