"""One unroll for all cores.

Legend: B batch, T time, D input width, K output width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from memory.core import Core, State, WholeSequence, check_inputs
from memory.states import reset_rows, state_leaves


def unroll(
    core: Core, inputs: Tensor, state: State | None = None, starts: Tensor | None = None
) -> tuple[Tensor, State]:
    """Run a core over a sequence.

    Args:
        core: any core.
        inputs: [B, T, D].
        state: the state before the first input; the core's initial state when None.
        starts: bool [B, T]; where set, row b is reset before input t is read.

    Returns:
        Outputs [B, T, K] and the state after the last input.

    Raises:
        ValueError: inputs, starts or the state have another shape.
    """
    check_inputs(core, inputs, ("batch", "time"))
    batch_size, length = inputs.shape[:2]
    if starts is not None and (starts.shape != (batch_size, length) or starts.dtype != torch.bool):
        raise ValueError(
            f"starts {list(starts.shape)} of {starts.dtype} do not fit inputs {list(inputs.shape)}: "
            f"expected bool [{batch_size}, {length}]"
        )
    if state is None:
        state = core.initial_state(batch_size)
    for name, part in state_leaves(state):
        rows = part.shape[0] if isinstance(part, Tensor) else part.batch_size
        if rows != batch_size:
            raise ValueError(f"state has {rows} rows ({name}) and inputs {batch_size}: they must be as many")
    if length == 0:
        return inputs.new_zeros(batch_size, 0, core.output_size), state
    resets = [False] * length if starts is None else starts.any(0).tolist()
    if isinstance(core, WholeSequence) and core.recorder is None and not any(resets):
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
