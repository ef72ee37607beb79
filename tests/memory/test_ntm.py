"""The Neural Turing Machine as a whole against its float64 loop, and what its equations promise.

Legend: B batch, T time, D input width, R read heads, P write heads, N slots, W word size, S shifts.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from tests.memory import oracles
from tests.memory.core_oracles import arrays, assert_core_equals, ntm_step, run
from tests.memory.gradients import check_core_gradients
from tests.memory.interface import raw_gate, steer
from tests.memory.oracles import Array, erase_and_add, interpolate, shift
from tests.memory.samples import Sampler, lively_core, reached_state

SMALL: dict[str, Any] = {"slots": 7, "word_size": 4, "controller_size": 6}
SHAPES = [
    {"read_heads": 1, "write_heads": 1, "shifts": 3},
    {"read_heads": 3, "write_heads": 2, "shifts": 5},
    {"read_heads": 1, "write_heads": 3, "shifts": 1},
    {"read_heads": 2, "write_heads": 1, "shifts": 7},
    {"read_heads": 2, "write_heads": 2, "shifts": 3, "controller_layers": 2},
]


def ntm(**options: Any) -> Any:
    return lively_core("ntm", **{**SMALL, **options})


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_sequence_equals_the_papers_loop(controller: str, shape: dict[str, int]):
    core = ntm(controller=controller, **shape)
    inputs = Sampler(0).normal(2, 6, 3)
    assert_core_equals(core, ntm_step, inputs, core.initial_state(2))
    assert_core_equals(core, ntm_step, inputs, reached_state(core, 2))


@pytest.mark.parametrize("initial_reads", ["learned", "constant"])
@pytest.mark.parametrize("initial_weights", ["learned", "first"])
def test_sequence_from_either_initial_state_equals_the_papers_loop(initial_reads: str, initial_weights: str):
    core = ntm(initial_reads=initial_reads, initial_weights=initial_weights, initial_memory=0.1)
    assert_core_equals(core, ntm_step, Sampler(1).normal(2, 5, 3), core.initial_state(2))


def swapped_gates(prev_weights: Array, content: Array, gates: Array) -> Array:
    return interpolate(content, prev_weights, gates)


def shifted_backward(weights: Array, shift_weights: Array) -> Array:
    return shift(weights, shift_weights[:, ::-1])


def shifted_off_the_ends(weights: Array, shift_weights: Array) -> Array:
    reach = shift_weights.shape[1] // 2
    padded = np.pad(weights, ((0, 0), (reach, reach)))
    return shift(padded, shift_weights)[:, reach:-reach]


def second_softmax(weights: Array, sharpness: Array) -> Array:
    return np.stack([oracles.softmax(power * row) for row, power in zip(weights, sharpness, strict=True)])


def add_before_erase(memory: Array, write_weights: Array, erase: Array, add: Array) -> Array:
    added = erase_and_add(memory, write_weights, np.zeros_like(erase), add)
    return erase_and_add(added, write_weights, erase, np.zeros_like(add))


def dot_products(memory: Array, keys: Array, strengths: Array) -> Array:
    return np.stack([oracles.softmax(power * memory @ key) for key, power in zip(keys, strengths, strict=True)])


@pytest.mark.parametrize(
    ("name", "wrong_formula"),
    [
        ("interpolate", swapped_gates),
        ("shift", shifted_backward),
        ("shift", shifted_off_the_ends),
        ("sharpen", second_softmax),
        ("erase_and_add", add_before_erase),
        ("content_weights", dot_products),
    ],
)
def test_sequences_of_these_tests_tell_a_wrong_formula_from_the_papers(
    name: str, wrong_formula: Callable[..., Array], monkeypatch: pytest.MonkeyPatch
):
    core = ntm(read_heads=2, write_heads=2)
    inputs, state = Sampler(0).normal(2, 6, 3), reached_state(core, 2)
    assert_core_equals(core, ntm_step, inputs, state)
    monkeypatch.setattr(oracles, name, wrong_formula)
    wrong, _ = run(core, ntm_step, inputs.numpy(), arrays(state))
    right, _ = memory.unroll(core, inputs, state)
    assert np.abs(wrong - right.detach().numpy()).max() > 1e-3


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
def test_gradients_of_an_unrolled_core_equal_finite_differences(controller: str):
    core = ntm(slots=4, word_size=3, controller_size=3, read_heads=2, write_heads=2, controller=controller)
    check_core_gradients(core, Sampler(2).normal(2, 3, 3), reached_state(core, 2))


def stay_or_go(places: int, heads: int = 2) -> Tensor:
    """Shifts before their softmax: all on one of -1, 0, +1."""
    return torch.eye(3)[places + 1].mul(60).expand(heads, 3)


def test_heads_walk_the_memory_by_shifting_alone():
    core = ntm(initial_weights="first")
    steer(core, gates=raw_gate(0, 2), shifts=stay_or_go(+1), sharpness=torch.full((2,), 20.0))
    with memory.record(core) as recording:
        memory.unroll(core, torch.zeros(1, 9, 3).double())
    visited = recording.stacked()
    assert visited["read"].argmax(-1).flatten().tolist() == [1, 2, 3, 4, 5, 6, 0, 1, 2]
    assert visited["write"].argmax(-1).flatten().tolist() == [1, 2, 3, 4, 5, 6, 0, 1, 2]


def test_read_heads_see_what_was_written_at_the_same_step():
    core = ntm(initial_weights="first")
    word = torch.tensor([[1.0, -2.0, 3.0, -4.0]]).double()
    steer(core, gates=raw_gate(0, 2), shifts=stay_or_go(0), erase=raw_gate(1, 1, 4), add=word)
    _, state = core(torch.zeros(1, 3).double(), core.initial_state(1))
    torch.testing.assert_close(state.reads[0], word, rtol=0, atol=1e-12)


def test_content_addressing_finds_the_written_word():
    core = ntm()
    state = core.initial_state(1)._replace(memory=Sampler(3).normal(1, 7, 4))
    told = {"keys": state.memory[0, [5, 2]], "strengths": torch.full((2,), 500.0), "gates": raw_gate(1, 2)}
    steer(core, **told, shifts=stay_or_go(0), erase=raw_gate(0, 1, 4))
    _, after = core(torch.zeros(1, 3).double(), state)
    assert after.read_weights[0, 0, 5] > 0.999  # the read head comes first
    assert after.write_weights[0, 0, 2] > 0.999


def test_initial_memory_is_the_constant_and_first_weights_sit_on_slot_zero():
    state = ntm(initial_memory=0.25, initial_weights="first", read_heads=2).initial_state(3)
    assert state.memory.unique().tolist() == [0.25]
    assert state.read_weights[..., 0].unique().tolist() == state.write_weights[..., 0].unique().tolist() == [1.0]
    assert state.read_weights[..., 1:].count_nonzero() == state.write_weights[..., 1:].count_nonzero() == 0


def test_learned_memory_starts_at_the_constant_in_every_row_and_is_trained():
    untrained: Any = memory.make_core("ntm", input_size=3, output_size=2, initial_memory=0.25, learn_memory=True)
    assert untrained.initial_state(3).memory.unique().tolist() == [0.25]
    core, inputs = ntm(learn_memory=True), Sampler(4).normal(2, 3, 3)  # with random words
    assert_core_equals(core, ntm_step, inputs, core.initial_state(2))
    torch.testing.assert_close(core.initial_state(2).memory[1], core.initial_words)
    memory.unroll(core, inputs)[0].square().sum().backward()
    assert core.initial_words.grad.count_nonzero() > 0


def test_learned_initial_state_is_trained_and_a_constant_one_is_not():
    for choice in ("learned", "constant"):
        core = ntm(initial_reads=choice, initial_weights="learned" if choice == "learned" else "first")
        outputs, _ = memory.unroll(core, Sampler(4).normal(2, 3, 3))
        outputs.square().sum().backward()
        initial = {name: p for name, p in core.named_parameters() if name.startswith("initial_") and p.requires_grad}
        assert set(initial) == ({"initial_reads", "initial_logits"} if choice == "learned" else set())
        assert all(p.grad is not None and p.grad.count_nonzero() for p in initial.values())
