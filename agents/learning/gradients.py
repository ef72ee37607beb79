"""Gradients: their norms by group, clipping, and what to say when they are not finite."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


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


def parameter_groups(module: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The trained parameters by the part that they belong to, such as "controller"."""
    groups: dict[str, list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(name.partition(".")[0], []).append(parameter)
    return groups


def group_norms(module: nn.Module) -> dict[str, float]:
    """The gradient's Euclidean norm in each parameter group; 0 where there is no gradient."""
    return {name: _norm(one.grad for one in parameters) for name, parameters in parameter_groups(module).items()}


def unusable_groups(module: nn.Module) -> list[str]:
    """The parameter groups in which a gradient or a weight is not finite."""

    def broken(tensor: Tensor | None) -> bool:
        return tensor is not None and not bool(tensor.isfinite().all())

    groups = parameter_groups(module).items()
    return [name for name, group in groups if any(broken(one.grad) or broken(one.data) for one in group)]


def clip(parameters: Iterable[nn.Parameter], value: float | None, norm: float | None) -> None:
    """Clip each element of the gradients to [-value, value], then their common norm; None clips nothing."""
    parameters = list(parameters)
    if value is not None:
        nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        nn.utils.clip_grad_norm_(parameters, norm)


def _norm(gradients: Iterable[Tensor | None]) -> float:
    norms = [gradient.norm() for gradient in gradients if gradient is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0
