"""Runs in whose environment several agents act: which policy each of them follows."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray.rllib.core import DEFAULT_MODULE_ID

from lukasa import envs
from lukasa.agents.policy.masks import ACTION_MASK, action_mask
from lukasa.agents.rllib.many_agents.environments import as_multi_agent, spaces_by_agent
from lukasa.agents.rllib.many_agents.rollout import ManyAgentsEpisode, rollout_many_agents
from lukasa.launch.kinds.rl.experiment import RLExperiment

SHARED = "shared"
"""The policy of all agents."""


@dataclass(frozen=True)
class Cast:
    """The agents of an environment.

    Attributes:
        policies: the policy of each agent.
        spaces: the observation and action space of each policy.
    """

    policies: dict[Any, str]
    spaces: dict[str, tuple[Any, Any]]

    def policy_of(self, agent: Any, *_: Any, **__: Any) -> str:
        """The policy that an agent follows, as RLlib asks for it.

        Raises:
            envs.EnvironmentFailedError: the environment did not say that there may be such an agent.
        """
        if agent not in self.policies:
            raise envs.EnvironmentFailedError(
                f"an environment showed something to agent {agent!r}, which is none of its possible_agents, "
                f"{', '.join(map(repr, self.policies))}: name it there"
            )
        return self.policies[agent]


def cast_of(experiment: RLExperiment) -> Cast | None:
    """The agents of an experiment's environment; None where one acts alone.

    Raises:
        ValueError: they cannot share a policy, or there is one agent and ``policies`` is of several.
    """
    found = _spaces(experiment.env, json.dumps(experiment.env_settings, sort_keys=True))
    if found is None:
        if experiment.policies != SHARED:
            raise ValueError(f"--policies {experiment.policies} is for several agents, and {experiment.env!r} has one")
        return None
    observed, acts = found
    agents = list(observed)
    if experiment.policies == SHARED:
        strangers = [one for one in agents if (observed[one], acts[one]) != (observed[agents[0]], acts[agents[0]])]
        if strangers:
            raise ValueError(
                f"agents {agents[0]!r} and {strangers[0]!r} of environment {experiment.env!r} have different spaces "
                "and cannot share a policy: use --policies separate"
            )
        return Cast(dict.fromkeys(agents, SHARED), {SHARED: (observed[agents[0]], acts[agents[0]])})
    policies = {agent: str(agent) for agent in agents}
    return Cast(policies, {policies[agent]: (observed[agent], acts[agent]) for agent in agents})


@functools.lru_cache(maxsize=8)
def _spaces(env_id: str, settings: str) -> tuple[dict[Any, Any], dict[Any, Any]] | None:
    env = envs.make(env_id, **json.loads(settings))
    try:
        return spaces_by_agent(as_multi_agent(env)) if hasattr(env.unwrapped, "possible_agents") else None
    finally:
        with suppress(Exception):
            env.close()


def make_policies(config: Any, cast: Cast) -> Any:
    """Untrained policies, without an algorithm around them."""
    return config.get_multi_rl_module_spec(spaces=cast.spaces).build()


def together(by_policy: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Weights of all policies in one dict: "policy/name", or plain names where one agent acts alone."""
    if set(by_policy) == {DEFAULT_MODULE_ID}:
        return dict(by_policy[DEFAULT_MODULE_ID])
    return {f"{policy}/{name}": one for policy, weights in by_policy.items() for name, one in weights.items()}


def apart(weights: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What ``together`` joined, by policy."""
    found: dict[str, dict[str, Any]] = {}
    for name, one in weights.items():
        policy, _, own = name.rpartition("/")
        found.setdefault(policy, {})[own] = one
    return found


def core_of(module: Any) -> Any:
    """The core of an agent; of several agents, which have the same, that of the first policy."""
    return module.core if hasattr(module, "core") else next(iter(module.values())).core


def play_many(
    config: Any, module: Any, experiment: RLExperiment, episodes: int, *, limit: int | None, **how: Any
) -> list[ManyAgentsEpisode]:
    """Episodes of several agents; ``how`` as in ``rollout_many_agents``."""
    count = min(episodes, experiment.envs_per_runner)
    copies = [as_multi_agent(envs.make(experiment.env, **experiment.env_settings)) for _ in range(count)]
    try:
        steps = limit or how.pop("max_steps", None) or 10_000
        how.pop("max_steps", None)
        return rollout_many_agents(config, module, copies, episodes, name=experiment.env, max_steps=steps, **how)
    finally:
        for env in copies:
            with suppress(Exception):
                env.close()


def play_many_at_random(experiment: RLExperiment, episodes: int, seed: int, limit: int) -> list[ManyAgentsEpisode]:
    """Episodes whose agents draw their actions uniformly."""
    env = as_multi_agent(envs.make(experiment.env, **experiment.env_settings))
    observed, acts = spaces_by_agent(env)
    masks, random = {one: action_mask(observed[one], acts[one]) for one in acts}, np.random.default_rng(seed)

    def draw(agent: Any, seen: Any) -> Any:
        mask = masks[agent]
        return mask.draw(seen[ACTION_MASK], random) if mask else acts[agent].sample()

    for number, space in enumerate(acts.values()):
        space.seed(envs.stream_seed(seed, number) % 2**31)
    played = []
    for number in range(episodes):
        seen, _ = envs.reset_seeded(env, envs.stream_seed(seed, number))
        returns: dict[Any, float] = {}
        steps, over, gone = 0, False, set()
        while not over and steps < limit:
            asked = [agent for agent in seen if agent not in gone]
            seen, rewards, terminated, truncated, _ = env.step({one: draw(one, seen[one]) for one in asked})
            gone |= {agent for flags in (terminated, truncated) for agent, flag in flags.items() if flag}
            for agent, reward in rewards.items():
                returns[agent] = returns.get(agent, 0.0) + float(reward)
            steps, over = steps + 1, bool(terminated.get("__all__") or truncated.get("__all__"))
        played.append(ManyAgentsEpisode(returns, steps, not over))
    with suppress(Exception):
        env.close()
    return played
