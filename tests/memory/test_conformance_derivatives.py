"""What is done with gradients of every core beyond a first backward pass, over the table of core_rows.py.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacfwd, jacrev, vmap
from torch.utils.checkpoint import checkpoint

from lukasa import memory
from tests.memory.core_rows import CLOSE, EVERY_CORE, ROWS, Row, make, sequences, watched
from tests.memory.gradients import assert_gradients_close
from tests.memory.samples import reached_state

SPARSE = {name: row for name, row in ROWS.items() if row.sparse}
DENSE = {name: row for name, row in ROWS.items() if name not in SPARSE}
DENSE_CORE = pytest.mark.parametrize("row", DENSE.values(), ids=DENSE)
SMOOTH_CORE = pytest.mark.parametrize(
    "row", [row for row in DENSE.values() if row.smooth], ids=[n for n in DENSE if DENSE[n].smooth]
)
SPARSE_CORE = pytest.mark.parametrize("row", SPARSE.values(), ids=SPARSE)


class Unrolled(nn.Module):
    """Inputs [B, T, D] to outputs [B, T, K]."""

    def __init__(self, core: memory.Core):
        super().__init__()
        self.core = core

    def forward(self, inputs: Tensor) -> Tensor:
        return memory.unroll(self.core, inputs)[0]


def parameters_of(core: memory.Core) -> list[nn.Parameter]:
    return [parameter for parameter in core.parameters() if parameter.requires_grad]


def gradients(core: memory.Core, inputs: Tensor, outputs: Tensor, **options: Any) -> list[Tensor]:
    wanted = [inputs, *parameters_of(core)]
    return list(torch.autograd.grad(outputs.square().sum(), wanted, materialize_grads=True, **options))


def inside(name: str, tensor: Tensor) -> Tensor:
    """A weighting whose every weight is more than a step of a difference quotient; other fields as they are."""
    return 0.9 * tensor + 0.1 / tensor.shape[-1] if name.endswith("weights") else tensor


@SMOOTH_CORE
def test_second_derivatives_are_those_of_finite_differences(row: Row):
    """With respect to the inputs and each field of the state alone: what is not named must not be missed."""
    core, inputs = make(row), sequences(2, 2)
    start, leaves = watched(row, core, reached_state(core, 2))
    flat = {name: inside(name, tensor.detach()) for name, tensor in memory.state_to_dict(start).items()}

    def outputs(leaf: Tensor, name: str | None = None) -> Tensor:
        state = memory.state_from_dict(core, flat if name is None else flat | {name: leaf})
        return memory.unroll(core, inputs if name else leaf, state)[0]

    assert torch.autograd.gradgradcheck(outputs, (inputs.clone().requires_grad_(),), fast_mode=True)
    for name in leaves:
        leaf = flat[name].clone().requires_grad_()
        assert torch.autograd.gradgradcheck(lambda leaf, name=name: outputs(leaf, name), (leaf,), fast_mode=True), name


@SMOOTH_CORE
def test_gradient_of_a_gradient_reaches_every_parameter(row: Row):
    """A penalty on the inputs' gradient, against a difference quotient along one direction of all parameters."""
    core, inputs = make(row), sequences(2, 3).requires_grad_()

    def penalty(create_graph: bool) -> Tensor:
        loss = memory.unroll(core, inputs)[0].square().sum()
        return torch.autograd.grad(loss, inputs, create_graph=create_graph)[0].square().sum()

    weights = parameters_of(core)
    slopes = torch.autograd.grad(penalty(True), weights, materialize_grads=True)
    generator, step = torch.Generator().manual_seed(3), 1e-6
    along = [torch.randn(weight.shape, generator=generator, dtype=weight.dtype) for weight in weights]
    ends = []
    for sign in (1, -2):
        with torch.no_grad():
            for weight, direction in zip(weights, along, strict=True):
                weight += sign * step * direction
        ends.append(penalty(False))
    found = sum((slope * direction).sum() for slope, direction in zip(slopes, along, strict=True))
    torch.testing.assert_close(found, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-6)


@SPARSE_CORE
def test_second_derivatives_of_a_sparse_core_are_refused(row: Row):
    core, inputs = make(row), sequences(2, 3).requires_grad_()
    outputs, _ = memory.unroll(core, inputs)
    with pytest.raises(RuntimeError, match="a sparse memory has no second derivatives"):
        torch.autograd.grad(outputs.square().sum(), inputs, create_graph=True)


@EVERY_CORE
def test_backward_runs_twice_with_a_retained_graph_and_with_saved_tensors_elsewhere(row: Row):
    core, inputs = make(row), sequences().requires_grad_()
    outputs, _ = memory.unroll(core, inputs)
    first = gradients(core, inputs, outputs, retain_graph=True)
    torch.testing.assert_close(gradients(core, inputs, outputs), first, **CLOSE)
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.numpy(force=True), torch.from_numpy):
        outputs, _ = memory.unroll(core, inputs)
    torch.testing.assert_close(gradients(core, inputs, outputs), first, **CLOSE)


