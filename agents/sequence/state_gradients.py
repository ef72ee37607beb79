"""The gradient's way through a memory: how much later losses depend on the state after each step.

Dimensions: B rows, T steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lukasa.agents.sequence.answering import on_core
from lukasa.memory import Core, watched_state
from lukasa.tasks import Batch, Spec


def state_gradients(core: Core, spec: Spec, batch: Batch) -> dict[str, Tensor]:
    """How much the loss of later steps depends on the state after each step: the gradient's way through the memory.

    Gradients of parameters are left alone.

    Args:
        core: any core.
        spec: of the task.
        batch: sequences of the task, with the right answers shown.

    Returns:
        Tensors [T] by the name of the state's part: the Euclidean norm of the gradient of a row's loss (nats) with
        respect to it, mean over rows; 0 at the last step. Slots and links, which have no gradient, are left out.
    """
    batch = on_core(core, batch)
    state = core.initial_state(len(batch.inputs))
    outputs, states = [], []
    for inputs in batch.inputs.unbind(1):
        output, after = core(inputs, state)
        state, watched = watched_state(after)
        outputs.append(output)
        states.append(watched)
    loss = spec.loss(torch.stack(outputs, 1), batch).sum()
    flat = [tensor for state in states for tensor in state.values() if tensor.requires_grad]
    found = iter(torch.autograd.grad(loss, flat, allow_unused=True)) if flat else iter(())
    norms: dict[str, list[Tensor]] = {name: [] for name in states[0]}
    for state in states:
        for name, tensor in state.items():
            gradient = next(found) if tensor.requires_grad else None
            norms[name].append(loss.new_zeros(()) if gradient is None else gradient.flatten(1).norm(dim=1).mean())
    return {name: torch.stack(values).detach() for name, values in norms.items()}
