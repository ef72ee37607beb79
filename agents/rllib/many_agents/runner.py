"""RLlib's runner of environments with many agents, for agents with a memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tree
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

from lukasa import envs
from lukasa.agents.policy.masks import ACTION_MASK
from lukasa.agents.rllib.many_agents.connectors import memory_module
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

    def _try_env_reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        observations, infos = super()._try_env_reset(seed=seed, options=options)
        self._look_at_masks(observations, [{}] * len(observations), "reset")
        return observations, infos

    def _try_env_step(self, actions: Any) -> Any:
        results: Any = super()._try_env_step(actions)
        if not isinstance(results, str):  # ENV_STEP_FAILURE
            observations, _, terminated, truncated, _ = results
            over = [
                {agent: flag or two.get(agent, False) for agent, flag in {**two, **one}.items()}
                for one, two in zip(terminated, truncated, strict=True)
            ]
            self._look_at_masks(observations, over, "step")
        return results

    def _look_at_masks(self, observations: Any, over: Any, doing: str) -> None:
        for row, (seen, flags) in enumerate(zip(observations, over, strict=True)):
            for agent, one in seen.items() if not flags.get("__all__") else ():
                module: Any = self.module
                masked = isinstance(one, dict) and ACTION_MASK in one
                policy = memory_module(module, self._policy_of(row, agent)) if module and masked else None
                if policy is not None and policy.net.mask is not None:
                    where = f"copy {row} (agent {agent!r})"
                    self._check_masks(policy, [one[ACTION_MASK]], [bool(flags.get(agent))], doing, where)

    def _policy_of(self, row: int, agent: Any) -> Any:
        episode: Any = self._ongoing_episodes[row]
        return episode.module_for(agent)

    def _check_finite(self, what: str, doing: str, values: Any) -> None:
        for row, by_agent in enumerate(values):
            for agent, value in by_agent.items():
                for part in tree.flatten(value):
                    array = np.asarray(part)
                    if array.dtype.kind in "fc" and not np.isfinite(array).all():
                        worst = array[~np.isfinite(array)].flat[0]
                        self._refuse(f"{what} of agent {agent!r}", doing, worst, f"copy {row}")
