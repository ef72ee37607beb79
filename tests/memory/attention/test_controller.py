"""The attention controller, by itself and in every core that has a controller.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lukasa import memory
from lukasa.memory.attention.window import WindowState
from lukasa.memory.controllers import AttentionController, make_controller
from tests.memory.attention.test_gtrxl import by_the_paper, small
from tests.memory.core_rows import HEADS, MANN, NTM, SAM
from tests.memory.samples import Sampler, lively_core

CORES: dict[str, dict[str, Any]] = {
    "ntm": NTM,
    "dnc": {"slots": 5, "word_size": 3, "read_heads": 2, "controller_size": 7},
    "sam": SAM,
    "dam": HEADS,
    "sdnc": SAM,
    "mann": MANN,
    "dntm": {"slots": 5, "word_size": 3, "address_size": 3, "controller_size": 7},
}
EVERY_CORE = pytest.mark.parametrize("name", CORES)


def attending(name: str, **options: Any) -> Any:
    return lively_core(name, **CORES[name] | {"controller": "attention", "controller_window": 3} | options)


def test_every_core_that_takes_a_kind_of_controller_is_tried():
    taking = {name for name in memory.CORES if "controller_window" in memory.core_options(name)}
    assert taking >= set(CORES)


def test_it_is_a_gated_transformer_over_its_own_inputs():
    """Against the loops of the paper, whole and step by step, with windows that are full and not yet."""
    torch.manual_seed(0)
    controller = make_controller("attention", 3, 6, 2, 4).double()
    assert isinstance(controller, AttentionController)
    core = small()
    core.input, core.body, core.output = controller.input, controller.layers, nn.Linear(6, 6).double()
    with torch.no_grad():
        core.output.weight.copy_(torch.eye(6))
        core.output.bias.zero_()
    inputs, state, steps = Sampler(1).normal(2, 9, 3), controller.initial_state(2), []
    whole, last = controller.sequence(inputs, state)
    for step in inputs.unbind(1):
        output, state = controller(step, state)
        steps.append(output)
    expected = torch.stack([by_the_paper(core, row, 4) for row in inputs])
    torch.testing.assert_close(whole, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close((torch.stack(steps, 1), state), (whole, last), rtol=1e-10, atol=1e-12)


@EVERY_CORE
def test_what_was_seen_within_the_window_steers_the_memory(name: str):
    """With the memory wiped before every step, what was seen three steps ago still moves the output, four not."""
    core = attending(name, controller_layers=1)
    wiped, inputs = memory.without(core, "memory"), Sampler(2).normal(1, 6, 3).requires_grad_()
    outputs, state = memory.unroll(wiped, inputs)
    (slope,) = torch.autograd.grad(outputs[0, 5].square().sum(), inputs)
    assert slope[0, :2].count_nonzero() == 0
    assert (slope[0, 2:].abs().sum(1) > 0).all()
    assert isinstance(state.controller, WindowState)
    assert state.controller.past.shape == (1, 1, 3, 7)


@EVERY_CORE
def test_every_weight_of_the_controller_is_learned_and_states_travel(name: str):
    core, inputs = attending(name, controller_layers=2), Sampler(3).normal(2, 5, 3)
    outputs, state = memory.unroll(core, inputs)
    outputs.square().sum().backward()
    for path, parameter in core.controller.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.count_nonzero() > 0, path
    tensors = {path: part.detach() for path, part in memory.state_to_dict(memory.fork_state(state)).items()}
    again = memory.state_from_dict(core, tensors)
    with torch.no_grad():
        torch.testing.assert_close(
            memory.unroll(core, inputs, again)[0], memory.unroll(core, inputs, state)[0], rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("name", [name for name in CORES if name != "dntm"])
def test_native_code_steps_aside(name: str):
    core = attending(name)
    sentence = memory.why_slow(core, torch.zeros(1, 20, 3, dtype=torch.float64))
    assert (
        sentence
        == "this call runs step by step: its controller attends to its last inputs, which only the equations do"
    )


@EVERY_CORE
def test_a_window_of_a_controller_that_has_none_is_refused(name: str):
    with pytest.raises(
        ValueError, match="controller_window is 3, and controller 'gru' has no window: only 'attention'"
    ):
        memory.make_core(name, input_size=3, output_size=2, controller="gru", controller_window=3)
