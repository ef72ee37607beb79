"""Returns of steps whose rewards come in piece by piece, as runners hand in fragments of episodes.

Legend: L steps of a fragment, P steps that wait for their return, M steps whose return is known, K width of a key,
A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Steps(NamedTuple):
    """Steps of one episode in their order.

    Attributes:
        keys: [L, K], of the observations that were acted on.
        actions: int64 [L].
        rewards: float64 [L].
        places: int64 [L], where each is kept to be learned from again.
        allowed: bool [L, A], which actions their observations allow; None where these do not say.
    """

    keys: Tensor
    actions: Tensor
    rewards: np.ndarray
    places: Tensor
    allowed: Tensor | None = None

    def from_step(self, first: int) -> Steps:
        """All but the first ones."""
        allowed = None if self.allowed is None else self.allowed[first:]
        return Steps(self.keys[first:], self.actions[first:], self.rewards[first:], self.places[first:], allowed)

    def then(self, later: Steps) -> Steps:
        """These and later ones."""
        rewards = np.concatenate([self.rewards, later.rewards])
        return Steps(
            torch.cat([self.keys, later.keys]),
            torch.cat([self.actions, later.actions]),
            rewards,
            torch.cat([self.places, later.places]),
            None if self.allowed is None or later.allowed is None else torch.cat([self.allowed, later.allowed]),
        )


class Last(NamedTuple):
    """The observation after the last step of a fragment.

    Attributes:
        key: [K].
        allowed: bool [A], which actions it allows; None where it does not say.
    """

    key: Tensor
    allowed: Tensor | None = None


class Known(NamedTuple):
    """Steps whose return is known; fields as of ``Steps``, and the returns [M]."""

    keys: Tensor
    actions: Tensor
    places: Tensor
    returns: Tensor


Values = Callable[[Tensor, "Tensor | None"], np.ndarray]
"""The value of the best action for keys [M, K] among those that are allowed, bool [M, A] or None: float [M]."""


def best_of(values: Tensor, allowed: Tensor | None) -> Tensor:
    """The largest of values [..., A] among those that are allowed, bool of the same shape: [...]."""
    return (values if allowed is None else values.masked_fill(~allowed, -torch.inf)).amax(-1)


class OpenEpisodes:
    """Steps that wait for their returns, of all episodes under way.

    The return of step t is sum_{j < N} gamma^j r_{t+j} + gamma^N max_a Q(s_{t+N}, a), Q^(N) of Pritzel et al. 2017;
    less where the episode ends before, without a value where it ends by itself.

    Args:
        n_steps: N; None for all rewards until the episode ends, with no value after them even where it is cut off.
        gamma: discount of one step.
    """

    def __init__(self, n_steps: int | None, gamma: float):
        self.n_steps, self.gamma = n_steps, gamma
        self._waiting: dict[str, Steps] = {}

    def add(
        self, episode: str, steps: Steps, last: Last, *, terminated: bool, truncated: bool, values: Values
    ) -> Known:
        """Take in a fragment.

        Args:
            episode: which one it is of.
            steps: of the fragment.
            last: the observation after its last step.
            terminated: whether the episode came to an end of its own with it.
            truncated: whether it was cut off.
            values: asked for what goes on beyond N steps.

        Returns:
            The steps whose returns are known now.
        """
        if episode in self._waiting:
            steps = self._waiting.pop(episode).then(steps)
        length, over = len(steps.rewards), terminated or truncated
        ahead = length if self.n_steps is None else self.n_steps
        count = length if over else max(0, length - ahead + 1)
        if self.n_steps is None and not over:
            count = 0
        returns = self._returns(steps, last, count, ahead, terminated, values)
        if not over:
            self._waiting[episode] = steps.from_step(count)
        return Known(steps.keys[:count], steps.actions[:count], steps.places[:count], torch.from_numpy(returns))

    def _returns(
        self, steps: Steps, last: Last, count: int, ahead: int, terminated: bool, values: Values
    ) -> np.ndarray:
        """Of the first ``count`` steps."""
        length = len(steps.rewards)
        following = np.zeros(length + 1)  # discounted rewards from a step to the last
        for t in range(length - 1, -1, -1):
            following[t] = steps.rewards[t] + self.gamma * following[t + 1]
        ends = np.minimum(np.arange(count) + ahead, length)
        discounts = self.gamma ** (ends - np.arange(count))
        returns = following[:count] - discounts * following[ends]
        goes_on = (ends < length) | (not terminated) if self.n_steps is not None else np.zeros(count, bool)
        if goes_on.any():
            needed = np.unique(ends[goes_on])
            after, places = steps.then(_only(last)), torch.from_numpy(needed)
            known = np.zeros(length + 1)
            known[needed] = values(after.keys[places], None if after.allowed is None else after.allowed[places])
            returns[goes_on] += (discounts * known[ends])[goes_on]
        return returns


def _only(last: Last) -> Steps:
    """An observation as a step at which nothing was done yet."""
    nothing = torch.zeros(1, dtype=torch.int64)
    allowed = None if last.allowed is None else last.allowed.unsqueeze(0)
    return Steps(last.key.unsqueeze(0), nothing, np.zeros(1), nothing, allowed)
