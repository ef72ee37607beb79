"""Playing episodes with a trained agent, outside of training.

Legend: T steps of an episode.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

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
from ray.rllib.utils.spaces.space_utils import unbatch

from lukasa import envs, memory
from lukasa.agents.policy.masks import ACTION_MASK, ActionMask
from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.rllib.ablation import ablated
from lukasa.agents.rllib.config import MemoryPPOConfig
from lukasa.agents.rllib.episodic.module import EpisodicModule
from lukasa.agents.rllib.module import MemoryRLModule
from lukasa.agents.rllib.old_names import old_names

MAX_STEPS = 10_000
"""Steps after which an episode is cut off, unless its environment declares a larger limit or the caller gives one."""

Progress = Callable[[int, int], None]
"""Hears after every step how many episodes have ended, and how many steps were played in all."""


@dataclass(frozen=True)
class RolloutEpisode:
    """One episode, played to its end.

    Attributes:
        observations: [T + 1, ...], as the environment gave them; nested as its space is.
        actions: [T, ...], as the environment took them; nested as its space is.
        rewards: [T].
        info: of the last step.
        terminated: whether the environment came to an end of its own.
        truncated: whether it was cut off.
        limited: whether it was cut off by ``rollout``, since it came to no end.
        weights: with ``record=True`` what ``memory.record`` names ("read", "write", ...), [T, ...].
    """

    observations: Any
    actions: Any
    rewards: np.ndarray
    info: dict[str, Any]
    terminated: bool
    truncated: bool
    limited: bool = False
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
class Player:
    """A module between the connectors it was trained with."""

    module: MemoryRLModule
    env_to_module: ConnectorPipelineV2
    module_to_env: ConnectorPipelineV2

    def act(self, episodes: list[SingleAgentEpisode], shared: dict[str, Any], explore: bool) -> list[tuple[Any, Any]]:
        """The next action of each episode, as the episode keeps it and as the environment takes it.

        Args:
            episodes: up to their latest observations.
            shared: holds the memory's state from one call to the next; empty before the first.
            explore: whether to draw the actions.
        """
        if self.module.net.mask is not None:
            refuse_empty_masks(self.module.net.mask, [episode.get_observations(-1) for episode in episodes])
        step: dict[str, Any] = {"rl_module": self.module, "episodes": episodes, "shared_data": shared}
        forward = self.module.forward_exploration if explore else self.module.forward_inference
        outputs = self.module_to_env(
            batch=forward(self.env_to_module(batch={}, explore=explore, **step)), explore=explore, **step
        )
        actions = outputs.pop(Columns.ACTIONS)
        return list(zip(unbatch(actions), unbatch(outputs.pop(Columns.ACTIONS_FOR_ENV, actions)), strict=True))


def refuse_empty_masks(mask: ActionMask, observations: Sequence[Any]) -> None:
    """Refuse observations that allow no action.

    Raises:
        envs.EnvironmentFailedError: one does.
    """
    if mask.empty([one[ACTION_MASK] for one in observations]).any():
        raise envs.EnvironmentFailedError(
            "the environment gave an action_mask that allows no action: allow at least one until the episode is over"
        )


def rollout(
    agent: Algorithm | MemoryRLModule | Player | str | Path,
    env: gym.Env | str | Sequence[gym.Env],
    episodes: int,
    *,
    explore: bool = False,
    seed: int | None = None,
    record: bool = False,
    without: str | None = None,
    max_steps: int | None = None,
    progress: Progress | None = None,
) -> list[RolloutEpisode]:
    """Play whole episodes, one after the other, or side by side in several environments.

    Args:
        agent: an algorithm, the directory of a checkpoint that it saved (no Ray is started for it), or a module that
            needs no connectors but the standard ones.
        env: an environment, which stays open, or the id of one for ``envs.make``; or copies of one, which play side by
            side, so that each step of the agent serves them all.
        episodes: how many.
        explore: sample the actions, as in training, rather than take the likeliest.
        seed: the n-th episode is reset with ``envs.stream_seed(seed, n)``, and sampled actions repeat as well, with as
            many copies.
        record: keep what the memory did in every step; in one environment alone.
        without: wipe the "memory", the "controller" or "both" before every step; what is lost shows what it was for.
        max_steps: cut an episode off after so many steps; by default after 10,000, or after the steps that the
            environment declares where these are more.
        progress: called after every step with the episodes that have ended and the steps played, for long rollouts.

    Returns:
        The episodes in the order of their numbers n.

    Raises:
        envs.EnvironmentFailedError: an environment raised an error.
        ValueError: the directory holds no checkpoint of a memory agent, the environment's spaces are not those that
            the agent was trained with, there is no environment, there are several to record, or its core has
            nothing to wipe there.
    """
    copies = [envs.make(env)] if isinstance(env, str) else list(env) if isinstance(env, Sequence) else [env]
    if not copies or (record and len(copies) > 1):
        expected = "one environment to record" if record else "at least one environment"
        raise ValueError(f"rollout: {len(copies)} environments were given, expected {expected}")
    if max_steps is not None and max_steps < 1:
        raise ValueError(f"rollout: max_steps is {max_steps}, expected at least 1")
    table = _Table(copies, seed, explore, max_steps or step_limit(copies[0]), progress)
    try:
        player = _agent_for(agent, copies[0])
        with _seeded(seed), ablated(player.module, without):
            if not record:
                return _play(player, table, range(episodes))
            return [_recorded(player, table, number) for number in range(episodes)]
    finally:
        if isinstance(env, str):
            with contextlib.suppress(Exception):
                copies[0].close()


def step_limit(env: gym.Env) -> int:
    """Steps after which an episode of an environment is cut off when nobody says."""
    declared = env.spec.max_episode_steps if env.spec else None
    return max(MAX_STEPS, declared or 0)


@dataclass(frozen=True)
class _Table:
    """Where episodes are played, and how."""

    copies: Sequence[gym.Env]
    seed: int | None
    explore: bool
    limit: int
    progress: Progress | None


class _Game:
    """An episode under way.

    Args:
        env: where.
        number: which of the episodes that were asked for; None for one that nobody asked for.
        seed: resets it with ``envs.stream_seed(seed, number)``.
    """

    def __init__(self, env: gym.Env, number: int | None, seed: int | None):
        self.env, self.number = env, number
        self.episode = SingleAgentEpisode(observation_space=env.observation_space, action_space=env.action_space)
        self.name = env.spec.id if env.spec else type(env.unwrapped).__name__
        try:
            if seed is None or number is None:
                observation, self.info = env.reset()
            else:
                observation, self.info = envs.reset_seeded(env, envs.stream_seed(seed, number))
        except Exception as error:
            raise envs.failure_of(self.name, "reset", error) from error
        observation = envs.conform(env.observation_space, observation)
        self.episode.add_env_reset(observation, self.info)
        self.observations, self.actions = [copy.deepcopy(observation)], []
        self.limited = False

    def step(self, action: Any, for_env: Any, limit: int) -> None:
        self.actions.append(for_env)
        try:
            observation, reward, terminated, truncated, self.info = self.env.step(for_env)
        except Exception as error:
            raise envs.failure_of(self.name, "step", error) from error
        observation = envs.conform(self.env.observation_space, observation)
        self.limited = len(self.actions) >= limit and not (terminated or truncated)
        over: dict[str, Any] = {"terminated": terminated, "truncated": truncated or self.limited}
        self.episode.add_env_step(observation, action, reward, self.info, **over)
        self.observations.append(copy.deepcopy(observation))  # some environments write into one array for ever

    def played(self) -> RolloutEpisode:
        return RolloutEpisode(
            observations=tree.map_structure(lambda *steps: np.stack(steps), *self.observations),
            actions=tree.map_structure(lambda *steps: np.stack(steps), *self.actions),
            rewards=np.array(self.episode.get_rewards(), np.float64),
            info=self.info,
            terminated=self.episode.is_terminated,
            truncated=self.episode.is_truncated,
            limited=self.limited,
        )


def _play(agent: Player, table: _Table, numbers: Sequence[int]) -> list[RolloutEpisode]:
    """The numbered episodes; a copy that is done with its share plays on for nobody, for the state keeps its rows."""
    waiting, played, shared, steps = iter(numbers), {}, {}, 0
    games = [_Game(env, next(waiting), table.seed) for env in table.copies[: len(numbers)]]
    while len(played) < len(numbers):
        actions = agent.act([game.episode for game in games], shared, table.explore)
        for game, (action, for_env) in zip(games, actions, strict=True):
            game.step(action, for_env, table.limit)
        for row, game in enumerate(games):
            if game.episode.is_done:
                if game.number is not None:
                    played[game.number] = game.played()
                if len(played) < len(numbers):
                    games[row] = _Game(game.env, next(waiting, None), table.seed)
        steps += len(games)
        if table.progress:
            table.progress(len(played), steps)
    return [played[number] for number in numbers]


def _recorded(agent: Player, table: _Table, number: int) -> RolloutEpisode:
    with memory.record(agent.module.core) as recording:
        (episode,) = _play(agent, table, [number])
    return replace(episode, weights={name: one[0].cpu().numpy() for name, one in recording.stacked().items()})


def player_of(agent: Algorithm | MemoryRLModule | Player | str | Path) -> Player:
    """What plays for an agent, of any kind that ``rollout`` takes; raises as ``rollout``."""
    if isinstance(agent, Player):
        return agent
    if isinstance(agent, MemoryRLModule):
        return _from_module(agent)
    return _from_algorithm(agent) if isinstance(agent, Algorithm) else _from_checkpoint(Path(agent))


def _agent_for(agent: Algorithm | MemoryRLModule | Player | str | Path, env: gym.Env) -> Player:
    player = player_of(agent)
    trained = (player.env_to_module.input_observation_space, player.module.action_space)
    given = (env.observation_space, env.action_space)
    for name, here, there in zip(("observation", "action"), given, trained, strict=True):
        if here != there:
            raise ValueError(
                f"this environment's {name} space is {here}, but the agent was trained with {there}: "
                "use the environment, with the settings and wrappers, that it was trained with"
            )
    return player


def _from_module(module: MemoryRLModule) -> Player:
    single = (module.observation_space, module.action_space)
    config = MemoryPPOConfig()
    settings = MemorySettings.from_model_config(module.model_config)
    config.memory_settings |= {"previous_action": settings.previous_action, "previous_reward": settings.previous_reward}
    return Player(module, *_pipelines(config, {INPUT_ENV_SPACES: single, INPUT_ENV_SINGLE_SPACES: single}))


def _from_algorithm(algorithm: Algorithm) -> Player:
    config: Any = algorithm.config
    runner: Any = algorithm.env_runner
    learners: Any = algorithm.learner_group
    spaces = runner.get_spaces()
    module = config.get_rl_module_spec(spaces=spaces, inference_only=True).build()
    weights = learners.get_state(f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}", inference_only=True)
    module.set_state(weights[COMPONENT_LEARNER][COMPONENT_RL_MODULE][DEFAULT_MODULE_ID])
    if isinstance(module, EpisodicModule):
        module.dictionary.apply_changes(cast(Any, algorithm).agent.dictionary.changes())
    env_to_module, module_to_env = _pipelines(config, spaces)
    learned = runner.get_state([COMPONENT_ENV_TO_MODULE_CONNECTOR, COMPONENT_MODULE_TO_ENV_CONNECTOR])
    env_to_module.set_state(learned[COMPONENT_ENV_TO_MODULE_CONNECTOR])
    module_to_env.set_state(learned[COMPONENT_MODULE_TO_ENV_CONNECTOR])
    return Player(module, env_to_module, module_to_env)


def _from_checkpoint(directory: Path) -> Player:
    learner = directory / COMPONENT_LEARNER_GROUP / COMPONENT_LEARNER / COMPONENT_RL_MODULE / DEFAULT_MODULE_ID
    runner = directory / COMPONENT_ENV_RUNNER
    parts = (learner, runner / COMPONENT_ENV_TO_MODULE_CONNECTOR, runner / COMPONENT_MODULE_TO_ENV_CONNECTOR)
    missing = [str(part.relative_to(directory)) for part in parts if not part.is_dir()]
    if missing and (directory / "config.json").is_file():
        raise ValueError(
            f"{directory} is a run of `lukasa train`: play it with lukasa.launch.rollout, or load it with "
            "lukasa.launch.load_agent"
        )
    if missing:
        raise ValueError(
            f"{directory} is not a whole checkpoint of an RLlib algorithm, it lacks {', '.join(missing)}: "
            "give the directory that algo.save_to_path() returned"
        )
    try:
        with old_names():
            module = MemoryRLModule.from_checkpoint(parts[0].absolute())
            pipelines = [ConnectorPipelineV2.from_checkpoint(part.absolute()) for part in parts[1:]]
    except Exception as error:  # unpickling what is cut short raises nearly anything
        raise ValueError(
            f"the checkpoint {directory} holds no readable memory agent, it may have been cut short: {error}"
        ) from error
    return Player(module, *pipelines)


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
