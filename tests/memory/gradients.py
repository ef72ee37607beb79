"""Gradients of whole cores against finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from lukasa import memory


def check_core_gradients(core: memory.Core, inputs: Tensor, state: memory.State) -> None:
    """Check what reaches the inputs, every state field and every parameter of a float64 core.

    Outputs and every field of the last state are differentiated, each also with the gradients of the others absent.
    """
    flat, names = memory.state_to_dict(state), [name for name, _ in core.named_parameters()]
    leaves = [inputs, *flat.values()]

    def sequence(parameters: dict[str, Tensor], inputs: Tensor, *fields: Tensor) -> tuple[Tensor, ...]:
        start = memory.state_from_dict(core, dict(zip(flat, fields, strict=True))) if fields else state
        outputs, last = functional_call(_Unrolled(core), parameters, (inputs, start))
        return (outputs, *memory.state_to_dict(last).values())

    leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(lambda *leaves: sequence({}, *leaves), leaves)
    # Parameters are many: random directions instead of one entry at a time.
    weights = [parameter.detach().clone().requires_grad_() for parameter in core.parameters()]

    def of_parameters(*weights: Tensor) -> tuple[Tensor, ...]:
        return sequence({f"core.{name}": weight for name, weight in zip(names, weights, strict=True)}, inputs)

    assert torch.autograd.gradcheck(of_parameters, weights, fast_mode=True)


def assert_gradients_close(found: Sequence[Tensor], expected: Sequence[Tensor], *, rtol: float, atol: float) -> None:
    """Check gradients of one loss in units of the largest of them, of which their rounding is a share."""
    largest = max(one.abs().amax().item() for one in expected)
    torch.testing.assert_close(
        [one / largest for one in found], [one / largest for one in expected], rtol=rtol, atol=atol
    )


class _Unrolled(torch.nn.Module):
    """`functional_call` swaps parameters of a module while it runs; unrolling has to happen inside one."""

    def __init__(self, core: memory.Core):
        super().__init__()
        self.core = core

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        return memory.unroll(self.core, inputs, state)
