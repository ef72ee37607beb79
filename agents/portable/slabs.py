"""Memories of several sessions side by side, as one state of the core: gathered, copied, written and read.

Legend: B rows of a slab, n rows gathered, A width of an action as the core sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa import memory

STATE = "state."
"""How the names of a state's tensors begin in a file."""
ORDER = ".order"
"""How the names end of tensors of a sparse memory that are filled up with -1 rather than 0."""


@dataclass(eq=False)
class Slab:
    """What sessions carry from one step to the next.

    Attributes:
        state: of the core, B rows.
        action: what was done before, float32 [B, A]; zeros at the start.
        steps: taken so far, int64 [B].
        keys: from which the drawn actions follow, uint64 [B].
        spent: whether a step has changed its memories in place, so that they are those of the slab after it.
    """

    state: memory.State
    action: np.ndarray
    steps: np.ndarray
    keys: np.ndarray
    spent: bool = False

    def __len__(self) -> int:
        return len(self.steps)

    def tensors(self) -> dict[str, Tensor]:
        """All of it by name; of a sparse memory what is written."""
        found = {f"{STATE}{name}": tensor.detach() for name, tensor in memory.state_to_dict(self.state).items()}
        keys = torch.from_numpy(self.keys.view(np.int64))
        return {**found, "action": torch.from_numpy(self.action), "steps": torch.from_numpy(self.steps), "keys": keys}


def from_tensors(core: memory.Core, tensors: Mapping[str, Tensor]) -> Slab:
    """The slab that ``Slab.tensors`` gave.

    Raises:
        ValueError: they are not of this core, or not as many rows each.
        KeyError: one is missing.
    """
    state = {name.removeprefix(STATE): one for name, one in tensors.items() if name.startswith(STATE)}
    action, steps, keys = (tensors[name].numpy() for name in ("action", "steps", "keys"))
    rows = {len(one) for one in tensors.values()}
    if len(rows) > 1:
        raise ValueError(f"its tensors have {sorted(rows)} rows")
    return Slab(memory.state_from_dict(core, state), action, steps, keys.view(np.uint64))


def gathered(core: memory.Core, parts: Sequence[tuple[Slab, np.ndarray]]) -> Slab:
    """Rows of several slabs, one part after the other, in a slab of their own; those that they came from are left.

    Args:
        core: whose state it is.
        parts: slabs, and the numbers of their rows.
    """
    taken = []
    for slab, rows in parts:
        numbers = torch.from_numpy(np.asarray(rows, np.int64))
        taken.append({name: tensor.index_select(0, numbers) for name, tensor in slab.tensors().items()})
    if len(taken) == 1:
        return from_tensors(core, taken[0])
    longest = {name: max(one[name].shape[1] for one in taken) for name in taken[0] if taken[0][name].dim() > 1}
    return from_tensors(
        core, {name: torch.cat([_filled(one[name], name, longest) for one in taken]) for name in taken[0]}
    )


def _filled(tensor: Tensor, name: str, longest: Mapping[str, int]) -> Tensor:
    """A tensor with as many entries behind one another as the fullest: sparse memories hold what is written of them."""
    missing = longest.get(name, 0) - (tensor.shape[1] if tensor.dim() > 1 else 0)
    if missing <= 0:
        return tensor
    return F.pad(tensor, (*(0, 0) * (tensor.dim() - 2), 0, missing), value=-1 if name.endswith(ORDER) else 0)
