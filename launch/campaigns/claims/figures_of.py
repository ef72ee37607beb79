"""A figure out of what ``lukasa eval --json`` printed, by its path."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

_PART = re.compile(r"(?P<name>[^.\[\]]+)(\[(?P<where>[^\]]*)\])?")


def look_up(values: Mapping[str, Any], path: str) -> float:
    """A number inside a JSON object; of a list, how long it is.

    Args:
        values: the object.
        path: names with dots between; ``NAME[KEY=VALUE,KEY=VALUE]`` is the first entry of a list whose keys have these
            values.

    Raises:
        KeyError: there is no such number; the message is the path as far as it leads.

    Example:
        >>> rows = [{"length": 10, "bits": 0.5}, {"length": 20, "bits": None}]
        >>> found = {"score": 1, "lengths": rows, "exact": [3, 6]}
        >>> look_up(found, "score"), look_up(found, "lengths[length=10].bits"), look_up(found, "exact")
        (1.0, 0.5, 2.0)
        >>> look_up(found, "lengths[length=20].bits")
        Traceback (most recent call last):
        KeyError: 'lengths[length=20].bits'
    """
    here: Any = values
    gone = ""
    for part in _PART.finditer(path):
        gone += ("." if gone else "") + part[0]
        here = here.get(part["name"]) if isinstance(here, Mapping) else None
        if part["where"] is not None:
            wanted = [one.partition("=")[::2] for one in part["where"].split(",")]
            entries = here if isinstance(here, Sequence) else []
            here = next((one for one in entries if all(_has(one, *pair) for pair in wanted)), None)
        if here is None:
            raise KeyError(gone)
    if isinstance(here, list):
        return float(len(here))
    if not isinstance(here, int | float) or not math.isfinite(here):
        raise KeyError(gone)
    return float(here)


def _has(entry: Any, key: str, value: str) -> bool:
    """Whether an entry of a list has a value, as Python or as JSON writes it."""
    return isinstance(entry, Mapping) and key in entry and value in (str(entry[key]), json.dumps(entry[key]))
