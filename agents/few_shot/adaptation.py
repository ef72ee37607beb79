"""Gradient descent on each task's own examples, as a function of the parameters it starts from.

Dimensions: B episodes, M queries; E examples to adapt to, O numbers of an answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from lukasa.agents.few_shot.encoders import BatchStatistics, ConvEncoder, IdentityEncoder, LinearEncoder
from lukasa.memory.derivatives import is_transformed

Loss = Callable[[Tensor, Tensor], Tensor]
"""Answers [E, O] and targets [E, ...] to a scalar."""

AT_ONCE = {
    *(nn.Sequential, nn.Identity, nn.Flatten, nn.Unflatten, nn.Linear, nn.Bilinear),
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus),
    *(BatchStatistics, ConvEncoder, IdentityEncoder, LinearEncoder),
}
"""Modules that ``vmap`` can follow, with right second derivatives. Those of the library's batch, instance and layer
norms are silently wrong under it (PyTorch 2.13); recurrent layers, dropout and running statistics fail."""

LOSSES_AT_ONCE = {F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.cross_entropy}
"""Losses that ``vmap`` can follow."""


def adapt(
    network: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    *,
    steps: int,
    lr: float,
    first_order: bool = False,
) -> dict[str, Tensor]:
    """The parameters after some steps of gradient descent on one task; θ' in Finn et al. 2017, eq. 1.

    The network keeps its parameters, and gradients flow from the result back into them. Parameters that require no
    gradient stay as they are. Running statistics of batch norm move in training mode, as in any forward pass.

    Args:
        network: any; also recurrent, with dropout, with batch norm, with a memory core inside.
        loss: of its answers.
        inputs: [E, ...].
        targets: [E, ...].
        steps: of gradient descent.
        lr: α, the size of each.
        first_order: take the gradients of the steps for constants.

    Returns:
        Parameters by name, for ``torch.func.functional_call``.

    Raises:
        RuntimeError: second derivatives are asked of a network with a sparse memory, which has none.
    """
    names = _names(network)
    parameters: dict[str, Tensor] = {
        name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad
    }

    def task_loss(parameters: Mapping[str, Tensor]) -> Tensor:
        return loss(_call(network, parameters, names, inputs), targets)

    create_graph = torch.is_grad_enabled() and not first_order
    for _ in range(steps if parameters else 0):
        if is_transformed():
            with torch.set_grad_enabled(create_graph):
                slopes = grad(task_loss)(parameters)
        else:
            with torch.enable_grad(), _twice_derivable(network, create_graph):
                slopes = _slopes(task_loss, parameters, create_graph)
        parameters = {name: value - lr * slopes[name] for name, value in parameters.items()}
    return {name: parameters[first] for first, others in names.items() if first in parameters for name in others}


def adapt_and_predict(
    network: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    queries: Tensor,
    *,
    steps: int,
    lr: float,
    first_order: bool = False,
) -> Tensor:
    """Answer queries after adapting to each episode's own examples; of any task, regression too.

    Networks of layers that ``vmap`` can follow (``AT_ONCE``), with a loss of ``LOSSES_AT_ONCE``, adapt to all episodes
    at once; any other network adapts to one episode after another, which takes longer and gives the same answers.

    Args:
        network: θ, which is trained by the gradient of a loss of the result; as in ``adapt``.
        loss: of the examples, for instance ``F.mse_loss``.
        inputs: [B, E, ...], examples to adapt to.
        targets: [B, E, ...].
        queries: [B, M, ...].
        steps: as in ``adapt``, like what follows.
        lr: α.
        first_order: whether to ignore second derivatives.

    Returns:
        [B, M, O].

    Raises:
        ValueError: there are no episodes, or not as many of each argument.
        RuntimeError: as in ``adapt``.

    Example:
        >>> curves = torch.rand(4, 10, 2)                                # 4 tasks of 10 points: x and y
        >>> network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        >>> x, y = curves.split(1, -1)
        >>> adapt_and_predict(network, F.mse_loss, x[:, :5], y[:, :5], x[:, 5:], steps=1, lr=0.01).shape
        torch.Size([4, 5, 1])
    """
    if not len(inputs) == len(targets) == len(queries) or not len(inputs):
        raise ValueError(
            f"{len(inputs)} episodes of inputs, {len(targets)} of targets and {len(queries)} of queries: expected as "
            "many of each, and at least one"
        )
    names = _names(network)

    def episode(inputs: Tensor, targets: Tensor, queries: Tensor) -> Tensor:
        adapted = adapt(network, loss, inputs, targets, steps=steps, lr=lr, first_order=first_order)
        return _call(network, adapted, names, queries)

    if loss in LOSSES_AT_ONCE and all(_can_be_mapped(module) for module in network.modules()):
        return vmap(episode)(inputs, targets, queries)
    return torch.stack([episode(*one) for one in zip(inputs, targets, queries, strict=True)])


def _slopes(
    task_loss: Callable[[Mapping[str, Tensor]], Tensor], parameters: Mapping[str, Tensor], create_graph: bool
) -> dict[str, Tensor]:
    """The gradient of a loss by the names of parameters; zeros of those that it does not depend on."""
    if not create_graph:
        parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    found = torch.autograd.grad(
        task_loss(parameters),
        list(parameters.values()),
        create_graph=create_graph,
        allow_unused=True,
        materialize_grads=True,
    )
    return dict(zip(parameters, found, strict=True))


@contextlib.contextmanager
def _twice_derivable(network: nn.Module, wanted: bool) -> Iterator[None]:
    """Without the library's kernels for recurrent layers and attention, whose gradients have no derivative."""
    with contextlib.ExitStack() as stack:
        if wanted:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if wanted and any(isinstance(module, nn.RNNBase) for module in network.modules()):
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield


def _can_be_mapped(module: nn.Module) -> bool:
    hooks = module._forward_hooks, module._forward_pre_hooks
    return type(module) in AT_ONCE and not any(hooks)


def _names(network: nn.Module) -> dict[str, list[str]]:
    """All names of each parameter, by its first; a module that occurs twice is named once, for it is one place."""
    first: dict[int, str] = {}
    names: dict[str, list[str]] = {}
    for prefix, module in network.named_modules():
        for name, parameter in module.named_parameters(prefix, recurse=False, remove_duplicate=False):
            names.setdefault(first.setdefault(id(parameter), name), []).append(name)
    return names


def _call(network: nn.Module, parameters: Mapping[str, Tensor], names: Mapping[str, list[str]], inputs: Tensor) -> Any:
    """The network's answers with other parameters, given by their first or by all names."""
    everywhere = {name: value for first, value in parameters.items() for name in names.get(first, [first])}
    return functional_call(network, everywhere, (inputs,), tie_weights=False)
