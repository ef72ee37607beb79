"""What cores, tasks, learners, indexes and environments there are, and their options, without importing them.

They are described by their own signatures and docstrings, which takes PyTorch, and PyTorch takes seconds to import. So
what they say is kept in a file, as Python keeps compiled modules: it is made when it is first asked for, and made anew
when a source file it was made from has changed.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
import math
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from launch.errors import UserError, nearest
from launch.kind_table import KINDS as KINDS_OF_TRAINING
from launch.kind_table import kind_of
from launch.kinds import Kind
from launch.options import Option, documented, is_mapping, options_of
from launch.own_cores import describe_own_core

Row = dict[str, Any]
Table = dict[str, dict[str, Row]]

SOURCES = (
    "memory/**/*.py",
    "tasks/*.py",
    "envs/*.py",
    "agents/few_shot/*.py",
    "launch/described.py",
    "launch/evaluate*.py",
    "launch/plot*.py",
    "launch/*recipes.py",
    "launch/kind*.py",
    "launch/*experiment.py",
    "launch/curricula.py",
)
"""Files that decide what the table says."""

KINDS: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "int | None": int | None,
    "float | None": float | None,
    "str | None": str | None,
    "tuple[int, ...]": tuple[int, ...],
    "tuple[str, ...]": tuple[str, ...],
    "settings": dict[str, Any] | None,
}
"""Types that an option may have beside choices, by their spelling in the table."""

COMMANDS: dict[str, Callable[[Kind[Any]], type]] = {
    "eval": lambda kind: kind.evaluation().options,
    "plot": lambda kind: kind.pictures().options,
}
"""Commands whose options depend on the kind of a run, and where they are."""


def described(registry: str, owner: str, name: str) -> Row:
    """What one thing says about itself.

    Args:
        registry: "cores", "tasks", "learners" or "indexes".
        owner: what the thing is called in a message.
        name: its name; of a core also "package.module:Class".

    Raises:
        UserError: there is none of that name; the message gives the nearest one.
    """
    if registry == "cores" and ":" in name:
        return describe_own_core(name)
    known = rows(registry)
    if name not in known:
        raise UserError(f"unknown {owner} {name!r}: {nearest(name, known)}")
    return known[name]


def rows(registry: str) -> dict[str, Row]:
    """All things of one sort by name; read from the living ones where their package is loaded anyway."""
    source, build = REGISTRIES[registry]
    return build() if source in sys.modules else table()[registry]


def kind_of_row(row: Row) -> Any:
    """The type of an option in the table."""
    if "choices" not in row:
        return KINDS[row["type"]]
    choice: Any = Literal[tuple(row["choices"])]
    return choice | None if row.get("optional") else choice


def options_of_command(command: str, kind: str) -> list[Option]:
    """The options that ``lukasa eval`` or ``plot`` has for the runs of one kind, without loading what runs it."""
    found = table()[command][kind]["options"]
    return [
        Option((row["name"],), kind_of_row(row), row["default"], row["help"], row.get("switch", False)) for row in found
    ]


@functools.cache
def table() -> Table:
    """The whole table, from the file where it is up to date."""
    made_from = fingerprint()
    for place in places():
        try:
            kept = json.loads(place.read_text())
            if kept["made_from"] == made_from:
                return kept["table"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    made = build_table()
    _keep(json.dumps({"made_from": made_from, "table": made}))
    return made


def build_table() -> Table:
    """Describe everything anew; imports it all."""
    found: Table = {name: build() for name, (_, build) in REGISTRIES.items()}
    for command, options_class in COMMANDS.items():
        found[command] = {}
        for kind in KINDS_OF_TRAINING:
            cls = options_class(kind_of(kind))
            found[command][kind] = {"options": [_row_of(one) for one in options_of(cls, cls())]}
    return json.loads(json.dumps(found))


def fingerprint() -> str:
    """Changes when a source file does, or this Python."""
    digest = hashlib.sha256(sys.version.encode())
    root = Path(__file__).resolve().parents[1]
    for pattern in SOURCES:
        for path in sorted(root.glob(pattern)):
            status = path.stat()
            digest.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode())
    return digest.hexdigest()


def places() -> list[Path]:
    """Where the table is looked for: beside the compiled modules, and where those cannot be written, in the cache."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    name = f"described.{sys.implementation.cache_tag}.json"
    return [Path(__file__).parent / "__pycache__" / name, caches / "lukasa" / name]


