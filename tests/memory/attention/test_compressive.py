"""The Compressive Transformer against algorithms 1 and 2 of its paper as loops over one episode.

Legend: B batch, T time, C size of a layer; n_m, n_s, n_cm and c as in the paper.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.attention.compression import Compression
from lukasa.memory.attention.compressive import CompressiveTransformer, PostNormLayer
from lukasa.memory.attention.gated import GatedLayer
from tests.memory.attention.papers import attention, layer_norm, linear
from tests.memory.attention.test_gtrxl import gate, outcome, starts_of
from tests.memory.samples import Sampler, lively_core, reached_state

SMALL: dict[str, Any] = {"size": 5, "layers": 2, "heads": 2, "head_size": 3, "mlp_size": 4}
SIZES: dict[str, dict[str, int]] = {
    "n_s = c": {"length": 3, "compressed": 2, "rate": 2, "segment": 2},
    "n_s = 2 c": {"length": 4, "compressed": 3, "rate": 2, "segment": 4},
    "n_s > n_m": {"length": 1, "compressed": 2, "rate": 3, "segment": 3},
    "c = 1": {"length": 2, "compressed": 4, "rate": 1, "segment": 3},
    "n_s / c > n_cm": {"length": 2, "compressed": 1, "rate": 2, "segment": 6},
    "longer than the episode": {"length": 30, "compressed": 4, "rate": 2, "segment": 4},
}
EVERY_SIZE = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-10}


def small(sizes: dict[str, int], **options: Any) -> CompressiveTransformer:
    core = lively_core("compressive_transformer", **SMALL | sizes | options)
    assert isinstance(core, CompressiveTransformer)
    return core


def compress(part: Any, states: list[Tensor]) -> Tensor:
    """f_c of c states: section 3.1."""
    if part.convolution is not None:
        return linear(part.convolution, torch.cat(states))
    stacked = torch.stack(states)
    return stacked.mean(0) if part.kind == "mean" else stacked.max(0).values


def layer_step(layer: Any, x: Tensor, places: list[tuple[Tensor, int]]) -> Tensor:
    """One step of a layer: what it reads of places (a state and how far back), and its perceptron."""
    first, _, second = layer.mlp
    if isinstance(layer, PostNormLayer):
        read, _ = attention(layer.attention, x, places)
        a = layer_norm(layer.after_attention, read + x)
        return layer_norm(layer.after_mlp, linear(second, torch.relu(linear(first, a))) + a)
    assert isinstance(layer, GatedLayer)
    normed = [(layer_norm(layer.before_attention, held), distance) for held, distance in places]
    read, _ = attention(layer.attention, layer_norm(layer.before_attention, x), normed)
    y = gate(layer.after_attention, x, torch.relu(read))
    e = linear(second, torch.relu(linear(first, layer_norm(layer.before_mlp, y))))
    return gate(layer.after_mlp, y, torch.relu(e))


def content(part: Any, h: list[Tensor], m: list[Tensor]) -> Tensor:
    """attn(h, m) of algorithm 2, heads side by side: sigma((hQ) (mK)^T) (mV)."""
    size, rows = part.head_size, []
    for query in h:
        heads = []
        for head in range(part.heads):
            q, k, v = (
                layer.weight.detach()[head * size : (head + 1) * size]
                for layer in (part.queries, part.keys, part.values)
            )
            scores = torch.stack([(q @ query) @ (k @ held) / math.sqrt(size) for held in m]).exp()
            heads.append(
                sum((s / scores.sum() * (v @ held) for s, held in zip(scores, m, strict=True)), torch.zeros(()))
            )
        rows.append(torch.cat(heads))
    return torch.stack(rows)


def by_the_paper(core: CompressiveTransformer, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs [T, D] of one episode to outputs [T, K] and, at each step, the reconstruction loss of all layers [T].

    Layer after layer, segment after segment of n_s steps; a step of a segment also sees those of it before.
    """
    n_m, n_s, c, n_cm = core.sizes
    stream, losses = [linear(core.input, x) for x in inputs], [torch.zeros((), dtype=torch.float64) for _ in inputs]
    for layer, f_c in zip(core.layers, core.compressions, strict=True):
        m: list[Tensor] = []
        cm: list[Tensor] = []
        after: list[Tensor] = []
        begun = max(0, n_m)  # the memory is full, and the first whole segment after it begins, at step n_m
        segments = [stream[:begun]] + [stream[at : at + n_s] for at in range(begun, len(stream), n_s)]
        for number, h in enumerate(segments):
            for place, x in enumerate(h):
                held = [*cm, *m, *h[: place + 1]]
                after.append(layer_step(layer, x, [(one, len(held) - 1 - at) for at, one in enumerate(held)]))
            m = m + h
            if number == 0 or len(h) < n_s:
                continue
            old, m = m[:n_s], m[n_s:]
            new = [compress(f_c, old[at : at + c]) for at in range(0, n_s, c)]
            stopped, asking = [one.detach() for one in old], [one.detach() for one in h]
            restored = [compress(f_c, stopped[at : at + c]) for at in range(0, n_s, c)]
            if isinstance(layer, GatedLayer):
                norm = layer.before_attention
                weight, bias = norm.weight.detach(), norm.bias.detach()
                stopped, asking, restored = (
                    [(one - one.mean()) / (one.var(correction=0) + norm.eps).sqrt() * weight + bias for one in many]
                    for many in (stopped, asking, restored)
                )
            difference = content(layer.attention, asking, stopped) - content(layer.attention, asking, restored)
            losses[len(after) - 1] = losses[len(after) - 1] + (difference**2).sum().sqrt()
            cm = [*cm, *(one if core.task_gradient else one.detach() for one in new)][-n_cm:]
        stream = after
    return torch.stack([linear(core.output, x) for x in stream]), torch.stack(losses)


