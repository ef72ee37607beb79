"""``lukasa list``: what there is."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from launch.errors import UserError, nearest
from launch.few_shot_recipes import FEW_SHOT, SEQUENCE_RECIPES
from launch.options import Switch, documented, parse, split_words
from launch.recipes import RL
from launch.task_recipes import TASK

Rows = list[dict[str, Any]]

_KINDS: tuple[tuple[Any, ...], ...] = (
    (RL, "env", "core", "steps"),
    (TASK, "task", "core", "steps"),
    (FEW_SHOT, "learner", "ways", "shots", "steps"),
)
"""Every kind, and the fields of its experiments that a list of recipes tells."""


@dataclass(frozen=True)
class ListOptions:
    """List cores, tasks, environments and recipes.

    Attributes:
        json: print one JSON object.
    """

    json: Switch = False


def main(argv: Sequence[str]) -> int:
    """Print one list, or all of them."""
    words, rest = split_words(argv)
    options = parse(ListOptions, rest, prog=f"lukasa list [{'|'.join(LISTS)}]")
    if len(words) > 1:
        raise UserError(f"lukasa list takes one name, got {' '.join(words)!r}: choose one of {', '.join(LISTS)}")
    if words and words[0] not in LISTS:
        raise UserError(f"there is no list of {words[0]!r}: {nearest(words[0], LISTS)}")
    found = {name: rows() for name, rows in LISTS.items() if not words or name == words[0]}
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    for name, rows in found.items():
        _print_table(name, rows)
    return 0


def cores() -> Rows:
    """Every memory core: its name, what it is, its options."""
    import memory

    rows = []
    for name, core in memory.CORES.items():
        rows.append(_with_options(name, core, memory.core_options(name)))
    return rows


def environments() -> Rows:
    """Every environment this project knows: id, what is to be remembered, scores, the extra that brings it."""
    import envs

    return [
        {
            "id": one.id,
            "summary": one.description,
            "score": one.score_unit,
            "chance": one.chance,
            "best": one.best,
            "extra": one.extra,
        }
        for one in envs.ENVIRONMENTS.values()
    ]


def supervised_tasks() -> Rows:
    """Every supervised task: name, what is to be remembered, scores, the paper and the data it reads."""
    import tasks

    return [
        {
            "name": one.name,
            "summary": one.description,
            "score": one.unit,
            "chance": one.chance,
            "best": one.best,
            "paper": one.paper,
            "data": one.data,
            "splits": list(one.splits),
        }
        for one in tasks.TASKS.values()
    ]


def recipes() -> Rows:
    """Every recipe: what it trains, for how many steps."""
    rows = []
    for kind, *told in _KINDS:
        for name, recipe in kind.recipes.items():
            experiment: Any = recipe()
            # Episodes that are sequences are trained as a task, by the command of few-shot episodes too.
            command = FEW_SHOT.name if name in SEQUENCE_RECIPES else kind.name
            rows.append(
                {
                    "name": name,
                    "summary": (inspect.getdoc(recipe) or "").partition("\n")[0],
                    "command": f"lukasa train {command} {name}",
                    **{field: getattr(experiment, field) for field in told},
                }
            )
    return rows


def indexes() -> Rows:
    """Every index of a sparse memory: its name, what it is, its options."""
    from memory.sparse.indexes import INDEXES, index_options

    rows = []
    for name, index in INDEXES.items():
        rows.append(_with_options(name, index, index_options(name)))
    return rows


LISTS = {
    "cores": cores,
    "tasks": supervised_tasks,
    "envs": environments,
    "recipes": recipes,
    "indexes": indexes,
}


def _with_options(name: str, made: Any, options: dict[str, inspect.Parameter]) -> dict[str, Any]:
    texts = documented(made)
    described = [
        {"name": one.name, "type": _type_name(one.annotation), "default": one.default, "help": texts.get(one.name, "")}
        for one in options.values()
    ]
    return {"name": name, "summary": (inspect.getdoc(made) or "").partition("\n")[0], "options": described}


def _type_name(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(map(str, typing.get_args(kind)))
    return getattr(kind, "__name__", str(kind))


def _print_table(title: str, rows: Rows) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for row in rows:
        name, summary, *details = (_cell(name, value) for name, value in row.items())
        table.add_row(name, f"{summary}\n[dim]{', '.join(filter(None, details))}[/dim]")
    Console().print(table, "")


def _cell(name: str, value: Any) -> str:
    if name in ("name", "id", "summary", "command"):
        return value
    if name == "options":
        return ", ".join(f"{option['name']}={option['default']}" for option in value)
    if name == "splits":
        return ""
    if isinstance(value, float):
        return f"{name} {value:g}"
    return f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" if value != "" else ""
