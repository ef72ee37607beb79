"""Command-line options from dataclasses, with typed options of the chosen core.

A field is an option: its name, type and default are the dataclass's, its help is in the dataclass's docstring. What a
command line says is read by ``parsing``, beside this module, and ``--help`` is printed by ``help``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import typing
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

SWITCH = "switch"
Switch = Annotated[bool, SWITCH]
"""An option that is given or not: no ``--no-...`` beside it."""


@dataclass(frozen=True)
class Help:
    """What a field says about itself in the help."""

    text: str


@dataclass(frozen=True)
class Option:
    """One option of a command line.

    Attributes:
        path: the names of the fields that lead to it, the last one its own.
        kind: type of its value.
        default: its value when it is not given.
        text: its help.
        is_switch: whether there is no ``--no-...`` beside it.
    """

    path: tuple[str, ...]
    kind: Any
    default: Any
    text: str
    is_switch: bool = False

    @property
    def name(self) -> str:
        """How it is spelt, with its dashes."""
        return "--" + ".".join(self.path).replace("_", "-")

    @property
    def negative(self) -> str | None:
        """How a boolean one is switched off."""
        if not self.is_boolean or self.is_switch:
            return None
        *group, last = (part.replace("_", "-") for part in self.path)
        return "--" + ".".join([*group, f"no-{last}"])

    @property
    def is_boolean(self) -> bool:
        """Whether it is on or off, or, while it is not given, as something else decides."""
        return self.kind in (bool, bool | None)

    @property
    def is_pairs(self) -> bool:
        """Whether NAME VALUE pairs follow it."""
        return is_mapping(self.kind)


def options_of(cls: type, default: Any, path: tuple[str, ...] = ()) -> list[Option]:
    """The options of a dataclass, those of dataclasses inside it among them.

    Args:
        cls: a dataclass.
        default: an instance of it, whose values are the defaults.
        path: the names of the fields that lead to it.
    """
    texts, found = documented(cls), []
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        marks = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
        kind = typing.get_args(hint)[0] if marks else hint
        value = getattr(default, name)
        if dataclasses.is_dataclass(kind):
            found += options_of(typing.cast(type, kind), value, (*path, name))
            continue
        text = next((mark.text for mark in marks if isinstance(mark, Help)), texts.get(name, ""))
        found.append(Option((*path, name), kind, value, text, SWITCH in marks))
    return found


def options_class(
    name: str,
    source: type,
    types: Mapping[str, Any],
    extra: Sequence[tuple[str, Any, Any, str]],
    leave_out: Container[str] = (),
) -> type:
    """A dataclass for the command line that mirrors another one, with help from its docstring.

    Args:
        name: name of the new class.
        source: a dataclass with an ``Attributes:`` section.
        types: the types of those fields that differ.
        extra: further fields: name, type, default, help.
        leave_out: fields of the source that are no options.
    """
    hints, texts = typing.get_type_hints(source, include_extras=True), documented(source)
    fields: list[tuple[str, Any, Any]] = []
    for one in dataclasses.fields(source):
        if one.name in leave_out:
            continue
        kind = types.get(one.name, hints[one.name])
        has_default = one.default is not dataclasses.MISSING
        value = dataclasses.field(default=one.default) if has_default else dataclasses.field()
        fields.append((one.name, with_help(kind, texts.get(one.name, "")), value))
    fields += [(field, with_help(kind, text), dataclasses.field(default=value)) for field, kind, value, text in extra]
    made = dataclasses.make_dataclass(name, fields, frozen=True, kw_only=True)
    made.__doc__ = (source.__doc__ or "").partition("\n")[0]
    return made


def peek(argv: Sequence[str], option: str) -> str | None:
    """The value of an option before the command line is parsed, None when it is not given.

    Example:
        >>> peek(["--steps", "3", "--core=dnc"], "--core")
        'dnc'
    """
    value = None
    for index, word in enumerate(argv):
        if word == option and index + 1 < len(argv) and not argv[index + 1].startswith("--"):
            value = argv[index + 1]
        elif word.startswith(option + "="):
            value = word.partition("=")[2]
    return value


def is_given(argv: Sequence[str], switch: str) -> bool:
    """Whether a switch is given before the command line is parsed, the last time it is named.

    Example:
        >>> is_given(["--resume"], "--resume"), is_given(["--resume=true", "--resume", "false"], "--resume")
        (True, False)
    """
    given = False
    for index, word in enumerate(argv):
        if word.partition("=")[0] == switch:
            value = word.partition("=")[2] or (argv[index + 1] if index + 1 < len(argv) else "")
            given = value.lower() != "false"
    return given


def split_words(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The leading words that are no options, and the rest.

    Example:
        >>> split_words(["run", "--json"])
        (['run'], ['--json'])
    """
    count = next((index for index, word in enumerate(argv) if word.startswith("-")), len(argv))
    return list(argv[:count]), list(argv[count:])


def documented(cls: Any) -> dict[str, str]:
    """The texts of the arguments and attributes in a docstring, by name; a dataclass has those of its bases too.

    Ours are in Google's style; a class of a user may also be in that of NumPy, Sphinx or Epydoc.
    """
    try:
        import docstring_parser
    except ImportError:  # as where there are PyTorch and NumPy alone: options work, without their texts
        return {}
    texts: dict[str, str] = {}
    inherited = reversed(cls.__mro__[1:]) if dataclasses.is_dataclass(cls) and isinstance(cls, type) else ()
    for one in (*filter(dataclasses.is_dataclass, inherited), cls):
        with contextlib.suppress(docstring_parser.ParseError):
            parsed = docstring_parser.parse(inspect.getdoc(one) or "")
            texts |= {said.arg_name: " ".join((said.description or "").split()) for said in parsed.params}
    return texts


def is_mapping(kind: Any) -> bool:
    """Whether values of a type are given as NAME VALUE pairs."""
    kinds = [kind, *typing.get_args(kind)]
    return any((typing.get_origin(one) or one) in (dict, Mapping) for one in kinds)


def with_help(kind: Any, text: str) -> Any:
    """A type with the help of the field that has it."""
    return Annotated[kind, Help(text)] if text else kind
