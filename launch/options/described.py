"""What cores, tasks, learners, algorithms, indexes and environments there are, without importing them.

They are described by their own signatures and docstrings, which takes PyTorch, and PyTorch takes seconds to import. So
what they say is kept in a file.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.ground.registry import is_own
from lukasa.launch.options.describing import Row, describe
from lukasa.launch.options.kept_tables import kept
from lukasa.launch.options.own import (
    BUILT,
    describe_algorithm,
    describe_own_algorithm,
    describe_own_dataset,
    describe_own_pointing_task,
    describe_own_questions,
    describe_own_task,
    describe_task,
)

Table = dict[str, dict[str, Row]]

SOURCES = (
    "ground/*.py",
    "memory/**/*.py",
    "tasks/**/*.py",
    "envs/*.py",
    "agents/few_shot/*.py",
    "agents/continual/**/*.py",
    "agents/rllib/**/*.py",
    "launch/options/*.py",
)
"""Files that decide what the table says."""

SAC = (
    "RLlib's own has no module with a state (docs/rllib.md says what it would need); take ppo for continuous "
    "actions, or dqn to learn from what was sampled long ago"
)
ABSENT = {("algorithms", "sac"): SAC}
"""Names that people will look for in vain, and what to do instead."""


def described(registry: str, owner: str, name: str) -> Row:
    """What one thing says about itself.

    Args:
        registry: "cores", "tasks", "learners", "algorithms", "datasets", "indexes", "readers", "questions",
            "methods", "streams", "pointers" or "pointing".
        owner: what the thing is called in a message.
        name: its name; also "package.module:Name", but of an environment.

    Raises:
        UserError: there is none of that name; the message gives the nearest one, or says why it is missing.
    """
    if registry in OWN and is_own(name):
        return OWN[registry](name)
    known = rows(registry)
    if (registry, name) in ABSENT:
        raise UserError(f"there is no {owner} {name!r} here: {ABSENT[registry, name]}")
    if name not in known:
        raise UserError(f"unknown {owner} {name!r}: {nearest(name, known)}")
    return known[name]


def rows(registry: str) -> dict[str, Row]:
    """All things of one sort by name; read from the living ones where their package is loaded anyway."""
    source, build = REGISTRIES[registry]
    return build() if source in sys.modules else table()[registry]


@functools.cache
def table() -> Table:
    """The whole table."""
    return kept("described", SOURCES, build_table)


def build_table() -> Table:
    """Describe everything anew; imports it all."""
    return {name: build() for name, (_, build) in REGISTRIES.items()}


def _algorithms() -> dict[str, Row]:
    from lukasa.agents import rllib

    return {name: describe_algorithm(name) for name in rllib.ALGORITHMS}


def _datasets() -> dict[str, Row]:
    from lukasa import tasks

    return {
        one.name: {
            "title": one.title,
            "place": one.place,
            **describe(one.make, tasks.dataset_options(one.name).values()),
            "summary": one.description,
        }
        for one in tasks.DATASETS.values()
    }


def _tasks() -> dict[str, Row]:
    from lukasa import tasks

    return {name: describe_task(name) for name in tasks.TASKS}


def _questions() -> dict[str, Row]:
    from lukasa.tasks import questions

    return {
        one.name: {
            "title": one.title,
            "unit": one.unit,
            **describe(one.make, questions.question_data_options(one.name).values()),
            "summary": one.description,
        }
        for one in questions.QUESTION_DATA.values()
    }


def _pointing() -> dict[str, Row]:
    from lukasa.tasks.pointing import POINTING

    return {name: {"title": task.title, **describe(task, ())} for name, task in POINTING.items()}


def _programs() -> dict[str, Row]:
    from lukasa.tasks import programs

    return {
        one.name: {"summary": one.summary, "main": one.main, "programs": list(one.programs("loops", 10))}
        for one in programs.TASKS.values()
    }


def _environments() -> dict[str, Row]:
    from lukasa import envs

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


REGISTRIES: Mapping[str, tuple[str, Callable[[], dict[str, Row]]]] = {
    "cores": ("lukasa.memory", BUILT["cores"].described),
    "tasks": ("lukasa.tasks", _tasks),
    "envs": ("lukasa.envs", _environments),
    "learners": ("lukasa.agents.few_shot", BUILT["learners"].described),
    "algorithms": ("lukasa.agents.rllib", _algorithms),
    "datasets": ("lukasa.tasks", _datasets),
    "indexes": ("lukasa.memory", BUILT["indexes"].described),
    "readers": ("lukasa.memory.readers", BUILT["readers"].described),
    "questions": ("lukasa.tasks.questions", _questions),
    "methods": ("lukasa.agents.continual", BUILT["methods"].described),
    "streams": ("lukasa.tasks.continual", BUILT["streams"].described),
    "pointers": ("lukasa.memory.pointers", BUILT["pointers"].described),
    "pointing": ("lukasa.tasks.pointing", _pointing),
    "programs": ("lukasa.tasks.programs", _programs),
}
"""By sort: the package that is loaded where the living things are, and what describes them."""

OWN: Mapping[str, Callable[[str], Row]] = {
    **{sort: built.describe_own for sort, built in BUILT.items()},
    "tasks": describe_own_task,
    "algorithms": describe_own_algorithm,
    "datasets": describe_own_dataset,
    "questions": describe_own_questions,
    "pointing": describe_own_pointing_task,
}
"""What describes one of your own, "package.module:Name"; an environment of your own says what it has to Gymnasium."""
