"""Memory Q-networks against loops written from the paper, their window, and resets inside a sequence.

Legend: T time, M observations kept, D input width, S size of a context, K output width.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from tests.memory.attention.papers import linear
from tests.memory.attention.test_gtrxl import STARTS, outcome
from tests.memory.samples import Sampler, lively_core, reached_state

NAMES = ("mqn", "rmqn", "frmqn")
EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-11}


def made(name: str, length: int = 4) -> Any:
    return lively_core(name, length=length, size=5)


def lstm(layers: torch.nn.LSTM, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Hochreiter & Schmidhuber 1997 with forget gates, one vector and one unit at a time: h and c."""
    w_x, w_h, b_x, b_h = layers.all_weights[0]
    size, hidden, cell = len(h), [], []
    for unit in range(size):
        i, f, g, o = (w_x[row] @ x + b_x[row] + w_h[row] @ h + b_h[row] for row in range(unit, 4 * size, size))
        kept = 1 / (1 + (-f).exp()) * c[unit] + 1 / (1 + (-i).exp()) * g.tanh()
        cell.append(kept)
        hidden.append(1 / (1 + (-o).exp()) * kept.tanh())
    return torch.stack(hidden), torch.stack(cell)


def by_the_paper(name: str, core: Any, inputs: Tensor, length: int) -> Tensor:
    """Sections 4.2 and 4.3 of Oh et al. 2016: observations [T, D] of one episode to outputs [T, K]."""
    size = core.past.keys.out_features
    h = c = o = torch.zeros(size, dtype=torch.float64)
    outputs = []
    for time, e in enumerate(inputs):
        if name == "mqn":
            h = linear(core.context, e)
        else:
            h, c = lstm(core.controller.layers, torch.cat([e, o]) if name == "frmqn" else e, h, c)
        keys = [core.past.keys.weight @ one for one in inputs[max(0, time - length) : time]]
        values = [core.past.values.weight @ one for one in inputs[max(0, time - length) : time]]
        scores = [(h @ key).exp() for key in keys]
        o = torch.zeros(size, dtype=torch.float64)
        for score, value in zip(scores, values, strict=True):
            o = o + score / sum(scores) * value
        g = linear(core.output.of_context, h) + o
        f = [unit if place < (size + 1) // 2 else unit.clamp(min=0) for place, unit in enumerate(g)]
        outputs.append(linear(core.output.output, torch.stack(f)))
    return torch.stack(outputs)


@pytest.mark.parametrize("length", [1, 4, 20])
@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_gradients_are_those_of_the_paper(name: str, length: int):
    """Nine steps, three of them in a call of their own: windows shorter and longer than the episode."""
    core, inputs = made(name, length), Sampler(1).normal(2, 9, 3).requires_grad_()
    first, state = memory.unroll(core, inputs[:, :3])
    found = torch.cat([first, memory.unroll(core, inputs[:, 3:], state)[0]], 1)
    expected = torch.stack([by_the_paper(name, core, row, length) for row in inputs])
    torch.testing.assert_close(found, expected, **EXACT)
    wanted = [inputs, *core.parameters()]
    slopes = [torch.autograd.grad(outputs.square().sum(), wanted) for outputs in (found, expected)]
    torch.testing.assert_close(slopes[0], slopes[1], **EXACT)


@pytest.mark.parametrize("length", [1, 4, 20])
@pytest.mark.parametrize("name", NAMES)
def test_resets_inside_a_sequence_equal_those_step_by_step(name: str, length: int):
    """Of one row at once and twice in a row, of another never, from a state that is not empty."""
    core = made(name, length)
    found, expected = (outcome(core, reached_state(core, 3), STARTS, stepwise) for stepwise in (False, True))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["mqn", "rmqn"])
def test_attention_to_a_sequence_with_resets_is_one_call_where_its_numbers_are_finite(name: str):
    core, inputs = made(name), Sampler(6).normal(3, 11, 3)
    lengths: list[int] = []
    core.past.register_forward_pre_hook(lambda _, arguments: lengths.append(arguments[0].shape[1]))
    memory.unroll(core, inputs, None, STARTS)
    assert lengths == [11]
    inputs[2, 1] = math.nan
    outputs, _ = memory.unroll(core, inputs, None, STARTS)
    assert lengths == [11, 11, 3, 1, 1, 5, 1]
    assert outputs[2, 1:3].isnan().all()
    assert outputs[2, 3:].isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_step_reads_what_came_before_it_and_nothing_at_first(name: str):
    core, inputs = made(name, 3), Sampler(3).normal(1, 9, 3)
    with memory.record(core) as recording:
        memory.unroll(core, inputs)
    weights = recording.stacked()["attention"][0, :, 0]  # [T, M + 1]
    assert weights.shape == (9, 4)
    assert weights[:, 3].count_nonzero() == 0, "a step does not read itself"
    assert weights[0].count_nonzero() == 0, "nothing came before the first step"
    torch.testing.assert_close(weights[1:].sum(1), torch.ones(8).double())
    assert [int(row.count_nonzero()) for row in weights] == [0, 1, 2, 3, 3, 3, 3, 3, 3]


def test_mqn_forgets_what_lies_beyond_its_window_and_the_others_carry_it_on():
    for name in NAMES:
        core, inputs = made(name, 3), Sampler(3).normal(1, 9, 3).requires_grad_()
        outputs, _ = memory.unroll(core, inputs)
        (slope,) = torch.autograd.grad(outputs[0, 8].sum(), inputs)
        assert (slope[0, :5].count_nonzero() == 0) == (name == "mqn")
        assert (slope[0, 5:].abs().sum(1) > 0).all()


def test_feedback_lets_what_was_read_move_the_next_context():
    """The last read of a state changes the next output of an FRMQN, and it is the one that the step before made."""
    core, inputs = made("frmqn"), Sampler(4).normal(2, 3)
    state = reached_state(core, 2)
    other = state._replace(reads=torch.zeros_like(state.reads))
    assert (core(inputs, state)[0] - core(inputs, other)[0]).abs().min() > 1e-3
    assert core.initial_state(2).reads.count_nonzero() == 0


def test_more_observations_can_be_kept_with_the_same_weights():
    """What is learned does not depend on M: a longer window takes the weights of a shorter one, and sees further."""
    short, long, inputs = made("mqn", 3), made("mqn", 8), Sampler(5).normal(1, 6, 3)
    long.load_state_dict(short.state_dict())
    (found, _), (expected, _) = memory.unroll(long, inputs), memory.unroll(short, inputs)
    torch.testing.assert_close(found[:, :4], expected[:, :4], **EXACT)
    assert (found[:, 4:] - expected[:, 4:]).abs().min() > 1e-6
