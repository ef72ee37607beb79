"""Adaptation of any network against a loop over episodes with autograd, and against finite differences.

Dimensions: B episodes, E examples, M queries, T steps of a sequence.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn import functional as F

from lukasa import memory
from lukasa.agents.few_shot import adapt, adapt_and_predict
from tests.memory.core_rows import EVERY_CORE_IN_SHORT, Row, make


class LastStep(nn.Module):
    """Sequences [n, T, 3] to [n, 2] by what a recurrent network gives at the last step."""

    def __init__(self, recurrent: nn.Module, size: int):
        super().__init__()
        self.recurrent, self.head = recurrent, nn.Linear(size, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.recurrent(inputs)[0][:, -1])


class Unrolled(nn.Module):
    """A core of ours as a network of sequences."""

    def __init__(self, core: memory.Core):
        super().__init__()
        self.core = core

    def forward(self, inputs: Tensor) -> Tensor:
        return memory.unroll(self.core, inputs)[0][:, -1]


class Looking(nn.Module):
    """A network whose course depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.unused = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.one(inputs) if inputs.sum().item() > 0 else self.one(-inputs)


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(3, 1, 8, dropout=0, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.layer(inputs)[:, -1])


def between(layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 2))


def tied() -> nn.Sequential:
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Linear(3, 2))
    network[2].weight = network[0].weight
    return network


def repeated() -> nn.Sequential:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(3, 2))


def partly_frozen() -> nn.Sequential:
    network = between(nn.Tanh())
    network[0].requires_grad_(False)
    return network


SEQUENCES: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: LastStep(nn.LSTM(3, 5, batch_first=True), 5),
    "lstm both ways": lambda: LastStep(nn.LSTM(3, 5, 2, bidirectional=True, batch_first=True), 10),
    "gru": lambda: LastStep(nn.GRU(3, 5, batch_first=True), 5),
    "rnn": lambda: LastStep(nn.RNN(3, 5, batch_first=True), 5),
    "attention": Attending,
}
VECTORS: dict[str, Callable[[], nn.Module]] = {
    "perceptron": lambda: between(nn.Tanh()),
    "batch norm": lambda: between(nn.BatchNorm1d(4)),
    "batch norm of the batch": lambda: between(nn.BatchNorm1d(4, track_running_stats=False)),
    "batch norm at rest": lambda: between(nn.BatchNorm1d(4)).eval(),
    "layer norm": lambda: between(nn.LayerNorm(4)),
    "course by data": Looking,
    "tied": tied,
    "one layer twice": repeated,
    "partly frozen": partly_frozen,
}


def drawn(network: nn.Module, sequences: bool) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """The network in float64, and three episodes of four examples and two queries."""
    generator = torch.Generator().manual_seed(0)
    shape = (4, 3) if sequences else (3,)
    inputs, queries = (torch.randn(3, n, *shape, generator=generator).double() for n in (4, 2))
    return network.double(), inputs, torch.randn(3, 4, 2, generator=generator).double(), queries


def check(network: nn.Module, sequences: bool) -> None:
    """The gradient along one direction is the difference quotient, so is each step; episodes in the order given."""
    network, inputs, targets, queries = drawn(network, sequences)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    along = [torch.randn(p.shape, generator=torch.Generator().manual_seed(1)).double() for p in trained]

    def objective() -> Tensor:
        return adapt_and_predict(network, F.mse_loss, inputs, targets, queries, steps=2, lr=0.01).square().sum()

    def moved(distance: float) -> float:
        with torch.no_grad():
            for parameter, direction in zip(trained, along, strict=True):
                parameter += distance * direction
        value = float(objective().detach())
        with torch.no_grad():
            for parameter, direction in zip(trained, along, strict=True):
                parameter -= distance * direction
        return value

    slopes = torch.autograd.grad(objective(), trained, materialize_grads=True)
    found = float(sum((slope * direction).sum() for slope, direction in zip(slopes, along, strict=True)))
    wide, narrow = ((moved(step) - moved(-step)) / (2 * step) for step in (2e-6, 1e-6))
    # what is left of a difference quotient's error goes with the square of its step
    assert found == pytest.approx((4 * narrow - wide) / 3, rel=1e-5, abs=1e-7)
    with torch.no_grad():
        assert moved(0) == pytest.approx(float(objective()), rel=1e-12)


@pytest.mark.parametrize("name", SEQUENCES)
def test_networks_of_sequences_adapt_with_second_derivatives(name: str):
    torch.manual_seed(0)
    check(SEQUENCES[name](), sequences=True)


