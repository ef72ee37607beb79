"""Stacks and lists of an episode, and what was done to them, as panels of a picture.

Dimensions: T steps, S stacks or lists, A actions, N elements of each.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lukasa.launch.pictures.episode_panels import Features, Panel

MOST = 4
"""Stacks that are drawn: those whose actions vary the most."""
MOST_ELEMENTS = 10
EMPTY = -1.0
ACTIONS = {"stack": ("push", "pop", "no-op"), "list": ("left", "right", "insert", "no-op")}


def stack_panels(recorded: Mapping[str, np.ndarray]) -> list[Panel]:
    """For each stack or list its actions and, below them, its elements.

    Args:
        recorded: ``stack_actions`` [T, S, A] and ``stacks`` [T, S, N], the top first; or ``list_actions`` and
            ``lists``, the head in the middle. Empty elements are -1, stored ones from 0 to 1.
    """
    panels: list[Panel] = []
    for kind, names in ACTIONS.items():
        if f"{kind}_actions" not in recorded:
            continue
        actions, held = recorded[f"{kind}_actions"], recorded[f"{kind}s"]
        count, places = actions.shape[1], _places(kind, held)
        for one in busiest(actions):
            of = f"{kind} {one + 1} of {count}" if count > 1 else kind
            panels.append(Features(of, actions[:, one], names[: actions.shape[2]], (0, 1), "Greys"))
            values, rows = held[:, one, places], [_row(kind, place, held.shape[2]) for place in places]
            panels.append(Features("", values, rows, (-1, 1), "RdBu_r"))
    return panels


def busiest(actions: np.ndarray) -> list[int]:
    """Which of the stacks are worth seeing, by number: at most ``MOST``.

    Example:
        >>> quiet, busy = np.full((4, 2), 0.5), np.array([[0, 1], [1, 0]] * 2)
        >>> busiest(np.stack([quiet, busy, quiet, busy, busy, busy], 1))
        [1, 3, 4, 5]
    """
    varies = np.nan_to_num(actions).std(0).sum(1)
    return sorted(np.argsort(-varies, kind="stable")[:MOST].tolist())


def _places(kind: str, held: np.ndarray) -> list[int]:
    """Elements near the top, or the head, as far as anything is ever stored."""
    used = np.flatnonzero(np.abs(held - EMPTY).max((0, 1)) > 0.05)
    if kind == "stack":
        return list(range(min(max(3, used.max(initial=0) + 1), MOST_ELEMENTS, held.shape[2])))
    head = held.shape[2] // 2
    reach = min(max(2, int(np.abs(used - head).max(initial=0))), MOST_ELEMENTS // 2, head)
    return list(range(head - reach, head + reach + 1))


def _row(kind: str, place: int, count: int) -> str:
    if kind == "stack":
        return "top" if place == 0 else f"{place} below"
    away = place - count // 2
    return "head" if away == 0 else f"{away:+d}".replace("-", "−")
