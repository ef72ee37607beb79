"""What is one's own on the command line, named by its module: what it says about itself and its options."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.ground.options import options_of
from lukasa.ground.registry import Registry
from lukasa.launch.options.describing import describe, row_of
from lukasa.launch.options.fields import Option, documented

Options = Mapping[str, inspect.Parameter]


@dataclass(frozen=True)
class Built:
    """Things of one sort whose options are the keywords that they are made with.

    Attributes:
        what: one of them is called in a message.
        package: that has them.
        registry: name there of all of them.
        options: name there of the function that says what options one has.
    """

    what: str
    package: str
    registry: str
    options: str

    def described(self) -> dict[str, dict[str, Any]]:
        """What each says about itself."""
        things, options = self._there()
        return {name: describe(one, options(name).values()) for name, one in things.items()}

    def describe_own(self, path: str) -> dict[str, Any]:
        """What one of one's own says about itself, as ``launch.options.described.described`` says of the others.

        Raises:
            UserError: it cannot be imported, or an option of it cannot be given on a command line; so for all here.
        """
        things, options = self._there()
        found = options(path)
        return _described(f"{self.what} {path!r}", found, lambda: describe(things.find(path), found.values()))

    def _there(self) -> tuple[Registry[Any], Callable[[str], Options]]:
        package = import_module(self.package)
        return getattr(package, self.registry), getattr(package, self.options)


BUILT = {
    "cores": Built("core", "lukasa.memory", "CORES", "core_options"),
    "indexes": Built("index", "lukasa.memory.sparse.indexes", "INDEXES", "index_options"),
    "learners": Built("learner", "lukasa.agents.few_shot", "LEARNERS", "learner_options"),
    "readers": Built("reader", "lukasa.memory.readers", "READERS", "reader_options"),
    "pointers": Built("model", "lukasa.memory.pointers", "POINTERS", "pointer_options"),
    "methods": Built("method", "lukasa.agents.continual", "METHODS", "method_options"),
    "streams": Built("stream", "lukasa.tasks.continual", "STREAMS", "stream_options"),
}
"""By sort."""


def describe_own_pointing_task(path: str) -> dict[str, Any]:
    """What a pointing task says about itself."""
    from lukasa.tasks.pointing import POINTING

    found = POINTING.find(path)
    return _described(f"pointing task {path!r}", {}, lambda: {"title": found.title, **describe(found, ())})


def describe_own_questions(path: str) -> dict[str, Any]:
    """What a set of questions says about itself."""
    from lukasa.tasks.questions import QUESTION_DATA, question_data_options

    found, options = QUESTION_DATA.find(path), question_data_options(path)
    about = {"title": found.title, "unit": found.unit}
    return _described(f"questions {path!r}", options, lambda: about | describe(found.make, options.values()))


def describe_own_algorithm(path: str) -> dict[str, Any]:
    """What an algorithm of reinforcement learning says about itself."""
    from lukasa.agents import rllib  # imports Ray

    return _described(f"algorithm {path!r}", rllib.algorithm_options(path), lambda: describe_algorithm(path))


def describe_own_dataset(path: str) -> dict[str, Any]:
    """What a data set of few-shot episodes says about itself."""
    from lukasa import tasks

    found, options = tasks.find_dataset(path), tasks.dataset_options(path)
    about = {"title": found.title, "place": found.place}
    return _described(f"data set {path!r}", options, lambda: about | describe(found.make, options.values()))


def describe_own_task(path: str) -> dict[str, Any]:
    """What a supervised task says about itself."""
    from lukasa import tasks

    options = tasks.task_options(path)
    return _described(f"task {path!r}", options, lambda: describe_task(path))


def describe_task(name: str) -> dict[str, Any]:
    """What a task says: what is to be remembered, its scores and splits, its options."""
    from lukasa import tasks

    task = tasks.TASKS.find(name)
    return {
        "summary": task.description,
        "score": task.unit,
        "chance": _finite(task.chance),
        "best": _finite(task.best),
        "paper": task.paper,
        "data": task.data,
        "splits": list(task.splits),
        "options": describe(task.sampler, tasks.task_options(name).values())["options"],
    }


def describe_algorithm(name: str) -> dict[str, Any]:
    """What an algorithm says in its docstrings: itself, whether it is asynchronous, its options."""
    from lukasa.agents import rllib  # imports Ray

    return _algorithm(rllib.algorithm_class(name))


@functools.cache
def _algorithm(config: Any) -> dict[str, Any]:
    texts: dict[str, str] = {}
    for base in reversed(inspect.getmro(config.Options)):
        texts |= documented(base)
    return {
        "summary": (inspect.getdoc(config) or "").partition("\n")[0],
        "asynchronous": config.asynchronous,
        "not_taken": list(config.not_taken),
        "clip_norm": config.clip_norm,
        "options": [
            row_of(Option((one.name,), one.annotation, one.default, texts.get(one.name, "")))
            for one in options_of(config.Options, given=0).values()
        ],
    }


def _described(what: str, options: Options, says: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a thing says about itself, whose options a command line has to be able to give."""
    for name, one in options.items():
        if one.default is one.empty:
            raise UserError(f"option {name!r} of {what} has no default, which it needs here: give it one")
    try:
        return says()
    except TypeError as error:
        raise UserError(f"{what}: {str(error).partition(': add it')[0]}: use int, float, bool or str") from None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
