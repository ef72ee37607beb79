"""RLlib's runner of environments with many agents, for agents with a memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tree
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

from lukasa import envs
from lukasa.agents.rllib.watched_runner import WatchedRunner


class MemoryMultiAgentEnvRunner(WatchedRunner, MultiAgentEnvRunner):
    """Samples for memory agents that share an environment.

    Raises:
        envs.EnvironmentFailedError: as ``WatchedRunner``.
    """

    def sample(self, **kwargs: Any) -> Any:
        """As RLlib's, without fragments in which no agent made a whole step: there is nothing to learn from them."""
        return [episode for episode in super().sample(**kwargs) if episode.agent_episodes]

    def sampling_path(self) -> str:
        """How this runner samples and why, in a sentence."""
        return "Episodes are sampled by RLlib's own pieces, since many agents act in this environment."

    def _reset_copies(self, seeds: Sequence[int]) -> Any:
        return envs.reset_copies(self.env, seeds, lists=True)

    def _check_finite(self, what: str, doing: str, values: Any) -> None:
        for row, by_agent in enumerate(values):
            for agent, value in by_agent.items():
                for part in tree.flatten(value):
                    array = np.asarray(part)
                    if array.dtype.kind in "fc" and not np.isfinite(array).all():
                        worst = array[~np.isfinite(array)].flat[0]
                        self._refuse(f"{what} of agent {agent!r}", doing, worst, f"copy {row}")
