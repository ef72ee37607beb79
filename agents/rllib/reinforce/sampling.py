"""Whole episodes of a runner, none preferred for being short.

Whoever takes the first episodes of many copies that end takes short ones too often, and with them the mistakes that end
an episode early. Here the first episodes that *begin* are taken, each to its end, however long that is.

Legend: N episodes under way, one a row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from lukasa.agents.rllib.lean_sampling import LeanSample
from lukasa.agents.rllib.runner import MemoryEnvRunner
from lukasa.agents.rllib.sampling_path import obstacle


class WholeSample(LeanSample):
    """A sample of whole episodes.

    Args:
        runner: a ``WholeEpisodeRunner`` without an ``obstacle``.
        explore: whether actions are drawn.
    """

    def _begin(self) -> None:
        super()._begin()
        self._number = np.arange(len(self.rows))  # [N], of the episode in each row, by when it began
        self._following = len(self.rows)

    def _end_episodes(self, ended: list[SingleAgentEpisode], num_episodes: int | None) -> None:
        """Hand in those that ended and were among the first to begin; copies whose work is done play for nobody."""
        assert num_episodes is not None
        own: list[SingleAgentEpisode] = []
        super()._end_episodes(own, None)
        for row, episode in zip(np.flatnonzero(self.ended).tolist(), own, strict=True):
            if self._number[row] < num_episodes:
                ended.append(episode)
            self._number[row] = self._following
            self._following += 1


class WholeEpisodeRunner(MemoryEnvRunner):
    """Samples whole episodes, about as many as make a batch.

    Raises:
        envs.EnvironmentFailedError: as ``MemoryEnvRunner``.
    """

    _mean_length: float | None = None

    def _sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> Any:
        asked = {"num_timesteps": num_timesteps, "num_episodes": num_episodes, "force_reset": force_reset}
        reason = obstacle(self)
        if num_episodes is None or random_actions or (reason is not None and self.num_envs == 1):
            return super()._sample(explore=explore, random_actions=random_actions, **asked)
        if reason is not None:
            raise ValueError(
                f"whole episodes of several copies have to be sampled side by side, and {reason}: set "
                ".env_runners(num_envs_per_env_runner=1) and more env runners, or leave that out"
            )
        episodes, steps, ended = WholeSample(self, explore).episodes(None, self._quota(num_episodes), force_reset)
        # RLlib would reset with the seed of the beginning, and play the same episodes for every batch
        self._needs_initial_reset = False
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=steps)
        self._increase_sampled_metrics(steps, ended)
        self._mean_length = sum(map(len, episodes)) / len(episodes)
        return episodes

    def _quota(self, copies: int) -> int:
        """Episodes that make this runner's share of a batch, by the length of those before; at least one a copy."""
        config: Any = self.config
        if self._mean_length is None:
            return copies
        share = config.total_train_batch_size / max(1, config.num_env_runners or 0)
        return max(copies, math.ceil(share / self._mean_length))
