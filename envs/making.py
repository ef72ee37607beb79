"""Environments by name, ready for training: extras imported, observations encoded, mistakes explained."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from lukasa.envs.autoreset import start_over_at_the_next_step
from lukasa.envs.catalogue import ENVIRONMENTS
from lukasa.envs.conforming import Conforming
from lukasa.envs.names import how_to_get, missing_package, registers, which_was_meant
from lukasa.envs.row_programs import RowProgram
from lukasa.envs.streams import SpreadSeeds, SpreadsSeeds
from lukasa.envs.symbolic_grid import SymbolicGrid
from lukasa.ground.mistakes import UserError
from lukasa.ground.names import UnknownNameError, most_like
from lukasa.ground.registry import import_module
from lukasa.ground.settings import check_whole

GYMNASIUM_SETTINGS = ("max_episode_steps", "disable_env_checker", "render_mode")
"""What ``gymnasium.make`` itself takes beside the environment's own settings."""

NO_CHECKER = {"disable_env_checker": True}
"""Gymnasium's checker asserts what ``Conforming`` sets right."""


class UnknownEnvironmentError(UnknownNameError):
    """An environment id that nobody registered; the message gives the nearest one that is known."""


class MissingExtraError(UserError, ImportError):
    """An environment whose package is not installed; the message says how to install it."""


def make(env_id: str, **settings: Any) -> gym.Env[Any, Any]:
    """Make one environment: ours, one of an extra, or any other that Gymnasium knows.

    Those of MiniGrid come as flat vectors (``SymbolicGrid``), for ``make_vec`` likewise. Those of several agents, which
    have ``possible_agents``, come as they are.

    Args:
        env_id: for example "TMaze-L50-v0"; "package.module:Name-v0" imports the module first, and
            "package.module:Class" is a class in it that nobody registered.
        **settings: the environment's own settings, and those of ``gymnasium.make``.

    Raises:
        UnknownEnvironmentError: there is no such environment.
        MissingExtraError: it needs a package that is not installed.
        ValueError: it has no such setting, or the value is out of range.

    Example:
        >>> make("TMaze-L50-v0", corridor=70).unwrapped.corridor
        70
    """
    spec = _find_spec(env_id)
    _check_setting_names(env_id, spec.entry_point, settings, GYMNASIUM_SETTINGS)
    env = _build(env_id, settings, lambda: gym.make(spec, **NO_CHECKER | settings))
    for wrapper in () if hasattr(env.unwrapped, "possible_agents") else _wrappers(env_id):
        env = wrapper(env)
    return env


def make_vec(env_id: str, num_envs: int, **settings: Any) -> gym.vector.VectorEnv[Any, Any, Any]:
    """Make many copies of an environment, stepped by one program where there is one and in turn where not.

    Either way a copy whose episode has ended starts over at the next step (Gymnasium's next-step autoreset), and
    ``reset(seed=s)`` gives the copies ``copy_seeds(s, num_envs)``.

    Args:
        env_id: as in ``make``.
        num_envs: number of copies.
        **settings: the environment's own settings.

    Raises:
        UnknownEnvironmentError: there is no such environment.
        MissingExtraError: it needs a package that is not installed.
        ValueError: it has no such setting, the value is out of range, or its copies start over in another mode.

    Example:
        >>> make_vec("RepeatPrevious-k4-v0", 8).observation_space
        MultiDiscrete([4 4 4 4 4 4 4 4])
    """
    check_whole(env_id, "num_envs", num_envs, 1)
    spec = _find_spec(env_id)
    if spec.vector_entry_point is None:
        _check_setting_names(env_id, spec.entry_point, settings, GYMNASIUM_SETTINGS)
    else:
        program = _loaded(env_id, spec.vector_entry_point)
        ours = isinstance(program, type) and issubclass(program, RowProgram) and _takes_any(program)
        _check_setting_names(env_id, spec.entry_point if ours else program, settings)  # ours hands them on to one
    # One program for all copies has no single environment to put a wrapper around.
    options = {} if spec.vector_entry_point is not None else {"wrappers": _wrappers(env_id), **NO_CHECKER}
    env: Any = _build(env_id, settings, lambda: gym.make_vec(spec, num_envs, **options | settings))
    start_over_at_the_next_step(env, env_id)
    spread: Any = env if isinstance(env, SpreadsSeeds) else SpreadSeeds(env)
    return spread


