"""A trained agent that plays with a part of its memory wiped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from lukasa import memory
from lukasa.agents.rllib.episodic.module import EpisodicModule
from lukasa.agents.rllib.module import MemoryRLModule


def wipeable(module: Any, core: memory.Core | None = None) -> tuple[str, ...]:
    """The parts that an agent can be left without; what an episodic agent knows of earlier episodes is memory too.

    Args:
        module: of one agent, or of several.
        core: its core, which is needed where there are several agents.
    """
    parts = memory.state_parts(module.core if core is None else core)
    if not isinstance(module, EpisodicModule) or "memory" in parts:
        return parts
    return ("memory", "controller", "both") if parts else ("memory",)


def check_wipeable(module: Any, part: str, core: memory.Core | None = None) -> None:
    """Refuse a part that an agent does not have; arguments as of ``wipeable``.

    Raises:
        ValueError: there is no such part, or the agent carries nothing in it.
    """
    if part not in wipeable(module, core):
        memory.without(module.core if core is None else core, part)


@contextlib.contextmanager
def ablated(module: MemoryRLModule, part: str | None) -> Iterator[None]:
    """Have a part of what an agent carries wiped before every step that it takes inside the ``with`` block.

    Args:
        module: who plays; it is as before when the block is left.
        part: "memory", "controller" or "both"; None wipes nothing. The memory of an episodic agent is its dictionaries
            as well.

    Raises:
        ValueError: there is no such part, or the agent carries nothing in it.
    """
    if part is None:
        yield
        return
    check_wipeable(module, part)
    intact, parts = module.net.core, memory.state_parts(module.core)
    episodic = isinstance(module, EpisodicModule) and part != "controller"
    core_part = part if part in parts else parts[0] if part == "both" and parts else None
    if core_part is not None:
        module.net.core = memory.without(intact, core_part)
    try:
        with module.without_dictionary() if episodic else contextlib.nullcontext():  # pyright: ignore
            yield
    finally:
        module.net.core = intact
