"""RMSProp as Graves used it, for the NTM too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class GravesRMSProp(Optimizer):
    """RMSProp with momentum, the gradient's variance as its scale (Graves 2013, equations 38 to 41).

    With ε the gradient of a weight w::

        n ← ℵ n + (1 − ℵ) ε²
        g ← ℵ g + (1 − ℵ) ε
        Δ ← ℶ Δ − ℷ ε / √(n − g² + ד)
        w ← w + Δ

    ``torch.optim.RMSprop`` with ``centered`` differs in two places: it adds its epsilon outside the root, and it
    multiplies the momentum, not each gradient, by the learning rate of the moment.

    Args:
        parameters: what to optimise.
        lr: ℷ.
        decay: ℵ, in [0, 1).
        momentum: ℶ, in [0, 1).
        epsilon: ד; bounds the step where a gradient is always the same, and so has no variance.

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-4,
        *,
        decay: float = 0.95,
        momentum: float = 0.9,
        epsilon: float = 1e-4,
    ):
        for name, value in (("decay", decay), ("momentum", momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} is {value}: expected at least 0 and below 1")
        for name, value in (("lr", lr), ("epsilon", epsilon)):
            if not value > 0:
                raise ValueError(f"{name} is {value}: expected more than 0")
        super().__init__(parameters, {"lr": lr, "decay": decay, "momentum": momentum, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state.update({name: torch.zeros_like(parameter) for name in ("square", "mean", "change")})
        decay = group["decay"]
        square = state["square"].mul_(decay).addcmul_(gradient, gradient, value=1 - decay)
        mean = state["mean"].mul_(decay).add_(gradient, alpha=1 - decay)
        # Rounding can bring the variance of a constant gradient below zero by more than epsilon.
        scale = square.addcmul(mean, mean, value=-1).clamp_(min=0).add_(group["epsilon"]).sqrt_()
        change = state["change"].mul_(group["momentum"]).addcdiv_(gradient, scale, value=-group["lr"])
        parameter.add_(change)
