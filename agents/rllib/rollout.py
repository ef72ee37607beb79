"""Playing episodes with a trained agent, outside of training.

Legend: T steps of an episode.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.connectors.connector_pipeline_v2 import ConnectorPipelineV2
from ray.rllib.core import (
    COMPONENT_ENV_RUNNER,
    COMPONENT_ENV_TO_MODULE_CONNECTOR,
    COMPONENT_LEARNER,
    COMPONENT_LEARNER_GROUP,
    COMPONENT_MODULE_TO_ENV_CONNECTOR,
    COMPONENT_RL_MODULE,
    DEFAULT_MODULE_ID,
)
from ray.rllib.core.columns import Columns
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

import envs
import memory
from agents.rllib.config import MemoryPPOConfig
from agents.rllib.module import MemoryRLModule


@dataclass(frozen=True)
class RolloutEpisode:
    """One episode, played to its end.

    Attributes:
        observations: [T + 1, ...], as the environment gave them; nested as its space is.
        actions: [T, ...], as the environment took them.
        rewards: [T].
        info: of the last step.
        terminated: whether the environment came to an end of its own.
        truncated: whether it was cut off.
        weights: with ``record=True`` what ``memory.record`` names ("read", "write", ...), [T, ...].
    """

    observations: Any
    actions: np.ndarray
    rewards: np.ndarray
    info: dict[str, Any]
    terminated: bool
    truncated: bool
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def episode_return(self) -> float:
        """The undiscounted sum of the rewards."""
        return float(self.rewards.sum())

    @property
    def length(self) -> int:
        """T."""
        return len(self.rewards)


@dataclass(frozen=True)
class _Agent:
    """A module between the connectors it was trained with."""

    module: MemoryRLModule
    env_to_module: ConnectorPipelineV2
    module_to_env: ConnectorPipelineV2


def rollout(
    agent: Algorithm | MemoryRLModule | str | Path,
    env: gym.Env | str,
    episodes: int,
    *,
    explore: bool = False,
    seed: int | None = None,
    record: bool = False,
) -> list[RolloutEpisode]:
    """Play whole episodes, one after the other.

    Args:
        agent: an algorithm, the directory of a checkpoint that it saved (no Ray is started for it), or a module that
            needs no connectors but the standard ones.
        env: an environment, which stays open, or the id of one for ``envs.make``.
        episodes: how many.
        explore: sample the actions, as in training, rather than take the likeliest.
        seed: the n-th episode is reset with ``seed + n``, and sampled actions repeat as well.
        record: keep what the memory did in every step.

    Raises:
        ValueError: the directory holds no checkpoint of a memory agent, or the environment's spaces are not those
            that the agent was trained with.
    """
    opened = envs.make(env) if isinstance(env, str) else env
    try:
        player = _agent_for(agent, opened)
        with _seeded(seed):
            return [
                _play(player, opened, None if seed is None else seed + number, explore, record)
                for number in range(episodes)
            ]
    finally:
        if isinstance(env, str):
            opened.close()


def _play(agent: _Agent, env: gym.Env, seed: int | None, explore: bool, record: bool) -> RolloutEpisode:
    episode = SingleAgentEpisode(observation_space=env.observation_space, action_space=env.action_space)
    observation, info = env.reset(seed=seed)
    episode.add_env_reset(observation, info)
    observations, actions, shared = [observation], [], {}
    with memory.record(agent.module.core) if record else contextlib.nullcontext() as recording:
        while not episode.is_done:
            step = {"rl_module": agent.module, "episodes": [episode], "explore": explore, "shared_data": shared}
            batch = agent.env_to_module(batch={}, **step)
            forward = agent.module.forward_exploration if explore else agent.module.forward_inference
            outputs = agent.module_to_env(batch=forward(batch), **step)
            action = outputs.pop(Columns.ACTIONS)[0]
            actions.append(outputs.pop(Columns.ACTIONS_FOR_ENV, [action])[0])
            observation, reward, terminated, truncated, info = env.step(actions[-1])
            episode.add_env_step(observation, action, reward, info, terminated=terminated, truncated=truncated)
            observations.append(observation)
    return RolloutEpisode(
        observations=tree.map_structure(lambda *steps: np.stack(steps), *observations),
        actions=np.stack(actions),
        rewards=np.array(episode.get_rewards(), np.float64),
        info=info,
        terminated=episode.is_terminated,
        truncated=episode.is_truncated,
        weights={} if recording is None else {n: t[0].cpu().numpy() for n, t in recording.stacked().items()},
    )


def _agent_for(agent: Algorithm | MemoryRLModule | str | Path, env: gym.Env) -> _Agent:
    if isinstance(agent, MemoryRLModule):
        player = _from_module(agent)
    elif isinstance(agent, Algorithm):
        player = _from_algorithm(agent)
    else:
        player = _from_checkpoint(Path(agent))
    trained = (player.env_to_module.input_observation_space, player.module.action_space)
    given = (env.observation_space, env.action_space)
    for name, here, there in zip(("observation", "action"), given, trained, strict=True):
        if here != there:
            raise ValueError(
                f"this environment's {name} space is {here}, but the agent was trained with {there}: "
                "use the environment, with the settings and wrappers, that it was trained with"
            )
    return player


def _from_module(module: MemoryRLModule) -> _Agent:
    single = (module.observation_space, module.action_space)
    return _Agent(module, *_pipelines(MemoryPPOConfig(), {INPUT_ENV_SPACES: single, INPUT_ENV_SINGLE_SPACES: single}))


def _from_algorithm(algorithm: Algorithm) -> _Agent:
    config: Any = algorithm.config
    runner: Any = algorithm.env_runner
    learners: Any = algorithm.learner_group
    spaces = runner.get_spaces()
    module = config.get_rl_module_spec(spaces=spaces, inference_only=True).build()
    weights = learners.get_state(f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}", inference_only=True)
    module.set_state(weights[COMPONENT_LEARNER][COMPONENT_RL_MODULE][DEFAULT_MODULE_ID])
    env_to_module, module_to_env = _pipelines(config, spaces)
    learned = runner.get_state([COMPONENT_ENV_TO_MODULE_CONNECTOR, COMPONENT_MODULE_TO_ENV_CONNECTOR])
    env_to_module.set_state(learned[COMPONENT_ENV_TO_MODULE_CONNECTOR])
    module_to_env.set_state(learned[COMPONENT_MODULE_TO_ENV_CONNECTOR])
    return _Agent(module, env_to_module, module_to_env)


def _from_checkpoint(directory: Path) -> _Agent:
    learner = directory / COMPONENT_LEARNER_GROUP / COMPONENT_LEARNER / COMPONENT_RL_MODULE / DEFAULT_MODULE_ID
    runner = directory / COMPONENT_ENV_RUNNER
    parts = (learner, runner / COMPONENT_ENV_TO_MODULE_CONNECTOR, runner / COMPONENT_MODULE_TO_ENV_CONNECTOR)
    missing = [str(part.relative_to(directory)) for part in parts if not part.is_dir()]
    if missing:
        raise ValueError(
            f"{directory} is not a whole checkpoint of an RLlib algorithm, it lacks {', '.join(missing)}: "
            "give the directory that algo.save_to_path() returned"
        )
    try:
        module = MemoryRLModule.from_checkpoint(parts[0].absolute())
        pipelines = [ConnectorPipelineV2.from_checkpoint(part.absolute()) for part in parts[1:]]
    except Exception as error:  # unpickling what is cut short raises nearly anything
        raise ValueError(
            f"the checkpoint {directory} holds no readable memory agent, it may have been cut short: {error}"
        ) from error
    return _Agent(module, *pipelines)


def _pipelines(config: Any, spaces: Any) -> tuple[Any, Any]:
    return config.build_env_to_module_connector(spaces=spaces), config.build_module_to_env_connector(spaces=spaces)


@contextlib.contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
