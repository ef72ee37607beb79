"""Seeds: one rule for every stream of episodes, so that no two of them coincide.

Gymnasium gives copy i of a vector environment the seed ``s + i``, and RLlib gives runner w ``s + w``: neighbouring
seeds then play nearly the same episodes. Here a stream is named by a seed and a path of whole numbers, and NumPy's
``SeedSequence`` makes its own seed of them. The paths in use:

- ``()`` + copy: copies of ``envs.make_vec(...).reset(seed=s)``.
- ``(sitting, runner, evaluating, attempt)`` + copy: copies in a runner of RLlib (``lukasa.agents.rllib.runner``).
- ``(number,)``: the numbered episodes of ``lukasa.agents.rllib.rollout``, and with it of ``lukasa eval`` and ``plot``.

One environment alone keeps the seed that it is given: ``env.reset(seed=s)`` is what it always was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

NARROW_BITS = 31
"""Seeds of environments that refuse long ones, such as those that hand them to NumPy's old generators."""


def stream_seed(seed: int, *path: int) -> int:
    """The seed of a stream, 63 bits.

    Args:
        seed: what the user chose; at least 0.
        path: which of the seed's streams; whole numbers of at least 0.

    Example:
        >>> stream_seed(0, 1) == stream_seed(0, 1), stream_seed(0, 1) == stream_seed(1, 0)
        (True, False)
    """
    (word,) = np.random.SeedSequence(seed, spawn_key=path).generate_state(1, np.uint64)
    return int(word) >> 1


def copy_seeds(seed: int, copies: int, *path: int) -> list[int]:
    """One seed for each copy of an environment; a copy's seed does not depend on how many copies there are.

    Args:
        seed: as in ``stream_seed``.
        copies: how many.
        path: of the stream whose copies they are.
    """
    return [stream_seed(seed, *path, copy) for copy in range(copies)]


def reset_seeded(env: gym.Env[Any, Any], seed: int) -> tuple[Any, dict[str, Any]]:
    """Reset one environment with a long seed, or with its upper bits where the environment refuses it."""
    return _long_or_narrow(lambda chosen: env.reset(seed=chosen), seed)


def reset_copies(env: Any, seeds: Sequence[int], *, lists: bool = False) -> tuple[Any, Any]:
    """Reset a vector environment, each copy with a seed of its own.

    A vector program of others is given the first seed alone, since it need not know ``lists``.
    """
    if isinstance(env.unwrapped, AsyncVectorEnv):  # whose processes are gone once one of them has refused a seed
        return env.reset(seed=[narrow(seed) for seed in seeds])
    if lists or isinstance(env.unwrapped, SyncVectorEnv | SpreadsSeeds):
        return _long_or_narrow(lambda chosen: env.reset(seed=chosen), list(seeds))
    return _long_or_narrow(lambda chosen: env.reset(seed=chosen), seeds[0])


def _long_or_narrow(reset: Callable[[Any], Any], seed: int | list[int]) -> Any:
    try:
        return reset(seed)
    except (ValueError, OverflowError, TypeError, gym.error.Error) as refused:
        try:
            return reset(narrow(seed) if isinstance(seed, int) else [narrow(one) for one in seed])
        except Exception:
            raise refused from None


def narrow(seed: int) -> int:
    """The upper bits of a seed."""
    return seed >> (63 - NARROW_BITS)


class SpreadsSeeds:
    """Mark of the vector environments of this package: they take lists of seeds, and spread a single one."""


class SpreadSeeds(gym.vector.VectorWrapper):
    """A vector environment whose ``reset(seed=s)`` gives the copies ``copy_seeds(s, copies)``."""

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset every copy; a list of seeds, and whatever comes with options, is handed on as it is."""
        if isinstance(seed, int | np.integer) and options is None:
            return reset_copies(self.env, copy_seeds(int(seed), self.num_envs))
        return self.env.reset(seed=seed, options=options)  # pyright: ignore[reportArgumentType]
