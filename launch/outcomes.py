"""How each episode of training ended, gathered where it is sampled."""

from __future__ import annotations

from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

import envs

OUTCOMES = "episode_outcomes"
"""Key, among RLlib's metrics of the runners, of the list of outcomes since the last iteration."""


class EpisodeOutcomes(RLlibCallback):
    """Logs return, length and score of every episode that ends.

    RLlib hands episodes out in fragments, so the parts of an unfinished one are added up here.
    """

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[str, tuple[float, int]] = {}

    def on_sample_end(self, *, env_runner: Any = None, metrics_logger: Any = None, samples: Any, **kwargs: Any) -> None:
        """After a runner sampled: add up its fragments, log the episodes that ended."""
        for fragment in samples:
            episode_return, length = self._open.pop(fragment.id_, (0.0, 0))
            episode_return += float(fragment.get_return())
            length += len(fragment)
            if not fragment.is_done:
                self._open[fragment.id_] = (episode_return, length)
                continue
            score = envs.episode_score(env_runner.config.env, episode_return, fragment.get_infos(-1) or {})
            metrics_logger.log_value(OUTCOMES, (episode_return, length, score), reduce="item_series")
