"""Learners that train memory cores, and agents that play; ``load_agent`` loads one from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lukasa.agents.portable import load_agent as load_agent

__all__ = ["load_agent"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # imports torch, which takes seconds
        from lukasa.agents import portable

        return getattr(portable, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
