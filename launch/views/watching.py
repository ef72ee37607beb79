"""A core watched step by step: its inputs, what it recorded, what its slots hold, and how they are linked.

Dimensions: T steps, D input width, H heads, C slots that a sparse head lists, N slots, U slots shown, W word size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.sparse import SparseMemory
from lukasa.memory.states import state_leaves

WRITTEN = 0.01
"""Least weight of a write after which a slot of a sparse memory is looked up again."""


@dataclass
class Watched:
    """What a core did.

    Attributes:
        core: who.
        inputs: [T, D].
        recorded: by name what ``memory.record`` shows, [T, ...], but for links.
        state: by path the parts of the state after each step, [T, ...]; only of a core that records nothing.
        following: int [T, N], the place of the slot most strongly linked to each as the next; None without links.
        strength: [T, N], of that link.
        written: of a sparse memory by slot the steps after which it was looked up, and its words then.
        slots: N; None where the core has none.
    """

    core: memory.Core
    inputs: Tensor
    recorded: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, np.ndarray] = field(default_factory=dict)
    following: np.ndarray | None = None
    strength: np.ndarray | None = None
    written: dict[int, list[tuple[int, np.ndarray]]] = field(default_factory=dict)
    slots: int | None = None

    @property
    def steps(self) -> int:
        """T."""
        return len(self.inputs)


@contextmanager
def core_inputs(core: memory.Core) -> Iterator[list[Tensor]]:
    """Collect the inputs [B, D] of every step that a core takes inside the block, whoever calls it.

    Example:
        >>> core = memory.make_core("gru", input_size=3, output_size=2)
        >>> with core_inputs(core) as inputs:
        ...     _ = memory.unroll(core, torch.zeros(1, 5, 3))
        >>> len(inputs), inputs[0].shape
        (5, torch.Size([1, 3]))
    """
    inputs: list[Tensor] = []
    hook = core.register_forward_pre_hook(lambda _core, given: inputs.append(given[0].detach().clone()))
    try:
        with memory.step_by_step():
            yield inputs
    finally:
        hook.remove()


@torch.no_grad()
def watch(core: memory.Core, inputs: Tensor, then: Tensor | None = None) -> Watched:
    """Let a core read a sequence from its initial state, step by step, and look at it after each.

    Args:
        core: any core, in evaluation mode.
        inputs: [T, D].
        then: [M, D], inputs that come after, each of which is read from the state after the sequence: further steps.
    """
    count = len(inputs)
    inputs = inputs if then is None else torch.cat([inputs, then])
    found = Watched(core, inputs, slots=getattr(core, "slots", None))
    recorded: dict[str, list[np.ndarray]] = {}
    states: dict[str, list[np.ndarray]] = {}
    state = core.initial_state(1)
    with memory.record(core) as recording:
        for step, given in enumerate(inputs):
            if step < count:
                _, state = core(given[None], state)
                after = state
            else:
                _, after = core(given[None], memory.fork_state(state))
            shown = recording.steps.pop() if recording.steps else {}
            recording.steps.clear()
            _look(found, step, shown, after)
            for name, value in shown.items():
                recorded.setdefault(name, []).append(value[0].cpu().numpy().copy())
            if not shown:
                for path, part in _dense_parts(after):
                    states.setdefault(path, []).append(part)
    found.recorded = {name: np.stack(parts) for name, parts in recorded.items()}
    found.state = {path: np.stack(parts) for path, parts in states.items() if len(parts) == len(inputs)}
    if "following" in found.recorded:
        found.following, found.strength = found.recorded.pop("following"), found.recorded.pop("strength")
    return found


def words_of(watched: Watched, slots: Sequence[int]) -> np.ndarray | None:
    """What some slots hold after each step, [T, U, W]; None where the core does not show it.

    Args:
        watched: the core.
        slots: numbers of the slots.
    """
    for held in (watched.recorded.get("memory"), watched.state.get("memory")):
        if held is not None and held.ndim == 3 and held.shape[1] > max(slots, default=0):
            return held[:, list(slots)]
    if not watched.written:
        return None
    size = next(iter(watched.written.values()))[0][1].size
    words = np.zeros((watched.steps, len(slots), size), np.float32)
    for place, slot in enumerate(slots):
        looked = watched.written.get(slot, [])
        ends = [step for step, _ in looked[1:]] + [watched.steps]
        for (step, word), end in zip(looked, ends, strict=False):
            words[step:end, place] = word
    return words


def _look(found: Watched, step: int, shown: dict[str, Tensor], state: Any) -> None:
    """Replace what is too large to keep of every step: links by the strongest, sparse words by those that changed."""
    links = shown.pop("links", None)
    if links is not None and links.dim() == 3:
        # L[i, j] is how much slot i was written after slot j (Graves et al. 2016, "Temporal memory linkage").
        strength, following = links.max(1)
        shown |= {"following": following, "strength": strength}
    part = next((one for _, one in state_leaves(state) if isinstance(one, SparseMemory)), None)
    if part is None:
        return
    slots = _written_slots(shown)
    if not len(slots):
        return
    words, _ = part.read(torch.as_tensor(slots)[None])
    for slot, word in zip(slots.tolist(), words[0].cpu().numpy(), strict=True):
        found.written.setdefault(slot, []).append((step, word.astype(np.float32).copy()))


def _written_slots(shown: dict[str, Tensor]) -> np.ndarray:
    if "write_slots" in shown:
        slots, weights = (shown[name][0].cpu().numpy() for name in ("write_slots", "write_weights"))
        emptied = shown["least_used_slots"][0].cpu().numpy() if "least_used_slots" in shown else slots[..., :0]
        chosen = np.append(slots[np.abs(weights) > WRITTEN], emptied)
        return np.unique(chosen[chosen >= 0])
    if "write" not in shown:
        return np.zeros(0, np.int64)
    # A sparse core wipes the least used slot before it writes.
    parts = [shown[name][0].cpu().numpy() for name in ("write", "least_used") if name in shown]
    return np.flatnonzero((np.abs(np.concatenate(parts)) > WRITTEN).any(0))


def _dense_parts(state: Any) -> Iterator[tuple[str, np.ndarray]]:
    for path, part in state_leaves(state):
        if isinstance(part, Tensor):
            yield path, part[0].detach().float().cpu().numpy().copy()
