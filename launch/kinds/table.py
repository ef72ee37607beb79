"""The table of kinds of training; a line here and a module of its own is all that a new kind takes."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass, replace
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.kinds.kind import Kind
from lukasa.launch.kinds.subjects import Subject


@dataclass(frozen=True)
class Entry:
    """Where a kind is, and one line of help.

    Attributes:
        place: "module:NAME" of its ``Kind``, imported when it is first asked for.
        summary: what its command does.
    """

    place: str
    summary: str


KINDS = {
    "rl": Entry("lukasa.launch.kinds.rl.kind:KIND", "train a memory agent on a Gymnasium environment, with Ray RLlib"),
    "task": Entry(
        "lukasa.launch.kinds.supervised.kind:KIND", "train a core on a supervised task, such as copy or bAbI"
    ),
    "few-shot": Entry(
        "lukasa.launch.kinds.few_shot.kind:KIND", "train a learner to name classes from a few examples of each"
    ),
}
"""Kinds by the word after ``lukasa train``; kinds of others go by "package.module:NAME" there."""


def is_kind(name: str) -> bool:
    """Whether a word may name a kind: one of the table, or one of a module of others."""
    return name in KINDS or ":" in name


@functools.cache
def kind_of(name: str) -> Kind[Any]:
    """A kind by the word after ``lukasa train``.

    Raises:
        UserError: there is none, or its module does not have it.
    """
    if not is_kind(name):
        raise UserError(
            f"there is no kind of training {name!r}: {nearest(name, KINDS)}; others' are package.module:NAME"
        )
    module, _, attribute = (KINDS[name].place if name in KINDS else name).partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        missing = f"kind {name!r} needs the module {error.name!r}, which is neither in this folder nor installed"
        raise UserError(missing) from None
    except AttributeError:
        wanted = "give package.module:NAME of a lukasa.launch.kinds.kind.Kind"
        raise UserError(f"module {module!r} has no {attribute!r}: {wanted}") from None
    if not isinstance(kind, Kind):
        raise UserError(f"{name} is a {type(kind).__name__}: expected a lukasa.launch.kinds.kind.Kind")
    return replace(kind, experiments=replace(kind.experiments, name=name))


def subject_of(kind: str, experiment: Any) -> Subject:
    """What an experiment of a kind is scored on."""
    return kind_of(kind).subject(experiment)
