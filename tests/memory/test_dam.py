"""Dense Access Memory as a whole against its float64 loop, and what it promises.

Legend: B batch, T time, D input width, H heads, N slots, W word size.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.least_used import discounted_usage, least_used_slots
from tests.memory import oracles
from tests.memory.core_oracles import assert_core_equals, controller_step, linear
from tests.memory.interface import Places, raw_gate, steer
from tests.memory.oracles import Array, Named, sigmoid, softplus
from tests.memory.samples import Sampler, lively_core, reached_state

SMALL: dict[str, Any] = {"slots": 6, "word_size": 3, "heads": 2, "controller_size": 5}


def dam(**options: Any) -> Any:
    return lively_core("dam", **{**SMALL, **options})


def dam_step(parameters: Named, places: Places, x: Array, state: Named) -> tuple[Array, Named]:
    """Rae et al. 2016, sections 3.1 to 3.3: least used slots are erased, every head writes, then every one reads."""
    hidden, controller = controller_step(parameters, np.concatenate([x, state["reads"].ravel()]), state)
    emitted = linear(parameters, "interface", hidden)
    told = {name: emitted[place] for name, place in places.items()}
    written, usage, heads = state["memory"].copy(), state["usage"].copy(), len(state["reads"])
    oldest = sorted(range(len(usage)), key=lambda slot: (usage[slot], slot))[:heads]
    written[oldest] = 0
    write_weights = np.zeros_like(state["read_weights"])
    for head in range(heads):
        alpha, gamma = sigmoid(told["write_gates"][head]), sigmoid(told["interpolation_gates"][head])
        write_weights[head] = alpha * gamma * state["read_weights"][head]
        write_weights[head, oldest[head]] += alpha * (1 - gamma)
        written += np.outer(write_weights[head], told["words"][head])
    read_weights = oracles.content_weights(written, told["keys"], softplus(told["strengths"]))
    reads = read_weights @ written
    usage = 0.99 * usage + write_weights.sum(0) + read_weights.sum(0)
    output = linear(parameters, "output", np.concatenate([hidden, reads.ravel()]))
    after = {"memory": written, "usage": usage, "read_weights": read_weights, "reads": reads}
    return output, {**after, **controller}


@pytest.mark.parametrize("controller", ["lstm", "gru", "feedforward"])
@pytest.mark.parametrize("heads", [1, 2, 6])
def test_sequence_equals_the_papers_loop(controller: str, heads: int):
    core = dam(controller=controller, heads=heads)
    inputs = Sampler(0).normal(2, 8, 3)
    assert_core_equals(core, dam_step, inputs, core.initial_state(2))
    assert_core_equals(core, dam_step, inputs, reached_state(core, 2))


def test_gradients_of_steps_equal_finite_differences():
    """Of all but the usage, to which no gradient flows."""
    core = dam(slots=3, heads=2, controller_size=3)
    state = reached_state(core, 1)
    flat = memory.state_to_dict(state)
    usage = {"usage": Sampler(3).distinct(1, 3)}  # gaps that finite differences cannot close
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in flat.items() if name != "usage"}

    def run(inputs: Tensor, *fields: Tensor) -> tuple[Tensor, ...]:
        start = memory.state_from_dict(core, {**usage, **dict(zip(leaves, fields, strict=True))})
        outputs, last = memory.unroll(core, inputs, start)
        return (outputs, *(tensor for name, tensor in memory.state_to_dict(last).items() if name != "usage"))

    assert torch.autograd.gradcheck(run, (Sampler(2).normal(1, 2, 3).requires_grad_(), *leaves.values()))


def test_unused_slots_come_first_lowest_first_and_each_head_has_its_own():
    usage = torch.tensor([[0.5, 0.0, 0.2, 0.0]])
    assert least_used_slots(usage, 3).int().argmax(-1).tolist() == [[1, 3, 2]]
    assert least_used_slots(usage, 3).sum(-1).tolist() == [[1, 1, 1]]


def test_usage_fades_by_the_discount_and_grows_by_what_is_written_and_read():
    usage = discounted_usage(torch.tensor([[1.0, 0.0]]), torch.ones(1, 2, 2), torch.full((1, 2, 2), 0.5), 0.9)
    torch.testing.assert_close(usage, torch.tensor([[3.9, 3.0]]))


def test_heads_fill_the_memory_slot_by_slot():
    core = dam(heads=1, slots=4)
    told = {"write_gates": raw_gate(1, 1), "interpolation_gates": raw_gate(0, 1), "words": torch.ones(1, 3)}
    steer(core, **told, keys=torch.ones(1, 3), strengths=torch.full((1,), -60.0))
    with memory.record(core) as recording:
        memory.unroll(core, torch.zeros(1, 6, 3).double())
    assert recording.stacked()["write"].argmax(-1).flatten().tolist() == [0, 1, 2, 3, 0, 1]


def test_more_heads_than_slots_are_refused():
    with pytest.raises(ValueError, match="'heads' of core 'dam' is 7: expected at most 6"):
        dam(heads=7)
