"""Mistakes of a user, told in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMED = 40
"""Known names that a message lists."""


class UserError(Exception):
    """What was wrong, what was expected, what to do; the command line prints it and exits with code 2."""


class TrainingError(Exception):
    """Training cannot go on: what happened, where, and what is left; the command line prints it and exits with 1."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them, or as many as can be read.

    Example:
        >>> nearest("trian", ["train", "eval"])
        "did you mean 'train'?"
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED + 1 else ""
    return f"known are {', '.join(known[:MOST_NAMED] if more else known)}{more}"
