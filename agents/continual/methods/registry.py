"""Methods by name, with options checked before anything is built."""

from __future__ import annotations

import inspect
from typing import Any

from lukasa.agents.continual.methods.class_memory import ClassesInMemory
from lukasa.agents.continual.methods.distillation import Distillation
from lukasa.agents.continual.methods.elastic import ElasticWeights
from lukasa.agents.continual.methods.method import Method, Setting
from lukasa.agents.continual.methods.plain import FineTuning, Joint
from lukasa.agents.continual.methods.progressive import Progressive
from lukasa.agents.continual.methods.rehearsal import Rehearsal
from lukasa.agents.continual.methods.sparse_update import SparseUpdate
from lukasa.ground.names import UnknownNameError, unknown
from lukasa.ground.options import check_value, options_by_name
from lukasa.ground.registry import Registry, subclass_of

METHODS: Registry[type[Method]] = Registry(
    "method",
    {
        "fine_tuning": FineTuning,
        "joint": Joint,
        "rehearsal": Rehearsal,
        "distillation": Distillation,
        "ewc": ElasticWeights,
        "progressive": Progressive,
        "sparse_update": SparseUpdate,
        "class_memory": ClassesInMemory,
    },
    subclass_of(Method, "lukasa.agents.continual.Method"),
)
"""Every method by the name that ``make_method`` and the command line know."""


def method_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a method: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such method.
    """
    return options_by_name(METHODS, name, given=1)


def make_method(name: str, setting: Setting, **options: Any) -> Method:
    """A method by name.

    Args:
        name: a key of ``METHODS``, or the import path of a method of your own, "package.module:Class".
        setting: what it learns.
        **options: its own options.

    Raises:
        UnknownNameError: the name or an option is unknown; the message gives the nearest known one.
        ValueError: an option's value cannot be used, or not with this stream.
    """
    known = method_options(name)
    for option, value in options.items():
        if option not in known:
            raise UnknownNameError(unknown(f"option of method {name!r}:", option, known))
        check_value(f"option {option!r} of method {name!r}", value, known[option].annotation, size=False)
    build: Any = METHODS.find(name)
    return build(setting, **options)
