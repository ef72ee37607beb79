"""Thousands of small arrays as a few large ones, which are saved and read at once."""

from __future__ import annotations

from typing import Any

import numpy as np

_ARRAY = "__array__"
"""First of four values that stand for an array: it, the group, the first row there, and how many; -1 for a number."""


def packed(values: Any) -> dict[str, Any]:
    """Nested dicts, lists and tuples with their arrays put together, those of one dtype and shape of rows.

    Example:
        >>> made = packed({"a": [np.arange(3), np.arange(2)], "b": 5})
        >>> made["arrays"]
        [array([0, 1, 2, 0, 1])]
        >>> unpacked(made)
        {'a': [array([0, 1, 2]), array([0, 1])], 'b': 5}
    """
    groups: dict[tuple[Any, ...], tuple[int, list[np.ndarray], list[int]]] = {}

    def walk(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            rows = value if value.ndim else value.reshape(1)
            number, parts, total = groups.setdefault((rows.dtype.str, rows.shape[1:]), (len(groups), [], [0]))
            place = (_ARRAY, number, total[0], len(rows) if value.ndim else -1)
            parts.append(rows)
            total[0] += len(rows)
            return place
        if isinstance(value, dict):
            return {name: walk(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(walk(part) for part in value)
        return value

    skeleton = walk(values)
    return {"skeleton": skeleton, "arrays": [np.concatenate(parts) for _, parts, _ in groups.values()]}


def unpacked(made: dict[str, Any]) -> Any:
    """The inverse of ``packed``; each array is a copy of its own."""
    arrays = made["arrays"]

    def walk(value: Any) -> Any:
        if isinstance(value, tuple) and len(value) == 4 and isinstance(value[0], str) and value[0] == _ARRAY:
            _, number, first, count = value
            rows = np.array(arrays[number][first : first + max(count, 1)])
            return rows.reshape(()) if count < 0 else rows
        if isinstance(value, dict):
            return {name: walk(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(walk(part) for part in value)
        return value

    return walk(made["skeleton"])
