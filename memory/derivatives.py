"""When a kernel leaves the work to its reference equations, and derivatives of its gradient.

A kernel's gradient is derived by hand, and cannot itself be differentiated, traced or transformed. What asks for more
than a first gradient gets the reference, in pure PyTorch operations: the same numbers, at the reference's cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad


def needs_reference() -> bool:
    """Whether this very call is transformed, differentiated forward, or traced for export.

    Then no ``autograd.Function`` can stand for its equations: inside ``torch.func`` (``vmap``, ``grad``, ``jacrev``),
    in forward-mode differentiation, in ``torch.export``, ``torch.onnx`` and ``torch.jit.trace``. ``torch.compile``
    keeps the kernel.
    """
    if torch.compiler.is_compiling():
        return torch.compiler.is_exporting()
    return is_transformed() or torch.compiler.is_exporting() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def is_transformed() -> bool:
    """Whether this call runs inside a transform of ``torch.func``, or in forward-mode differentiation."""
    native: Any = torch._C
    return native._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def is_differentiated_again() -> bool:
    """Asked in a ``backward``: whether its own result will be differentiated, as with ``create_graph=True``."""
    return torch.is_grad_enabled() and not torch.compiler.is_compiling()


def refuse_transforms(what: str) -> None:
    """Refuse a transformed call on what is changed in place.

    Raises:
        RuntimeError: the call is inside a transform.
    """
    if is_transformed():
        raise RuntimeError(
            f"{what} is changed in place, which vmap and the other transforms of torch.func, and forward-mode "
            "differentiation, cannot follow: use torch.autograd.grad and loop over rows, or a dense core such as 'dam'"
        )


def refuse_export(what: str) -> None:
    """Refuse to be traced for ``torch.export`` and ``torch.onnx``.

    Raises:
        RuntimeError: the call is traced for export.
    """
    if torch.compiler.is_exporting():
        raise RuntimeError(
            f"{what} is changed in place and grows with what is written, which no exported graph can hold: export a "
            "dense core such as 'dam', or save the weights with core.state_dict()"
        )


def refuse_second_derivatives() -> None:
    """Refuse, in the ``backward`` of an operation on a sparse memory, to be differentiated again.

    Raises:
        RuntimeError: the gradient is asked for with ``create_graph=True``.
    """
    if is_differentiated_again():
        raise RuntimeError(
            "a sparse memory has no second derivatives (create_graph=True): take first-order gradients, or use a dense "
            "core such as 'dam'"
        )


def differentiable_gradients(
    reference: Callable[..., Tensor | Sequence[Tensor]],
    arguments: Sequence[Tensor],
    needed: Sequence[bool],
    gradients: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    """The gradients of a kernel by way of its reference equations, such that they can be differentiated again.

    Args:
        reference: of the arguments; equal to the kernel.
        arguments: as the kernel was given them, connected to what they were made from.
        needed: for each, whether its gradient is asked for.
        gradients: of each result of the reference that carries one; results behind them are left out.

    Returns:
        For each argument its gradient, or None.
    """
    # Views of their own, so that what flows from one argument to another outside of the kernel is not counted here.
    inside = [argument.view_as(argument) for argument in arguments]
    results = reference(*inside)
    results = [results] if isinstance(results, Tensor) else list(results)[: len(gradients)]
    wanted = [one for one, asked in zip(inside, needed, strict=True) if asked]
    found = iter(torch.autograd.grad(results, wanted, gradients, create_graph=True, allow_unused=True))
    return tuple(next(found) if asked else None for asked in needed)
