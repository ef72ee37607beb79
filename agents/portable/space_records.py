"""Spaces as values of JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lukasa.ground.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple, kind, named


def to_record(space: Any) -> dict[str, Any]:
    """A space, Gymnasium's or one of ``lukasa.ground.spaces``, as values of JSON.

    Raises:
        ValueError: it is of a kind that agents do not have.
    """
    found = kind(space)
    if found == "Box":
        low, high = (_numbers(bound) for bound in (space.low, space.high))
        return {"kind": found, "low": low, "high": high, "shape": list(space.shape), "dtype": str(space.dtype)}
    if found == "Discrete":
        dtype = np.dtype(np.int64 if getattr(space, "dtype", None) is None else space.dtype)
        return {"kind": found, "n": int(space.n), "start": int(space.start), "dtype": str(dtype)}
    if found == "MultiDiscrete":
        nvec, start = space.nvec.tolist(), np.asarray(space.start).tolist()
        return {"kind": found, "nvec": nvec, "start": start, "dtype": str(space.dtype)}
    if found == "MultiBinary":
        return {"kind": found, "shape": list(space.shape), "dtype": str(space.dtype)}
    if found == "Dict":
        return {"kind": found, "parts": [[name, to_record(part)] for name, part in space.items()]}
    if found == "Tuple":
        return {"kind": found, "parts": [to_record(part) for part in space]}
    raise ValueError(f"space {named(space)} is not one that an agent plays with")


def from_record(record: Mapping[str, Any]) -> Any:
    """The space of ``lukasa.ground.spaces`` that a record describes; what is none raises nearly anything."""
    found = record["kind"]
    if found == "Dict":
        return Dict({str(name): from_record(part) for name, part in record["parts"]})
    if found == "Tuple":
        return Tuple(tuple(from_record(part) for part in record["parts"]))
    dtype = np.dtype(str(record["dtype"]))
    if dtype.kind not in "biuf":
        raise ValueError(f"a space of {dtype}")
    if found == "Box":
        low, high = (_bound(record[name], tuple(record["shape"]), dtype) for name in ("low", "high"))
        return Box(low, high, dtype)
    if found == "Discrete":
        return Discrete(int(record["n"]), int(record["start"]), dtype)
    if found == "MultiDiscrete":
        return MultiDiscrete(np.asarray(record["nvec"], dtype), np.asarray(record["start"], dtype), dtype)
    if found == "MultiBinary":
        return MultiBinary(tuple(map(int, record["shape"])), dtype)
    raise ValueError(f"a space of kind {found!r}")


def _numbers(bound: np.ndarray) -> Any:
    """All numbers of a bound, flat; one where all are the same. Infinite ones as text."""
    flat = [value if np.isfinite(value) else str(value) for value in np.asarray(bound).ravel().tolist()]
    return flat[0] if flat and all(value == flat[0] for value in flat) else flat


def _bound(numbers: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    def one(value: Any) -> Any:
        return float(value) if isinstance(value, str) else value

    if isinstance(numbers, list):
        return np.array([one(value) for value in numbers], dtype).reshape(shape)
    return np.full(shape, one(numbers), dtype)
