"""A core answers a batch, with the right answers shown to it or its own.

Dimensions: B rows, T steps, D columns of the input, K columns of the output.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from lukasa import memory
from lukasa.memory import Core, State
from lukasa.tasks import Batch, Spec


def on_core(core: Core, batch: Batch) -> Batch:
    """The batch on the core's device, its inputs in the core's dtype."""
    parameter = next(core.parameters())
    batch = batch.to(parameter.device)
    return batch._replace(inputs=batch.inputs.to(parameter.dtype))


def own_steps(spec: Spec, batch: Batch, teacher_forcing: float, generator: Generator | None = None) -> Tensor | None:
    """Which steps show the core its own answer in place of the right one.

    Only a step of an answer that follows another one of it shows any, and only where the task has ``feedback``.

    Args:
        spec: of the task.
        batch: the sequences.
        teacher_forcing: share of these steps that show the right answer all the same, from 0 to 1 (scheduled
            sampling of Bengio et al. 2015, with a constant share).
        generator: draws which ones; not needed for a share of 0 or 1.

    Returns:
        Bool [B, T]; None where all steps show what the batch holds.
    """
    if not spec.feedback or teacher_forcing >= 1:
        return None
    follows = batch.mask.clone()
    follows[:, 1:] &= batch.mask[:, :-1]
    follows[:, 0] = False
    if teacher_forcing > 0:
        follows &= (torch.rand(follows.shape, generator=generator) >= teacher_forcing).to(follows.device)
    return follows


def respond(
    core: Core,
    spec: Spec,
    inputs: Tensor,
    *,
    state: State | None = None,
    own: Tensor | None = None,
    before: Tensor | None = None,
) -> tuple[Tensor, State]:
    """Run a core over sequences, or a stretch of them.

    Args:
        core: who answers.
        spec: of the task.
        inputs: [B, T, D].
        state: before the first step; the core's initial state when None.
        own: bool [B, T], from ``own_steps``.
        before: [B, K], outputs of the step before the first; needed where ``own`` has the first step set.

    Returns:
        Outputs [B, T, K] and the state after the last step.
    """
    if own is None or not bool(own.any()):
        return memory.unroll(core, inputs, state)
    columns = spec.columns(spec.feedback)
    state = core.initial_state(len(inputs)) if state is None else state
    outputs: list[Tensor] = []
    for step, shown in enumerate(inputs.unbind(1)):
        if before is not None:
            answer = spec.shown(spec.answers(before.detach().unsqueeze(1))).squeeze(1).to(shown)
            replaced = torch.cat([shown[:, : columns.start], answer, shown[:, columns.stop :]], 1)
            shown = torch.where(own[:, step, None], replaced, shown)
        output, state = core(shown, state)
        outputs.append(output)
        before = output
    return torch.stack(outputs, 1), state
