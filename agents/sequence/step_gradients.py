"""Which steps an output depends on: the gradient of chosen outputs with respect to the input of every step.

Dimensions: C chosen outputs, T steps, D input width, K columns of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory import Core
from lukasa.memory.ablation import CONTROLLER
from lukasa.memory.states import state_leaves

Readout = Callable[[Tensor], Tensor]
"""From outputs [C, K] to the one number [C] of each that is differentiated."""

ALL, MEMORY = "all ways", "through the memory alone"
"""Ways that a gradient takes from an output back to an input."""
MOST_NUMBERS = 20_000_000
"""Numbers of states that are kept at a time, of all rows and steps."""
MOST_WORK = 200_000_000
"""Numbers of states that are gone through in all; with more, fewer outputs are differentiated."""


def step_gradients(core: Core, inputs: Tensor, readout: Readout, chosen: Sequence[int]) -> dict[str, Tensor]:
    """How much chosen outputs depend on the input of each step.

    The number that stands for an output is differentiated with respect to the input of every step up to its own: what
    a step wrote depends on its input, so that its norm says how much of the output goes back to what was written then.
    Rows of a batch do not influence one another, so that one pass over as many copies of the sequence as there are
    chosen outputs finds them all. The second way cuts the gradient at the state of the controller after each step:
    what is left came through the memory. Gradients of parameters are left alone.

    Args:
        core: any core.
        inputs: [T, D].
        readout: what stands for an output.
        chosen: steps of the outputs.

    Returns:
        By way, Euclidean norms [C, T]; 0 after an output's own step. ``MEMORY`` is left out where the core's state has
        no controller of its own.
    """
    ways = [ALL, *([MEMORY] if _has_controller(core) else [])]
    rows = _rows_at_a_time(core, len(inputs))
    found: dict[str, list[Tensor]] = {way: [] for way in ways}
    for first in range(0, len(chosen), rows):
        some = chosen[first : first + rows]
        for way in ways:
            found[way].append(_norms(core, inputs[: max(some) + 1], readout, some, len(inputs), way))
    return {way: torch.cat(parts) if parts else inputs.new_zeros(0, len(inputs)) for way, parts in found.items()}


def affordable(core: Core, steps: int, count: int) -> int:
    """How many outputs can be differentiated in reasonable time: at least one, at most those that are asked for."""
    return max(1, min(count, MOST_WORK // max(1, steps * _numbers(core))))


def log_odds(logits: Tensor, chosen: Tensor | None = None) -> Tensor:
    """The log odds of one of several; unlike its probability, they do not saturate.

    Args:
        logits: [..., A].
        chosen: int [...], which one; the likeliest by default.

    Returns:
        [...]; infinite where there is but one.

    Example:
        >>> log_odds(torch.tensor([[0.0, 2.0]]))
        tensor([2.])
    """
    place = (logits.argmax(-1) if chosen is None else chosen).unsqueeze(-1)
    others = logits.scatter(-1, place, -torch.inf).logsumexp(-1)
    return logits.gather(-1, place).squeeze(-1) - others


def _rows_at_a_time(core: Core, steps: int) -> int:
    """How many copies of a sequence fit into memory."""
    return max(1, MOST_NUMBERS // max(1, steps * _numbers(core)))


def _norms(core: Core, inputs: Tensor, readout: Readout, chosen: Sequence[int], length: int, way: str) -> Tensor:
    leaf = inputs.detach().expand(len(chosen), *inputs.shape).clone().requires_grad_()
    with torch.enable_grad():
        outputs = _through_memory(core, leaf) if way == MEMORY else memory.unroll(core, leaf)[0]
        picked = outputs[torch.arange(len(chosen), device=outputs.device), list(chosen)]
        total = readout(picked).sum()
        if not total.requires_grad:  # a core that lets no gradient through
            return inputs.new_zeros(len(chosen), length)
        (gradient,) = torch.autograd.grad(total, [leaf], allow_unused=True, materialize_grads=True)
    norms = gradient.norm(dim=-1)
    return torch.nn.functional.pad(norms, (0, length - norms.shape[1])).detach()


def _through_memory(core: Core, inputs: Tensor) -> Tensor:
    state, outputs = core.initial_state(len(inputs)), []
    for step in inputs.unbind(1):
        output, state = core(step, state)
        state = state._replace(controller=memory.detach_state(state.controller))
        outputs.append(output)
    return torch.stack(outputs, 1)


def _has_controller(core: Core) -> bool:
    state = core.initial_state(1)
    if CONTROLLER not in getattr(state, "_fields", ()):
        return False
    return next(state_leaves(state.controller), None) is not None


def _numbers(core: Core) -> int:
    """Numbers in the state of one row, but for what a sparse memory holds."""
    parts = [part.numel() for _, part in state_leaves(core.initial_state(1)) if isinstance(part, Tensor)]
    return max(256, sum(parts))
