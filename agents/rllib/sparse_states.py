"""States whose parts are sparse: followed on the runner, rebuilt in the learner.

Legend: B batch, T steps, C slots chosen in one step, N slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lukasa import memory
from lukasa.agents.rllib.slot_choices import Recording, Replay
from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.link_tables import LinkTables
from lukasa.memory.sparse.links import SparseLinks
from lukasa.memory.sparse.store import Store


def map_parts(function: Callable[..., Any], state: memory.State, *others: memory.State, path: str = "") -> memory.State:
    """Apply a function to the path of every part of a state, the part itself, and those of other states there."""
    if not hasattr(state, "_fields"):
        return function(path, state, *others)
    children = zip(state._fields, state, *others, strict=True)
    return type(state)(
        *(map_parts(function, *parts, path=f"{path}.{name}" if path else name) for name, *parts in children)
    )


def sparse_parts(state: memory.State) -> Iterator[tuple[str, SparseMemory | SparseLinks]]:
    """The sparse memories and links of a state, by path."""
    found: list[tuple[str, Any]] = []
    map_parts(lambda path, part: found.append((path, part)), state)
    return ((path, part) for path, part in found if isinstance(part, SparseMemory | SparseLinks))


@contextmanager
def followed(state: memory.State) -> Iterator[dict[str, Recording]]:
    """Follow what is asked of the sparse parts of a state and done to them, inside the ``with`` block: by path."""
    kept = {path: part.store if isinstance(part, SparseMemory) else part.tables for path, part in sparse_parts(state)}
    recordings = {path: Recording(one.layout.batch_size) for path, one in kept.items()}
    for path, one in kept.items():
        one.listener = recordings[path]
    try:
        yield recordings
    finally:
        for one in kept.values():
            one.listener = None


def restored(core: memory.Core, tensors: Mapping[str, Tensor], starts: Tensor) -> memory.State:
    """A learner's state of some chunks, with choices to replay; that of an episode's start where ``starts`` [B] is set.

    Its sparse memories have room for what is written and what the choices can still write; where that is less than N,
    slots are handed out as if there were all N.

    Args:
        core: whose state it is.
        tensors: what ``memory.state_to_dict`` gives, and for each sparse memory ``choices``, int64 [B, T * C].
        starts: bool [B], the chunks that begin an episode.
    """
    fresh = core.initial_state(1)
    rows = [tensor.shape[1] for name, tensor in tensors.items() if name.endswith((".rows", ".names"))]
    choices = [tensor.shape[1] for name, tensor in tensors.items() if name.endswith(".choices")]
    room = max(rows) + max(choices)

    def build(path: str, part: Any) -> Any:
        if isinstance(part, Tensor):
            return _like(part, tensors[path])
        held = {name: _like(tensor, tensors[f"{path}.{name}"]) for name, tensor in part.tensors().items()}
        slots = min(part.slots, room)
        if isinstance(part, SparseLinks):
            return SparseLinks(LinkTables(replace(part.tables.layout, slots=slots))).from_tensors(held)
        # So few rows that comparing a key with all of them is fastest, where the runner's choices have ended.
        layout = replace(part.store.layout, slots=slots, index="exact", index_options=None)
        built = SparseMemory(Store(layout)).from_tensors(held)
        built.store.listener = Replay(tensors[f"{path}.choices"].to(part.used.device).long())
        return built

    return with_fresh_rows(fresh, map_parts(build, fresh), starts)


def with_fresh_rows(fresh: memory.State, state: memory.State, starts: Tensor) -> memory.State:
    """Reset the rows that begin an episode, ``starts`` [B]; those of sparse parts in place.

    Args:
        fresh: the core's initial state of one row.
        state: of all rows.
        starts: bool [B].
    """

    def reset(path: str, part: Any, fresh: Any) -> Any:
        if not isinstance(part, Tensor):
            used = part.tables.used if isinstance(part, SparseLinks) else part.used
            return part.reset(starts & (used > 0))  # the others are empty
        return torch.where(starts.view(-1, *(1,) * (part.dim() - 1)), fresh.expand_as(part), part)

    return map_parts(reset, state, fresh)


def _like(part: Tensor, tensor: Tensor) -> Tensor:
    """A tensor as the core has it, after its way through numpy and RLlib; ``journal.padded`` says why bits."""
    tensor = tensor.to(part.device)
    return tensor.view(part.dtype) if part.dtype == torch.float64 != tensor.dtype else tensor.to(part.dtype)
