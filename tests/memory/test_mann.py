"""The memory-augmented network of Santoro et al. 2016 as a whole against its float64 loop, and what it promises.

Legend: B batch, T time, D input width, H heads, N slots, W word size.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.mann import lrua_write_weights
from tests.memory import oracles
from tests.memory.core_oracles import assert_core_equals, controller_step, linear
from tests.memory.interface import Places, raw_gate, steer
from tests.memory.oracles import Array, Named, sigmoid
from tests.memory.samples import Sampler, lively_core, reached_state

SMALL: dict[str, Any] = {"slots": 6, "word_size": 3, "read_heads": 2, "controller_size": 5}


def mann(**options: Any) -> Any:
    return lively_core("mann", **{**SMALL, **options})


def mann_step(parameters: Named, places: Places, x: Array, state: Named) -> tuple[Array, Named]:
    """Santoro et al. 2016, section 3.2: least used slots are zeroed, each head writes its key, then each reads."""
    hidden, controller = controller_step(parameters, np.concatenate([x, state["reads"].ravel()]), state)
    emitted = linear(parameters, "interface", hidden)
    keys, gates = emitted[places["keys"]], sigmoid(emitted[places["write_gates"]])
    words = emitted[places["words"]] if "words" in places else keys
    strengths = oracles.oneplus(emitted[places["strengths"]]) if "strengths" in places else np.ones(len(keys))
    written, prev_usage, heads = state["memory"].copy(), state["usage"], len(state["reads"])
    least_used = sorted(range(len(prev_usage)), key=lambda slot: (prev_usage[slot], slot))[:heads]
    written[least_used] = 0
    write_weights = np.zeros_like(state["read_weights"])
    for head in range(heads):
        write_weights[head] = gates[head] * state["read_weights"][head]
        write_weights[head, least_used[head]] += 1 - gates[head]
        written += np.outer(write_weights[head], words[head])
    read_weights = oracles.content_weights(written, keys, strengths)
    reads = read_weights @ written
    usage = 0.95 * prev_usage + read_weights.sum(0) + write_weights.sum(0)
    output = linear(parameters, "output", np.concatenate([hidden, reads.ravel()]))
    after = {"memory": written, "usage": usage, "read_weights": read_weights, "reads": reads}
    return output, {**after, **controller}


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize("options", [{}, {"words": "own"}, {"words": "own", "key_strength": "emitted"}], ids=str)
def test_sequence_equals_the_papers_loop(controller: str, heads: int, options: dict[str, str]):
    """Eight steps with two heads or more write to every slot more than once."""
    core = mann(controller=controller, read_heads=heads, **options)
    inputs = Sampler(0).normal(2, 8, 3)
    assert_core_equals(core, mann_step, inputs, core.initial_state(2))
    assert_core_equals(core, mann_step, inputs, reached_state(core, 2))


@pytest.mark.parametrize("key_strength", ["one", "emitted"])
def test_gradients_of_steps_equal_finite_differences(key_strength: str):
    """Of all but the usage, to which no gradient flows."""
    core = mann(slots=3, controller_size=3, key_strength=key_strength)
    flat = memory.state_to_dict(reached_state(core, 1))
    usage = {"usage": Sampler(3).distinct(1, 3)}  # gaps that finite differences cannot close
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in flat.items() if name != "usage"}

    def run(inputs: Tensor, *fields: Tensor) -> tuple[Tensor, ...]:
        start = memory.state_from_dict(core, {**usage, **dict(zip(leaves, fields, strict=True))})
        outputs, last = memory.unroll(core, inputs, start)
        return (outputs, *(tensor for name, tensor in memory.state_to_dict(last).items() if name != "usage"))

    assert torch.autograd.gradcheck(run, (Sampler(2).normal(1, 2, 3).requires_grad_(), *leaves.values()))


def test_write_gate_goes_from_the_least_used_slot_to_the_one_that_was_read():
    read, least_used = torch.tensor([[[0.25, 0.75]]]), torch.tensor([[[True, False]]])
    found = [lrua_write_weights(read, least_used, torch.full((1, 1), gate)).tolist() for gate in (0.0, 0.5, 1.0)]
    assert found == [[[[1.0, 0.0]]], [[[0.625, 0.375]]], [[[0.25, 0.75]]]]


def told_to_write_anew(**options: Any) -> Any:
    """A core whose heads write the key (1, 1, 1) to their least used slots at every step."""
    core = mann(**options)
    heads = core.read_heads
    return steer(core, keys=torch.ones(heads, 3), write_gates=raw_gate(0, heads))


def test_each_head_writes_to_a_least_used_slot_of_its_own():
    core = told_to_write_anew(slots=6, read_heads=2)
    with memory.record(core) as recording:
        memory.unroll(core, torch.zeros(1, 3, 3).double())
    assert recording.stacked()["write"].argmax(-1).tolist() == [[[0, 1], [2, 3], [4, 5]]]


def test_least_used_slot_is_emptied_before_it_is_written():
    core = told_to_write_anew(slots=2, read_heads=1)
    with memory.record(core) as recording:
        memory.unroll(core, torch.zeros(1, 5, 3).double())
    held = recording.stacked()["memory"][0]
    torch.testing.assert_close(held[1:], torch.ones_like(held[1:]))


def test_slot_just_written_and_read_is_not_the_next_to_be_written():
    core = told_to_write_anew(slots=3, read_heads=1)
    state = core.initial_state(1)._replace(usage=torch.tensor([[0.3, 0.2, 0.9]]).double())
    with memory.record(core) as recording:
        memory.unroll(core, torch.zeros(1, 2, 3).double(), state)
    assert recording.stacked()["write"].argmax(-1).flatten().tolist() == [1, 0]


def test_words_of_their_own_are_written_in_place_of_keys():
    core = mann(words="own", read_heads=1)
    steer(core, keys=torch.ones(1, 3), words=torch.tensor([[1.0, 2.0, 3.0]]), write_gates=raw_gate(0, 1))
    _, state = core(torch.zeros(1, 3).double(), core.initial_state(1))
    torch.testing.assert_close(state.memory[0, 0], torch.tensor([1.0, 2.0, 3.0]).double())


def test_emitted_strength_lets_a_read_stand_on_one_slot():
    """Cosines alone differ by 2 at most, so that no slot weighs more than e² times another."""
    core = mann(words="own", read_heads=1, key_strength="emitted")
    key = torch.tensor([[1.0, 0.0, 0.0]])
    steer(core, keys=key, words=key, write_gates=raw_gate(0, 1), strengths=torch.tensor([50.0]))
    _, state = core(torch.zeros(1, 3).double(), core.initial_state(1))
    assert state.read_weights.max() > 0.999


def test_more_heads_than_slots_are_refused():
    with pytest.raises(ValueError, match="'read_heads' of core 'mann' is 7: expected at most 6"):
        mann(read_heads=7)


def test_defaults_are_the_papers():
    defaults = {name: option.default for name, option in memory.core_options("mann").items()}
    expected = {"slots": 128, "word_size": 40, "read_heads": 4, "words": "keys", "key_strength": "one"}
    expected |= {"controller": "lstm", "controller_size": 200}
    assert {name: defaults[name] for name in expected} == expected
