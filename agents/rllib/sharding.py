"""Sharing a train batch between several learners without cutting an episode fragment.

RLlib slices episodes wherever it helps to give each learner as many steps; a slice loses ``custom_data``, and with it
the memory state that its first step needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray.rllib.core.learner.learner_group import LearnerGroup
from ray.rllib.core.learner.training_data import TrainingData
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
            largest = max(sum(map(len, shard)) for shard in shards)
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
        ValueError: there are fewer fragments than lists.
    """
    if len(fragments) < num_shards:
        raise ValueError(
            f"{len(fragments)} episode fragments cannot keep {num_shards} learners busy: use at least as many "
            "environments (env runners times environments each) as learners"
        )
    shards: list[list[EpisodeType]] = [[] for _ in range(num_shards)]
    for fragment in sorted(fragments, key=len, reverse=True):
        min(shards, key=lambda shard: sum(map(len, shard))).append(fragment)
    return shards
