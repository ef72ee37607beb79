"""How each episode of training ended, gathered where it is sampled."""

from __future__ import annotations

from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS

from lukasa import envs

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
            info = {} if isinstance(fragment, MultiAgentEpisode) else fragment.get_infos(-1) or {}
            score = envs.episode_score(env_runner.config.env, episode_return, info)
            metrics_logger.log_value(OUTCOMES, (episode_return, length, score), reduce="item_series")


def episodes_ended(result: dict[str, Any]) -> list[tuple[float, float, float]]:
    """Return, length and score of the episodes that ended since the last iteration, none or one or many.

    RLlib hands on a list of a single item as that item, and one of none as NaN or not at all.

    Args:
        result: what ``Algorithm.train`` returned.
    """
    found = result.get(ENV_RUNNER_RESULTS, {}).get(OUTCOMES, [])
    if isinstance(found, tuple):
        return [found]
    return found if isinstance(found, list) else []