def checkpointed(core: memory.Core, reentrant: bool) -> Callable[[Tensor, memory.State], tuple[Tensor, memory.State]]:
    def run(inputs: Tensor, state: memory.State) -> tuple[Tensor, memory.State]:
        names = list(memory.state_to_dict(state))

        def segment(inputs: Tensor, *fields: Tensor) -> tuple[Tensor, ...]:
            start = memory.state_from_dict(core, dict(zip(names, fields, strict=True)))
            outputs, last = memory.unroll(core, inputs, start)
            return outputs, *memory.state_to_dict(last).values()

        flat = memory.state_to_dict(state).values()
        outputs, *fields = checkpoint(segment, inputs, *flat, use_reentrant=reentrant)
        return outputs, memory.state_from_dict(core, dict(zip(names, fields, strict=True)))

    return run


@DENSE_CORE
def test_activation_checkpointing_gives_the_same_gradients(row: Row):
    """Of two segments one after another, as tensors (both kinds of it) and as whole states."""
    core, inputs = make(row), sequences().requires_grad_()
    expected = gradients(core, inputs, memory.unroll(core, inputs)[0])

    def plain(inputs: Tensor, state: memory.State) -> tuple[Tensor, memory.State]:
        return checkpoint(lambda x, s: memory.unroll(core, x, s), inputs, state, use_reentrant=False)

    for run in (checkpointed(core, False), checkpointed(core, True), plain):
        first, state = run(inputs[:, :2], core.initial_state(3))
        second, _ = run(inputs[:, 2:], state)
        leaves = [inputs, *parameters_of(core)]
        for leaf in leaves:
            leaf.grad = torch.zeros_like(leaf)
        torch.cat([first, second], 1).square().sum().backward()  # the reentrant kind knows no named inputs
        assert_gradients_close([leaf.grad for leaf in leaves], expected, **CLOSE)


@SPARSE_CORE
def test_activation_checkpointing_of_a_sparse_core_needs_a_fork(row: Row):
    core, inputs = make(row), sequences().requires_grad_()
    expected = gradients(core, inputs, memory.unroll(core, inputs)[0])
    forked, _ = checkpoint(
        lambda x, s: memory.unroll(core, x, memory.fork_state(s)), inputs, core.initial_state(3), use_reentrant=False
    )
    torch.testing.assert_close(gradients(core, inputs, forked), expected, **CLOSE)
    outputs, _ = checkpoint(lambda x, s: memory.unroll(core, x, s), inputs, core.initial_state(3), use_reentrant=False)
    with pytest.raises(RuntimeError, match=r"memory\.fork_state\(state\)"):
        outputs.sum().backward()


@DENSE_CORE
def test_transforms_equal_loops(row: Row):
    """``vmap`` over several batches, of outputs and of gradients with respect to parameters and inputs."""
    network, many = Unrolled(make(row)), torch.stack([sequences(2, 3, seed) for seed in range(3)])
    parameters = dict(network.named_parameters())

    def loss(parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return functional_call(network, parameters, (inputs,)).square().sum()

    expected = [network(inputs) for inputs in many]
    torch.testing.assert_close(vmap(network)(many), torch.stack(expected), **CLOSE)
    slopes, to_inputs = vmap(grad(loss, argnums=(0, 1)), in_dims=(None, 0))(parameters, many)
    for index, inputs in enumerate(many):
        leaf = inputs.clone().requires_grad_()
        wanted = [leaf, *parameters.values()]
        found = torch.autograd.grad(network(leaf).square().sum(), wanted, materialize_grads=True, allow_unused=True)
        own = [to_inputs[index], *(slope[index] for slope in slopes.values())]
        torch.testing.assert_close(own, list(found), rtol=1e-9, atol=1e-9)


@DENSE_CORE
def test_jacobians_of_every_kind_agree(row: Row):
    network, inputs = Unrolled(make(row)), sequences(2, 2)
    expected = torch.autograd.functional.jacobian(network, inputs)
    torch.testing.assert_close(jacrev(network)(inputs), expected, **CLOSE)
    torch.testing.assert_close(jacfwd(network)(inputs), expected, **CLOSE)
    with forward_ad.dual_level():
        moved = network(forward_ad.make_dual(inputs, torch.ones_like(inputs)))
        tangent = forward_ad.unpack_dual(moved).tangent
    torch.testing.assert_close(tangent, expected.sum((3, 4, 5)), **CLOSE)


@SPARSE_CORE
def test_transforms_of_a_sparse_core_are_refused(row: Row):
    network, inputs = Unrolled(make(row)), sequences(2, 2)
    runs: list[Callable[[], Any]] = [
        lambda: vmap(network)(inputs.unsqueeze(0)),
        lambda: grad(lambda inputs: network(inputs).sum())(inputs),
        lambda: jacfwd(network)(inputs),
    ]
    for run in runs:
        with pytest.raises(RuntimeError, match=r"is changed in place, which vmap .* cannot follow"):
            run()


@SPARSE_CORE
def test_export_of_a_sparse_core_is_refused(row: Row):
    with pytest.raises(RuntimeError, match="no exported graph can hold"):
        torch.export.export(Unrolled(make(row)), (sequences(2, 2),))
