"""Options that another option decides about: of a core, a task or a learner, with its own defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from lukasa.launch.options.described import described
from lukasa.launch.options.describing import Row, kind_of_row
from lukasa.launch.options.fields import with_help


def core_options_class(core: str) -> type:
    """A dataclass of the options of a core, with the core's defaults.

    Raises:
        UserError: there is no such core.
    """
    return _class_of_rows("core", "cores", core)


def task_options_class(task: str) -> type:
    """A dataclass of the options of a task's sampler, with the task's defaults.

    Raises:
        UserError: there is no such task.
    """
    return _class_of_rows("task", "tasks", task)


def learner_options_class(learner: str) -> type:
    """A dataclass of the options of a learner of episodes, with the learner's defaults.

    Raises:
        UserError: there is no such learner.
    """
    return _class_of_rows("learner", "learners", learner)


def dataset_options_class(dataset: str, elsewhere: Collection[str] = ()) -> type:
    """A dataclass of the options of a data set of few-shot episodes, with the data set's defaults.

    Args:
        dataset: its name.
        elsewhere: options that are given in another way, and have no field.

    Raises:
        UserError: there is no such data set.
    """
    return _class_of_rows("data set", "datasets", dataset, elsewhere)


def reader_options_class(reader: str) -> type:
    """A dataclass of the options of a reader of stories, with the reader's defaults.

    Raises:
        UserError: there is no such reader.
    """
    return _class_of_rows("reader", "readers", reader)


def question_options_class(questions: str) -> type:
    """A dataclass of the options of a set of questions, with the set's defaults.

    Raises:
        UserError: there is no such set.
    """
    return _class_of_rows("set of questions", "questions", questions)


def pointer_options_class(model: str) -> type:
    """A dataclass of the options of a model that points, with the model's defaults.

    Raises:
        UserError: there is no such model.
    """
    return _class_of_rows("model that points", "pointers", model)


def method_options_class(method: str) -> type:
    """A dataclass of the options of a method of learning a stream of tasks, with the method's defaults.

    Raises:
        UserError: there is no such method.
    """
    return _class_of_rows("method", "methods", method)


def stream_options_class(stream: str) -> type:
    """A dataclass of the options of a stream of tasks, with the stream's defaults.

    Raises:
        UserError: there is no such stream.
    """
    return _class_of_rows("stream of tasks", "streams", stream)


def _class_of_rows(owner: str, registry: str, name: str, elsewhere: Collection[str] = ()) -> type:
    rows = [row for row in described(registry, owner, name)["options"] if row["name"] not in elsewhere]
    return class_of_rows(owner, name, rows)


def class_of_rows(owner: str, name: str, rows: Sequence[Row]) -> type:
    """A dataclass of options.

    Args:
        owner: what has them.
        name: of the owner.
        rows: of the table of options.
    """
    fields = [
        (
            row["name"],
            with_help(kind_of_row(row), row["help"]),
            dataclasses.field(default=tuple(row["default"]) if isinstance(row["default"], list) else row["default"]),
        )
        for row in rows
    ]
    made = dataclasses.make_dataclass(f"{owner.title().replace(' ', '')}{name.title()}Options", fields, frozen=True)
    made.__doc__ = f"Options of the {owner} {name}."
    return made
