"""Episodes of an agent out of its file, or of one that is served, without Ray."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from lukasa import envs
from lukasa.agents.portable.space_records import to_record
from lukasa.ground.mistakes import UserError
from lukasa.ground.spaces import named
from lukasa.ground.statistics import mean_interval, share_interval

MAX_STEPS = 10_000
"""Steps after which an episode is cut off, unless its environment declares a larger limit or the caller gives one."""


class Player(Protocol):
    """What plays: an agent out of a file, or a client of one that is served."""

    observation_space: Any
    action_space: Any

    def act(self, observation: Any, session: Any = None, reward: Any = None) -> tuple[Any, Any]:
        """The next action, and the session to go on with."""
        ...


class Played(NamedTuple):
    """An episode, which was cut off where it is neither terminated nor truncated."""

    rewards: list[float]
    info: dict[str, Any]
    terminated: bool
    truncated: bool
    session: Any


def play(
    player: Player,
    env_id: str,
    env_settings: dict[str, Any],
    *,
    episodes: int,
    seed: int,
    max_steps: int | None = None,
    end: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """Play whole episodes, the n-th reset as that of ``lukasa eval`` with the same seed; and sum them up.

    Args:
        player: who plays.
        env_id: where.
        env_settings: of the environment.
        episodes: how many.
        seed: of the episodes.
        max_steps: cut episodes off after so many steps.
        end: told the session of an episode that is over.

    Raises:
        UserError: the environment's spaces are not those of the player.
        envs.EnvironmentFailedError: the environment raised an error.
    """
    env = envs.make(env_id, **env_settings)
    check_spaces(player, env)
    limit, ended, cut_off = step_limit(env, max_steps), [], 0
    try:
        for number in range(episodes):
            one = play_one(player.act, env, env_id, envs.stream_seed(seed, number), limit)
            cut_off += not (one.terminated or one.truncated)
            ended.append((float(np.sum(np.array(one.rewards, np.float64))), len(one.rewards), one.info))
            if end:
                end(one.session)
    finally:
        env.close()
    returns, lengths, infos = zip(*ended, strict=True)
    found = {
        "env": env_id,
        "env_settings": env_settings,
        "seed": seed,
        "episodes": episodes,
        "return_mean": float(np.mean(returns)),
        "return_std": float(np.std(returns)),
        "return_interval": mean_interval(returns),
        "length_mean": float(np.mean(lengths)),
        "cut_off": cut_off,
        "score": envs.score_unit(env_id),
    }
    if found["score"] == "success rate":
        scores = [envs.episode_score(env_id, *one) for one in zip(returns, infos, strict=True)]
        found |= {"success_rate": float(np.mean(scores)), "success_interval": share_interval(scores)}
    return found


def check_spaces(player: Player, env: Any) -> None:
    """Refuse an environment that the player was not trained for.

    Raises:
        UserError: a space differs.
    """
    for name in ("observation_space", "action_space"):
        here, there = getattr(env, name), getattr(player, name)
        try:
            fits = to_record(here) == to_record(there)
        except ValueError:
            fits = False
        if not fits:
            raise UserError(
                f"this environment's {name.replace('_', ' ')} is {named(here)}, but the agent was trained with "
                f"{named(there)}: use the environment, with the settings and wrappers, that it was trained with"
            )


def step_limit(env: Any, max_steps: int | None) -> int:
    """Steps after which an episode is cut off.

    Args:
        env: where it is played.
        max_steps: what the caller asks for.
    """
    declared = env.spec.max_episode_steps if env.spec else None
    return max_steps or max(MAX_STEPS, declared or 0)


def play_one(act: Callable[[Any, Any, Any], tuple[Any, Any]], env: Any, name: str, seed: int, limit: int) -> Played:
    """Play one episode, up to a number of steps.

    Args:
        act: as ``Player.act``.
        env: where.
        name: of the environment, for messages.
        seed: of its reset.
        limit: of steps.

    Raises:
        envs.EnvironmentFailedError: the environment raised an error.
    """
    try:
        observation, info = envs.reset_seeded(env, seed)
    except Exception as error:
        raise envs.failure_of(name, "reset", error) from error
    rewards: list[float] = []
    session, reward, terminated, truncated = None, None, False, False
    while len(rewards) < limit and not (terminated or truncated):
        action, session = act(observation, session, reward)
        try:
            observation, reward, terminated, truncated, info = env.step(action)
        except Exception as error:
            raise envs.failure_of(name, "step", error) from error
        rewards.append(float(reward))
    return Played(rewards, info, bool(terminated), bool(truncated), session)
