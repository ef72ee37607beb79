"""GTrXL against loops written from the papers, its window, and resets inside a sequence.

Legend: B batch, T time, L steps kept of the past, D input width, C size of a layer.
"""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.attention.gated import Gate, GatedLayer, GateKind
from lukasa.memory.attention.gtrxl import GTrXL
from lukasa.memory.attention.relative import RelativeAttention
from tests.memory.attention.papers import attention, layer_norm, linear
from tests.memory.gradients import assert_gradients_close
from tests.memory.samples import Sampler, lively_core, reached_state

SMALL: dict[str, Any] = {"size": 6, "layers": 2, "heads": 2, "head_size": 3, "mlp_size": 5}
KINDS = get_args(GateKind)
EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-11}


def small(length: int = 4, **options: Any) -> GTrXL:
    core = lively_core("gtrxl", length=length, **SMALL | options)
    assert isinstance(core, GTrXL)
    return core


def gate(part: Gate, x: Tensor, y: Tensor) -> Tensor:
    """Section 3.2 of Parisotto et al. 2020, one vector: g(x, y)."""
    size, kind = len(x), part.kind
    if kind == "gru":
        w_r, w_z, w_g = part.of_new.weight.split(size)
        u_r, u_z = part.of_stream.weight.split(size)
        r = torch.sigmoid(w_r @ y + u_r @ x)
        z = torch.sigmoid(w_z @ y + u_z @ x - part.bias)
        h = torch.tanh(w_g @ y + part.of_kept.weight @ (r * x))
        return (1 - z) * x + z * h
    if kind == "sigmoid_tanh":
        w, u = part.of_new.weight.split(size)
        return x + torch.sigmoid(w @ y - part.bias) * torch.tanh(u @ y)
    if kind == "residual":
        return x + y
    w = part.of_stream.weight
    if kind == "input":
        return torch.sigmoid(w @ x) * x + y
    if kind == "output":
        return x + torch.sigmoid(w @ x - part.bias) * y
    return torch.sigmoid(w @ x + part.bias) * x + (1 - torch.sigmoid(w @ x + part.bias)) * y


def by_the_paper(core: GTrXL, inputs: Tensor, length: int) -> Tensor:
    """Section 3.1, TrXL-I with gates: inputs [T, D] of one episode to outputs [T, K]."""
    stream = [linear(core.input, x) for x in inputs]
    for layer in core.body.layers:
        assert isinstance(layer, GatedLayer)
        normed, after = [layer_norm(layer.before_attention, x) for x in stream], []
        for time, x in enumerate(stream):
            seen = [(normed[other], time - other) for other in range(max(0, time - length), time + 1)]
            read, _ = attention(layer.attention, normed[time], seen)
            y = gate(layer.after_attention, x, torch.relu(read))
            first, _, second = layer.mlp
            e = linear(second, torch.relu(linear(first, layer_norm(layer.before_mlp, y))))  # pyright: ignore
            after.append(gate(layer.after_mlp, y, torch.relu(e)))
        stream = after
    return torch.stack([linear(core.output, x) for x in stream])


@pytest.mark.parametrize(("kind", "length"), [*((kind, 4) for kind in KINDS), ("gru", 1), ("gru", 20)])
def test_outputs_and_gradients_are_those_of_the_paper(kind: str, length: int):
    """Nine steps, three of them in a call of their own: windows shorter and longer than the episode."""
    core, inputs = small(length, gate=kind), Sampler(1).normal(2, 9, 3).requires_grad_()
    first, state = memory.unroll(core, inputs[:, :3])
    found = torch.cat([first, memory.unroll(core, inputs[:, 3:], state)[0]], 1)
    expected = torch.stack([by_the_paper(core, row, length) for row in inputs])
    torch.testing.assert_close(found, expected, **EXACT)
    wanted = [inputs, *core.parameters()]
    slopes = [torch.autograd.grad(outputs.square().sum(), wanted) for outputs in (found, expected)]
    assert_gradients_close(slopes[0], slopes[1], **EXACT)


def starts_of(*times: tuple[int, ...], length: int = 11) -> Tensor:
    starts = torch.zeros(len(times), length, dtype=torch.bool)
    for row, chosen in enumerate(times):
        starts[row, list(chosen)] = True
    return starts


STARTS = starts_of((), (0, 5), (3, 4, 10))


def outcome(core: memory.Core, state: memory.State, starts: Tensor, stepwise: bool) -> tuple[Any, ...]:
    """Outputs, last state, and gradients with respect to inputs, state and parameters."""
    inputs = Sampler(5).normal(*starts.shape, 3).requires_grad_()
    flat = {name: part.detach().clone() for name, part in memory.state_to_dict(state).items()}
    leaves = [part.requires_grad_() for part in flat.values() if part.is_floating_point()]
    state = memory.state_from_dict(core, flat)
    if stepwise:
        with memory.step_by_step():
            outputs, last = memory.unroll(core, inputs, state, starts)
    else:
        outputs, last = memory.unroll(core, inputs, state, starts)
    ends = [end for end in memory.state_to_dict(last).values() if end.is_floating_point()]
    loss = outputs.square().sum() + sum((end.square().sum() for end in ends), torch.zeros(()))
    slopes = torch.autograd.grad(loss, [inputs, *leaves, *core.parameters()], materialize_grads=True)
    return outputs, memory.state_to_dict(last), slopes


