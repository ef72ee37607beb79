"""A core whose mechanisms are options: every combination of them.

Legend: B batch, T time, R read heads, S slots.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.workbench import choosing, forgetting, organising, writing
from lukasa.memory.workbench.choosing import choose, sparsemax
from tests.memory.samples import Sampler, lively_core
from tests.memory.workbench import oracle

MECHANISMS = {
    "addressing": get_args(choosing.Addressing),
    "writing": get_args(writing.Writing),
    "organisation": get_args(organising.Organisation),
    "forgetting": get_args(forgetting.Forgetting),
}
SIZES: dict[str, Any] = {"slots": 4, "word_size": 3, "read_heads": 2, "controller_size": 5}
SIZES |= {"long_slots": 2, "compression": 3, "top": 2, "half_life": 5.0, "capacity": 2.5, "similarity": 0.4}


def combinations() -> list[dict[str, Any]]:
    every = [dict(zip(MECHANISMS, kinds, strict=True)) for kinds in itertools.product(*MECHANISMS.values())]
    return [one for one in every if one["organisation"] != "two_levels" or one["writing"] == "oldest"]


def make(mechanisms: dict[str, Any], **options: Any) -> memory.Core:
    return lively_core("workbench", **{**SIZES, **mechanisms, **options})


EVERY_WRITING = pytest.mark.parametrize("kind", MECHANISMS["writing"])


def of_writing(kind: str) -> list[dict[str, Any]]:
    return [one for one in combinations() if one["writing"] == kind]


@EVERY_WRITING
def test_every_combination_equals_loops_over_its_slots(kind: str):
    """Straight to the memory: 16 steps, so that 4 slots are written over and over."""
    emitted = 2 * Sampler(4).normal(16, 2, 60)
    for mechanisms in of_writing(kind):
        core: Any = make(mechanisms).eval()
        benches = [oracle.new(SIZES | mechanisms) for _ in range(2)]
        state = core.initial_state(2)
        for step in emitted[:, :, : sum(core.widths)]:
            state, shown = core.step(state, step)
            expected = [oracle.step(bench, row.tolist()) for bench, row in zip(benches, step, strict=True)]
            torch.testing.assert_close(state.reads, state.reads.new_tensor(expected), rtol=1e-8, atol=1e-8)
        strengths = state.reads.new_tensor([[slot.strength for slot in bench.slots] for bench in benches])
        torch.testing.assert_close(shown()["strengths"], strengths, rtol=1e-8, atol=1e-8)


@EVERY_WRITING
def test_every_combination_keeps_the_contract(kind: str):
    """Resets inside a sequence, rows apart from each other, a state through a dictionary, gradients to everything."""
    inputs = Sampler(5).normal(3, 9, 3)
    starts = torch.zeros(3, 9, dtype=torch.bool)
    starts[1, 4] = True
    for mechanisms in of_writing(kind):
        core = make(mechanisms).eval()
        leaf = inputs.clone().requires_grad_()
        outputs, last = memory.unroll(core, leaf, None, starts)
        outputs.square().sum().backward()
        assert all(one.grad is not None and one.grad.isfinite().all() for one in (leaf, *core.parameters()))
        assert (leaf.grad[:, 0] != 0).any()
        with torch.no_grad():
            alone, _ = memory.unroll(core, inputs[1:2, 4:])
            _, half = memory.unroll(core, inputs[:, :5], None, starts[:, :5])
            kept = memory.state_from_dict(core, memory.state_to_dict(half))
            rest, end = memory.unroll(core, inputs[:, 5:], kept)
        torch.testing.assert_close(outputs[1:2, 4:].detach(), alone)
        torch.testing.assert_close(outputs[:, 5:].detach(), rest)
        torch.testing.assert_close(memory.state_to_dict(end), memory.state_to_dict(memory.detach_state(last)))


def test_mechanisms_that_make_no_sense_together_are_refused_with_the_reason():
    for kind, why in (("append", "never displaces a word"), ("most_similar", "like it"), ("gated", "spread over")):
        with pytest.raises(ValueError, match=f"'writing' of core 'workbench' is '{kind}'.*expected 'oldest'.*{why}"):
            make({"organisation": "two_levels", "writing": kind})
    for name, value, expected in (
        ("top", 5, "at most 4"),
        ("temperature", 0.0, "above 0"),
        ("half_life", -1.0, "above 0"),
        ("half_life", 0.0, "above 0"),
        ("similarity", 1.5, "between -1 and 1"),
        ("capacity", 0.5, "at least 1 word"),
    ):
        with pytest.raises(ValueError, match=rf"option '{name}' of core 'workbench' is .*expected.*{expected}"):
            make({}, **{name: value})


def scores(*shape: int, seed: int = 0) -> Tensor:
    return 2 * Sampler(seed).normal(*shape)


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    given = scores(50, 7)
    found = sparsemax(given)
    torch.testing.assert_close(found.sum(1), torch.ones(50).double())
    expected = [oracle.share(list(row), "sparsemax", 0) for row in given.tolist()]
    torch.testing.assert_close(found, given.new_tensor(expected))
    assert 0.2 < (found == 0).double().mean() < 0.9
    assert torch.autograd.gradcheck(sparsemax, (given[:5].clone().requires_grad_(),))
    shut = given.masked_fill(given < 0, -math.inf)
    shut[0] = given[0].masked_fill(torch.arange(7) > 0, -math.inf)
    assert (sparsemax(shut)[shut == -math.inf] == 0).all()


@pytest.mark.parametrize("kind", MECHANISMS["addressing"])
@pytest.mark.parametrize("draw", [False, True])
def test_where_nothing_can_be_read_nothing_is(kind: Any, draw: bool):
    given = torch.full((2, 1, 4), -math.inf, dtype=torch.float64)
    given[1, 0, 2] = 0.3
    given.requires_grad_()
    weights, logs = choose(given, kind, draw=draw)
    torch.testing.assert_close(weights.detach(), torch.tensor([[[0.0, 0, 0, 0]], [[0, 0, 1, 0]]]).double())
    if kind == "reinforce":
        assert draw == (logs is not None)
        assert logs is None or logs.tolist() == [0, 0]
        return
    (gradient,) = torch.autograd.grad(weights.sum(), given)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("kind", choosing.DRAWN)
def test_what_is_drawn_is_drawn_as_often_as_the_softmax_says(kind: Any):
    torch.manual_seed(0)
    given = torch.tensor([1.0, 0.0, -1.0, -math.inf])
    weights, logs = choose(given.expand(20_000, 1, 4), kind, draw=True, temperature=0.5)
    torch.testing.assert_close(weights.sum(2), torch.ones(20_000, 1))
    assert ((weights - weights.round()).abs() < 1e-6).all()
    expected = torch.softmax(given, 0)
    torch.testing.assert_close(weights.mean((0, 1)), expected, atol=0.02, rtol=0)
    if kind == "reinforce":
        torch.testing.assert_close(logs, expected[weights.squeeze(1).argmax(1)].log())
    calm, _ = choose(given.expand(1, 1, 4), kind)
    assert calm.flatten().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("kind", ["straight_through", "gumbel"])
def test_a_single_slot_is_read_with_the_gradient_of_a_softmax(kind: Any):
    given = scores(3, 2, 5).requires_grad_()
    weights, _ = choose(given, kind)
    assert set(weights.detach().unique().tolist()) == {0.0, 1.0}
    away = Sampler(1).normal(3, 2, 5)
    (found,) = torch.autograd.grad((weights * away).sum(), given)
    (wanted,) = torch.autograd.grad((torch.softmax(given, -1) * away).sum(), given)
    torch.testing.assert_close(found, wanted)


def test_a_core_that_draws_says_so():
    chooses = {kind for kind in MECHANISMS["addressing"] if make({"addressing": kind}).chooses}
    assert chooses == set(choosing.DRAWN)
    core = make({"addressing": "reinforce"})
    with memory.collect_auxiliary(core) as auxiliary:
        memory.unroll(core, Sampler(5).normal(3, 9, 3))
    logs = auxiliary.log_probabilities()
    assert logs is not None
    assert logs.shape == (3, 9)
    assert (logs < 0).any()


def written(core: Any, words: Tensor, gate: float = 40.0) -> Any:
    """The state after these words [T, W] were written by one row, with an open gate."""
    state, heads, size = core.initial_state(1), core.read_heads, core.word_size
    for word in words:
        emitted = torch.zeros(1, sum(core.widths), dtype=torch.float64)
        start = heads * size + heads
        emitted[0, start : start + size], emitted[0, start + size] = word, gate
        state, _ = core.step(state, emitted)
    return state


def test_append_only_writing_ends_with_the_memory():
    words = Sampler(6).normal(6, 3)
    state = written(make({"writing": "append"}), words)
    torch.testing.assert_close(state.memory[0], words[:4])
    assert state.ages.tolist() == [[5, 4, 3, 2]]
    state = written(make({"writing": "oldest"}), words)
    torch.testing.assert_close(state.memory[0], words[[4, 5, 2, 3]])


def test_a_word_like_one_that_is_stored_takes_its_place():
    first, second = torch.eye(3).double()[:2]
    state = written(make({"writing": "most_similar"}, similarity=0.9), torch.stack([first, second, 1.1 * first]))
    torch.testing.assert_close(state.memory[0, :2], torch.stack([1.1 * first, second]))
    assert state.strengths[0].tolist() == [1, 1, 0, 0]


def test_words_fade_as_they_should():
    words = Sampler(6).normal(6, 3)
    state = written(make({"writing": "append", "forgetting": "decay"}), words)
    torch.testing.assert_close(state.strengths[0], 2 ** (-torch.tensor([5.0, 4, 3, 2]).double() / 5))
    crowded = make({"forgetting": "interference"}, slots=40)
    totals = [written(crowded, Sampler(6).normal(count, 3)).strengths.sum().item() for count in (1, 2, 5, 30)]
    assert totals == sorted(totals)
    assert totals[0] == pytest.approx(1)
    assert totals[-1] == pytest.approx(2.5, rel=1e-3)
    assert max(totals) <= 2.5


def test_what_is_displaced_is_kept_in_the_long_memory_as_a_mean():
    words = Sampler(6).normal(9, 3)
    state = written(make({"organisation": "two_levels"}), words)
    torch.testing.assert_close(state.memory[0, :4], words[[8, 5, 6, 7]])
    torch.testing.assert_close(state.memory[0, 4:], torch.stack([words[:3].mean(0), words[3:5].mean(0)]))
    assert state.organisation.displaced.tolist() == [5]


def test_a_graph_leads_from_a_word_to_the_next():
    core: Any = make({"organisation": "graph"}, read_heads=1, slots=5)
    words = torch.eye(3).double()
    state = written(core, words)
    emitted = torch.zeros(1, sum(core.widths), dtype=torch.float64)
    emitted[0, :3], emitted[0, 3], emitted[0, 7] = words[0], 60.0, -60.0  # seeks the first word, writes nothing
    for mode, most in enumerate((0, 1, None)):
        asked = emitted.clone()
        asked[0, -3 + mode] = 60.0
        _, shown = core.step(state, asked)
        weights = shown()["read"][0, 0]
        assert weights.max() > 0.3 if most is not None else weights.max() < 0.3
        if most is not None:
            assert int(weights.argmax()) == most
