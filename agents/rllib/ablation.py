"""A trained agent that plays with a part of its memory wiped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lukasa import memory
from lukasa.agents.rllib.module import MemoryRLModule


@contextlib.contextmanager
def ablated(module: MemoryRLModule, part: str | None) -> Iterator[None]:
    """Have a part of the core's state wiped before every step that the module takes inside the ``with`` block.

    Args:
        module: who plays; it is as before when the block is left.
        part: "memory", "controller" or "both"; None wipes nothing.

    Raises:
        ValueError: there is no such part, or the core carries nothing in it.
    """
    intact = module.net.core
    if part is not None:
        module.net.core = memory.without(intact, part)
    try:
        yield
    finally:
        module.net.core = intact
