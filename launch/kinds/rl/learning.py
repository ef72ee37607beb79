"""What an experiment's algorithm takes, out of the fields of all and the group of its own, without importing Ray."""

from __future__ import annotations

import dataclasses
from typing import Any

from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.options.described import described
from lukasa.launch.options.typed import class_of_rows

PLAIN = ("minibatch_size", "epochs", "gae_lambda", "clip", "kl_target", "value_clip")
"""Fields of an experiment that are options of some algorithms only; all other options are in the group ``learning``."""


def learning_options_class(algorithm: str) -> type:
    """A dataclass of the options of an algorithm that are no fields of an experiment, with the algorithm's defaults.

    Raises:
        UserError: there is no such algorithm.
    """
    rows = described("algorithms", "algorithm", algorithm)["options"]
    return class_of_rows("algorithm", algorithm, [row for row in rows if row["name"] not in PLAIN])


def not_taken(algorithm: str) -> tuple[str, ...]:
    """The fields of an experiment that say nothing to an algorithm.

    Raises:
        UserError: there is no such algorithm.
    """
    plain = tuple(name for name in PLAIN if not takes(algorithm, name))
    return plain + tuple(described("algorithms", "algorithm", algorithm)["not_taken"])


def default_clip_norm(algorithm: str) -> float:
    """The largest norm of the gradient that an algorithm begins with.

    Raises:
        UserError: there is no such algorithm.
    """
    return described("algorithms", "algorithm", algorithm)["clip_norm"]


def takes(algorithm: str, option: str) -> bool:
    """Whether an algorithm has an option.

    Raises:
        UserError: there is no such algorithm.
    """
    return any(row["name"] == option for row in described("algorithms", "algorithm", algorithm)["options"])


def is_asynchronous(algorithm: str) -> bool:
    """Whether runners sample while it learns.

    Raises:
        UserError: there is no such algorithm.
    """
    return described("algorithms", "algorithm", algorithm)["asynchronous"]


def given_options(experiment: RLExperiment) -> dict[str, Any]:
    """What an experiment says of the options of its algorithm."""
    algorithm = experiment.algorithm
    plain = {one.name: getattr(experiment, one.name) for one in dataclasses.fields(experiment) if one.name in PLAIN}
    return {name: value for name, value in plain.items() if takes(algorithm, name)} | dict(experiment.learning)
