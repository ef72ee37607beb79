"""Action masks: observations that say which choices are allowed.

The convention is that of others: the observation is a dict with a part "action_mask", which has a number for each
option of each choice in order, above zero where the option is allowed.

Legend: B batch (rows), T time, A options of all choices, L numbers that the policy puts out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa.agents.policy.actions import ActionLayout
from lukasa.ground.spaces import kind, named

ACTION_MASK = "action_mask"
"""The part of an observation."""

MASKED = -7.5e8
"""Logit of an option that is not allowed; finite, so that differences of two are no NaN, and above those of padding."""


class ActionMask:
    """What an observation allows.

    Args:
        layout: of the actions.
    """

    def __init__(self, layout: ActionLayout):
        self.layout = layout
        self.options = list(layout.options)

    def __call__(self, outputs: Tensor, observations: Any) -> Tensor:
        """What the policy puts out, [B, T, L], with the logits masked.

        A choice of which nothing is allowed is left as it is: after the end of an episode nothing is left to do.

        Args:
            outputs: the logits of all options, or values of them, first.
            observations: with ``ACTION_MASK``, [B, T, ...].
        """
        kept, width = self.allowed(observations), sum(self.options)
        return torch.cat([outputs[..., :width].masked_fill(~kept, MASKED), outputs[..., width:]], -1)

    def allowed(self, observations: Any) -> Tensor:
        """Which options may be taken, bool [B, T, A]; all of a choice of which nothing is allowed.

        Args:
            observations: with ``ACTION_MASK``, [B, T, ...].
        """
        allowed = observations[ACTION_MASK].flatten(2) > 0
        some = [part.any(-1, keepdim=True).expand_as(part) for part in allowed.split(self.options, -1)]
        return allowed | ~torch.cat(some, -1)

    def empty(self, masks: Any) -> np.ndarray:
        """Which of n masks, [n, ...], allow nothing of some choice: bool [n]."""
        allowed = np.asarray(masks).reshape(len(masks), -1) > 0
        parts = np.split(allowed, np.cumsum(self.options)[:-1], axis=1)
        return np.logical_not(np.stack([part.any(1) for part in parts], 1).all(1))

    def draw(self, mask: Any, random: np.random.Generator) -> Any:
        """An action drawn uniformly from what one mask allows."""
        allowed = np.split(np.asarray(mask).reshape(-1) > 0, np.cumsum(self.options)[:-1])
        choices = [random.choice(np.flatnonzero(part)) if part.any() else 0 for part in allowed]
        return self.layout.decode(np.concatenate([choices, random.uniform(-1, 1, self.layout.numbers)]))


def action_mask(observation_space: Any, action_space: Any) -> ActionMask | None:
    """The mask that the observations of a space bring along; None where they bring none.

    Raises:
        ValueError: it does not fit the actions.
    """
    parts = dict(observation_space.items()) if kind(observation_space) == "Dict" else {}
    if ACTION_MASK not in parts:
        return None
    part, layout = parts[ACTION_MASK], ActionLayout(action_space)
    numbers = math.prod(part.shape) if kind(part) in ("Box", "MultiBinary") else 0
    if numbers != sum(layout.options) or not numbers:
        raise ValueError(
            f"the part {ACTION_MASK!r} of the observations is {named(part)}, and the actions {named(action_space)} "
            f"have {sum(layout.options)} options in all: expected a Box or MultiBinary with a number for each, or "
            "another name for that part"
        )
    return ActionMask(layout)
