"""Learners of episodes by name, with options checked before anything is built."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from lukasa.agents.few_shot.learning import Learner
from lukasa.agents.few_shot.maml import MAML
from lukasa.agents.few_shot.matching import MatchingNetwork
from lukasa.agents.few_shot.neighbours import NearestNeighbour
from lukasa.agents.few_shot.prototypical import PrototypicalNetwork
from lukasa.agents.few_shot.sequences import SequenceLearner
from lukasa.ground.options import check_options_by_name, check_value, options_by_name
from lukasa.ground.registry import Registry, subclass_of

LEARNERS: Registry[type[Learner]] = Registry(
    "learner",
    {
        "prototypical": PrototypicalNetwork,
        "matching": MatchingNetwork,
        "nearest": NearestNeighbour,
        "maml": MAML,
        "sequence": SequenceLearner,
    },
    subclass_of(Learner, "lukasa.agents.few_shot.Learner"),
)
"""Every learner by the name that ``make_learner`` and the command line know."""


def learner_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a learner: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such learner.
    """
    return options_by_name(LEARNERS, name, given=2)


def check_learner_options(name: str, options: dict[str, Any]) -> None:
    """Refuse options that a learner does not have, or values of another type.

    Raises:
        UnknownNameError: the learner or one of the options is unknown.
        ValueError: a value is of another type, not among the choices, or a size that is not positive.
    """
    check_options_by_name(LEARNERS, name, options, given=2)


def make_learner(name: str, shape: Sequence[int], ways: int, **options: Any) -> Learner:
    """Build a learner by name.

    Args:
        name: a key of ``LEARNERS``, or the import path of a learner of your own, "package.module:Class".
        shape: of one example.
        ways: classes of an episode; a learner that takes any number says so.
        **options: the learner's own options; the paper's values are the defaults.

    Raises:
        UnknownNameError: the name or an option is unknown; the message gives the nearest known one.
        ValueError: an option's value cannot be used.

    Example:
        >>> import torch
        >>> learner = make_learner("prototypical", (20, 20), 5, channels=16)
        >>> learner(torch.rand(2, 5, 1, 20, 20), torch.rand(2, 3, 20, 20)).shape
        torch.Size([2, 3, 5])
    """
    check_learner_options(name, options)
    for what, size in (("ways", ways), *(("shape", side) for side in shape)):
        check_value(f"{what} of learner {name!r}", size, int)
    build: Any = LEARNERS.find(name)
    return build(tuple(shape), ways, **options)
