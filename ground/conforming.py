"""Observations in the form of their space, whoever made the space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lukasa.ground.spaces import kind


class ObservationError(ValueError):
    """An environment's observation that is not one of its space; the message says what is wrong with it."""


def conform(space: Any, value: Any) -> Any:
    """A value as an element of a space: arrays of its dtype and shape, dicts with its keys in its order.

    Bounds of a box are not checked: many environments give them as a hint. Parts of spaces without an array form, such
    as texts, come back as they are.

    Args:
        space: where the value belongs.
        value: arrays, lists, tuples and numbers, nested as the space is; parts that it does not name are left out.

    Raises:
        ObservationError: it is none of the space, and cannot be taken for one without changing a number.

    Example:
        >>> import gymnasium as gym
        >>> conform(gym.spaces.Box(-1, 1, (3,)), [0, 0.5, 1])
        array([0. , 0.5, 1. ], dtype=float32)
    """
    return _conform(space, value, "")


def check_finite(part: np.ndarray) -> np.ndarray:
    """The same array, refused with a number that is not finite: a memory would keep it for good.

    Args:
        part: [n, ...], of n observations side by side.

    Raises:
        ObservationError: an observation has such a number; the message says which.

    Example:
        >>> check_finite(np.array([[0.0, 1.0], [2.0, np.nan]]))
        Traceback (most recent call last):
            ...
        lukasa.ground.conforming.ObservationError: observation 1 has the number nan: expected finite numbers
    """
    if part.dtype.kind == "f" and not np.isfinite(part).all():
        row = int(np.argmin(np.isfinite(part).reshape(len(part), -1).all(1)))
        wrong = part[row][~np.isfinite(part[row])].flat[0]
        raise ObservationError(f"observation {row} has the number {wrong}: expected finite numbers")
    return part


def earned(reward: Any, running: np.ndarray) -> np.ndarray:
    """Rewards as an agent sees them: 0 where an episode begins, for nothing was earned there.

    Args:
        reward: one number, or n; None for none.
        running: bool [n], whose episode has begun before.

    Returns:
        Float32 [n].

    Raises:
        ValueError: they are not as many, no numbers, or not finite where an episode runs.

    Example:
        >>> earned([0.5, np.nan], np.array([True, False]))
        array([0.5, 0. ], dtype=float32)
    """
    try:
        given = np.broadcast_to(np.asarray(0.0 if reward is None else reward, np.float64), running.shape)
    except (TypeError, ValueError):
        raise ValueError(f"reward is {str(reward)[:60]}: expected one number, or {len(running)}") from None
    with np.errstate(over="ignore"):
        rewards = np.where(running, given, 0.0).astype(np.float32)
    if not np.isfinite(rewards).all():
        row = int(np.argmin(np.isfinite(rewards)))
        raise ValueError(f"reward {row} is {given[row]:g}: expected a finite number, what the last action earned")
    return rewards


def _conform(space: Any, value: Any, where: str) -> Any:
    found = kind(space)
    # Numbers and arrays, which most spaces are, come first: each step of each environment passes here.
    if found in ("Box", "MultiBinary"):
        return _array(space, value, space.shape, space.dtype, where)  # pyright: ignore
    if found == "Discrete":
        return _discrete(space, value, where)
    if found == "MultiDiscrete":
        numbers = _array(space, value, space.shape, np.dtype(space.dtype), where)
        if ((numbers < space.start) | (numbers - space.start >= space.nvec)).any():
            raise _refusal(space, value, where, "each number within its range")
        return numbers
    if found == "Dict":
        if not isinstance(value, Mapping) or any(name not in value for name in space):
            raise _refusal(space, value, where, f"a dict with {', '.join(map(repr, space))}")
        return {name: _conform(part, value[name], f"{where}[{name!r}]") for name, part in space.items()}
    if found == "Tuple":
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str) or len(value) != len(space):
            raise _refusal(space, value, where, f"a tuple of {len(space)}")
        pairs = enumerate(zip(space, value, strict=True))
        return tuple(_conform(part, one, f"{where}[{index}]") for index, (part, one) in pairs)
    return value


def _discrete(space: Any, value: Any, where: str) -> Any:
    dtype, start, count = np.dtype(np.int64 if space.dtype is None else space.dtype), int(space.start), int(space.n)
    if type(value) in (int, np.int64) and 0 <= int(value) - start < count:
        return dtype.type(value)
    number = _array(space, value, (), dtype, where)
    if not 0 <= int(number) - start < count:
        raise _refusal(space, value, where, _range(space))
    return number[()]


def _array(space: Any, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == shape:
        return value
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError
        with np.errstate(over="ignore", invalid="ignore"):
            cast = array.astype(dtype)
    except (TypeError, ValueError, RuntimeError):  # ragged lists, other objects, tensors that are not on the CPU
        raise _refusal(space, value, where, f"numbers of shape {shape}") from None
    if [side for side in cast.shape if side != 1] != [side for side in shape if side != 1]:
        raise _refusal(space, value, where, f"shape {shape}, and its shape is {array.shape}")
    if dtype.kind in "biu" and array.dtype != dtype and not np.array_equal(cast, array):
        raise _refusal(space, value, where, f"whole numbers that {dtype} can hold")
    return cast.reshape(shape)


def _range(space: Any) -> str:
    return f"a whole number from {int(space.start)} to {int(space.start) + int(space.n) - 1}"


def _refusal(space: Any, value: Any, where: str, expected: str) -> ObservationError:
    shown = " ".join(repr(value).split())
    shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
    part = f" at {where}" if where else ""
    return ObservationError(
        f"the environment's observation{part} is {shown}: its space {' '.join(str(space).split())[:200]} expects "
        f"{expected}; correct the environment, or its observation_space"
    )