def run(core: memory.Core, inputs: Tensor, cuts: tuple[int, ...], stepwise: bool) -> tuple[Tensor, Tensor]:
    """Outputs and costs of pieces one after another."""
    parts, state = [], None
    with memory.collect_auxiliary(core) as auxiliary:
        for piece in inputs.tensor_split(cuts, 1):
            if stepwise:
                with memory.step_by_step():
                    outputs, state = memory.unroll(core, piece, state)
            else:
                outputs, state = memory.unroll(core, piece, state)
            parts.append(outputs)
    return torch.cat(parts, 1), torch.cat(auxiliary.costs["reconstruction"], 1)


@EVERY_SIZE
@pytest.mark.parametrize("options", [{}, {"gate": "gru", "task_gradient": False}], ids=["paper's layers", "gated"])
@pytest.mark.parametrize("stepwise", [False, True])
def test_outputs_costs_and_gradients_are_those_of_the_paper(
    sizes: dict[str, int], options: dict[str, Any], stepwise: bool
):
    """Of 15 steps in pieces of 7, 1 and 7; gradients of the task and of the reconstruction apart."""
    core = small(sizes, **options)
    inputs = Sampler(1).normal(1, 15, 3).requires_grad_()
    found, expected = run(core, inputs, (7, 8), stepwise), by_the_paper(core, inputs[0])
    torch.testing.assert_close((found[0][0], found[1][0]), expected, **EXACT)
    wanted = [inputs, *core.parameters()]
    for number in (0, 1) if expected[1].requires_grad else (0,):
        slopes = [
            torch.autograd.grad(part[number].square().sum(), wanted, retain_graph=True, materialize_grads=True)
            for part in (found, expected)
        ]
        torch.testing.assert_close(slopes[0], slopes[1], **EXACT)


def test_reconstruction_teaches_the_compression_alone():
    core = small(SIZES["n_s = 2 c"])
    inputs = Sampler(2).normal(2, 15, 3).requires_grad_()
    with memory.collect_auxiliary(core) as auxiliary:
        memory.unroll(core, inputs)
    cost = auxiliary.cost()
    assert cost is not None
    named = dict(core.named_parameters())
    slopes = torch.autograd.grad(cost, [inputs, *named.values()], materialize_grads=True)
    reached = {name for name, slope in zip(["inputs", *named], slopes, strict=True) if slope.any()}
    assert reached == {name for name in named if name.startswith("compressions.")}


def test_reconstruction_is_weighted_and_learned():
    """Adam on the reconstruction alone, of sequences that repeat themselves."""
    torch.manual_seed(0)
    sizes = {"input_size": 3, "output_size": 2, **SMALL, **SIZES["n_s = 2 c"]}
    core: Any = memory.make_core("compressive_transformer", **sizes)
    inputs = Sampler(3).normal(4, 24, 3).float()

    def cost() -> Tensor:
        with memory.collect_auxiliary(core) as auxiliary:
            memory.unroll(core, inputs)
        found = auxiliary.cost()
        assert found is not None
        return found

    first = cost()
    core.reconstruction_weight = 3.0
    torch.testing.assert_close(cost(), 3 * first)
    optimizer = torch.optim.Adam(core.parameters(), 0.01)
    for _ in range(100):
        optimizer.zero_grad()
        cost().backward()
        optimizer.step()
    assert cost() < 0.5 * 3 * first


@pytest.mark.parametrize("kind", ["mean", "max"])
def test_compression_that_learns_nothing_costs_nothing(kind: str):
    core = small(SIZES["n_s = c"], compression=kind)
    inputs = Sampler(4).normal(1, 15, 3)
    with memory.collect_auxiliary(core) as auxiliary:
        outputs, _ = memory.unroll(core, inputs)
    assert auxiliary.cost() is None
    torch.testing.assert_close(outputs[0], by_the_paper(core, inputs[0])[0], **EXACT)


