"""Observations and actions of an episode as panels of a picture.

Dimensions: T steps, F features, H, W and C height, width and channels of an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

import gymnasium as gym
import numpy as np
import tree

from lukasa.launch.pictures.episode_panels import Features, Frames, Panel, Rewards, Symbols
from lukasa.launch.pictures.tape_panels import tape_panels

SMALLEST_IMAGE = 5
"""Pixels at a side from which on an array is an image rather than a table of numbers."""
MOST_NUMBERED_ROWS = 8


def episode_panels(env: Any, episode: Any) -> list[Panel]:
    """Observations, actions and rewards of an episode.

    Args:
        env: where it was played.
        episode: what ``lukasa.agents.rllib.rollout`` returned.
    """
    seen = tree.map_structure(lambda values: values[: episode.length], episode.observations)
    # what happened on tapes says more than the cells that were seen
    tapes = tape_panels(env.get_wrapper_attr("tape_trace")()) if env.has_wrapper_attr("tape_trace") else []
    how = "terminated" if episode.terminated else "cut off" if episode.limited else "truncated"
    return [
        *(tapes or observation_panels(env, seen)),
        *action_panels(env, episode.actions),
        Rewards(episode.rewards, f"{how} after {episode.length:,} steps"),
    ]


def observation_panels(env: gym.Env, observations: Any, label: str = "observation") -> list[Panel]:
    """Images as frames, whole numbers as coloured cells, others as rows; parts of a Dict or Tuple one by one.

    An environment that has a method ``observation_picture``, itself or in a wrapper, says how what it shows looks.

    Args:
        env: the environment, for its spaces and names.
        observations: [T, ...], nested as its space is.
        label: what they are called.
    """
    if env.has_wrapper_attr("observation_picture"):
        picture = env.get_wrapper_attr("observation_picture")
        return [Frames(label, np.stack([picture(one) for one in _each(observations)]))]
    names = getattr(env.unwrapped, "observation_names", ())
    return _panels(env.observation_space, observations, label, names)


def _each(observations: Any) -> Iterator[Any]:
    """Observations one by one, of [T, ...]; of a Dict or Tuple with all of its parts."""
    if isinstance(observations, dict):
        yield from (dict(zip(observations, one, strict=True)) for one in _each(tuple(observations.values())))
    elif isinstance(observations, tuple):
        yield from zip(*map(_each, observations), strict=True)
    else:
        yield from observations


def _panels(space: Any, values: Any, label: str, names: Sequence[str] = ()) -> list[Panel]:
    """Panels of values [T, ...]; a part of a Dict goes by its key, one of a Tuple by its place."""
    if isinstance(values, dict | tuple | list):
        parts = values.items() if isinstance(values, dict) else enumerate(values)
        return [
            panel
            for key, part in parts
            for panel in _panels(space[key], part, key if isinstance(key, str) else f"{label} {key}")
        ]
    values = np.asarray(values)
    image = as_images(values)
    if image is not None:
        return [Frames(label, image)]
    if np.issubdtype(values.dtype, np.integer) and values.size == len(values):
        counted = not np.any(getattr(space, "start", 0))  # an array in a MultiDiscrete
        return [Symbols(label, values.reshape(-1), names if counted else ())]
    flat = values.reshape(len(values), -1).astype(np.float64)
    limits = (0.0, 1.0) if flat.size and np.isin(flat, (0.0, 1.0)).all() else None
    numbers = [f"{at}" for at in range(flat.shape[1])] if 1 < flat.shape[1] <= MOST_NUMBERED_ROWS else ()
    return [Features(label, flat, names if len(names) == flat.shape[1] else numbers, limits)]


def as_images(values: np.ndarray) -> np.ndarray | None:
    """Observations as images that can be drawn, [T, H, W] or [T, H, W, 3]; None where they are none.

    A stack of grey frames, first or last, is drawn by its newest; other numbers than bytes are spread from their
    smallest to their largest.

    Args:
        values: [T, ...].
    """
    if values.ndim == 3 and min(values.shape[1:]) >= SMALLEST_IMAGE:
        images = values
    elif values.ndim == 4 and min(values.shape[1:3]) >= SMALLEST_IMAGE and values.shape[3] <= 4:
        images = values[..., :3] if values.shape[3] >= 3 else values[..., -1]
    elif values.ndim == 4 and min(values.shape[2:]) >= SMALLEST_IMAGE and values.shape[1] <= 4:
        images = values[:, -1] if values.shape[1] != 3 else values.transpose(0, 2, 3, 1)
    else:
        return None
    if images.dtype == np.uint8:
        return images
    low, high = float(np.nanmin(images)), float(np.nanmax(images))
    return np.nan_to_num((images.astype(np.float64) - low) / ((high - low) or 1))


def action_panels(env: gym.Env, actions: Any) -> list[Panel]:
    """Actions by name where the environment has names for them; parts of a Dict or Tuple one by one.

    Args:
        env: the environment.
        actions: [T, ...], as it took them, nested as its space is.
    """
    return _panels(env.action_space, actions, "action", action_names(env))


def action_names(env: gym.Env) -> tuple[str, ...]:
    """What the actions are called, by number: MiniGrid's and Atari's own names, ``action_names`` of any other."""
    own, count = env.unwrapped, getattr(env.action_space, "n", None)
    listed = getattr(own, "actions", None)
    names: Sequence[str] = getattr(own, "action_names", ())
    if isinstance(listed, type) and issubclass(listed, Enum):
        names = [one.name for one in listed]
    elif hasattr(own, "get_action_meanings"):
        names = own.get_action_meanings()  # type: ignore[attr-defined]
    return tuple(names) if len(names) == count else ()


def fixed_lag(env: gym.Env) -> int | None:
    """Steps between a symbol and the step that asks for it, where the environment fixes them; None elsewhere.

    POPGym counts the step itself: with its k = 4 the card of three steps ago is asked for.
    """
    own: Any = env.unwrapped
    if not type(own).__name__.startswith("RepeatPrevious") or not isinstance(getattr(own, "k", None), int):
        return None
    return own.k - 1 if type(own).__module__.startswith("popgym") else own.k
