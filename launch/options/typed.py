"""Options that another option decides about: of a core, a task or a learner, with its own defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

from lukasa.launch.options.described import described
from lukasa.launch.options.describing import Row, kind_of_row
from lukasa.launch.options.fields import with_help

OWNERS = {
    "cores": "core",
    "tasks": "task",
    "learners": "learner",
    "datasets": "data set",
    "readers": "reader",
    "questions": "set of questions",
    "pointers": "model that points",
    "methods": "method",
    "streams": "stream of tasks",
}
"""What one of a sort is called, by the sort's name in ``lukasa list``."""


def option_classes(sort: str, elsewhere: Collection[str] = ()) -> Callable[[str], type]:
    """What makes, of the name of one of a sort, a dataclass of its options with its defaults.

    It raises a ``UserError`` where there is none of that name.

    Args:
        sort: a key of ``OWNERS``.
        elsewhere: options that are given in another way, and have no field.

    Example:
        >>> option_classes("cores")("gru")().size
        128
    """

    def options_class(name: str) -> type:
        rows = described(sort, OWNERS[sort], name)["options"]
        return class_of_rows(OWNERS[sort], name, [row for row in rows if row["name"] not in elsewhere])

    return options_class


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
