"""Playing episodes of several agents with trained policies, outside of training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.spaces import Dict
from ray.rllib.core.columns import Columns
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from lukasa import envs
from lukasa.agents.rllib.ablation import ablated
from lukasa.agents.rllib.many_agents.connectors import memory_module
from lukasa.agents.rllib.many_agents.environments import spaces_by_agent
from lukasa.agents.rllib.rollout import refuse_empty_masks

Progress = Callable[[int, int], None]
"""Hears after every step how many episodes have ended, and how many steps were played in all."""


@dataclass(frozen=True)
class ManyAgentsEpisode:
    """One episode, played to its end.

    Attributes:
        returns: the undiscounted sum of the rewards of each agent that took part.
        length: steps of the environment.
        limited: whether it was cut off, since it came to no end.
    """

    returns: dict[Any, float]
    length: int
    limited: bool

    @property
    def episode_return(self) -> float:
        """Of all agents together."""
        return sum(self.returns.values())


class _Game:
    """An episode under way."""

    def __init__(self, env: MultiAgentEnv, number: int, seed: int, name: str, mapping: Callable[..., Any]):
        self.env, self.number, self.name = env, number, name
        spaces: Any = spaces_by_agent(env)
        observed, acts = spaces
        self.episode = MultiAgentEpisode(
            observation_space=observed, action_space=acts, agent_to_module_mapping_fn=mapping
        )
        infos: Any
        try:
            seen, infos = envs.reset_seeded(env, envs.stream_seed(seed, number))
        except Exception as error:
            raise envs.failure_of(name, "reset", error) from error
        self.episode.add_env_reset(observations=seen, infos=infos)
        self.returns: dict[Any, float] = {}
        self.limited = False

    def step(self, actions: dict[Any, Any], for_env: dict[Any, Any], limit: int) -> None:
        try:
            seen, rewards, terminated, truncated, infos = self.env.step(for_env)
        except Exception as error:
            raise envs.failure_of(self.name, "step", error) from error
        for agent, reward in rewards.items():
            self.returns[agent] = self.returns.get(agent, 0.0) + float(reward)
        ends: dict[str, Any] = {"terminateds": terminated, "truncateds": truncated}
        self.episode.add_env_step(seen, actions, rewards, infos, **ends)
        self.limited = self.episode.env_t >= limit and not self.episode.is_done

    @property
    def is_over(self) -> bool:
        return self.episode.is_done or self.limited


def rollout_many_agents(
    config: Any,
    module: Any,
    copies: Sequence[MultiAgentEnv],
    episodes: int,
    *,
    name: str,
    seed: int,
    explore: bool = False,
    without: str | None = None,
    max_steps: int = 10_000,
    progress: Progress | None = None,
) -> list[ManyAgentsEpisode]:
    """Play whole episodes, side by side in several environments.

    Args:
        config: that the policies were trained with, whose connectors and mapping of agents to policies are used.
        module: the policies, a ``MultiRLModule``.
        copies: where to play.
        episodes: how many.
        name: what to call the environment.
        seed: the n-th episode is reset with ``envs.stream_seed(seed, n)``.
        explore: sample the actions, as in training, rather than take the likeliest.
        without: wipe the "memory", the "controller" or "both" of every agent before every step.
        max_steps: cut an episode off after so many steps.
        progress: called after every step.

    Returns:
        The episodes in the order of their numbers n.

    Raises:
        envs.EnvironmentFailedError: an environment raised an error.
    """
    found: Any = spaces_by_agent(copies[0])  # by the agents' own ids, which may be numbers
    observed, acts = map(Dict, found)
    spaces: Any = {INPUT_ENV_SPACES: (observed, acts), INPUT_ENV_SINGLE_SPACES: (observed, acts)}
    pipes = config.build_env_to_module_connector(spaces=spaces), config.build_module_to_env_connector(spaces=spaces)
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(seed % 2**63)
        stack.enter_context(torch.no_grad())
        for policy in module.keys():  # noqa: SIM118
            one = memory_module(module, policy)
            if one is not None:
                stack.enter_context(ablated(one, without))
        waiting, played, shared, steps = iter(range(episodes)), {}, {}, 0
        begin = lambda env, number: _Game(env, number, seed, name, config.policy_mapping_fn)  # noqa: E731
        games = [begin(env, number) for env, number in zip(copies, waiting)]  # noqa: B905 there may be fewer of either
        while games:
            actions = _act(module, pipes, [game.episode for game in games], shared, explore)
            going = []
            for game, (kept, for_env) in zip(games, actions, strict=True):
                game.step(kept, for_env, max_steps)
                if not game.is_over:
                    going.append(game)
                    continue
                played[game.number] = ManyAgentsEpisode(game.returns, game.episode.env_t, game.limited)
                number = next(waiting, None)
                if number is not None:
                    going.append(begin(game.env, number))
            steps += len(games)
            games = going
            if progress:
                progress(len(played), steps)
    return [played[number] for number in range(episodes)]


def _act(module: Any, pipes: Any, episodes: list[Any], shared: dict[str, Any], explore: bool) -> list[tuple[Any, Any]]:
    """The actions of the agents of each episode, as the episode keeps them and as the environment takes them."""
    step: dict[str, Any] = {"rl_module": module, "episodes": episodes, "shared_data": shared, "explore": explore}
    for episode in episodes:
        for agent in episode.get_agents_to_act():
            policy = memory_module(module, episode.module_for(agent))
            if policy is not None and policy.net.mask is not None:
                refuse_empty_masks(policy.net.mask, [episode.agent_episodes[agent].get_observations(-1)])
    asked = pipes[0](batch={}, **step)
    if not asked:
        return [({}, {}) for _ in episodes]
    forward = module.forward_exploration if explore else module.forward_inference
    outputs = pipes[1](batch=forward(asked), **step)
    actions = outputs.pop(Columns.ACTIONS)
    return list(zip(actions, outputs.pop(Columns.ACTIONS_FOR_ENV, actions), strict=True))
