"""What is one's own on the command line, named by its module: what it says about itself and its options."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.ground.options import options_of
from lukasa.launch.options.describing import describe, row_of
from lukasa.launch.options.fields import Option, documented

Options = Mapping[str, inspect.Parameter]


def describe_own_core(path: str) -> dict[str, Any]:
    """What a core of one's own says about itself, as ``launch.options.described.described`` says of the others.

    Raises:
        UserError: it cannot be imported, or an option of it cannot be given on a command line. So for all others here.
    """
    from lukasa import memory

    options = memory.core_options(path)
    return _described(f"core {path!r}", options, lambda: describe(memory.core_class(path), options.values()))


def describe_own_index(path: str) -> dict[str, Any]:
    """What an index of a sparse memory says about itself."""
    from lukasa.memory.sparse.indexes import INDEXES, index_options

    options = index_options(path)
    return _described(f"index {path!r}", options, lambda: describe(INDEXES.find(path), options.values()))


def describe_own_learner(path: str) -> dict[str, Any]:
    """What a learner of few-shot episodes says about itself."""
    from lukasa.agents import few_shot

    options = few_shot.learner_options(path)
    return _described(f"learner {path!r}", options, lambda: describe(few_shot.LEARNERS.find(path), options.values()))


def describe_own_reader(path: str) -> dict[str, Any]:
    """What a reader of stories says about itself."""
    from lukasa.memory.readers import READERS, reader_options

    options = reader_options(path)
    return _described(f"reader {path!r}", options, lambda: describe(READERS.find(path), options.values()))


def describe_own_pointer(path: str) -> dict[str, Any]:
    """What a model that points says about itself."""
    from lukasa.memory.pointers import POINTERS, pointer_options

    options = pointer_options(path)
    return _described(f"model {path!r}", options, lambda: describe(POINTERS.find(path), options.values()))


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


def describe_own_method(path: str) -> dict[str, Any]:
    """What a method of learning a stream of tasks says about itself."""
    from lukasa.agents.continual import METHODS, method_options

    options = method_options(path)
    return _described(f"method {path!r}", options, lambda: describe(METHODS.find(path), options.values()))


def describe_own_stream(path: str) -> dict[str, Any]:
    """What a stream of tasks says about itself."""
    from lukasa.tasks.continual import STREAMS, stream_options

    options = stream_options(path)
    return _described(f"stream {path!r}", options, lambda: describe(STREAMS.find(path), options.values()))


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
