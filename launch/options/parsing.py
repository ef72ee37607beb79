"""Reads a command line into options; every mistake is one sentence."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.options.fields import Option, options_of
from lukasa.launch.options.help import Page
from lukasa.launch.options.words import read_pairs

Options = TypeVar("Options")

MOST_LISTED = 12
"""Options that a message about an unknown one lists where none is near."""


def parse(
    options: type[Options],
    argv: Sequence[str],
    *,
    prog: str,
    default: Options | None = None,
    page: Callable[[], Page] | None = None,
) -> Options:
    """Parse a command line into a dataclass; ``--help`` prints and exits.

    Args:
        options: a dataclass whose fields become options.
        argv: the words after the command.
        prog: the command, for the help.
        default: where values that are not given come from.
        page: makes the page of help; one of the command and its options by default.

    Raises:
        UserError: an option is unknown, or a value cannot be used.
    """
    default = options() if default is None else default
    if any(word in ("-h", "--help") for word in argv):
        shown = page() if page else Page(prog, (options.__doc__ or "").partition("\n")[0])
        shown.show(options_of(options, default))
        raise SystemExit(0)
    return read_options(default, options_of(options, default), argv)


def read_options(default: Options, known: Sequence[Option], argv: Sequence[str]) -> Options:
    """The options that a command line gives, on top of defaults; the last one counts where one is given twice.

    Args:
        default: a dataclass with a value for every option.
        known: its options.
        argv: words of the command line.

    Raises:
        UserError: an option is unknown, or a value cannot be used.
    """
    values: dict[tuple[str, ...], Any] = {}
    for option, word, following in _grouped(known, argv):
        if option.is_pairs:
            before = values.get(option.path, option.default)
            values[option.path] = {**(before or {}), **read_pairs(option.name, following)}
        else:
            values[option.path] = _read(option, word, following)
    return _replaced(default, values)


def _grouped(known: Sequence[Option], argv: Sequence[str]) -> list[tuple[Option, str, list[str]]]:
    """Every option that is given: itself, as it was spelt, and the words that follow it."""
    by_name = {one.name: one for one in known} | {one.negative: one for one in known if one.negative}
    found: list[tuple[Option, str, list[str]]] = []
    for word in argv:
        if not _is_option(word):
            if not found:
                raise UserError(f"unexpected word {word!r}: options begin with --")
            found[-1][2].append(word)
            continue
        name, equals, value = word.partition("=")
        name = name.replace("_", "-")
        group, dot, setting = word.partition("=")[0].partition(".")
        whole = by_name.get(group.replace("_", "-"))
        if name not in by_name and dot and setting and whole and whole.is_pairs:
            # --env-settings.corridor 70 is --env-settings corridor 70
            found.append((whole, name, [setting, *([value] if equals else [])]))
            continue
        if name not in by_name:
            raise UserError(f"unknown option {name!r}: {_nearest_option(name, list(by_name))}")
        found.append((by_name[name], name, [value] if equals else []))
    return found


def _is_option(word: str) -> bool:
    """Whether a word is an option rather than a value, which may be a negative number."""
    if word.startswith("--"):
        return True
    return len(word) > 1 and word[0] == "-" and word[1].isalpha() and word.lower() not in ("-inf", "-nan", "-infinity")


def _nearest_option(name: str, known: list[str]) -> str:
    group = name.partition(".")[0] + "."
    same_group = [one for one in known if one.startswith(group)]
    last = [one for one in known if one.rpartition(".")[2] == name.lstrip("-")]
    if "--" + name.rpartition(".")[2] in known:  # of a group whose other options have its name before them
        last = ["--" + name.rpartition(".")[2]]
    if last:
        return f"did you mean {last[0]!r}?"
    found = nearest(name, same_group or [*known, "--help"])
    return found if found.startswith("did you mean") or len(known) <= MOST_LISTED else "--help lists the options"


def _read(option: Option, word: str, following: list[str]) -> Any:
    kind, given = option.kind, following
    if option.is_boolean:
        if given not in ([], ["true"], ["false"], ["True"], ["False"]) or (given and word == option.negative):
            raise UserError(f"option {word} takes no value, got {' '.join(given)!r}: names come before the options")
        return (given[:1] or ["true"])[0].lower() == "true" and word != option.negative
    if typing.get_origin(kind) is tuple:
        if not given:
            raise UserError(f"option {word} needs one value or more")
        return tuple(_read_one(word, typing.get_args(kind)[0], one) for one in given)
    if not given:
        raise UserError(f"option {word} needs a value")
    if len(given) > 1:
        raise UserError(
            f"option {word} takes one value, got {len(given)}: {' '.join(given)}; options begin with --, "
            "and a recipe or a run comes before them"
        )
    return _read_one(word, kind, given[0])


def _read_one(name: str, kind: Any, word: str) -> Any:
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kinds = [one for one in typing.get_args(kind) if one is not type(None)]
        return None if word.lower() in ("none", "null") else _read_one(name, kinds[0], word)
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if word not in choices:
            raise UserError(f"option {name} is {word!r}: choose one of {', '.join(map(repr, choices))}")
        return word
    if kind is Path:
        return Path(_text(name, word))
    return {int: _whole, float: _number}.get(kind, _text)(name, word)


def _whole(name: str, word: str) -> int:
    try:
        return int(word)
    except ValueError:
        pass
    try:
        value = float(word)  # 1e6 steps
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value.is_integer() and abs(value) < 2**53):
        raise UserError(f"option {name} is {word[:60]!r}: expected a whole number")
    return int(value)


def _number(name: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise UserError(f"option {name} is {word[:60]!r}: expected a number") from None
    if not math.isfinite(value):
        raise UserError(f"option {name} is {word[:60]}: expected a finite number")
    return value


def _text(name: str, word: str) -> str:
    if "\0" in word:
        raise UserError(f"option {name} is {word!r}: a null character is no text")
    return word


def _replaced(default: Any, values: dict[tuple[str, ...], Any]) -> Any:
    """A dataclass with other values, given by the fields that lead to each."""
    changes: dict[str, Any] = {}
    for name in dict.fromkeys(path[0] for path in values):
        inside = {path[1:]: value for path, value in values.items() if path[0] == name and len(path) > 1}
        changes[name] = _replaced(getattr(default, name), inside) if inside else values[(name,)]
    return dataclasses.replace(default, **changes)
