"""Algorithms by name, with options checked before anything is built."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from lukasa.agents.rllib.config import MemoryAPPOConfig, MemoryIMPALAConfig, MemoryPPOConfig
from lukasa.agents.rllib.episodic import MemoryMBECConfig, MemoryMFECConfig, MemoryNECConfig
from lukasa.agents.rllib.learning_options import AlgorithmOptions
from lukasa.agents.rllib.memory_config import MemoryConfig
from lukasa.agents.rllib.reinforce import MemoryReinforceConfig
from lukasa.agents.rllib.replay.config import MemoryDQNConfig
from lukasa.ground.options import check_options, options_of
from lukasa.ground.registry import Registry, is_own


def _config(path: str, found: Any) -> type[MemoryConfig]:
    if not (isinstance(found, type) and issubclass(found, MemoryConfig)):
        raise ValueError("expected a subclass of lukasa.agents.rllib.MemoryPPOConfig, for example")
    if not (dataclasses.is_dataclass(found.Options) and callable(getattr(found.Options, "training", None))):
        raise ValueError(
            "expected Options that are a dataclass with a method training(learners), as lukasa.agents.rllib.NoOptions"
        )
    return found


ALGORITHMS: Registry[type[MemoryConfig]] = Registry(
    "algorithm",
    {
        "ppo": MemoryPPOConfig,
        "appo": MemoryAPPOConfig,
        "impala": MemoryIMPALAConfig,
        "dqn": MemoryDQNConfig,
        "nec": MemoryNECConfig,
        "mfec": MemoryMFECConfig,
        "mbec": MemoryMBECConfig,
        "reinforce": MemoryReinforceConfig,
    },
    _config,
)
"""The config of every algorithm by the name that the command line knows. All else is the config's: its ``Options``, its
learner (``get_default_learner_class``), and whether it is ``asynchronous``."""


def algorithm_class(name: str) -> type[MemoryConfig]:
    """The config class of an algorithm.

    Args:
        name: a key of ``ALGORITHMS``, or the import path of a config of one's own, "package.module:Class".

    Raises:
        UnknownNameError: there is no such algorithm, or it cannot be imported.

    Example:
        >>> algorithm_class("appo").asynchronous, algorithm_class("ppo").Options().clip
        (True, 0.2)
    """
    return ALGORITHMS.find(name)


def algorithm_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of an algorithm: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such algorithm.
    """
    return options_of(algorithm_class(name).Options, given=0)


def make_algorithm_options(name: str, **options: Any) -> AlgorithmOptions:
    """The options of an algorithm, of the right types and within their bounds.

    Args:
        name: a key of ``ALGORITHMS``, or the import path of a config of one's own, "package.module:Class".
        **options: those that shall differ from their defaults.

    Raises:
        UnknownNameError: the algorithm or an option is unknown; the message gives the nearest known one.
        ValueError: a value cannot be used.

    Example:
        >>> make_algorithm_options("impala", rho_clip=2.0).training(learners=1)
        {'vtrace_clip_rho_threshold': 2.0, 'vtrace_clip_pg_rho_threshold': 1.0}
    """
    check_options(f"algorithm {name!r}", options, algorithm_options(name), values=not is_own(name))
    try:
        return algorithm_class(name).Options(**options)
    except ValueError as error:
        raise ValueError(f"algorithm {name!r}: {error}") from None
