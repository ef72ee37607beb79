"""The fields of a sweep: ``lr=1e-3,1e-4`` lists values, ``lr=loguniform(1e-4,1e-2)`` draws them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search.sample import Domain

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest

DRAWN = {
    "uniform": tune.uniform,
    "loguniform": tune.loguniform,
    "randint": tune.randint,
    "lograndint": tune.lograndint,
}
"""What draws a number between two others, by name; ``randint`` and ``lograndint`` leave the upper one out."""

QUOTES = ("[", "{", '"', "'")
"""What a value begins with that may have commas and spaces inside."""

BETWEEN_VALUES = re.compile(r""",(?=(?:[^\[\]{}"']|\[[^\[\]]*\]|\{[^{}]*\}|"[^"]*"|'[^']*')*$)""")
"""A comma outside of brackets and quotes."""

Space = Mapping[str, list[str] | Domain]


def read_space(words: Sequence[str]) -> dict[str, list[str] | Domain]:
    """The fields and what they may be.

    Raises:
        UserError: a word cannot be read.

    Example:
        >>> read_space(["memory.slots=64,128", "lr=1e-3"])
        {'memory.slots': ['64', '128'], 'lr': ['1e-3']}
    """
    space: dict[str, list[str] | Domain] = {}
    for word in words:
        name, equals, values = word.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        if not equals or not name or not values.strip():
            raise UserError(
                f"--grid {word} cannot be read: expected FIELD=VALUE,VALUE or FIELD=loguniform(LOW,HIGH), "
                "as in lr=1e-3,1e-4"
            )
        if name in space:
            raise UserError(f"--grid names {name} twice: give all its values at once")
        space[name] = _read_values(name, values.strip())
    return space


def combinations(space: Space, samples: int, seed: int) -> list[dict[str, str]]:
    """The values of every trial: each combination of the lists, ``samples`` times.

    Sample k of a combination has the seed ``seed + k`` unless the seed is swept itself, and numbers of its own.

    Args:
        space: fields and what they may be.
        samples: of each combination.
        seed: of the first sample, and of the numbers drawn.
    """
    random = np.random.default_rng(seed)
    lists = {name: values for name, values in space.items() if not isinstance(values, Domain)}
    trials = []
    for values in itertools.product(*lists.values()):
        listed = dict(zip(lists, values, strict=True))
        for sample in range(samples):
            drawn = {name: listed.get(name) or _draw(space[name], random) for name in space}
            trials.append(drawn if "seed" in space else drawn | {"seed": str(seed + sample)})
    return trials


def as_words(values: Mapping[str, str]) -> list[str]:
    """The options that ask for these values.

    Example:
        >>> as_words({"memory.slots": "64", "augment": "false", "env_settings": "corridor 70"})
        ['--memory.slots', '64', '--augment', 'false', '--env-settings', 'corridor', '70']
    """
    words = []
    for name, value in values.items():
        group, dot, last = name.rpartition(".")
        # The settings of an environment keep their own spelling.
        words.append(f"--{group.replace('_', '-')}{dot}{last if group else last.replace('_', '-')}")
        words += [value] if value[0] in QUOTES else value.split()
    return words


def _read_values(name: str, text: str) -> list[str] | Domain:
    called = re.fullmatch(r"(\w+)\((.*)\)", text)
    if not called:
        values = [value.strip() for value in BETWEEN_VALUES.split(text)]
        if not all(values):
            raise UserError(f"--grid {name}={text} has an empty value: expected values with commas between them")
        return list(dict.fromkeys(values))
    if called[1] not in DRAWN:
        raise UserError(f"unknown distribution {called[1]!r} of {name}: {nearest(called[1], DRAWN)}")
    whole = called[1].endswith("randint")
    try:
        low, high = (int(end) if whole else float(end) for end in called[2].split(","))
    except ValueError:
        kind = "whole numbers" if whole else "numbers"
        raise UserError(
            f"--grid {name}={text} cannot be read: expected {called[1]}(LOW,HIGH) with two {kind}"
        ) from None
    if low >= high or (low <= 0 and called[1].startswith("log")):
        least = "0 < LOW < HIGH" if called[1].startswith("log") else "LOW < HIGH"
        raise UserError(f"--grid {name}={text} has no numbers in it: expected {least}")
    return DRAWN[called[1]](low, high)


def _draw(domain: Any, random: np.random.Generator) -> str:
    value = domain.sample(random_state=random)
    return str(int(value)) if isinstance(value, int | np.integer) else f"{float(value):.4g}"
