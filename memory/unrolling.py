"""One unroll for all cores.

Legend: B batch, T time, D input width, K output width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from lukasa.memory.core import Core, State, WholeSequence, check_inputs
from lukasa.memory.kernels.sequence import act, run_native, steps_are_asked_for
from lukasa.memory.packing import unroll_packed
from lukasa.memory.states import StatePart, check_state, misfit, reset_rows, state_leaves


@overload
def unroll(
    core: Core, inputs: Tensor, state: State | None = None, starts: Tensor | None = None
) -> tuple[Tensor, State]: ...


@overload
def unroll(
    core: Core, inputs: PackedSequence, state: State | None = None, starts: Tensor | None = None
) -> tuple[PackedSequence, State]: ...


def unroll(
    core: Core, inputs: Tensor | PackedSequence, state: State | None = None, starts: Tensor | None = None
) -> tuple[Tensor | PackedSequence, State]:
    """Run a core over a sequence.

    Args:
        core: any core.
        inputs: [B, T, D]; or B sequences of different lengths, packed by ``torch.nn.utils.rnn``.
        state: the state before the first input; the core's initial state when None.
        starts: bool [B, T]; where set, row b is reset before input t is read.

    Returns:
        Outputs [B, T, K] and the state after the last input; for packed inputs packed outputs, and the state of each
        row after its own last input.

    Raises:
        ValueError: inputs, starts or the state have another shape, dtype or device than the core needs.
        TypeError: one of them is no tensor, or the state is not one of a core.
    """
    if not hasattr(core, "initial_state"):
        raise TypeError(f"{type(core).__name__} is not a memory core: make one with memory.make_core, or subclass it")
    if isinstance(inputs, PackedSequence):
        check_inputs(core, inputs.data, ("steps",))
        _check_starts(
            starts, (int(inputs.batch_sizes[0]), len(inputs.batch_sizes), core.input_size), inputs.data.device
        )
        check_state(core, state, int(inputs.batch_sizes[0]))
        return unroll_packed(lambda *some: unroll(core, *some), core, inputs, state, starts)
    if starts is None and state is not None and (found := act(core, inputs, state)) is not None:
        return found
    check_inputs(core, inputs, ("batch", "time"))
    _check_starts(starts, inputs.shape, inputs.device)
    if state is None:
        state = core.initial_state(len(inputs))
    check_state(core, state, len(inputs))
    try:
        return _unroll(core, inputs, state, starts)
    except (RuntimeError, AttributeError, IndexError, TypeError, ValueError) as error:
        if problem := misfit(core, state):
            raise ValueError(problem) from error
        raise


def _unroll(core: Core, inputs: Tensor, state: State, starts: Tensor | None) -> tuple[Tensor, State]:
    batch_size, length = inputs.shape[:2]
    if batch_size == 0 and any(isinstance(part, StatePart) for _, part in state_leaves(state)):
        # Nothing is read or written; gradients of zero reach inputs and parameters as they would in another core.
        nothing = inputs.sum() + next(core.parameters()).flatten()[0]
        return inputs.new_zeros(0, length, core.output_size) + nothing, state
    if length == 0:
        return inputs.new_zeros(batch_size, 0, core.output_size), state
    # a state without parts has nothing to reset
    resets = [False] * length
    if starts is not None and next(state_leaves(state), None) is not None:
        resets = starts.any(0).tolist()
    native = run_native(core, inputs, state, starts if any(resets) else None)
    if native is not None:
        return native
    if isinstance(core, WholeSequence) and core.recorder is None and not steps_are_asked_for():
        if core.resets_inside:
            whole: Any = core.sequence
            return whole(inputs, state, starts if any(resets) else None)
        if not any(resets):
            return core.sequence(inputs, state)
    fresh = core.initial_state(batch_size) if any(resets) else None
    outputs = []
    # Contiguous steps, whose strides do not depend on the length: a compiled core would be compiled for each.
    for time, step_inputs in enumerate(inputs.transpose(0, 1).contiguous().unbind(0)):
        if starts is not None and resets[time]:
            state = reset_rows(state, fresh, starts[:, time])
        output, state = core(step_inputs, state)
        outputs.append(output)
    return torch.stack(outputs, 1), state


def _check_starts(starts: Tensor | None, inputs: Sequence[int], device: torch.device) -> None:
    if starts is None:
        return
    if not isinstance(starts, Tensor):
        raise TypeError(f"starts are a {type(starts).__name__}: expected a tensor, as torch.as_tensor makes one")
    if list(starts.shape) != list(inputs[:2]) or starts.dtype != torch.bool:
        raise ValueError(
            f"starts {list(starts.shape)} of {starts.dtype} do not fit inputs {list(inputs)}: "
            f"expected bool {list(inputs[:2])}"
        )
    if starts.device != device:
        raise ValueError(f"starts are on {starts.device} and inputs on {device}: move one with .to()")
