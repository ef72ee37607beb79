"""The page that ``--help`` prints: examples first, then the options in groups."""

from __future__ import annotations

import shutil
import sys
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lukasa.launch.options.fields import Option

WIDEST = 110
"""Columns of a page on a terminal that has more."""

NAMES = 30
"""Columns of the options' names; a longer one has a line of its own."""

VALUES = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
"""What stands for a value of a type."""


@dataclass(frozen=True)
class Page:
    """The help of one command.

    Attributes:
        prog: the command and its words.
        summary: what it does, in one sentence.
        examples: command lines that work, with what each does.
        sections: titles, and the fields whose options come under each; others come under ``rest``.
        rest: title of the options that no section names.
        last: sections that come after the rest.
    """

    prog: str
    summary: str
    examples: Sequence[tuple[str, str]] = ()
    sections: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rest: str = "Options"
    last: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def show(self, options: Sequence[Option]) -> None:
        """Print it on stdout."""
        print("\n".join(self.lines(options)))

    def show_each(self, parts: Mapping[str, Sequence[Option]]) -> None:
        """Print it on stdout with the options of several parts, each under its title."""
        lines = [f"{self.prog} [--option value ...]", *self.lines(())[1:]]
        for title, options in parts.items():
            lines += ["", _title(title)]
            for option in options:
                lines += _entry(option, self.width)
        print("\n".join(lines))

    @property
    def width(self) -> int:
        """Columns of the page."""
        return min(WIDEST, shutil.get_terminal_size().columns)

    def lines(self, options: Sequence[Option]) -> list[str]:
        """The lines of the page, as wide as the terminal."""
        width = self.width
        usage = self.prog + (" [--option value ...]" if options else "")
        lines = [usage, "", *textwrap.wrap(sentence(self.summary), width)]
        if self.examples:
            longest = max(len(command) for command, _ in self.examples)
            lines += ["", _title("Examples")]
            for command, does in self.examples:
                beside = f"  {command:<{longest}}  # {does}"
                lines.append(beside if len(beside) <= width else f"  {command}")
        for title, some in self.grouped(options):
            lines += ["", _title(title)]
            for option in some:
                lines += _entry(option, width)
        return lines

    def grouped(self, options: Sequence[Option]) -> list[tuple[str, list[Option]]]:
        """The options of every section that has any, in the order of the page."""
        named = {name for names in (*self.sections.values(), *self.last.values()) for name in names}
        of = {
            title: [one for name in names for one in options if one.path[0] == name]
            for title, names in (*self.sections.items(), *self.last.items())
        }
        others = [one for one in options if one.path[0] not in named]
        titles = [*self.sections, self.rest, *self.last]
        return [(title, some) for title in titles if (some := of.get(title, others))]


def sentence(text: str) -> str:
    """A text with a capital letter and a full stop.

    Example:
        >>> sentence("learning rate of Adam")
        'Learning rate of Adam.'
    """
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".:?!" else ".")


def value_name(kind: Any) -> str:
    """What stands for the value of an option in its help.

    Example:
        >>> value_name(int | None), value_name(tuple[str, ...]), value_name(dict[str, Any])
        ('N', 'TEXT ...', 'NAME VALUE ...')
        >>> value_name(Literal["png", "pdf"] | None)
        'png|pdf'
    """
    if kind is bool:
        return ""
    if typing.get_origin(kind) is Literal:
        return "|".join(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return f"{value_name(typing.get_args(kind)[0])} ..."
    if kind in VALUES:
        return VALUES[kind]
    inner = [one for one in typing.get_args(kind) if one is not type(None)]
    if typing.get_origin(kind) in (types.UnionType, typing.Union) and len(inner) == 1:
        return value_name(inner[0])
    return "NAME VALUE ..."


def shown_default(option: Option) -> str:
    """The default as it would be given, empty where there is none worth showing."""
    value = option.default
    if value is None or value in ("", ()) or value == {} or (option.is_switch and value is False):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        from lukasa.launch.options.words import as_pairs

        return " ".join(as_pairs(dict(value)))
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _entry(option: Option, width: int) -> list[str]:
    negative = f", {option.negative}" if option.negative else ""
    head = f"  {option.name}{negative} {value_name(option.kind)}".rstrip()
    default = shown_default(option)
    text = sentence(option.text) + (f" [{default}]" if default else "")
    body = textwrap.wrap(text, max(30, width - NAMES - 2), break_long_words=False, break_on_hyphens=False) or [""]
    indent = " " * (NAMES + 2)
    if len(head) <= NAMES:
        return [f"{head:<{NAMES + 2}}{body[0]}".rstrip(), *(indent + line for line in body[1:])]
    return [head, *(indent + line for line in body if line)]


def _title(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text