def has_vector_program(env_id: str) -> bool:
    """Whether ``make_vec`` steps the copies of an environment by one program of its own.

    Raises:
        UnknownEnvironmentError, MissingExtraError: as ``make``.
    """
    return _find_spec(env_id).vector_entry_point is not None


def _find_spec(env_id: str) -> EnvSpec:
    module, _, name = env_id.rpartition(":")
    package = registers(name)
    if missing := missing_package(name):
        raise MissingExtraError(
            f"environment {env_id!r} needs the package {missing}, which is not installed: "
            f"install it with {how_to_get(missing)}"
        )
    if package:
        importlib.import_module(package)
    if module:
        _import_module(env_id, module, name)
    if name in gym.registry:
        return gym.registry[name]
    build: Any = getattr(sys.modules.get(module), name, None) if module else None
    if callable(build):
        entry: Any = build
        return EnvSpec(id=name, entry_point=entry)
    if module:
        known = [one for one in (*gym.registry, *ENVIRONMENTS) if most_like(name, [one])]
        hint = which_was_meant(name, known) if known else f"module {module!r} neither registers it nor has such a class"
    else:
        hint = which_was_meant(name, [*gym.registry, *ENVIRONMENTS])
        hint += "; one of your own is named with its module, 'package.module:Id'"
    raise UnknownEnvironmentError(f"unknown environment {env_id!r}: {hint}")


def _import_module(env_id: str, module: str, name: str) -> None:
    """Import what registers an environment; where it cannot be, its registration may have come another way.

    Raises:
        UnknownEnvironmentError: it cannot be, and nobody registered the environment.
    """
    try:
        import_module(module)
    except UnknownNameError as error:
        if name not in gym.registry:
            raise UnknownEnvironmentError(f"unknown environment {env_id!r}: {error}") from error.__cause__


def _check_setting_names(env_id: str, entry_point: Any, settings: dict[str, Any], more: tuple[str, ...] = ()) -> None:
    if not settings:
        return
    create = _loaded(env_id, entry_point)
    if _takes_any(create):
        return
    known = [name for name in inspect.signature(create).parameters if name != "num_envs"]
    for setting in settings:
        if setting not in (*known, *more):
            near = most_like(setting, [*known, *more])
            hint = f"did you mean {near!r}?" if near else f"it has {', '.join(known) or 'none of its own'}"
            raise ValueError(f"environment {env_id!r} has no setting {setting!r}: {hint}")


def _loaded(env_id: str, entry_point: Any) -> Any:
    """What makes an environment, imported where it is named."""
    with _explaining_imports(env_id):
        return load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point


def _takes_any(create: Callable[..., Any]) -> bool:
    """Whether what makes an environment takes settings of any name."""
    return any(one.kind is one.VAR_KEYWORD for one in inspect.signature(create).parameters.values())


def _build(env_id: str, settings: dict[str, Any], build: Callable[[], Any]) -> Any:
    try:
        with _explaining_imports(env_id):
            return build()
    except TypeError as refused:
        if not settings:
            raise
        raise ValueError(f"environment {env_id!r} does not take the settings {settings}: {refused}") from refused


@contextmanager
def _explaining_imports(env_id: str) -> Iterator[None]:
    """Turn a failed import into a sentence that says how to get the package.

    Raises:
        MissingExtraError: a package is not installed.
    """
    try:
        yield
    except (gym.error.DependencyNotInstalled, ImportError) as error:
        if isinstance(error, MissingExtraError):
            raise
        package = _not_found(error)
        if package is None:
            raise MissingExtraError(f"environment {env_id!r} cannot be made here: {error}") from error
        raise MissingExtraError(
            f"environment {env_id!r} needs the package {package}, which is not installed: "
            f"install it with {how_to_get(package)}"
        ) from error


def _not_found(error: BaseException | None) -> str | None:
    """The package that an import did not find, which Gymnasium says in its own words."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name.partition(".")[0]
        error = error.__cause__ or error.__context__
    return None


def _wrappers(env_id: str) -> list[Callable[[gym.Env], gym.Wrapper]]:
    """What stands around an environment, from the inside out."""
    encoders = [SymbolicGrid] if env_id.rpartition(":")[2].startswith("MiniGrid-") else []
    return [*encoders, Conforming]