@EVERY_SIZE
def test_resets_inside_a_sequence_equal_those_step_by_step(sizes: dict[str, int]):
    """Rows are at different phases of their segments, from a state that is not empty."""
    core = small(sizes)
    starts = starts_of((), (0, 7), (3, 4, 16), length=17)
    starts = torch.cat([starts, starts_of((12,), length=17)])
    state = memory.unroll(core, Sampler(8).normal(4, 9, 3), None, starts_of((), (2,), (5,), (8,), length=9))[1]
    results = []
    for stepwise in (False, True):
        with memory.collect_auxiliary(core) as auxiliary:
            results.append(outcome(core, memory.detach_state(state), starts, stepwise))
        results[-1] = (*results[-1], torch.cat(auxiliary.costs["reconstruction"], 1))
    torch.testing.assert_close(results[0], results[1], rtol=1e-8, atol=1e-9)


def test_costs_are_handed_out_once_a_step_where_a_nan_ends_with_a_reset():
    core, inputs = small(SIZES["n_s = c"]), Sampler(5).normal(2, 12, 3)
    inputs[1, 1] = math.nan
    starts = starts_of((), (4,), length=12)
    with memory.collect_auxiliary(core) as auxiliary:
        outputs, _ = memory.unroll(core, inputs, None, starts)
    cost = torch.cat(auxiliary.costs["reconstruction"], 1)
    assert cost.shape == (2, 12)
    assert cost[0].isfinite().all()
    assert outputs[1, 4:].isfinite().all()
    assert cost[1, 4:].isfinite().all()


def test_gradients_are_there_for_every_weight_in_a_call_that_compresses_nothing():
    """Several learners wait for the gradient of every weight."""
    core = small(SIZES["n_s = c"])
    outputs, _ = memory.unroll(core, Sampler(6).normal(1, 2, 3))
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in core.parameters())


def test_state_does_not_grow_and_reaches_as_far_as_it_says():
    """One layer of n_m = 3, c n_cm = 4: the seven states before a step's segment and no more move its output."""
    core = small(SIZES["n_s = c"], layers=1)
    inputs = Sampler(7).normal(1, 21, 3).requires_grad_()
    outputs, state = memory.unroll(core, inputs)
    assert state.past.shape == (1, 1, 4, 5)
    assert state.compressed.shape == (1, 1, 2, 5)
    # Step 19 begins a segment: steps 3, 5, ..., 19 do.
    (slope,) = torch.autograd.grad(outputs[0, 19].sum(), inputs)
    moved = slope[0].abs().sum(1) > 0
    assert moved.tolist() == [12 <= step <= 19 for step in range(21)]


def test_recorded_attention_shows_compressed_states_first_and_this_step_last():
    core = small(SIZES["n_s = c"])
    with memory.record(core) as recording:
        memory.unroll(core, Sampler(7).normal(1, 12, 3))
    weights = recording.stacked()["attention"]  # [B, T, N H, n_cm + n_m + n_s - 1 + 1]
    assert weights.shape == (1, 12, 4, 2 + 4 + 1)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 12, 4).double())
    assert weights[0, :5, :, :2].count_nonzero() == 0
    assert (weights[0, 5:7, :, 1] > 0).all(), "the first segment is compressed after step 4"
    assert (weights[0, 7:, :, :2] > 0).all()


def test_segment_that_is_no_multiple_of_the_rate_is_refused():
    with pytest.raises(ValueError, match=r"'segment' .* is 6: expected a multiple of 4 \(rate\), such as 8"):
        memory.make_core("compressive_transformer", input_size=3, output_size=2, rate=4, segment=6)
    with pytest.raises(ValueError, match="compression is 'sum': choose one of convolution, mean, max"):
        Compression("sum", 3, 2)  # pyright: ignore


def test_a_reconstruction_that_would_be_rewarded_for_being_bad_is_refused():
    with pytest.raises(ValueError, match=r"'reconstruction_weight' .* is -1: expected 0 or more"):
        memory.make_core("compressive_transformer", input_size=3, output_size=2, reconstruction_weight=-1.0)


def test_state_of_its_own_steps_is_what_steps_leave():
    core, inputs = small(SIZES["n_s = 2 c"]), Sampler(9).normal(3, 13, 3)
    state = reached_state(core, 3, steps=11)
    expected, last = memory.unroll(core, inputs, state)
    with memory.step_by_step():
        found, end = memory.unroll(core, inputs, state)
    torch.testing.assert_close(found, expected, **EXACT)
    torch.testing.assert_close(memory.state_to_dict(end), memory.state_to_dict(last), **EXACT)
