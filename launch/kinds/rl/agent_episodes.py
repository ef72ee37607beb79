"""Episodes of a trained agent, intact or with a part of what it carries wiped, and of one that acts at random."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

import gymnasium as gym
import numpy as np

from lukasa import envs
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.ground.statistics import mean_interval, share_interval
from lukasa.launch.kinds.rl.experiment import RLExperiment

LIMIT = 1000
"""Steps after which an episode of a wiped agent is cut off: so many, or ten times the longest of the intact one."""

SECONDS = 5.0
"""Between two lines that say how far the episodes are."""


@dataclass(frozen=True)
class Play:
    """Which episodes to play.

    Attributes:
        episodes: how many.
        seed: of the first one.
        explore: draw actions from the policy instead of taking the likeliest.
        limit: steps after which an episode of a wiped agent is cut off; None for the environment's own.
        max_steps: steps after which any episode is cut off; None for ``lukasa.agents.rllib.rollout``'s own limit.
        quiet: say nothing of how far they are.
    """

    episodes: int
    seed: int
    explore: bool = False
    limit: int | None = None
    max_steps: int | None = None
    quiet: bool = False


class ShownEpisodes:
    """Says every few seconds on stderr how far the episodes are, as ``rollout`` tells it.

    Args:
        asked: how many episodes.
    """

    def __init__(self, asked: int):
        self._asked, self._shown = asked, time.monotonic()

    def __call__(self, ended: int, steps: int) -> None:
        """So many have ended, and so many steps were played."""
        if time.monotonic() - self._shown >= SECONDS:
            print(f"{ended:,} of {self._asked:,} episodes, {steps:,} steps", file=sys.stderr, flush=True)
            self._shown = time.monotonic()


def play(module: Any, experiment: RLExperiment, how: Play, part: str | None = None) -> dict[str, Any]:
    """Episodes of an agent, summed up.

    Args:
        module: who plays.
        experiment: what it was trained on.
        how: which episodes.
        part: of its state, wiped before every step; None for nothing.
    """
    from lukasa.agents.rllib import rollout
    from lukasa.launch.kinds.rl.algorithms import make_config
    from lukasa.launch.kinds.rl.many_agents import cast_of, play_many
    from lukasa.launch.ray.quiet import quiet_libraries

    shown = None if how.quiet else ShownEpisodes(how.episodes)
    asked: dict[str, Any] = {"explore": how.explore, "seed": how.seed, "max_steps": how.max_steps}
    with quiet_libraries():
        if cast_of(experiment):
            config = make_config(experiment)
            many = {"limit": how.limit, "without": part, "progress": shown, **asked}
            return {"without": part, **_many(play_many(config, module, experiment, how.episodes, **many))}
        copies = make_copies(experiment, how)
        played = rollout(module, copies, how.episodes, without=part, progress=shown, **asked)
        _close(copies)
    ended = [(one.episode_return, one.length, one.info) for one in played]
    return {"without": part, **_summary(experiment, ended), "cut_off": sum(one.limited for one in played)}


def film(module: Any, experiment: RLExperiment, how: Play, file: Path, part: str | None = None) -> None:
    """Play the first episode before a camera, and write it as a video.

    Args:
        module: who plays.
        experiment: what it was trained on.
        how: which episodes; the first of them is played.
        file: of the video, which ``check_video`` has found to be one.
        part: of the agent's state, wiped before every step; None for nothing.

    Raises:
        UserError: the environment cannot be seen.
    """
    from lukasa.agents.rllib import rollout
    from lukasa.agents.rllib.many_agents.environments import as_multi_agent
    from lukasa.agents.rllib.many_agents.rollout import rollout_many_agents
    from lukasa.launch.kinds.rl.algorithms import make_config
    from lukasa.launch.kinds.rl.many_agents import cast_of
    from lukasa.launch.kinds.rl.videos import Filmed, make_filmed, write_video
    from lukasa.launch.ray.quiet import quiet_libraries

    filmed = make_filmed(experiment.env, experiment.env_settings)
    asked: dict[str, Any] = {"explore": how.explore, "seed": how.seed, "without": part}
    with quiet_libraries():
        if cast_of(experiment):
            filmed = Filmed(as_multi_agent(filmed.env))
            asked |= {"name": experiment.env, "max_steps": how.max_steps or LIMIT}
            rollout_many_agents(make_config(experiment), module, cast(Any, [filmed]), 1, **asked)
        else:
            rollout(module, cast(Any, filmed), 1, max_steps=how.max_steps, **asked)
        _close([filmed.env])
    write_video(filmed.frames, file, filmed.env.metadata)


def play_at_random(experiment: RLExperiment, how: Play) -> dict[str, Any]:
    """Episodes whose actions are drawn uniformly from the action space, summed up."""
    from lukasa.agents.policy.masks import ACTION_MASK, action_mask
    from lukasa.agents.rllib.rollout import MAX_STEPS, step_limit
    from lukasa.launch.kinds.rl.many_agents import cast_of, play_many_at_random

    if cast_of(experiment):
        return _many(play_many_at_random(experiment, how.episodes, how.seed, how.max_steps or how.limit or MAX_STEPS))
    (env,) = make_copies(experiment, replace(how, episodes=1))
    ended, limit = [], how.max_steps or step_limit(env)
    env.action_space.seed(how.seed)
    mask, random = action_mask(env.observation_space, env.action_space), np.random.default_rng(how.seed)
    for number in range(how.episodes):
        seen, _ = envs.reset_seeded(env, envs.stream_seed(how.seed, number))
        rewards, info, done = [], {}, False
        while not done and len(rewards) < limit:
            action = mask.draw(seen[ACTION_MASK], random) if mask else env.action_space.sample()
            seen, reward, terminated, truncated, info = env.step(action)
            rewards.append(float(reward))
            done = terminated or truncated
        ended.append((sum(rewards), len(rewards), info))
    _close([env])
    return _summary(experiment, ended)


def ablated(module: Any, experiment: RLExperiment, how: Play, parts: Sequence[str | None]) -> dict[str, Any]:
    """The agent with each part wiped in turn, and random actions.

    Args:
        module: who plays.
        experiment: what it was trained on.
        how: which episodes.
        parts: what is wiped; None for nothing, which comes first.

    Returns:
        ``rows``, one for each part, and ``random_actions``, each as ``play`` sums episodes up.
    """
    intact = play(module, experiment, how, parts[0])
    # An agent that has lost its memory may never come to an end that the intact one reaches.
    limited = replace(how, limit=max(LIMIT, 10 * intact["length_longest"]))
    rows = [intact, *(play(module, experiment, limited, part) for part in parts[1:])]
    return {"rows": rows, "random_actions": play_at_random(experiment, limited)}


def with_settings(experiment: RLExperiment, given: Mapping[str, Any]) -> RLExperiment:
    """The experiment with other settings of its environment, in which its agent is to play.

    Args:
        experiment: what the agent was trained on.
        given: settings, which come before those of the experiment.

    Raises:
        UserError: the environment does not take them, or with them has other spaces than the agent was trained on.
    """
    if not given:
        return experiment
    changed = replace(experiment, env_settings={**experiment.env_settings, **given})
    with as_user_error():
        spaces = [_spaces_of(one) for one in (experiment, changed)]
    for name, trained, found in zip(("observation", "action"), *spaces, strict=True):
        if trained != found:
            raise UserError(
                f"option --env-settings: environment {experiment.env!r} then has the {name} space {_short(found)}, and "
                f"the agent was trained on {_short(trained)}: give settings that leave it as it is"
            )
    return changed


def _spaces_of(experiment: RLExperiment) -> tuple[gym.Space, gym.Space]:
    env = envs.make(experiment.env, **experiment.env_settings)
    _close([env])
    return env.observation_space, env.action_space


def _short(space: gym.Space) -> str:
    return shorten(" ".join(str(space).split()), 200, placeholder="…")


def make_copies(experiment: RLExperiment, how: Play) -> list[gym.Env]:
    """As many environments side by side as in training, where the memory of so many fitted."""
    count = min(how.episodes, experiment.envs_per_runner)
    copies = [envs.make(experiment.env, **experiment.env_settings) for _ in range(count)]
    return [gym.wrappers.TimeLimit(env, how.limit) for env in copies] if how.limit else copies


def _close(copies: Sequence[gym.Env]) -> None:
    """Close environments whose work is done, whether they can or not."""
    for env in copies:
        with suppress(Exception):
            env.close()


def _summary(experiment: RLExperiment, ended: Sequence[tuple[float, int, dict[str, Any]]]) -> dict[str, Any]:
    """Means and intervals of the return, length and last info of whole episodes."""
    returns, lengths, infos = zip(*ended, strict=True)
    summary: dict[str, Any] = {
        "episodes": len(ended),
        "return_mean": float(np.mean(returns)),
        "return_std": float(np.std(returns)),
        "return_interval": mean_interval(returns),
        "length_mean": float(np.mean(lengths)),
        "length_longest": max(lengths),
    }
    if envs.score_unit(experiment.env) == "success rate":
        scores = [envs.episode_score(experiment.env, *one) for one in zip(returns, infos, strict=True)]
        summary |= {"success_rate": float(np.mean(scores)), "success_interval": share_interval(scores)}
    return summary


def _many(played: Sequence[Any]) -> dict[str, Any]:
    """Means and intervals of episodes of several agents, whose return is that of all together."""
    returns, lengths = [one.episode_return for one in played], [one.length for one in played]
    agents = sorted({agent for one in played for agent in one.returns}, key=str)
    by_agent = {agent: [one.returns[agent] for one in played if agent in one.returns] for agent in agents}
    return {
        "episodes": len(played),
        "return_mean": float(np.mean(returns)),
        "return_std": float(np.std(returns)),
        "return_interval": mean_interval(returns),
        "length_mean": float(np.mean(lengths)),
        "length_longest": max(lengths),
        "cut_off": sum(one.limited for one in played),
        "agent_returns": {str(agent): float(np.mean(own)) for agent, own in by_agent.items()},
    }
