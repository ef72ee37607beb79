"""Walking over states: reset rows, move a state into a flat dict of tensors and back.

Legend: B batch.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from memory.core import Core, State


def map_state(function: Callable[..., Tensor], state: State, *others: State) -> State:
    """Apply a function to each tensor of a state, or to the matching tensors of several states."""
    if isinstance(state, Tensor):
        return function(state, *others)
    fields = (map_state(function, *parts) for parts in zip(state, *others, strict=True))
    return type(state)(*fields)


def reset_rows(state: State, fresh: State, mask: Tensor) -> State:
    """Replace the rows of a state where the mask is set; a NaN in a replaced row does not survive.

    Args:
        state: any core's state with B rows.
        fresh: the state to take the rows from, usually ``core.initial_state(B)``.
        mask: bool [B].

    Returns:
        A new state; the arguments are unchanged.
    """

    def choose(old: Tensor, new: Tensor) -> Tensor:
        return torch.where(mask.view(-1, *(1,) * (old.dim() - 1)), new, old)

    return map_state(choose, state, fresh)


def detach_state(state: State) -> State:
    """Cut the gradient that flows into a state, as truncated backpropagation does between two chunks."""
    return map_state(Tensor.detach, state)


def state_to_dict(state: State) -> dict[str, Tensor]:
    """Flatten a state into tensors named by their path, such as ``controller.hidden``.

    The tensors are those of the state, not copies.
    """
    flat: dict[str, Tensor] = {}

    def visit(part: Any, path: tuple[str, ...]) -> None:
        if isinstance(part, Tensor):
            flat[".".join(path)] = part
            return
        for name, child in zip(part._fields, part, strict=True):
            visit(child, (*path, name))

    visit(state, ())
    return flat


def state_from_dict(core: Core, tensors: Mapping[str, Tensor]) -> State:
    """Rebuild a state from what ``state_to_dict`` gave; moved to the core's device, dtypes kept.

    Args:
        core: the core that the state belongs to; its options fix every size but the batch.
        tensors: named tensors, all with the same number of rows.

    Raises:
        ValueError: a tensor is missing, unknown, or of a size that this core does not have.
    """
    template = core.initial_state(1)
    expected = state_to_dict(template)
    for name in tensors:
        if name not in expected:
            near = difflib.get_close_matches(name, expected, 1)
            hint = f"; the nearest known one is {near[0]!r}" if near else ""
            raise ValueError(f"state has an unknown tensor {name!r}{hint}")
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise ValueError(f"state lacks {', '.join(missing)}: it was not written by this kind of core")
    rows = {tensors[name].shape[0] if tensors[name].dim() else None for name in expected}
    if len(rows) > 1:
        raise ValueError(f"the tensors of a state must have the same number of rows, got {sorted(map(str, rows))}")
    for name, tensor in expected.items():
        if tensors[name].shape[1:] != tensor.shape[1:]:
            raise ValueError(
                f"state tensor {name!r} is {list(tensors[name].shape)}, this core needs [batch, "
                f"{', '.join(map(str, tensor.shape[1:]))}]: was it written by a core with other options?"
            )

    def build(part: Any, path: tuple[str, ...]) -> Any:
        if isinstance(part, Tensor):
            return tensors[".".join(path)].to(part.device)
        return type(part)(*(build(child, (*path, name)) for name, child in zip(part._fields, part, strict=True)))

    return build(template, ())
