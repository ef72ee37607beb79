"""Environments by name, made in the runner that steps them: registries of this process do not reach remote ones."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from ray.tune.registry import register_env

import envs


def register_environment(env_id: str, **settings: Any) -> str:
    """Make an environment known to RLlib on every machine, as ``envs.make`` and ``envs.make_vec`` build it.

    Use it with ``.env_runners(gym_env_vectorize_mode="vector_entry_point")`` to step all copies by one program where
    the environment has one. Restoring a checkpoint in a new process needs the same call first.

    Args:
        env_id: as in ``envs.make``.
        **settings: the environment's own settings.

    Returns:
        The name to give to ``config.environment()``.

    Raises:
        UnknownEnvironmentError: there is no such environment.
        MissingExtraError: it needs a package that is not installed.
        ValueError: it has no such setting, or the value is out of range.
    """
    envs.make(env_id, **settings).close()

    def create(context: dict[str, Any]) -> gym.Env | gym.vector.VectorEnv:
        chosen = {**settings, **context}
        copies = chosen.pop("num_envs", None)
        return envs.make(env_id, **chosen) if copies is None else envs.make_vec(env_id, copies, **chosen)

    name = env_id if not settings else f"{env_id} {sorted(settings.items())}"
    register_env(name, create)
    return name
