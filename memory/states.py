"""Walking over states: reset rows, move a state into a flat dict of tensors and back.

Legend: B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lukasa.ground.names import most_like
from lukasa.memory.core import Core, State, check_place


@runtime_checkable
class StatePart(Protocol):
    """A leaf of a state that is not one tensor, such as ``SparseMemory``: what the walks over states need of it."""

    @property
    def batch_size(self) -> int:
        """B."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """All it holds, each with the batch as its first dimension."""
        ...

    def from_tensors(self, tensors: Mapping[str, Tensor], /) -> Any:
        """A part like this one, of any batch, that holds what ``tensors`` gave; refuses what does not fit."""
        ...

    def detach(self) -> Any:
        """The same content without gradient."""
        ...

    def reset(self, mask: Tensor, /) -> Any:
        """As it was at first in the rows where the mask is set."""
        ...

    def fork(self) -> Any:
        """A copy that can be changed on its own."""
        ...


@runtime_checkable
class Watchable(Protocol):
    """A leaf of a state, no tensor, into which gradients flow."""

    def watched(self) -> tuple[Any, Tensor]:
        """The part to go on with, and [B, 1], whose gradient will be the norm of the gradient of the part."""
        ...


_PARTS: dict[type, bool] = {}
"""Which types are a ``StatePart``: to ask Python costs a look at every name of the protocol, each time."""


def _is_part(part: Any) -> bool:
    kind = type(part)
    if kind not in _PARTS:
        _PARTS[kind] = isinstance(part, StatePart)
    return _PARTS[kind]


def map_state(function: Callable[..., Tensor], state: State, *others: State) -> State:
    """Apply a function to each tensor of a state, or to the matching tensors of several states.

    Raises:
        TypeError: the state holds a sparse memory, which is no tensor.
    """

    def apply(part: Any, *other_parts: Any) -> Tensor:
        if _is_part(part):
            raise TypeError(
                f"this state holds a {type(part).__name__}, to which no function of tensors applies: use detach_state, "
                "reset_rows, fork_state, or state_to_dict and state_from_dict"
            )
        return function(part, *other_parts)

    return _map_leaves(apply, state, *others)


def reset_rows(state: State, fresh: State, mask: Tensor) -> State:
    """Replace the rows of a state where the mask is set; a NaN in a replaced row does not survive.

    Args:
        state: any core's state with B rows.
        fresh: the state to take the rows from, usually ``core.initial_state(B)``; a sparse memory in it must be empty.
        mask: bool [B].

    Returns:
        A new state; the arguments are unchanged, but that a sparse memory in ``state`` is emptied in place.

    Raises:
        ValueError: a sparse memory is to be replaced by one that is written.
    """

    def choose(old: Any, new: Any) -> Any:
        if not _is_part(old):
            return torch.where(mask.view(-1, *(1,) * (old.dim() - 1)), new, old)
        if any(tensor.count_nonzero() for tensor in new.tensors().values()):
            raise ValueError("a sparse memory can only be reset to an empty one: take core.initial_state(batch_size)")
        return old.reset(mask)

    return _map_leaves(choose, state, fresh)


def detach_state(state: State) -> State:
    """Cut the gradient that flows into a state, as truncated backpropagation does between two chunks."""
    return _map_leaves(lambda part: part.detach(), state)


def fork_state(state: State) -> State:
    """A state to branch from: sparse memories, which a core changes in place, are copied; tensors are shared."""
    return _map_leaves(lambda part: part.fork() if _is_part(part) else part, state)


def watched_state(state: State) -> tuple[State, dict[str, Tensor]]:
    """The same state for the steps to come, and tensors whose gradients tell what these need of each of its parts.

    Returns:
        The state to go on with, and by path a tensor, batch first, for each part into which gradients can flow: the
        norm of a row of its gradient is that of the gradient with respect to the part.
    """
    watched: dict[str, Tensor] = {}
    paths = iter([path for path, _ in state_leaves(state)])

    def watch(part: Any) -> Any:
        path = next(paths)
        if isinstance(part, Watchable):
            part, watched[path] = part.watched()
        elif isinstance(part, Tensor) and part.is_floating_point():
            # A view of its own: what the step itself reads from its memory is not the later steps' business.
            part = watched[path] = part.view_as(part)
        return part

    return _map_leaves(watch, state), watched


def state_leaves(state: State) -> Iterator[tuple[str, Tensor | StatePart]]:
    """Every tensor and every other part of a state, by its path such as ``controller.hidden``."""

    def visit(part: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Tensor | StatePart]]:
        if isinstance(part, Tensor) or _is_part(part):
            yield ".".join(path), part
            return
        for name, child in zip(part._fields, part, strict=True):
            yield from visit(child, (*path, name))

    return visit(state, ())


def state_to_dict(state: State) -> dict[str, Tensor]:
    """Flatten a state into tensors named by their path, such as ``controller.hidden``.

    The tensors are those of the state, not copies; of a sparse memory they are copies of what is written, such as
    ``memory.rows``.
    """
    flat: dict[str, Tensor] = {}
    for path, part in state_leaves(state):
        if isinstance(part, Tensor):
            flat[path] = part
        else:
            flat |= {f"{path}.{name}" if path else name: tensor for name, tensor in part.tensors().items()}
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
    _check_names(expected, tensors)
    rows = {tensors[name].shape[0] if tensors[name].dim() else None for name in expected}
    if len(rows) > 1:
        raise ValueError(f"the tensors of a state must have the same number of rows, got {sorted(map(str, rows))}")
    for name, part in state_leaves(template):
        if isinstance(part, Tensor) and tensors[name].shape[1:] != part.shape[1:]:
            raise ValueError(
                f"state tensor {name!r} is {list(tensors[name].shape)}, this core needs [batch, "
                f"{', '.join(map(str, part.shape[1:]))}]: was it written by a core with other options?"
            )

    paths = iter([path for path, _ in state_leaves(template)])

    def build(part: Any) -> Any:
        path = next(paths)
        if isinstance(part, Tensor):
            return tensors[path].to(part.device)
        return part.from_tensors({name: tensors[f"{path}.{name}" if path else name] for name in part.tensors()})

    return _map_leaves(build, template)


def check_state(core: Core, state: State | None, batch_size: int) -> None:
    """Refuse what is no state, and one of another number of rows or another device; None is the initial state to be.

    Raises:
        TypeError: it is neither a NamedTuple nor a tensor.
        ValueError: it has not ``batch_size`` rows, or is on another device.
    """
    if state is None:
        return
    if not hasattr(state, "_fields") and not isinstance(state, Tensor | StatePart):
        hint = "memory.state_from_dict(core, tensors) makes one" if isinstance(state, Mapping) else "pass that"
        raise TypeError(
            f"state is a {type(state).__name__}: expected what core.initial_state or memory.unroll returned, a "
            f"{type(core.initial_state(1)).__name__}: {hint}"
        )
    check_place(state, next(core.parameters()).device)
    for name, part in state_leaves(state):
        rows = part.shape[0] if isinstance(part, Tensor) else part.batch_size
        if rows != batch_size:
            raise ValueError(f"state has {rows} rows ({name}) and inputs {batch_size}: they must be as many")


def misfit(core: Core, state: State) -> str | None:
    """In what a state differs from those of a core, asked after a step has failed; None if in nothing."""
    template = core.initial_state(1)
    if type(state) is not type(template):
        return (
            f"state is a {type(state).__name__} and this core needs a {type(template).__name__}: it is of another core"
        )
    expected, found = dict(state_leaves(template)), dict(state_leaves(state))
    if expected.keys() != found.keys():
        return f"state holds {', '.join(found)} and this core needs {', '.join(expected)}: it is of another core"
    for name, part in found.items():
        wanted = expected[name]
        if not isinstance(part, Tensor) or not isinstance(wanted, Tensor):
            continue
        if (part.shape[1:], part.dtype) != (wanted.shape[1:], wanted.dtype):
            mine, own = (f"{list(one.shape[1:])} of {one.dtype}" for one in (part, wanted))
            return f"state tensor {name!r} is {mine} a row, this core needs {own}: is it of a core with other options?"
    return None


def _map_leaves(function: Callable[..., Any], state: State, *others: State) -> State:
    """Apply a function to every leaf, in the order of ``state_leaves``."""
    if isinstance(state, Tensor) or _is_part(state):
        return function(state, *others)
    return type(state)(*(_map_leaves(function, *parts) for parts in zip(state, *others, strict=True)))


def _check_names(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    for name in tensors:
        if name not in expected:
            near = most_like(name, expected)
            raise ValueError(f"state has an unknown tensor {name!r}{f': did you mean {near!r}?' if near else ''}")
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise ValueError(f"state lacks {', '.join(missing)}: it was not written by this kind of core")
