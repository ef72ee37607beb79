"""Environments in which several agents act: their form here, which needs no library beside Gymnasium."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from lukasa.envs.making import make


class ManyAgents(gym.Env[Any, Any]):
    """An environment of several agents: observations, actions, rewards and flags are dicts by the agents' ids.

    An agent acts after a step in which it was shown something. ``reset`` returns what the first ones see and their
    infos; ``step`` takes the actions of those that are to act, and returns observations, rewards, terminated and
    truncated flags, and infos, of those agents that they concern. An agent whose flag is set has left for good, with a
    last observation. The episode is over when ``agents`` is empty.

    Attributes:
        possible_agents: the ids of all that may ever take part.
        agents: those that take part now.
        observation_space, action_space: dicts by the ids of ``possible_agents``.
    """

    possible_agents: list[str]
    agents: list[str]


def possible_agents(env_id: str, settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """The ids of the agents of an environment; empty where one agent acts, as in any other of Gymnasium's.

    Raises:
        UnknownEnvironmentError, MissingExtraError, ValueError: as ``make``.
    """
    env = make(env_id, **settings)
    try:
        return tuple(getattr(env.unwrapped, "possible_agents", ()))
    finally:
        env.close()
