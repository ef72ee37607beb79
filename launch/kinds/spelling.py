"""The command line that asks for an experiment: the recipe, and every option that differs from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from lukasa.launch.kinds.kind import Experiments, option_name


def words_for(kind: Experiments[Any], recipe: str | None, experiment: Any) -> list[str]:
    """The words after ``lukasa`` that ask for an experiment.

    Args:
        kind: what can be asked of its kind of training.
        recipe: that it was made from; None for the defaults.
        experiment: what was asked.

    Example:
        >>> from dataclasses import replace
        >>> from lukasa.launch.kinds.table import kind_of
        >>> kind = kind_of("task").experiments
        >>> words_for(kind, "copy_ntm", replace(kind.make("copy_ntm"), steps=9, seed=3))
        ['train', 'task', 'copy_ntm', '--steps', '9', '--seed', '3']
    """
    base = kind.make(recipe)
    words = ["train", kind.name, *([recipe] if recipe else [])]
    for one in dataclasses.fields(experiment):
        now, then = getattr(experiment, one.name), getattr(base, one.name)
        group, option = kind.groups.get(one.name), option_name(one.name)
        if group and group.options:
            chosen, before = getattr(experiment, group.chosen_by), getattr(base, group.chosen_by)
            defaults = dataclasses.asdict(group.options(chosen)())
            words += _parts(option, {**defaults, **now}, {**defaults, **(then if chosen == before else {})})
        elif dataclasses.is_dataclass(now) and not isinstance(now, type):
            words += _parts(option, dataclasses.asdict(now), dataclasses.asdict(then))
        elif isinstance(now, Mapping):
            pairs = [word for name, value in now.items() if then.get(name) != value for word in (name, _spelt(value))]
            words += [option, *pairs] if pairs else []
        elif now != then:
            words += _option(option, now)
    return words


def _parts(option: str, now: Mapping[str, Any], then: Mapping[str, Any]) -> Iterator[str]:
    for name, value in now.items():
        if _plain(value) != _plain(then.get(name)):
            yield from _option(f"{option}.{name.replace('_', '-')}", value)


def _plain(value: Any) -> Any:
    """JSON knows no tuples."""
    return list(value) if isinstance(value, tuple) else value


def _option(option: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        group, _, last = option.rpartition(".")
        return [option if value else f"{group}.no-{last}" if group else f"--no-{option.removeprefix('--')}"]
    return [option, *(map(_spelt, value) if isinstance(value, list | tuple) else [_spelt(value)])]


def _spelt(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
