"""The rooms of launch, and what may import what: nothing runs up, and nothing in a circle."""

import ast
from pathlib import Path

import pytest

from tests.house import arrows, between_rooms, circles, imports, modules, room

ROOT = Path(__file__).resolve().parents[2]
FLOORS = (
    {"lukasa.launch.options"},
    {"lukasa.launch.runs", "lukasa.launch.clusters"},
    {"lukasa.launch.ray", "lukasa.launch.ray.sharded"},
    {"lukasa.launch.kinds", "lukasa.launch.serving"},
    {"lukasa.launch.pictures"},
    {"lukasa.launch.views"},
    {"lukasa.launch.comparing"},
    {"lukasa.launch.training"},
    {
        "lukasa.launch.kinds.rl",
        "lukasa.launch.kinds.supervised",
        "lukasa.launch.kinds.questions",
        "lukasa.launch.kinds.continual",
        "lukasa.launch.kinds.pointers",
        "lukasa.launch.kinds.programs",
        "lukasa.launch.kinds.circuits",
        "lukasa.launch.sweeps",
        "lukasa.launch.campaigns",
    },
    {
        "lukasa.launch.kinds.few_shot",
        "lukasa.launch.trained",
        "lukasa.launch.campaigns.claims",
        "lukasa.launch.campaigns.popgym",
    },
    {"lukasa.launch.cli"},
    {"lukasa.launch.__main__", "lukasa.launch.train"},
)
"""From the ground up; a room imports from its own floor only itself, and otherwise from lower ones."""
KINDS = ("rl", "supervised", "few_shot", "questions", "pointers", "programs", "circuits", "continual")
FILES_OF_A_KIND = {"experiment", "recipes", "kind", "job", "evaluation", "pictures", "views"}


@pytest.fixture(scope="module")
def graph():
    """The imports between modules of launch; its front, ``lukasa.launch`` itself, is for users alone."""
    return {name: others for name, others in arrows(ROOT, ("launch",)).items() if name != "lukasa.launch"}


def test_every_room_has_its_floor(graph):
    assert {room(name) for name in graph} == set().union(*FLOORS)


def test_no_import_runs_up(graph):
    height = {one: number for number, rooms in enumerate(FLOORS) for one in rooms}
    for one, others in between_rooms(graph).items():
        for other in others:
            beside = {one, other} <= {"lukasa.launch.ray", "lukasa.launch.ray.sharded"}
            assert beside or height[other] < height[one], f"{one} imports {other}, which is not below it"


def test_no_modules_import_one_another(graph):
    assert circles(graph) == []
    assert circles(arrows(ROOT)) == []


def test_circles_would_be_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]


def test_imports_are_seen_wherever_they_are(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("import a\nif TYPE_CHECKING:\n    from b import c\ndef f():\n    from d.e import g\n")
    assert imports(file, {"a", "b", "b.c", "d.e", "x"}) == {"a", "b.c", "d.e"}


def test_rooms_of_kinds_are_alike():
    for kind in KINDS:
        files = {path.stem for path in (ROOT / "launch" / "kinds" / kind).glob("*.py")}
        assert files >= FILES_OF_A_KIND, kind


def test_only_lukasa_bench_knows_the_benchmarks():
    graph = arrows(ROOT)
    users = {name for name, others in graph.items() if any(one.startswith("lukasa.benchmarks") for one in others)}
    assert all(name.startswith("lukasa.benchmarks") for name in users)
    named = {
        name
        for name, path in modules(ROOT).items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("lukasa.benchmarks.")
    }
    assert {name for name in named if not name.startswith("lukasa.benchmarks")} <= {"lukasa.launch.cli.bench"}
