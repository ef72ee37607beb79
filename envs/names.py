"""Environment ids that nobody registered: what is missing for them, or which one was meant."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable

from lukasa.ground.names import most_like

REGISTERED_BY = {"popgym-": "popgym", "MiniGrid-": "minigrid", "BabyAI-": "minigrid", "ALE/": "ale_py"}
"""Packages that register environments when imported, by how their ids begin."""

ALSO_NEEDS = {"popgym-Labyrinth": "mazelib"}
"""Packages without which the one that registers environments leaves some out, by how their ids begin."""

INSTALLED_BY = {
    "popgym": "pip install 'lukasa[envs]'",
    "minigrid": "pip install 'lukasa[envs]'",
    "mazelib": "pip install 'popgym[navigation]'",
    "ale_py": "pip install 'gymnasium[atari]'",
    "Box2D": "pip install swig 'gymnasium[box2d]'",
    "mujoco": "pip install 'gymnasium[mujoco]'",
    "jax": "pip install 'gymnasium[jax]'",
    "flax": "pip install 'gymnasium[jax]'",
    "pygame": "pip install 'gymnasium[classic-control]'",
    "cv2": "pip install 'gymnasium[other]'",
    "moviepy": "pip install 'gymnasium[other]'",
}
"""How to get a package, by the name that is imported; others by their own name."""

_ATARI = re.compile(r"\w+(NoFrameskip|Deterministic|-ram\w*)-v\d+")
_VERSION = re.compile(r"(.*?)(?:-v(\d+))?", re.DOTALL)


def registers(name: str) -> str:
    """The package that registers an environment when it is imported, empty where Gymnasium or we do."""
    if _ATARI.fullmatch(name):
        return "ale_py"
    return next((REGISTERED_BY[start] for start in REGISTERED_BY if name.lower().startswith(start.lower())), "")


def missing_package(name: str) -> str | None:
    """A package that an environment needs and that is not installed."""
    needed = [registers(name), *(ALSO_NEEDS[start] for start in ALSO_NEEDS if name.lower().startswith(start.lower()))]
    return next((package for package in needed if package and importlib.util.find_spec(package) is None), None)


def how_to_get(package: str) -> str:
    """The command that installs a package.

    Example:
        >>> how_to_get("Box2D")
        "pip install swig 'gymnasium[box2d]'"
    """
    return INSTALLED_BY.get(package, f"pip install {package}")


def which_was_meant(name: str, known: Iterable[str]) -> str:
    """The end of a message about an id that is not known.

    Example:
        >>> which_was_meant("CartPole-v9", ["CartPole-v0", "CartPole-v1", "Acrobot-v1"])
        "there are versions v0 and v1: did you mean 'CartPole-v1'?"
        >>> which_was_meant("cartpole-v1", ["CartPole-v0", "CartPole-v1"])
        "did you mean 'CartPole-v1'?"
    """
    known = list(dict.fromkeys(known))
    for one in known:
        if one.lower() == name.lower():
            return f"did you mean {one!r}?"
    base, version = _base(name)
    versions = sorted((number, one) for one in known for other, number in [_base(one)] if other == base)
    if versions:
        newest = versions[-1][1]
        if version < 0 or len(versions) == 1:
            return f"did you mean {newest!r}?"
        *others, last = (f"v{number}" for number, _ in versions)
        return f"there are versions {', '.join(others)} and {last}: did you mean {newest!r}?"
    atari = [one for one in known if one.startswith("ALE/") and _base(one[4:])[0] == base]
    if atari:
        return f"did you mean {atari[-1]!r}?"
    if near := most_like(name, known, 0.6):
        return f"did you mean {near!r}?"
    return "lukasa list envs names some, and any id that Gymnasium or an installed package registers will do"


def _base(name: str) -> tuple[str, int]:
    """The id without its version, in lower case, and the version, -1 where there is none."""
    found = _VERSION.fullmatch(name)
    assert found
    return found[1].lower(), int(found[2]) if found[2] else -1
