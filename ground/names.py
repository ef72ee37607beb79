"""Names that are not known: which one was meant, and the sentence that says so."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lukasa.ground.mistakes import UserError

MOST_NAMED = 40
"""Known names that a message lists."""


class UnknownNameError(UserError, ValueError):
    """A name that is not known; the message gives the nearest one that is."""


def nearest(name: str, known: Iterable[str], none: str = "there are none") -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them, or as many as can be read.

    Args:
        name: that is not known.
        known: all names that are.
        none: what is said where nothing is known.

    Example:
        >>> nearest("trian", ["train", "eval"])
        "did you mean 'train'?"
        >>> nearest("xyz", ["train", "eval"])
        'known are train, eval'
    """
    known = list(known)
    if near := most_like(name, known):
        return f"did you mean {near!r}?"
    more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED + 1 else ""
    return f"known are {', '.join(known[:MOST_NAMED] if more else known)}{more}" if known else none


def most_like(name: str, known: Iterable[str], least: float = 0.5) -> str | None:
    """The known name that a name is most like; None where it is like none.

    Args:
        name: that is not known.
        known: all names that are.
        least: how much alike they have to be, from 0 to 1 for the same one.

    Example:
        >>> most_like("trian", ["train", "eval"])
        'train'
    """
    return next(iter(difflib.get_close_matches(str(name), list(known), 1, cutoff=least)), None)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence about a name that is not known.

    Example:
        >>> unknown("core", "dcn", ["dnc", "ntm"])
        "unknown core 'dcn': did you mean 'dnc'?"
    """
    return f"unknown {what} {name!r}: {nearest(name, known)}"
