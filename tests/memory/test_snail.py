"""SNAIL against a loop written from the paper, and what its window means.

Legend: B batch, T time, L steps kept of the past, D input width.
"""

import math

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.snail import SNAIL, AttentionBlock, DenseBlock
from tests.memory.samples import Sampler, lively_core

SMALL = {"filters": 4, "key_size": 3, "value_size": 2}


def small(length: int = 8) -> SNAIL:
    core = lively_core("snail", length=length, **SMALL)
    assert isinstance(core, SNAIL)
    return core


def convolution(block: DenseBlock, features: list[Tensor]) -> list[Tensor]:
    """The dense block of figure 2, one row: concat(inputs, tanh(xf) * sigmoid(xg)), zeros before the start."""
    (earlier, now), bias = block.taps.weight.chunk(2, 1), block.taps.bias
    results = []
    for time, here in enumerate(features):
        before = features[time - block.dilation] if time >= block.dilation else torch.zeros_like(here)
        xf, xg = (earlier @ before + now @ here + bias).chunk(2)
        results.append(torch.cat([here, torch.tanh(xf) * torch.sigmoid(xg)]))
    return results


def attention(block: AttentionBlock, features: list[Tensor], length: int) -> list[Tensor]:
    """The attention block of figure 2, one row: keys, queries, values of every step, softmax over those so far."""
    keys, queries, values = ([layer(here) for here in features] for layer in (block.keys, block.queries, block.values))
    results = []
    for time, here in enumerate(features):
        seen = range(max(0, time - length), time + 1)
        scores = [math.exp(float(keys[other] @ queries[time]) / math.sqrt(len(keys[other]))) for other in seen]
        read = torch.zeros_like(values[0])
        for score, other in zip(scores, seen, strict=True):
            read = read + score / sum(scores) * values[other]
        results.append(torch.cat([here, read]))
    return results


@torch.no_grad()
def outputs_by_the_paper(core: SNAIL, inputs: Tensor) -> Tensor:
    """Inputs [B, T, D] to outputs [B, T, K], step after step, with no window but that of attention."""
    rows = []
    for row in inputs:
        features = list(row)
        for block in core.blocks:
            if isinstance(block, DenseBlock):
                features = convolution(block, features)
            else:
                assert isinstance(block, AttentionBlock)
                features = attention(block, features, core.length)
        rows.append(torch.stack([core.output(here) for here in features]))
    return torch.stack(rows)


@pytest.mark.parametrize("length", [1, 3, 8, 20])
def test_outputs_are_those_of_the_paper(length: int):
    """Twelve steps: windows shorter and longer than the sequence, of powers of two and others."""
    core, inputs = small(length), Sampler(1).normal(2, 12, 3)
    outputs, _ = memory.unroll(core, inputs)
    torch.testing.assert_close(outputs, outputs_by_the_paper(core, inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("cuts", [(5,), (1, 2, 11), (9, 10)])
def test_pieces_of_any_length_join_to_the_whole(cuts: tuple[int, ...]):
    """Pieces longer and shorter than the window of three steps, some read step by step."""
    core, inputs = small(3), Sampler(2).normal(2, 14, 3)
    whole, last = memory.unroll(core, inputs)
    pieces, state = [], None
    for piece in inputs.tensor_split(cuts, 1):
        outputs, state = memory.unroll(core, piece, state)
        pieces.append(outputs)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(memory.state_to_dict(state), memory.state_to_dict(last), rtol=0, atol=1e-12)


def test_convolutions_reach_the_length():
    for length, dilations in ((1, [1]), (2, [1]), (3, [1, 2]), (8, [1, 2, 4]), (9, [1, 2, 4, 8])):
        block = [part.dilation for part in small(length).blocks if isinstance(part, DenseBlock)]
        assert block == 2 * dilations
        assert sum(dilations) + 1 >= length


def test_a_window_that_has_passed_leaves_only_features():
    """The state holds the last three steps; the weights of the oldest are what later steps made of it, or nothing."""
    core, inputs = small(3), Sampler(3).normal(1, 9, 3)
    with memory.record(core) as recording:
        _, state = memory.unroll(core, inputs)
    weights = recording.stacked()["attention"]  # [B, T, 3, L + 1], this step last
    assert weights.shape == (1, 9, 3, 4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 9, 3).double())
    assert weights[0, 0, :, :3].count_nonzero() == 0, "nothing came before the first step"
    assert weights[0, 3:].count_nonzero() == weights[0, 3:].numel()
    torch.testing.assert_close(state.past[:, :, :3], inputs[:, -3:], rtol=0, atol=0)


def test_future_does_not_move_the_past():
    core, inputs = small(), Sampler(4).normal(2, 7, 3)
    outputs, _ = memory.unroll(core, inputs)
    changed = torch.cat([inputs[:, :4], inputs[:, 4:] + 1], 1)
    found, _ = memory.unroll(core, changed)
    torch.testing.assert_close(found[:, :4], outputs[:, :4], rtol=0, atol=0)
    assert (found[:, 4:] != outputs[:, 4:]).all()


def test_sizes_of_the_paper_are_the_defaults():
    """For Omniglot: attention (64, 32), convolutions (T, 128), attention (256, 128), the same, attention (512, 256)."""
    core = memory.make_core("snail", input_size=69, output_size=5, length=26)
    assert isinstance(core, SNAIL)
    found: list[object] = []
    for part in core.blocks:
        if isinstance(part, AttentionBlock):
            found.append((part.keys.out_features, part.values.out_features))
        elif isinstance(part, DenseBlock):
            found.append(part.taps.out_features // 2)
    assert found == [(64, 32), *5 * [128], (256, 128), *5 * [128], (512, 256)]
    assert core.output.in_features == 69 + 32 + 640 + 128 + 640 + 256


def test_what_is_empty_of_a_long_window_costs_a_sequence_nothing():
    core, inputs = small(4096), Sampler(5).normal(1, 9, 3)
    seen: list[int] = []
    core.blocks[0].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[1].shape[1]))
    _, state = memory.unroll(core, inputs[:, :5])
    memory.unroll(core, inputs[:, 5:], state)
    assert seen == [0, 5]
    assert state.past.shape[1] == 4096


def test_attention_is_whole_under_autocast():
    block, draw = small().float().blocks[0], Sampler(6)
    new, past, visible = draw.normal(2, 3, 3).float(), draw.normal(2, 4, 3).float(), torch.ones(2, 3, 7).bool()
    expected = block(new, past, visible)
    with torch.autocast("cpu", torch.bfloat16):
        found = block(new, past, visible)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
