"""Stack and list RNNs over whole sequences in native code, against the equations step by step.

Legend: B batch, T time, S stacks or lists, N elements of each, W numbers of an element.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.memory.kernels.sequence import choice
from tests.memory.programs import differing, program, results
from tests.memory.samples import Sampler
from tests.memory.threads import last_states

pytest.importorskip("numba")
BOTH = pytest.mark.parametrize("name", ["stack_rnn", "list_rnn"])
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Of the largest value."""
SIZES: dict[str, dict[str, Any]] = {
    "stack_rnn": {"size": 6, "stacks": 3, "depth": 30, "word_size": 2},
    "list_rnn": {"size": 6, "lists": 3, "reach": 20, "elements": 3},
}


def make(name: str, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    torch.manual_seed(0)
    core = memory.make_core(name, input_size=3, output_size=2, **SIZES[name] | options).to(dtype)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.mul_(2)
    return core


def sequence(rows: int = 5, steps: int = 7, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return Sampler(seed).normal(rows, steps, 3).to(dtype)


def resets(*where: tuple[int, int], rows: int = 5, steps: int = 7) -> Tensor:
    starts = torch.zeros(rows, steps, dtype=torch.bool)
    for row, time in where:
        starts[row, time] = True
    return starts


STARTS = {
    "first": resets((0, 0), (3, 0)),
    "last": resets((1, 6)),
    "one row at every step": resets(*((2, time) for time in range(7))),
    "every row at every step": torch.ones(5, 7, dtype=torch.bool),
    "side by side": resets((0, 2), (0, 3), (1, 3), (4, 5)),
}


@BOTH
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_random_programs(name: str, dtype: torch.dtype):
    """Structures shorter and longer than the sequence, states that fill them, strong weights; rounded and not."""
    for seed in range(25):
        one = program(name, seed, dtype, 30 if dtype == torch.float64 else 1)
        one.core.train(bool(seed % 2))
        for weigh_state in (True, False):
            expected = results(one, True, weigh_state)
            assert not differing(results(one, False, weigh_state), expected, TOLERANCE[dtype]), (seed, one.options)


@BOTH
@pytest.mark.parametrize("where", STARTS)
def test_resets_wherever_they_are(name: str, where: str):
    core = make(name)
    state = memory.state_to_dict(memory.unroll(core, sequence(5, 9, 5))[1])
    found = []
    for stepwise in (False, True):
        inputs = sequence().requires_grad_()
        leaves = {key: tensor.detach().clone().requires_grad_() for key, tensor in state.items()}
        with memory.step_by_step() if stepwise else torch.enable_grad():
            outputs, last = memory.unroll(core, inputs, memory.state_from_dict(core, leaves), STARTS[where])
        ends = list(memory.state_to_dict(last).values())
        loss = outputs.square().sum() + sum(end.sin().sum() for end in ends)
        wanted = [inputs, *leaves.values(), *core.parameters()]
        found.append([outputs, *ends, *torch.autograd.grad(loss, wanted, materialize_grads=True)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


@BOTH
def test_what_lies_deep_comes_up_and_has_its_gradient(name: str):
    """Elements at the far end, which a sequence reaches only at its last steps, where all weights pop or move right."""
    core, found = make(name), []
    with torch.no_grad():
        core.controller.actions.bias.zero_().view(3, -1)[:, 1] = 8
    for stepwise in (False, True):
        state = core.initial_state(2)
        held = state[0].clone()
        held[:, :, -3:] = 5 * Sampler(3).normal(*held[:, :, -3:].shape)
        held.requires_grad_()
        with memory.step_by_step() if stepwise else torch.enable_grad():
            outputs, _ = memory.unroll(core, sequence(2, 34), state._replace(**{state._fields[0]: held}))
        found.append([outputs, *torch.autograd.grad(outputs.square().sum(), held)])
    assert found[0][1][:, :, -3:].abs().amin() > 0
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-14)


@BOTH
def test_pieces_of_a_sequence_are_the_whole(name: str):
    core, inputs = make(name), sequence(3, 40)
    outputs, last = memory.unroll(core, inputs)
    pieces, state = [], None
    for piece in inputs.split([3, 20, 1, 16], 1):
        some, state = memory.unroll(core, piece, state)
        pieces.append(some)
    torch.testing.assert_close(torch.cat(pieces, 1), outputs)
    for key, tensor in memory.state_to_dict(state).items():
        torch.testing.assert_close(tensor, memory.state_to_dict(last)[key])


@BOTH
def test_the_same_bits_for_any_number_of_threads_with_gradients_and_without(name: str):
    core, inputs = make(name, torch.float32), sequence(40, 5, dtype=torch.float32)
    starts = torch.rand(40, 5, generator=torch.Generator().manual_seed(0)) < 0.2
    first, *others = last_states(core, inputs, starts)
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@BOTH
def test_a_row_that_is_no_number_ends_with_its_reset(name: str):
    core, inputs = make(name), sequence()
    inputs[1, 2], inputs[3, 1] = float("nan"), float("inf")
    outputs, last = memory.unroll(core, inputs, None, resets((1, 4), (2, 4)))
    assert outputs[1, 2:4].isnan().all()
    assert outputs[[0, 2, 4]].isfinite().all()
    assert outputs[1, 4:].isfinite().all()
    assert all(part[1].isfinite().all() for part in memory.state_to_dict(last).values())


@BOTH
def test_only_some_need_gradients(name: str):
    for chosen in ("inputs.weight", "hidden.weight", "elements.weight", "actions.bias", "words.weight", "output.bias"):
        core = make(name)
        for part, parameter in core.named_parameters():
            parameter.requires_grad_(part.endswith(chosen))
        found = []
        for stepwise in (False, True):
            with memory.step_by_step() if stepwise else torch.enable_grad():
                outputs, _ = memory.unroll(core, sequence(), None, STARTS["side by side"])
            wanted = [parameter for parameter in core.parameters() if parameter.requires_grad]
            found.append(torch.autograd.grad(outputs.square().sum(), wanted))
        torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-11)


@BOTH
@pytest.mark.parametrize("recurrent", [True, False])
def test_a_gradient_can_be_differentiated_again(name: str, recurrent: bool):
    core, found = make(name, recurrent=recurrent), []
    for stepwise in (False, True):
        inputs = sequence(3, 4).requires_grad_()
        with memory.step_by_step() if stepwise else torch.enable_grad():
            outputs, last = memory.unroll(core, inputs, None, resets((1, 2), rows=3, steps=4))
            weights = [inputs, *core.parameters()]
            first = torch.autograd.grad(outputs.square().sum() + last[0].square().sum(), weights, create_graph=True)
            again = torch.autograd.grad(torch.stack([one.square().sum() for one in first]).sum(), weights)
        found.append((first, again))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-10)


@BOTH
def test_a_change_between_forward_and_backward_is_refused(name: str):
    core = make(name)
    outputs, _ = memory.unroll(core, sequence())
    with torch.no_grad():
        core.controller.actions.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


@BOTH
def test_which_way_is_said(name: str):
    core, inputs = make(name), sequence()
    assert memory.why_slow(core, inputs) == choice.FAST
    assert "a single step" in memory.why_slow(core, inputs[:, :1])
    assert "torch.bfloat16" in memory.why_slow(copy.deepcopy(core).bfloat16(), inputs.bfloat16())
    with memory.step_by_step():
        assert "memory.step_by_step" in memory.why_slow(core, inputs)
    with memory.record(core):
        assert "recorded" in memory.why_slow(core, inputs)
    mixed = core.initial_state(5)
    mixed = mixed._replace(controller=mixed.controller._replace(hidden=torch.zeros(5, 6)))
    assert "its tensors differ" in memory.why_slow(core, inputs, mixed)
    assert "not of the shapes" in memory.why_slow(core, inputs, make(name, size=7).initial_state(5))
    other = copy.deepcopy(core)
    other.controller.words = nn.Linear(6, 9, dtype=torch.float64)
    assert "not of the shapes" in memory.why_slow(other, inputs)
    core.controller.actions.register_forward_hook(lambda _module, _inputs, output: output)
    assert "'controller.actions' has hooks" in memory.why_slow(core, inputs)
