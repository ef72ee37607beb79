"""The command line, recipes and run directories; ``load_agent`` and ``rollout`` use what was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lukasa.launch.trained import load_agent as load_agent
    from lukasa.launch.trained import rollout as rollout

# Both are in ``lukasa.launch.trained``, which loads torch and for reinforcement learning Ray: imported when asked for.
__all__ = ["load_agent", "rollout"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from lukasa.launch import trained

        return getattr(trained, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
