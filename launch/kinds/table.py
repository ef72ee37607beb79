"""The table of kinds of training; a line here and a module of its own is all that a new kind takes."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

from lukasa.ground.registry import Registry, import_named, is_own
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


def _own(path: str, found: Any) -> Entry:
    if not isinstance(found, Kind):
        raise ValueError("expected a lukasa.launch.kinds.kind.Kind")
    return Entry(path, "")


KINDS: Registry[Entry] = Registry(
    "kind of training",
    {
        "rl": Entry(
            "lukasa.launch.kinds.rl.kind:KIND", "train a memory agent on a Gymnasium environment, with Ray RLlib"
        ),
        "task": Entry(
            "lukasa.launch.kinds.supervised.kind:KIND", "train a core on a supervised task, such as copy or bAbI"
        ),
        "few-shot": Entry(
            "lukasa.launch.kinds.few_shot.kind:KIND", "train a learner to name classes from a few examples of each"
        ),
        "questions": Entry(
            "lukasa.launch.kinds.questions.kind:KIND", "train a reader to answer questions about stored stories"
        ),
        "pointers": Entry(
            "lukasa.launch.kinds.pointers.kind:KIND",
            "train a model to point at points: hulls, triangulations, tours",
        ),
        "programs": Entry(
            "lukasa.launch.kinds.programs.kind:KIND", "train a core to run programs, from their execution traces"
        ),
        "circuits": Entry(
            "lukasa.launch.kinds.circuits.kind:KIND", "train machines that find a program for a random-access memory"
        ),
        "continual": Entry(
            "lukasa.launch.kinds.continual.kind:KIND", "train a method to learn tasks one after the other"
        ),
    },
    _own,
)
"""Kinds by the word after ``lukasa train``; kinds of others go by "package.module:NAME" there."""


def is_kind(name: str) -> bool:
    """Whether a word may name a kind: one of the table, or one of a module of others."""
    return name in KINDS or is_own(name)


@functools.cache
def kind_of(name: str) -> Kind[Any]:
    """A kind by the word after ``lukasa train``.

    Raises:
        UnknownNameError: there is none, or its module does not have it.
    """
    kind: Kind[Any] = import_named(KINDS.what, KINDS.find(name).place)
    return replace(kind, experiments=replace(kind.experiments, name=name))


def subject_of(kind: str, experiment: Any) -> Subject:
    """What an experiment of a kind is scored on."""
    return kind_of(kind).subject(experiment)
