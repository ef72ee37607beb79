"""Recipes, and the options of commands that depend on a run's kind, without importing what runs them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from lukasa.launch.kinds.kind import Kind
from lukasa.launch.kinds.table import KINDS, kind_of
from lukasa.launch.options.describing import Row, kind_of_row, row_of
from lukasa.launch.options.fields import Option, options_of
from lukasa.launch.options.kept_tables import kept

SOURCES = (
    "memory/**/*.py",
    "tasks/**/*.py",
    "envs/*.py",
    "agents/few_shot/*.py",
    "agents/questions/*.py",
    "agents/continual/**/*.py",
    "agents/pointers/*.py",
    "agents/programs/*.py",
    "agents/neural_ram/*.py",
    "launch/options/*.py",
    "launch/pictures/formats.py",
    "launch/kinds/**/*.py",
)
"""Files that decide what the table says."""

COMMANDS: dict[str, Callable[[Kind[Any]], type]] = {
    "eval": lambda kind: kind.evaluation().options,
    "plot": lambda kind: kind.pictures().options,
    "view": lambda kind: _view_options(kind),
}
"""Commands whose options depend on the kind of a run, and where they are."""


def recipes() -> dict[str, Row]:
    """Every recipe by name: what it trains, with which command, for how many steps."""
    return table()["recipes"]


def options_of_command(command: str, kind: str) -> list[Option]:
    """The options that ``lukasa eval``, ``plot`` or ``view`` has for the runs of one kind; loads nothing else."""
    found = table()["options"][command][kind]
    return [
        Option((row["name"],), kind_of_row(row), row["default"], row["help"], row.get("switch", False)) for row in found
    ]


@functools.cache
def table() -> dict[str, Any]:
    """The whole table."""
    return kept("described_kinds", SOURCES, build_table)


def _view_options(kind: Kind[Any]) -> type:
    assert kind.views is not None, kind.name  # every kind of this project has something to show
    return kind.views().options


def build_table() -> dict[str, Any]:
    """Describe everything anew; imports it all."""
    options: dict[str, dict[str, Any]] = {command: {} for command in COMMANDS}
    for command, options_class in COMMANDS.items():
        for name in KINDS:
            cls = options_class(kind_of(name))
            options[command][name] = [row_of(one) for one in options_of(cls, cls())]
    return {"recipes": _recipes(), "options": options}


def _recipes() -> dict[str, Row]:
    kinds = [kind_of(name).experiments for name in KINDS]
    # A recipe that two commands take is listed with the one that is not its own kind's, which people look for.
    taken = {recipe: kind.name for kind in kinds for recipe in kind.elsewhere}
    found = {}
    for kind in kinds:
        for name, recipe in kind.recipes.items():
            experiment: Any = recipe()
            found[name] = {
                "summary": (inspect.getdoc(recipe) or "").partition("\n")[0],
                "command": f"lukasa train {taken.get(name, kind.name)} {name}",
                **{field: getattr(experiment, field) for field in kind.shown},
            }
    return found
