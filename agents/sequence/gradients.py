"""Gradients: their norms by group and by time step, clipping, and what to say when they are not finite.

Dimensions: B rows, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lukasa.agents.sequence.answering import on_core
from lukasa.memory import Core, watched_state
from lukasa.tasks import Batch, Spec


class DivergenceError(RuntimeError):
    """A loss or a gradient is not a finite number; the parameters are those from before.

    Attributes:
        groups: the parameter groups whose gradients or weights are not finite; empty where all are.
    """

    def __init__(self, loss: float, batch: int, groups: list[str]):
        what = "a gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
        where = f" in parameter group {', '.join(groups)}" if groups else ""
        super().__init__(f"{what} at batch {batch:,}{where}")
        self.groups = groups


def parameter_groups(core: Core) -> dict[str, list[nn.Parameter]]:
    """The trained parameters by the part of the core that they belong to, such as "controller"."""
    groups: dict[str, list[nn.Parameter]] = {}
    for name, parameter in core.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(name.partition(".")[0], []).append(parameter)
    return groups


def group_norms(core: Core) -> dict[str, float]:
    """The gradient's Euclidean norm in each parameter group; 0 where there is no gradient."""
    return {name: _norm(one.grad for one in parameters) for name, parameters in parameter_groups(core).items()}


def unusable_groups(core: Core) -> list[str]:
    """The parameter groups in which a gradient or a weight is not finite."""

    def broken(tensor: Tensor | None) -> bool:
        return tensor is not None and not bool(tensor.isfinite().all())

    groups = parameter_groups(core).items()
    return [name for name, group in groups if any(broken(one.grad) or broken(one.data) for one in group)]


def clip(parameters: Iterable[nn.Parameter], value: float | None, norm: float | None) -> None:
    """Clip each element of the gradients to [-value, value], then their common norm; None clips nothing."""
    parameters = list(parameters)
    if value is not None:
        nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        nn.utils.clip_grad_norm_(parameters, norm)


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


def _norm(gradients: Iterable[Tensor | None]) -> float:
    norms = [gradient.norm() for gradient in gradients if gradient is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0