def _keep(text: str) -> None:
    for place in places():
        beside = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(text)
            os.replace(beside, place)
        except OSError:
            continue
        return


def _cores() -> dict[str, Row]:
    import memory

    return {name: describe(core, memory.core_options(name).values()) for name, core in memory.CORES.items()}


def _learners() -> dict[str, Row]:
    from agents import few_shot

    options = few_shot.learner_options
    return {name: describe(learner, options(name).values()) for name, learner in few_shot.LEARNERS.items()}


def _indexes() -> dict[str, Row]:
    from memory.sparse.indexes import INDEXES, index_options

    return {name: describe(index, index_options(name).values()) for name, index in INDEXES.items()}


def _tasks() -> dict[str, Row]:
    import tasks

    return {
        one.name: {
            "summary": one.description,
            "score": one.unit,
            "chance": _finite(one.chance),
            "best": _finite(one.best),
            "paper": one.paper,
            "data": one.data,
            "splits": list(one.splits),
            "options": describe(one.sampler, tasks.task_options(one.name).values())["options"],
        }
        for one in tasks.TASKS.values()
    }


def _environments() -> dict[str, Row]:
    import envs

    return {
        one.id: {
            "summary": one.description,
            "score": one.score_unit,
            "chance": one.chance,
            "best": one.best,
            "extra": one.extra,
        }
        for one in envs.ENVIRONMENTS.values()
    }


def _recipes() -> dict[str, Row]:
    kinds = [kind_of(name).experiments for name in KINDS_OF_TRAINING]
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


REGISTRIES: Mapping[str, tuple[str, Callable[[], dict[str, Row]]]] = {
    "cores": ("memory", _cores),
    "tasks": ("tasks", _tasks),
    "envs": ("envs", _environments),
    "learners": ("agents.few_shot", _learners),
    "indexes": ("memory", _indexes),
    "recipes": ("tasks", _recipes),
}
"""By sort: the package that is loaded where the living things are, and what describes them."""


def describe(made: Any, parameters: Iterable[inspect.Parameter]) -> Row:
    """What a class says in its docstring and its parameters."""
    texts = documented(made)
    options = [_row_of(Option((one.name,), one.annotation, one.default, texts.get(one.name, ""))) for one in parameters]
    return {"summary": (inspect.getdoc(made) or "").partition("\n")[0], "options": options}


def _row_of(option: Option) -> Row:
    row: Row = {"name": option.path[-1], **_spelled(option.kind), "default": option.default, "help": option.text}
    if dataclasses.is_dataclass(option.default) or len(option.path) > 1:
        raise TypeError(f"option {option.name} is nested, which the table of options has no place for")
    return row | ({"switch": True} if option.is_switch else {})


def _spelled(kind: Any) -> Row:
    one_of = [one for one in typing.get_args(kind) if one is not type(None)]
    if typing.get_origin(kind) in (typing.Union, types.UnionType) and len(one_of) == 1:
        row = _spelled(one_of[0])
        if "choices" in row:
            return row | {"type": f"{row['type']}|None", "optional": True}
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        return {"type": "|".join(map(str, choices)), "choices": list(choices)}
    if is_mapping(kind):
        return {"type": "settings"}
    for name, known in KINDS.items():
        if kind == known:
            return {"type": name}
    raise TypeError(f"an option of type {kind} has no spelling on the command line: add it to launch.described.KINDS")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
