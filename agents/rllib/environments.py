"""Environments by name, made in the runner that steps them: registries of this process do not reach remote ones."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator
from ray import cloudpickle
from ray.tune.registry import register_env

from lukasa import envs
from lukasa.agents.rllib.many_agents.environments import as_multi_agent


def register_environment(env: str | Callable[..., gym.Env[Any, Any]], **settings: Any) -> str:
    """Make an environment known to RLlib on every machine, as ``envs.make`` and ``envs.make_vec`` build it.

    What a script registered with ``gym.register``, and a class of a script, travel to remote runners with their code.
    What is named by its module, ``"package.module:Id"``, is imported there. Use it with
    ``.env_runners(gym_env_vectorize_mode="vector_entry_point")`` to step all copies by one program where the
    environment has one. Restoring a checkpoint in a new process needs the same call first.

    Args:
        env: an id as in ``envs.make``, or a class of environments or another function that makes one.
        **settings: the environment's own settings.

    Returns:
        The name to give to ``config.environment()``.

    Raises:
        UnknownEnvironmentError: there is no such environment.
        MissingExtraError: it needs a package that is not installed.
        ValueError: it has no such setting, the value is out of range, or the name of a class is taken.
    """
    env_id = env if isinstance(env, str) else _id_of(env)
    envs.make(env_id, **settings).close()
    spec, obstacle = _portable(env_id.rpartition(":")[2])

    def create(context: dict[str, Any]) -> gym.Env | gym.vector.VectorEnv:
        chosen = {**settings, **context}
        copies = chosen.pop("num_envs", None)
        if spec is not None:
            gym.registry[spec.id] = spec
        try:
            if copies is not None:
                return envs.make_vec(env_id, copies, **chosen)
            env = envs.make(env_id, **chosen)
            return as_multi_agent(env) if hasattr(env.unwrapped, "possible_agents") else env
        except envs.UnknownEnvironmentError as unknown:
            if obstacle is None:
                raise
            raise envs.UnknownEnvironmentError(
                f"environment {env_id!r} does not reach other processes, because it cannot be pickled ({obstacle}): "
                "put it in a module of its own and name it 'module:Id'"
            ) from unknown

    name = env_id if not settings else f"{env_id} {sorted(settings.items())}"
    register_env(name, create)
    return name


def _id_of(build: Callable[..., gym.Env[Any, Any]]) -> str:
    """The import path of a class or function where it has one; else its name, under which it is registered here."""
    module, name = build.__module__, getattr(build, "__qualname__", "")
    if module != "__main__" and getattr(sys.modules.get(module), name, None) is build:
        return f"{module}:{name}"
    name = name.rpartition(".")[2]
    if not name.isidentifier():
        raise ValueError(f"{build} has no name to register it by: use a class, or a function made with def")
    known = gym.registry.get(name)
    if known is not None and getattr(known.entry_point, "__qualname__", None) != build.__qualname__:
        raise ValueError(f"the name {name!r} belongs to another environment: rename the class")
    gym.registry[name] = EnvSpec(id=name, entry_point=build)
    return name


def _portable(name: str) -> tuple[EnvSpec | None, str | None]:
    """The registration of an environment as other processes can have it, or what keeps it from them."""
    if name not in gym.registry:
        return None, None  # named by its module, which they import
    spec = copy.copy(gym.registry[name])
    for field in ("entry_point", "vector_entry_point"):
        entry = getattr(spec, field)
        if isinstance(entry, str) and entry.startswith("__main__:"):
            setattr(spec, field, load_env_creator(entry))
    try:
        cloudpickle.dumps(spec)  # pyright: ignore[reportPrivateImportUsage]
    except Exception as error:  # what refuses to be pickled raises nearly anything
        return None, " ".join(str(error).split())
    return spec, None
