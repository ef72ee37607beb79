"""Words of the command line as values: numbers, booleans, null, lists and mappings as JSON or Python spells them.

NAME VALUE groups, such as ``--env-settings``, reach code that this project does not know, so no type says what a word
is meant to be. What is neither a number nor one of the words for true, false and nothing is text; quotes keep text that
looks like something else.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Sequence
from typing import Any

from lukasa.ground.mistakes import UserError

CONSTANTS = {"true": True, "false": False, "null": None, "none": None}
"""Words in lower case; on the command line also with a capital."""

_NOT_FINITE = re.compile(r"[+-]?\.?(inf|infinity|nan)", re.IGNORECASE)
_SWITCHES = re.compile(r"yes|no|on|off", re.IGNORECASE)
_PAIR = re.compile(r"([A-Za-z_][\w-]*)=(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w-]*")
DEEPEST = 20


def read_value(where: str, word: str) -> Any:
    """The value that a word spells.

    Args:
        where: whose value it is, for messages.
        word: of the command line.

    Raises:
        UserError: it begins like a list, a mapping or quoted text and is none, or ``config.json`` cannot hold it.

    Example:
        >>> [read_value("x", word) for word in ("False", "1e-3", "-7", "null", "4x4", '"4"', "[1, true]")]
        [False, 0.001, -7, None, '4x4', '4', [1, True]]
    """
    word = word if word[:1] in ("[", "{", '"', "'", "(") else word.strip()
    if word.lower() in CONSTANTS and word in (word.lower(), word.upper(), word.capitalize()):
        return CONSTANTS[word.lower()]
    if _NOT_FINITE.fullmatch(word):
        raise UserError(f"{where} is {word}: expected a finite number, or the text in quotes: '\"{word}\"'")
    if _SWITCHES.fullmatch(word):
        raise UserError(f"{where} is {word}: expected true or false, or the text in quotes: '\"{word}\"'")
    if word[:1] in ("[", "{", '"', "'", "("):
        return _structure(where, word)
    for kind in (int, float):
        try:
            value = kind(word)
        except ValueError:
            continue
        if not math.isfinite(value):
            raise UserError(f"{where} is {word}: it is too large for a number")
        return value
    return word


def read_pairs(option: str, words: Sequence[str]) -> dict[str, Any]:
    """The settings of a NAME VALUE group; ``NAME=VALUE`` is one word of it.

    Args:
        option: the group's name, for messages.
        words: what follows the option.

    Raises:
        UserError: a name has no value, or a value cannot be read.

    Example:
        >>> read_pairs("--env-settings", ["is_slippery", "False", "map_name=4x4"])
        {'is_slippery': False, 'map_name': '4x4'}
    """
    found: dict[str, Any] = {}
    left = list(words)
    if not left:
        raise UserError(f"option {option} needs settings: give a NAME and a VALUE")
    while left:
        first = left.pop(0)
        if pair := _PAIR.fullmatch(first):
            name, value = pair[1], pair[2]
        elif not _NAME.fullmatch(first):
            raise UserError(f"option {option} has {first!r} where the name of a setting belongs: give NAME VALUE pairs")
        elif not left:
            raise UserError(f"option {option} {first} has no value: give NAME VALUE pairs")
        else:
            name, value = first, left.pop(0)
        name = name.replace("-", "_")
        found[name] = read_value(f"option {option} {name}", value)
    return found


def as_pairs(values: dict[str, Any]) -> list[str]:
    """The words that ``read_pairs`` reads these settings from.

    Example:
        >>> as_pairs({"is_slippery": False, "map_name": "4x4", "size": "4"})
        ['is_slippery', 'false', 'map_name', '4x4', 'size', '"4"']
    """
    words = []
    for name, value in values.items():
        words += [name, as_word(value)]
    return words


def as_word(value: Any) -> str:
    """The word that ``read_value`` reads this value from."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        plain = value != "" and not value.startswith("-") and read_value("", value) == value
    except UserError:
        plain = False
    return value if plain else json.dumps(value)


def _structure(where: str, word: str) -> Any:
    expected = """expected JSON, such as '[1, 2]', '{"a": 1}' or '"text"'"""
    try:
        value = json.loads(word)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(word)  # 'text', (1, 2), True as Python spells them
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            raise UserError(f"{where} cannot be read: {word[:60]} is not complete: {expected}") from None
    return _plain(where, value, expected)


def _plain(where: str, value: Any, expected: str, depth: int = 0) -> Any:
    """The value as ``config.json`` gives it back.

    Raises:
        UserError: it holds what JSON has no word for.
    """
    if depth > DEEPEST:
        raise UserError(f"{where} is nested more than {DEEPEST} deep")
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [_plain(where, one, expected, depth + 1) for one in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(where, one, expected, depth + 1) for key, one in value.items()}
    raise UserError(f"{where} holds {value!r}: {expected}")
