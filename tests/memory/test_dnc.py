"""The Differentiable Neural Computer as a whole against its float64 loop, and what its equations promise.

Legend: B batch, T time, D input width, R read heads, N slots, W word size.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from tests.memory import oracles
from tests.memory.core_oracles import arrays, assert_core_equals, dnc_step, run
from tests.memory.gradients import check_core_gradients
from tests.memory.interface import raw_gate, steer
from tests.memory.oracles import (
    Array,
    allocation,
    backward_weights,
    forward_weights,
    read_weights,
    temporal_links,
    usage,
    write_weights,
)
from tests.memory.samples import Sampler, lively_core, reached_state

SMALL: dict[str, Any] = {"slots": 6, "word_size": 4, "read_heads": 2, "controller_size": 6}
BACKWARD, CONTENT, FORWARD = torch.eye(3).mul(60).double()  # read modes before their softmax
NOTHING = torch.zeros(1, 3).double()  # an input; steered heads do not care


def dnc(**options: Any) -> Any:
    return lively_core("dnc", **{**SMALL, **options})


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
@pytest.mark.parametrize(("read_heads", "layers", "slots"), [(1, 1, 6), (3, 1, 7), (2, 2, 5), (2, 1, 1)])
def test_sequence_equals_the_papers_loop(controller: str, read_heads: int, layers: int, slots: int):
    core = dnc(controller=controller, read_heads=read_heads, controller_layers=layers, slots=slots)
    inputs = Sampler(0).normal(2, 6, 3)
    assert_core_equals(core, dnc_step, inputs, core.initial_state(2))
    assert_core_equals(core, dnc_step, inputs, reached_state(core, 2))


def slot_order(usage: Array) -> Array:
    return np.array([(1 - usage[slot]) * np.prod(usage[:slot]) for slot in range(len(usage))])


def descending(usage: Array) -> Array:
    return 1 - allocation(1 - usage)


def gate_swapped(content: Array, allocation: Array, allocation_gate: Array, write_gate: Array) -> Array:
    return write_weights(allocation, content, allocation_gate, write_gate)


def write_gate_on_one_part(content: Array, allocation: Array, allocation_gate: Array, write_gate: Array) -> Array:
    return write_gate * allocation_gate * allocation + (1 - allocation_gate) * content


def usage_by_sum(prev_usage: Array, prev_write_weights: Array, prev_read_weights: Array, free_gates: Array) -> Array:
    nothing = np.zeros_like(prev_write_weights)
    return usage(prev_usage + prev_write_weights, nothing, prev_read_weights, free_gates)


def usage_frees_what_is_not_read(prev_usage: Array, prev_write: Array, prev_read: Array, free_gates: Array) -> Array:
    return usage(prev_usage, prev_write, prev_read, 1 - free_gates)


def links_transposed(prev_links: Array, prev_precedence: Array, write_weights: Array) -> Array:
    return temporal_links(prev_links.T, prev_precedence, write_weights).T


def links_with_diagonal(prev_links: Array, prev_precedence: Array, write_weights: Array) -> Array:
    return temporal_links(prev_links, prev_precedence, write_weights) + np.diag(write_weights * prev_precedence)


def links_to_this_step(prev_links: Array, prev_precedence: Array, write_weights: Array) -> Array:
    return temporal_links(prev_links, oracles.precedence(prev_precedence, write_weights), write_weights)


def modes_reversed(backward: Array, content: Array, forward: Array, read_modes: Array) -> Array:
    return read_weights(forward, content, backward, read_modes)


def dot_products(memory: Array, keys: Array, strengths: Array) -> Array:
    return np.stack([oracles.softmax(power * memory @ key) for key, power in zip(keys, strengths, strict=True)])


@pytest.mark.parametrize(
    ("name", "wrong_formula"),
    [
        ("forward_weights", backward_weights),
        ("backward_weights", forward_weights),
        ("allocation", slot_order),
        ("allocation", descending),
        ("write_weights", gate_swapped),
        ("write_weights", write_gate_on_one_part),
        ("usage", usage_by_sum),
        ("usage", usage_frees_what_is_not_read),
        ("temporal_links", links_transposed),
        ("temporal_links", links_with_diagonal),
        ("temporal_links", links_to_this_step),
        ("read_weights", modes_reversed),
        ("content_weights", dot_products),
        ("precedence", lambda prev_precedence, write_weights: write_weights),
    ],
)
def test_sequences_of_these_tests_tell_a_wrong_formula_from_the_papers(
    name: str, wrong_formula: Callable[..., Array], monkeypatch: pytest.MonkeyPatch
):
    core = dnc()
    inputs, state = Sampler(0).normal(2, 6, 3), reached_state(core, 2)
    assert_core_equals(core, dnc_step, inputs, state)
    monkeypatch.setattr(oracles, name, wrong_formula)
    wrong, _ = run(core, dnc_step, inputs.numpy(), arrays(state))
    right, _ = memory.unroll(core, inputs, state)
    assert np.abs(wrong - right.detach().numpy()).max() > 1e-4


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_gradients_of_an_unrolled_core_equal_finite_differences(controller: str):
    core = dnc(slots=4, word_size=3, controller_size=3, controller=controller)
    state = reached_state(core, 2)
    assert state.usage.sort().values.diff().min() > 1e-4  # no tie within reach of the differences
    check_core_gradients(core, Sampler(2).normal(2, 3, 3), state)


def write_next(core: Any, state: Any, word: Tensor | None = None, free: Tensor | None = None) -> Any:
    """One step that writes a word, all of it, where the allocation says; the state after it."""
    told = {"allocation_gate": raw_gate(1, 1), "write_gate": raw_gate(1, 1), "erase": raw_gate(1, 1, core.word_size)}
    told["free_gates"] = raw_gate(0, core.read_heads) if free is None else free
    if word is not None:
        told["add"] = word
    return steer(core, **told)(NOTHING, state)[1]


def look(core: Any, state: Any, key: Tensor, mode: Tensor) -> Any:
    """One step that writes nothing, frees nothing, and reads by one mode; the state after it."""
    still = {"write_gate": raw_gate(0, 1), "free_gates": raw_gate(0, core.read_heads)}
    modes, strengths = mode.expand(core.read_heads, 3), torch.full((core.read_heads,), 200.0)
    return steer(core, **still, read_keys=key, read_strengths=strengths, read_modes=modes)(NOTHING, state)[1]


def test_full_write_marks_slot_used():
    core = dnc(read_heads=1)
    state = write_next(core, core.initial_state(1))
    assert state.write_weights[0, 0].item() == pytest.approx(1)
    state = look(core, state, torch.zeros(1, 4), CONTENT)
    torch.testing.assert_close(state.usage[0], torch.eye(6).double()[0])


def test_empty_memory_is_filled_from_the_lowest_slot_and_nothing_is_overwritten():
    core, words = dnc(read_heads=1), Sampler(1).normal(6, 1, 4)
    state, visited = core.initial_state(1), []
    for word in words:
        state = write_next(core, state, word)
        visited.append(state.write_weights.argmax().item())
    assert visited == [0, 1, 2, 3, 4, 5]
    torch.testing.assert_close(state.memory[0], words.squeeze(1))


def test_full_memory_has_nothing_to_allocate():
    core = dnc(read_heads=1)
    state = core.initial_state(1)
    for _ in range(6):
        state = write_next(core, state)
    state = write_next(core, state, torch.ones(1, 4))
    assert state.write_weights.sum() < 1e-12
    assert state.memory.abs().max() < 1e-12


@pytest.mark.parametrize("freed", [0, 2, 5])
def test_freed_slot_is_reused(freed: int):
    core, words = dnc(read_heads=1), torch.eye(4, dtype=torch.float64)
    state = core.initial_state(1)
    for slot in range(6):  # six words that are told apart by their direction
        word = words[slot] if slot < 4 else -words[slot - 4]
        state = write_next(core, state, word)
    state = look(core, state, state.memory[0, freed : freed + 1], CONTENT)
    assert state.read_weights.argmax() == freed
    state = write_next(core, state, torch.ones(1, 4), free=raw_gate(1, 1))
    assert state.write_weights.argmax() == freed
    torch.testing.assert_close(state.memory[0, freed], torch.ones(4).double())


def test_free_gate_of_every_head_counts():
    core = dnc(read_heads=2)
    reads = torch.zeros(1, 2, 6).double()
    reads[0, 0, 3] = reads[0, 1, 4] = 1
    full = core.initial_state(1)._replace(usage=torch.ones(1, 6).double(), read_weights=reads)
    for head, slot in ((0, 3), (1, 4)):
        free = torch.stack([raw_gate(int(head == 0)), raw_gate(int(head == 1))])
        assert write_next(core, full, free=free).write_weights.argmax() == slot


def written_in_order(core: Any, order: list[int]) -> Any:
    """A state in which the slots hold different words and were each fully rewritten, in this order."""
    words = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [-1, 0, 0, 0], [0, -1, 0, 0]])
    state = core.initial_state(1)._replace(memory=words.double().unsqueeze(0))
    for slot in order:  # by content, not by allocation, which would give the order of the slots
        told = {"write_key": words[slot : slot + 1], "write_strength": torch.full((1,), 200.0)}
        told |= {"allocation_gate": raw_gate(0, 1), "write_gate": raw_gate(1, 1), "erase": raw_gate(0, 1, 4)}
        state = steer(core, **told)(NOTHING, state)[1]
    return state


def test_links_run_from_each_slot_to_the_one_written_next():
    order = [4, 1, 5, 0, 2]
    links = written_in_order(dnc(read_heads=1), order).links[0]
    expected = torch.zeros(6, 6).double()
    expected[order[1:], order[:-1]] = 1  # [i, j]: slot i was written right after slot j
    torch.testing.assert_close(links, expected)


def test_forward_links_replay_a_written_sequence_and_backward_links_rewind_it():
    core, order = dnc(read_heads=1), [4, 1, 5, 0, 2]
    state = written_in_order(core, order)
    state = look(core, state, state.memory[0, 4:5], CONTENT)
    visited = [state.read_weights.argmax().item()]
    for mode in (FORWARD, FORWARD, FORWARD, FORWARD, BACKWARD, BACKWARD):
        state = look(core, state, torch.zeros(1, 4), mode)
        visited.append(state.read_weights.argmax().item())
        torch.testing.assert_close(state.reads[0, 0], state.memory[0, visited[-1]])
    assert visited == [4, 1, 5, 0, 2, 0, 5]


def test_rewriting_a_slot_moves_it_to_the_end_of_the_sequence():
    order = [4, 1, 5, 4]
    links = written_in_order(dnc(read_heads=1), order).links[0]
    expected = torch.zeros(6, 6).double()
    expected[5, 1] = expected[4, 5] = 1  # and no longer 1 after 4
    torch.testing.assert_close(links, expected)


def test_read_heads_see_what_was_written_at_the_same_step():
    core, word = dnc(read_heads=1), Sampler(3).normal(1, 4)
    told = {"allocation_gate": raw_gate(1, 1), "write_gate": raw_gate(1, 1), "add": word}
    read = {"read_keys": word, "read_strengths": torch.full((1,), 200.0), "read_modes": CONTENT.unsqueeze(0)}
    _, state = steer(core, **told, **read)(NOTHING, core.initial_state(1))
    torch.testing.assert_close(state.reads[0], word)


def gradients(core: Any, outputs: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    leaves = {**leaves, **dict(core.named_parameters())}
    found = torch.autograd.grad(outputs.square().sum(), list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def test_stop_usage_gradient_changes_only_the_gradient_through_the_write_weights():
    """In one step the previous write weights enter the usage and nothing else."""
    found = {}
    for stop in (False, True):
        core = dnc(stop_usage_gradient=stop)
        flat = {name: x.requires_grad_() for name, x in memory.state_to_dict(reached_state(core, 2)).items()}
        output, _ = core(Sampler(4).normal(2, 3), memory.state_from_dict(core, flat))
        found[stop] = output, gradients(core, output, flat)
    torch.testing.assert_close(found[True][0], found[False][0], rtol=0, atol=0)
    assert found[False][1].pop("write_weights").count_nonzero() > 0
    assert found[True][1].pop("write_weights").count_nonzero() == 0
    torch.testing.assert_close(found[True][1], found[False][1], rtol=0, atol=1e-14)


def test_stop_usage_gradient_over_a_sequence_is_a_detached_weighting_between_steps():
    through, stopped = dnc(stop_usage_gradient=False), dnc(stop_usage_gradient=True)
    inputs, state = Sampler(5).normal(2, 5, 3), reached_state(through, 2)
    outputs = []
    cut = state
    for x in inputs.unbind(1):
        output, cut = through(x, cut._replace(write_weights=cut.write_weights.detach()))
        outputs.append(output)
    expected = gradients(through, torch.stack(outputs, 1), {})
    found = gradients(stopped, memory.unroll(stopped, inputs, state)[0], {})
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    whole = gradients(through, memory.unroll(through, inputs, state)[0], {})
    assert (whole["interface.weight"] - found["interface.weight"]).abs().max() > 1e-6


def test_initial_state_is_empty():
    state = dnc().initial_state(3)
    assert all(tensor.count_nonzero() == 0 for tensor in memory.state_to_dict(state).values())


def test_usage_stays_in_range_and_links_bounded_over_a_long_run_in_float32():
    """A thousand steps: rounding may not push the usage or the sums of links out of their ranges."""
    core = dnc(slots=12).float()
    _, state = memory.unroll(core, Sampler(6).normal(2, 1000, 3).float())
    rounding = 1e-5  # a hundred roundings of 6e-8; they do not add up, since old links and usages decay
    assert 0 <= state.usage.min() <= state.usage.max() <= 1
    assert state.links.diagonal(dim1=1, dim2=2).count_nonzero() == 0
    assert state.links.min() >= -rounding
    assert max(state.links.sum(1).max(), state.links.sum(2).max()) <= 1 + rounding
    for weights in (state.precedence, state.write_weights, state.read_weights):
        assert weights.min() >= -rounding
        assert weights.sum(-1).max() <= 1 + rounding
