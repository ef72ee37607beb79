"""A trained agent that acts step by step, in whatever program the steps happen.

Legend: n environments side by side.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tree
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from lukasa import envs
from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.rllib.module import MemoryRLModule
from lukasa.agents.rllib.rollout import Player, player_of
from lukasa.ground.conforming import check_finite, earned

KEPT_STEPS = 64
"""Steps of an episode that are remembered before all but the last are let go: an agent may act for ever."""


class RLAgent:
    """Observations to actions, with the memory's state kept from one to the next.

    Args:
        source: as in ``rollout``.
        copies: n, environments that it acts in side by side; None for one, whose observations and actions have no
            batch axis.
        explore: draw the actions, as in training, rather than take the likeliest.
        seed: makes the drawn actions repeat, whatever else this process draws.

    Attributes:
        observation_space, action_space: of one environment.

    Raises:
        ValueError: the directory holds no checkpoint of a memory agent, or ``copies`` is not at least 1.
    """

    def __init__(
        self,
        source: Algorithm | MemoryRLModule | Player | str | Path,
        *,
        copies: int | None = None,
        explore: bool = False,
        seed: int | None = None,
    ):
        if copies is not None and copies < 1:
            raise ValueError(f"copies is {copies}: expected at least 1, or None for one environment without a batch")
        self.player = player_of(source)
        self.observation_space: Any = self.player.env_to_module.input_observation_space
        self.action_space: Any = self.player.module.action_space
        self.copies, self.explore = copies, explore
        self._needs_reward = MemorySettings.from_model_config(self.player.module.model_config).previous_reward
        self._random = None if seed is None else torch.Generator().manual_seed(seed).get_state()
        self.reset()

    def reset(self, rows: Any = None) -> None:
        """Forget: the next observation begins an episode.

        Args:
            rows: which of n environments: a mask of n booleans, such as ``terminated | truncated``, or their numbers;
                all by default.
        """
        count = self.copies or 1
        if rows is None:
            self._shared: dict[str, Any] = {}
            self._episodes = [self._new_episode() for _ in range(count)]
            self._taken: list[Any] = [None] * count
            return
        for row in _numbers(rows, count):
            self._episodes[row], self._taken[row] = self._new_episode(), None

    def act(self, observation: Any, reward: Any = None) -> Any:
        """The next action, as the environment takes it, inside ``action_space``.

        Args:
            observation: what the environment shows, lists and other dtypes included; with ``copies`` those of all n,
                batched as a vector environment gives them, or a list of n.
            reward: what came with it; needed by agents that were trained with ``previous_reward``, and nothing at the
                start of an episode. With ``copies`` n numbers.

        Returns:
            The action; with ``copies`` those of all n, batched as a vector environment takes them.

        Raises:
            ObservationError: the observation is none of ``observation_space``, or has a number that is not finite.
            ValueError: there are not n observations, or as many finite rewards where they are needed.
        """
        observations, rewards = self._each(observation, reward)
        observations = [envs.conform(self.observation_space, one) for one in observations]
        for parts in zip(*map(tree.flatten, observations), strict=True):
            if isinstance(parts[0], np.ndarray):
                check_finite(np.stack(parts))
        for row, episode in enumerate(self._episodes):
            if self._taken[row] is None:
                episode.add_env_reset(observations[row])
            else:
                episode.add_env_step(observations[row], self._taken[row], rewards[row])
        with torch.no_grad(), self._own_random():
            actions = self.player.act(self._episodes, self._shared, self.explore)
        self._taken = [taken for taken, _ in actions]
        self._episodes = [_shortened(episode) for episode in self._episodes]
        if self.copies is None:
            return actions[0][1]
        empty = create_empty_array(self.action_space, self.copies)
        return concatenate(self.action_space, [action for _, action in actions], empty)

    def _each(self, observation: Any, reward: Any) -> tuple[list[Any], list[float]]:
        """Observations and rewards of each environment."""
        count = self.copies or 1
        running = [taken is not None for taken in self._taken]
        if reward is None and self._needs_reward and any(running):
            raise ValueError(
                "this agent was trained with previous_reward: give the reward that came with the observation, "
                "act(observation, reward)"
            )
        # A reward that it does not see may be anything.
        rewards = earned(reward if self._needs_reward else None, np.array(running)).tolist()
        if self.copies is None:
            return [observation], rewards
        listed = isinstance(observation, list)
        each = observation if listed else list(iterate(batch_space(self.observation_space, count), observation))
        if len(each) != count:
            raise ValueError(f"{len(each)} observations were given to an agent of {count} copies: they must be as many")
        return list(each), rewards

    def _new_episode(self) -> SingleAgentEpisode:
        return SingleAgentEpisode(observation_space=self.observation_space, action_space=self.action_space)

    @contextlib.contextmanager
    def _own_random(self) -> Iterator[None]:
        """Draw from the agent's own seed, and leave torch's global random state as it was."""
        if self._random is None:
            yield
            return
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._random)
            yield
            self._random = torch.get_rng_state()


def _shortened(episode: SingleAgentEpisode) -> SingleAgentEpisode:
    """The episode without what nobody will ask for: states for a learner, and steps long past."""
    episode.custom_data.clear()
    return episode.cut(1) if len(episode) >= KEPT_STEPS else episode


def _numbers(rows: Any, count: int) -> Iterable[int]:
    """Rows as numbers.

    Raises:
        ValueError: a row is none of them.
    """
    array = np.asarray(rows)
    if array.dtype == bool and array.shape != (count,):
        raise ValueError(f"a mask of shape {array.shape} does not fit an agent of {count} copies: expected ({count},)")
    numbers = np.flatnonzero(array) if array.dtype == bool else array.reshape(-1).astype(int)
    if any(not 0 <= row < count for row in numbers):
        raise ValueError(f"rows {numbers.tolist()} are not all of an agent of {count} copies: they count from 0")
    return numbers.tolist()
