"""Sharing a train batch between several learners without cutting an episode fragment.

RLlib slices episodes wherever it helps to give each learner as many steps; a slice loses ``custom_data``, and with it
the memory state that its first step needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray.rllib.core.learner.learner_group import LearnerGroup
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.utils.typing import EpisodeType


@dataclass
class WholeFragments(TrainingData):
    """Episodes that are handed out whole."""

    def shard(self, num_shards: int, len_lookback_buffer: int | None = None, **kwargs: Any) -> Any:
        """One pair of (training data, keyword arguments of the update) for each learner.

        Args:
            num_shards: number of learners.
            len_lookback_buffer: steps that a slice would bring along; nothing is sliced here.
            **kwargs: arguments of the update; ``minibatch_size`` and ``num_epochs`` decide how many minibatches every
                learner goes through. All must do as many, or some would wait for the others for ever.
        """
        if self.episodes is None or num_shards == 1:
            return super().shard(num_shards, len_lookback_buffer, **kwargs)
        shards = share_whole(self.episodes, num_shards)
        minibatches = 0
        if kwargs.get("minibatch_size"):
            largest = max(steps for shard in shards for steps in _steps_by_policy(shard).values())
            minibatches = max(1, kwargs.get("num_epochs", 1) * largest // kwargs["minibatch_size"])
        return [(TrainingData(episodes=shard), {"num_total_minibatches": minibatches}) for shard in shards]


class WholeFragmentLearnerGroup(LearnerGroup):
    """Learners that share out whole fragments."""

    def update(self, *, episodes: list[EpisodeType] | None = None, **kwargs: Any) -> Any:
        """As in RLlib, save how episodes are shared out."""
        if episodes is None:
            return super().update(**kwargs)
        return super().update(training_data=WholeFragments(episodes=episodes), **kwargs)


def share_whole(fragments: list[EpisodeType], num_shards: int) -> list[list[EpisodeType]]:
    """Split fragments into lists of about as many steps: longest first, each to the list with the fewest so far.

    Raises:
        ValueError: there are fewer fragments than lists, or not all lists have steps of the same policies.
    """
    if len(fragments) < num_shards:
        raise ValueError(
            f"{len(fragments)} episode fragments cannot keep {num_shards} learners busy: use at least as many "
            "environments (env runners times environments each) as learners"
        )
    shards: list[list[EpisodeType]] = [[] for _ in range(num_shards)]
    for fragment in sorted(fragments, key=len, reverse=True):
        min(shards, key=lambda shard: sum(map(len, shard))).append(fragment)
    policies = [set(_steps_by_policy(shard)) for shard in shards]
    if any(one != policies[0] for one in policies):  # those with none would keep the others waiting for ever
        raise ValueError(
            f"{num_shards} learners cannot share {len(fragments)} episode fragments, since not each of them would have "
            "steps of every policy: use more environments, longer fragments, or one learner"
        )
    return shards


def _steps_by_policy(fragments: list[EpisodeType]) -> dict[Any, int]:
    """Steps of the agents of each policy; None stands for the one of a single agent."""
    steps: dict[Any, int] = {}
    for fragment in fragments:
        played = fragment.agent_episodes.values() if isinstance(fragment, MultiAgentEpisode) else [fragment]
        for one in played:
            steps[one.module_id] = steps.get(one.module_id, 0) + len(one)
    return steps
