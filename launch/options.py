"""Command-line options from dataclasses, with typed options of the chosen core and one-sentence errors.

The parsing is tyro's; this module gives it the dataclasses and turns its complaints into ``UserError``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, cast

import tyro

from launch.errors import UserError, nearest

Options = TypeVar("Options")

_NOT_A_NUMBER = {
    "a whole number": r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)",
    "a number": r"Error parsing (\S+): could not convert string to float: (.*)",
}


def parse(options: type[Options], argv: Sequence[str], *, prog: str, default: Options | None = None) -> Options:
    """Parse a command line into a dataclass; ``--help`` prints and exits.

    Args:
        options: a dataclass whose fields become options.
        argv: the words after the command.
        prog: the command, for the help.
        default: where values that are not given come from.

    Raises:
        UserError: an option is unknown, or a value cannot be used.
    """
    _check_option_names(options, argv)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return cast(Options, tyro.cli(options, args=list(argv), prog=prog, default=default))
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise UserError(_first_sentence(complaint.getvalue())) from None


def options_class(
    name: str, source: type, types: Mapping[str, Any], extra: Sequence[tuple[str, Any, Any, str]]
) -> type:
    """A dataclass for the command line that mirrors another one, with help from its docstring.

    Args:
        name: name of the new class.
        source: a dataclass with an ``Attributes:`` section.
        types: the types of those fields that differ.
        extra: further fields: name, type, default, help.
    """
    hints, texts = typing.get_type_hints(source), documented(source)
    fields: list[tuple[str, Any, Any]] = []
    for one in dataclasses.fields(source):
        kind = types.get(one.name, hints[one.name])
        has_default = one.default is not dataclasses.MISSING
        value = dataclasses.field(default=one.default) if has_default else dataclasses.field()
        fields.append((one.name, _with_help(kind, texts.get(one.name, "")), value))
    fields += [(field, _with_help(kind, text), dataclasses.field(default=value)) for field, kind, value, text in extra]
    made = dataclasses.make_dataclass(name, fields, frozen=True, kw_only=True)
    made.__doc__ = (source.__doc__ or "").partition("\n")[0]
    return made


def core_options_class(core: str) -> type:
    """A dataclass of the options of a core, with the core's defaults.

    Raises:
        memory.UnknownNameError: there is no such core.
    """
    import memory

    return _class_of_parameters(f"core {core}", memory.core_options(core), documented(memory.CORES[core]))


def task_options_class(task: str) -> type:
    """A dataclass of the options of a task's sampler, with the task's defaults.

    Raises:
        tasks.UnknownTaskError: there is no such task.
    """
    import tasks

    return _class_of_parameters(f"task {task}", tasks.task_options(task), documented(tasks.TASKS[task].sampler))


def learner_options_class(learner: str) -> type:
    """A dataclass of the options of a learner of episodes, with the learner's defaults.

    Raises:
        memory.UnknownNameError: there is no such learner.
    """
    from agents import few_shot

    return _class_of_parameters(
        f"learner {learner}", few_shot.learner_options(learner), documented(few_shot.LEARNERS[learner])
    )


def peek(argv: Sequence[str], option: str) -> str | None:
    """The value of an option before the command line is parsed, None when it is not given.

    Example:
        >>> peek(["--steps", "3", "--core=dnc"], "--core")
        'dnc'
    """
    value = None
    for index, word in enumerate(argv):
        if word == option and index + 1 < len(argv):
            value = argv[index + 1]
        elif word.startswith(option + "="):
            value = word.partition("=")[2]
    return value


def split_words(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The leading words that are no options, and the rest.

    Example:
        >>> split_words(["run", "--json"])
        (['run'], ['--json'])
    """
    count = next((index for index, word in enumerate(argv) if word.startswith("-")), len(argv))
    return list(argv[:count]), list(argv[count:])


def documented(cls: type) -> dict[str, str]:
    """The texts of a Google-style ``Args:`` or ``Attributes:`` section, by name."""
    text = inspect.getdoc(cls) or ""
    section = re.search(r"^(?:Args|Attributes):\n((?:[ ]+.*\n?|\n)+)", text, re.MULTILINE)
    if not section:
        return {}
    found: dict[str, str] = {}
    for name, words in re.findall(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)", section[1], re.MULTILINE):
        found[name] = " ".join(words.split())
    return found


def _class_of_parameters(owner: str, parameters: Mapping[str, inspect.Parameter], texts: Mapping[str, str]) -> type:
    fields = [
        (name, _with_help(_typed(one.annotation), texts.get(name, "")), dataclasses.field(default=one.default))
        for name, one in parameters.items()
    ]
    made = dataclasses.make_dataclass(f"{owner.title().replace(' ', '')}Options", fields, frozen=True)
    made.__doc__ = f"Options of the {owner}."
    return made


def _typed(kind: Any) -> Any:
    """Options of something else, whatever they are, as NAME VALUE pairs; other types as they are."""
    one_of = [one for one in typing.get_args(kind) if typing.get_origin(one) is Mapping]
    return dict[str, int | float | str] | None if one_of else kind


def _with_help(kind: Any, text: str) -> Any:
    return Annotated[kind, tyro.conf.arg(help=text)] if text else kind


Switch = tyro.conf.FlagCreatePairsOff[bool]
"""An option that is given or not: no ``--no-...`` beside it."""


def _check_option_names(options: type, argv: Sequence[str]) -> None:
    known = [*_option_names(options), "--help"]
    for word in argv:
        name = word.partition("=")[0].replace("_", "-")
        if word.startswith("--") and name not in known:
            raise UserError(f"unknown option {name!r}: {_nearest_option(name, known)}")


def _nearest_option(name: str, known: list[str]) -> str:
    group = name.partition(".")[0] + "."
    same_group = [one for one in known if one.startswith(group)]
    return nearest(name, same_group or known)


def _option_names(options: type, prefix: str = "") -> list[str]:
    names = []
    for name, kind in typing.get_type_hints(options).items():
        dashed = prefix + name.replace("_", "-")
        if dataclasses.is_dataclass(kind):
            names += _option_names(cast(type, kind), dashed + ".")
            continue
        names.append("--" + dashed)
        if kind is bool:
            names.append(f"--{prefix}no-{name.replace('_', '-')}")
    return names


def _first_sentence(box: str) -> str:
    """The first part of tyro's framed message, on one line."""
    framed = box.startswith("╭")
    blocks: list[list[str]] = [[]]
    for line in box.splitlines()[framed:]:
        if any(map(str.isalnum, line)):
            blocks[-1].append(line.strip("│ "))
        elif blocks[-1]:
            blocks.append([])
    # Where a terminal has no frames, the title is a block of its own.
    words = blocks[0 if framed else min(1, len(blocks) - 1)]
    sentence = " ".join(words).rstrip(".")
    for kind, pattern in _NOT_A_NUMBER.items():
        if found := re.fullmatch(pattern, sentence):
            return f"option {found[1]} is {found[2]}: expected {kind}"
    return sentence or "the command line cannot be read"
