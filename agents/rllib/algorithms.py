"""Algorithms by name, with options checked before anything is built."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Any

from lukasa.agents.rllib.config import MemoryAPPOConfig, MemoryIMPALAConfig, MemoryPPOConfig
from lukasa.agents.rllib.learning_options import AlgorithmOptions
from lukasa.agents.rllib.memory_config import MemoryConfig
from lukasa.ground.names import UnknownNameError, unknown
from lukasa.memory.options import check_value
from lukasa.memory.registry import import_named

ALGORITHMS: dict[str, type[MemoryConfig]] = {
    "ppo": MemoryPPOConfig,
    "appo": MemoryAPPOConfig,
    "impala": MemoryIMPALAConfig,
}
"""The config of every algorithm by the name that the command line knows. All else is the config's: its ``Options``, its
learner (``get_default_learner_class``), and whether it is ``asynchronous``."""


class AlgorithmImportError(UnknownNameError):
    """An algorithm of one's own that cannot be imported; the message says why."""

    def __init__(self, path: str, reason: str):
        super().__init__(f"algorithm {path!r} {reason}")


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
    if ":" in name:
        return _imported(name)
    if name not in ALGORITHMS:
        raise UnknownNameError(unknown("algorithm", name, ALGORITHMS))
    return ALGORITHMS[name]


def _imported(path: str) -> type[MemoryConfig]:
    found = import_named(path, AlgorithmImportError)
    if not (isinstance(found, type) and issubclass(found, MemoryConfig)):
        reason = (
            "is not a config for memory agents: expected a subclass of lukasa.agents.rllib.MemoryPPOConfig, for example"
        )
        raise AlgorithmImportError(path, reason)
    if not (dataclasses.is_dataclass(found.Options) and callable(getattr(found.Options, "training", None))):
        reason = (
            "has Options that are no dataclass with a method training(learners): see NoOptions in lukasa.agents.rllib"
        )
        raise AlgorithmImportError(path, reason)
    return found


def algorithm_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of an algorithm: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such algorithm.
    """
    options = algorithm_class(name).Options
    hints = typing.get_type_hints(options)
    parameters = inspect.signature(options).parameters.values()
    return {one.name: one.replace(annotation=hints[one.name]) for one in parameters}


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
    known = algorithm_options(name)
    for option, value in options.items():
        if option not in known:
            raise UnknownNameError(unknown(f"option of algorithm {name!r}:", option, known))
        if ":" in name:  # whose values only it knows
            continue
        check_value(f"option {option!r} of algorithm {name!r}", value, known[option].annotation)
    try:
        return algorithm_class(name).Options(**options)
    except ValueError as error:
        raise ValueError(f"algorithm {name!r}: {error}") from None
