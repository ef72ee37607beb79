"""When the copies of a vector environment start over: RLlib, and all that is here, expects the step after the last."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv


def start_over_at_the_next_step(env: gym.vector.VectorEnv[Any, Any, Any], name: str) -> None:
    """Have the copies start over at the step after the last of an episode, whose action is ignored.

    Gymnasium's ``SyncVectorEnv`` is switched to this mode. A program that starts over within the last step, or leaves
    that to others, steps all of its copies at once, so that none can wait for the step in which it would start over.

    Args:
        env: a vector environment that declares its mode, by ``metadata["autoreset_mode"]``; this one where it does not.
        name: what to call it.

    Raises:
        ValueError: it has another mode and cannot be switched.
    """
    # A SyncVectorEnv writes its mode into the metadata of the class of its copies, which others write too.
    declared = env.autoreset_mode if isinstance(env, SyncVectorEnv) else env.metadata.get("autoreset_mode")
    if declared in (None, AutoresetMode.NEXT_STEP, AutoresetMode.NEXT_STEP.value):
        return
    if isinstance(env, SyncVectorEnv) and type(env).step is SyncVectorEnv.step:
        env.autoreset_mode = AutoresetMode.NEXT_STEP
        env.metadata = {**env.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}
        return
    mode = declared.name if isinstance(declared, AutoresetMode) else declared
    raise ValueError(
        f'vector environment {name!r} has metadata["autoreset_mode"] {mode}, expected NEXT_STEP: build it with '
        "autoreset_mode=AutoresetMode.NEXT_STEP, or register the environment without a vector_entry_point"
    )