@pytest.mark.parametrize("name", VECTORS)
def test_networks_of_vectors_adapt_with_second_derivatives(name: str):
    """Layer norm and batch norm are off by 1 % under ``vmap``."""
    torch.manual_seed(0)
    check(VECTORS[name](), sequences=False)


def calm(core: memory.Core) -> memory.Core:
    """Weights as at the beginning of training: with those of the table a step here can overshoot by far.

    What is normalised, and nearly zero, then bends within the reach of the difference quotient.
    """
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.div_(3)
    return core


@EVERY_CORE_IN_SHORT
def test_a_core_inside_adapts_or_is_refused(row: Row):
    if not row.smooth:
        pytest.skip("its gradient is not that of what it computes")
    if not row.sparse:
        normalises = row.core == "gated_deltanet" or row.options.get("controller") == "attention"
        check(Unrolled(calm(make(row)) if normalises else make(row)), sequences=True)
        return
    network, inputs, targets, queries = drawn(Unrolled(make(row)), sequences=True)
    options: dict[str, Any] = {"steps": 1, "lr": 0.1}
    with pytest.raises(RuntimeError, match="a sparse memory has no second derivatives"):
        adapt_and_predict(network, F.mse_loss, inputs, targets, queries, **options)
    found = adapt_and_predict(network, F.mse_loss, inputs, targets, queries, first_order=True, **options)
    with torch.no_grad():
        same = adapt_and_predict(network, F.mse_loss, inputs, targets, queries, **options)
    torch.testing.assert_close(same, found, rtol=0, atol=1e-12)
    found.sum().backward()
    assert any(parameter.grad is not None and parameter.grad.count_nonzero() for parameter in network.parameters())


def test_recurrent_networks_adapt_in_float32():
    """There the library has kernels whose gradients cannot be differentiated."""
    torch.manual_seed(0)
    for make_network in SEQUENCES.values():
        network, inputs, targets, queries = drawn(make_network(), sequences=True)
        network.float()
        found = adapt_and_predict(
            network, F.mse_loss, inputs.float(), targets.float(), queries.float(), steps=1, lr=0.1
        )
        found.sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_dropout_draws_for_every_episode():
    network, inputs, targets, queries = drawn(nn.Sequential(nn.Linear(3, 64), nn.Dropout(), nn.Linear(64, 2)), False)
    same = inputs[:1].expand(3, -1, -1), targets[:1].expand(3, -1, -1), queries[:1].expand(3, -1, -1)
    torch.manual_seed(0)
    first = adapt_and_predict(network, F.mse_loss, *same, steps=1, lr=0.1)
    assert not torch.allclose(first[0], first[1])
    torch.manual_seed(0)
    torch.testing.assert_close(adapt_and_predict(network, F.mse_loss, *same, steps=1, lr=0.1), first)
    resting = adapt_and_predict(network.eval(), F.mse_loss, *same, steps=1, lr=0.1)
    torch.testing.assert_close(resting[0], resting[1])


def test_frozen_parameters_stay_and_unused_ones_too():
    network, inputs, targets, _ = drawn(partly_frozen(), False)
    assert set(adapt(network, F.mse_loss, inputs[0], targets[0], steps=1, lr=0.1)) == {"2.weight", "2.bias"}
    network, inputs, targets, _ = drawn(Looking(), False)
    adapted = adapt(network, F.mse_loss, inputs[0], targets[0], steps=1, lr=0.1)
    torch.testing.assert_close(adapted["unused.weight"], network.get_parameter("unused.weight"))


def test_adaptation_inside_of_a_transform_equals_the_loop():
    network, inputs, targets, _ = drawn(between(nn.Tanh()), False)
    mapped = vmap(lambda x, y: adapt(network, F.mse_loss, x, y, steps=2, lr=0.1))(inputs, targets)
    for name, values in mapped.items():
        for index in range(3):
            alone = adapt(network, F.mse_loss, inputs[index], targets[index], steps=2, lr=0.1)
            torch.testing.assert_close(values[index], alone[name], rtol=0, atol=1e-12)


def test_no_episodes_or_not_as_many_are_refused():
    network, inputs, targets, queries = drawn(between(nn.Tanh()), False)
    for bad in ((inputs[:0], targets[:0], queries[:0]), (inputs, targets[:2], queries)):
        with pytest.raises(ValueError, match="expected as many of each, and at least one"):
            adapt_and_predict(network, F.mse_loss, *bad, steps=1, lr=0.1)
