"""Options of what is built by name: which there are, and whether a value can be one."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Mapping
from typing import Any

from lukasa.ground.names import UnknownNameError, unknown
from lukasa.ground.registry import Registry, is_own


def options_of(build: Callable[..., Any], given: int | None = None) -> dict[str, inspect.Parameter]:
    """What a class or a function takes beside what its caller gives: by name, with default and resolved annotation.

    Args:
        build: the class or function.
        given: how many parameters its caller gives in order; all others are then options. By default, those that can
            be given by keyword alone are.

    Example:
        >>> def tower(width, height, *, colour: str = "red", floors: int = 3): ...
        >>> list(options_of(tower)), list(options_of(tower, given=1))
        (['colour', 'floors'], ['height', 'colour', 'floors'])
    """
    made: Any = build
    try:
        hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made)
    except Exception:  # names that only a type checker sees
        hints = {}
    parameters = list(inspect.signature(build).parameters.values())
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)[: 1 if given is None else 2]
    chosen = [one for one in parameters[given or 0 :] if one.kind in kinds]
    guessed = {one.name: str if one.default in (one.empty, None) else type(one.default) for one in chosen}
    return {one.name: one.replace(annotation=hints.get(one.name, guessed[one.name])) for one in chosen}


def takes_any_option(build: Callable[..., Any]) -> bool:
    """Whether it takes whatever is given by keyword."""
    return any(one.kind is one.VAR_KEYWORD for one in inspect.signature(build).parameters.values())


def check_options(owner: str, options: Mapping[str, Any], known: Mapping[str, inspect.Parameter], values: bool) -> None:
    """Refuse options that are not known, and values that they cannot have.

    Args:
        owner: what has the options, for messages: "core 'ntm'".
        options: given.
        known: as ``options_of`` gives them.
        values: whether the values are checked too; of one's own, only its author knows what they can be.

    Raises:
        UnknownNameError: an option is not known.
        ValueError: a value cannot be used.
    """
    for option, value in options.items():
        if option not in known:
            raise UnknownNameError(unknown(f"option of {owner}:", option, known))
        if values:
            check_value(f"option {option!r} of {owner}", value, known[option].annotation)


def options_by_name(known: Registry[Any], name: str, given: int) -> dict[str, inspect.Parameter]:
    """The options of one thing of a registry: name to parameter, with its default and its resolved type annotation.

    Args:
        known: the registry, of classes.
        name: its name there, or "package.module:Name" of one's own.
        given: how many parameters its caller gives in order, which of one's own are no options.

    Raises:
        UnknownNameError: there is none of that name.
    """
    return options_of(known.find(name), given=given if is_own(name) else None)


def check_options_by_name(known: Registry[Any], name: str, options: Mapping[str, Any], given: int) -> None:
    """Refuse options that one thing of a registry does not have, or values of another type.

    Args:
        known: as of ``options_by_name``, and so are ``name`` and ``given``.
        name: its name.
        options: given to it; those of one's own that takes any are its author's business.
        given: parameters that its caller gives.

    Raises:
        UnknownNameError: the name or one of the options is unknown.
        ValueError: a value is of another type, not among the choices, or a size that is not positive.
    """
    if not (is_own(name) and takes_any_option(known.find(name))):
        taken = options_by_name(known, name, given)
        check_options(f"{known.what} {name!r}", options, taken, values=not is_own(name))


def check_value(where: str, value: Any, kind: Any, size: bool = True) -> None:
    """Refuse a value of another type, one that is not among the choices, or a size that is not positive.

    Args:
        where: what it is the value of, for the message.
        value: any.
        kind: the annotation: a ``Literal``, ``bool``, ``int``, ``float`` or ``str``; others take anything.
        size: whether whole numbers are sizes, of at least 1.

    Raises:
        ValueError: it cannot be used; the message says what was expected.
    """
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        fits, expected = value in choices, f"choose one of {', '.join(map(repr, choices))}"
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = f"expected a whole number{' of at least 1' if size else ''}"
        fits, expected = {
            bool: (isinstance(value, bool), "expected True or False"),
            int: (number and isinstance(value, int) and (value >= 1 or not size), whole),
            float: (number and math.isfinite(value), "expected a finite number"),
            str: (isinstance(value, str), "expected text"),
        }.get(kind, (True, ""))
    if not fits:
        raise ValueError(f"{where} is {value!r}: {expected}")
