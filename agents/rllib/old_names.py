"""Checkpoints from before the packages were called ``lukasa.agents``, ``lukasa.memory`` and so on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

MOVED = {f"agents.rllib.{name}": f"agents.policy.{name}" for name in ("encoders", "normalization", "settings")}
"""Modules that have since become part of another package: old name to new one."""
FOLDERS = ("agents", "envs", "launch", "memory", "tasks")
OURS = "lukasa."


@contextmanager
def old_names() -> Iterator[None]:
    """Let RLlib's own checkpoints of version 0.1 be read, whose pickles name classes as ``agents.rllib.config`` did.

    Our own ``rollout`` and ``load_agent`` use it; RLlib's ``from_checkpoint`` needs it around the call. Modules of
    yours that are called ``agents`` or ``envs`` are out of sight for as long as the block lasts, and back after it.

    Example:
        >>> with old_names():
        ...     import memory
        >>> memory.__name__
        'lukasa.memory'
    """
    hidden = {name: module for name, module in sys.modules.items() if name.split(".")[0] in FOLDERS}
    ours = {name.removeprefix(OURS): module for name, module in sys.modules.items() if name.startswith(OURS)}
    moved = {old: ours[new] for old, new in MOVED.items() if new in ours}
    _replace({name: module for name, module in (ours | moved).items() if name.split(".")[0] in FOLDERS})
    sys.modules.update({f"{OURS}{old}": module for old, module in moved.items()})
    try:
        yield
    finally:
        _replace(hidden)
        for old in moved:
            sys.modules.pop(f"{OURS}{old}", None)


def _replace(modules: dict) -> None:
    """Make these the loaded modules that have names of our folders."""
    for name in [name for name in sys.modules if name.split(".")[0] in FOLDERS]:
        del sys.modules[name]
    sys.modules.update(modules)