@pytest.mark.parametrize("length", [1, 4, 20])
def test_resets_inside_a_sequence_equal_those_step_by_step(length: int):
    """Of one row at once and twice in a row, of another never, from a state that is not empty."""
    core = small(length)
    found, expected = (outcome(core, reached_state(core, 3), STARTS, stepwise) for stepwise in (False, True))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_sequence_with_resets_is_one_call_where_its_numbers_are_finite(monkeypatch: pytest.MonkeyPatch):
    core, inputs = small(), Sampler(6).normal(3, 11, 3)
    lengths: list[int] = []
    core.body.register_forward_pre_hook(lambda _, arguments: lengths.append(arguments[0].shape[1]))
    memory.unroll(core, inputs, None, STARTS)
    assert lengths == [11]
    inputs[2, 1] = math.nan
    outputs, _ = memory.unroll(core, inputs, None, STARTS)
    assert lengths == [11, 11, 3, 1, 1, 5, 1]
    assert outputs[2, 1:3].isnan().all()
    assert outputs[2, 3:].isfinite().all()


@pytest.mark.parametrize("cuts", [(5,), (1, 2, 11), (9, 10)])
def test_pieces_of_any_length_join_to_the_whole(cuts: tuple[int, ...]):
    core, inputs = small(3), Sampler(2).normal(2, 14, 3)
    whole, last = memory.unroll(core, inputs)
    pieces, state = [], None
    for piece in inputs.tensor_split(cuts, 1):
        outputs, state = memory.unroll(core, piece, state)
        pieces.append(outputs)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, **EXACT)
    torch.testing.assert_close(memory.state_to_dict(state), memory.state_to_dict(last), **EXACT)


def test_layers_together_reach_as_far_as_their_windows():
    """Two layers of three steps: what was seen seven steps ago moves nothing, six steps ago it does."""
    core, inputs = small(3), Sampler(3).normal(1, 9, 3).requires_grad_()
    outputs, _ = memory.unroll(core, inputs)
    (slope,) = torch.autograd.grad(outputs[0, 8].sum(), inputs)
    assert slope[0, :2].count_nonzero() == 0
    assert (slope[0, 2:].abs().sum(1) > 0).all()


def test_gates_begin_almost_closed():
    """With b_g = 2, untrained GRU gates let through about as much as one that ignores its input: 1 - 0.12."""
    torch.manual_seed(0)
    part = Gate("gru", 64, 2.0)
    x, y = torch.randn(2, 100, 64)
    kept = torch.linalg.vector_norm(part(x, y) - x) / torch.linalg.vector_norm(x)
    assert kept < 0.2
    assert torch.linalg.vector_norm(Gate("gru", 64, -2.0)(x, y) - x) / torch.linalg.vector_norm(x) > 0.8


def test_weights_are_recorded_with_this_step_last():
    core, inputs = small(3), Sampler(3).normal(1, 9, 3)
    with memory.record(core) as recording:
        _, state = memory.unroll(core, inputs)
    weights = recording.stacked()["attention"]
    assert weights.shape == (1, 9, 4, 4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 9, 4).double())
    assert weights[0, 0, :, :3].count_nonzero() == 0, "nothing came before the first step"
    assert weights[0, 3:].count_nonzero() == weights[0, 3:].numel()
    torch.testing.assert_close(state.past[:, 0], core.input(inputs[:, -3:]), rtol=0, atol=1e-14)


def test_few_steps_and_many_are_scored_the_same_way():
    """One step of two heads over five places seeks with folded weights; three steps make keys of the places."""
    torch.manual_seed(0)
    part, draw = RelativeAttention(4, 2, 3, 5).double(), Sampler(1)
    new, held = draw.normal(2, 3, 4), draw.normal(2, 5, 4)
    visible, distance = draw.normal(2, 3, 5) > -1, torch.arange(15).view(1, 3, 5) % 5
    reads, weights = part(new, held, visible, distance)
    for step in range(3):
        one = slice(step, step + 1)
        read, weight = part(new[:, one], held, visible[:, one], distance[:, one])
        torch.testing.assert_close((read, weight), (reads[:, one], weights[:, :, one]), rtol=0, atol=1e-13)


def test_encodings_are_exact_in_the_dtype_of_the_weights():
    part = RelativeAttention(6, 1, 2, 50)
    assert part.encodings.dtype == torch.float32
    exact = RelativeAttention(6, 1, 2, 50).double().encodings
    torch.testing.assert_close(part.half().float().double().encodings, exact, rtol=0, atol=0)
    assert "encodings" not in part.state_dict()


def test_unknown_gate_is_refused():
    with pytest.raises(ValueError, match="gate is 'lstm': choose one of gru, output"):
        Gate("lstm", 3, 0.0)  # pyright: ignore
