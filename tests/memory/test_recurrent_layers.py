"""LSTM and GRU cores over whole sequences in native code, against the equations step by step.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lukasa import memory
from lukasa.memory.kernels.sequence import choice
from tests.memory.programs import TOLERANCE, compare, program
from tests.memory.samples import Sampler
from tests.memory.threads import last_states

pytest.importorskip("numba")
BOTH = pytest.mark.parametrize("name", ["lstm", "gru"])


@pytest.fixture(autouse=True)
def ours_also_without_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's own call serves an LSTM without resets."""
    monkeypatch.setattr(choice, "_library_is_as_fast", lambda *_: False)


@BOTH
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_random_programs(name: str, dtype: torch.dtype):
    strongest = 3e3 if dtype == torch.float64 else 3
    ways = [(seed, weigh_state) for seed in range(62) for weigh_state in (True, False)]
    assert sum(compare(program(name, seed, dtype, strongest), weigh_state) for seed, weigh_state in ways) >= 120


def make(name: str, size: int = 6, layers: int = 2, dtype: torch.dtype = torch.float64) -> Any:
    torch.manual_seed(0)
    return memory.make_core(name, input_size=3, output_size=2, size=size, layers=layers).to(dtype)


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
    "all rows at once": resets(*((row, 3) for row in range(5))),
    "side by side": resets((0, 2), (0, 3), (1, 3), (4, 5)),
}


@BOTH
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("where", STARTS)
def test_resets_wherever_they_are(name: str, where: str, rows: int):
    """One row is projected by one product over all steps, five inside the loop."""
    core, starts = make(name), STARTS[where][-rows:] if rows == 1 else STARTS[where]
    state = memory.state_to_dict(memory.unroll(core, sequence(rows, 2, 5))[1])
    found = []
    for stepwise in (False, True):
        inputs = sequence(rows).requires_grad_()
        leaves = {key: tensor.detach().clone().requires_grad_() for key, tensor in state.items()}
        with memory.step_by_step() if stepwise else torch.enable_grad():
            outputs, last = memory.unroll(core, inputs, memory.state_from_dict(core, leaves), starts)
        ends = list(memory.state_to_dict(last).values())
        loss = outputs.square().sum() + sum(end.sin().sum() for end in ends)
        wanted = [inputs, *leaves.values(), *core.parameters()]
        found.append([outputs, *ends, *torch.autograd.grad(loss, wanted, materialize_grads=True)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


@BOTH
def test_the_same_bits_for_any_number_of_threads_with_gradients_and_without(name: str):
    core, inputs = make(name, dtype=torch.float32), sequence(150, 5, dtype=torch.float32)
    starts = torch.rand(150, 5, generator=torch.Generator().manual_seed(0)) < 0.2
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
    for chosen in ("weight_ih_l0", "weight_hh_l1", "bias_ih_l1", "bias_hh_l0", "output.weight"):
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
def test_a_gradient_can_be_differentiated_again_and_checkpointed(name: str):
    core, found = make(name, layers=1), []
    for way in ("native", "checkpoint", "equations"):
        inputs = sequence(3, 4).requires_grad_()
        starts = resets((1, 2), rows=3, steps=4)

        def run(inputs: Tensor, starts: Tensor = starts) -> Tensor:
            return memory.unroll(core, inputs, None, starts)[0]

        with memory.step_by_step() if way == "equations" else torch.enable_grad():
            outputs = checkpoint(run, inputs, use_reentrant=False) if way == "checkpoint" else run(inputs)
            assert isinstance(outputs, Tensor)
            weights = [inputs, *core.parameters()]
            first = torch.autograd.grad(outputs.square().sum(), weights, create_graph=way != "checkpoint")
            if way == "checkpoint":
                torch.testing.assert_close(first, found[0][0])
                continue
            again = torch.autograd.grad(torch.stack([one.square().sum() for one in first]).sum(), weights)
        found.append((first, again))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-10)


@BOTH
def test_a_recording_shows_the_hidden_vectors_and_carries_gradients(name: str):
    core, found = make(name), []
    for stepwise in (False, True):
        inputs = sequence().requires_grad_()
        with memory.step_by_step() if stepwise else torch.enable_grad(), memory.record(core) as recording:
            memory.unroll(core, inputs, None, STARTS["side by side"])
        shown = recording.stacked()
        found.append([shown["hidden"], *torch.autograd.grad(shown["hidden"].square().sum(), inputs)])
    torch.testing.assert_close(found[0], found[1])


@BOTH
def test_a_change_between_forward_and_backward_is_refused(name: str):
    core = make(name)
    outputs, _ = memory.unroll(core, sequence(), None, STARTS["first"])
    with torch.no_grad():
        core.controller.layers.weight_hh_l1.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


@BOTH
def test_which_way_is_said(name: str):
    core, inputs = make(name), sequence()
    assert memory.why_slow(core, inputs) == choice.FAST
    half = copy.deepcopy(core).bfloat16()
    assert "at once, and step by step where rows are reset" in memory.why_slow(half, inputs.bfloat16())
    with memory.step_by_step():
        assert "step by step: memory.step_by_step" in memory.why_slow(core, inputs)
    core.controller.register_forward_hook(lambda _module, _inputs, output: output)
    assert "has hooks" in memory.why_slow(core, inputs)
    wrong = make(name, size=7).initial_state(5)
    assert "not of the shapes" in memory.why_slow(make(name), inputs, wrong)
    with pytest.raises(ValueError, match="of a core with other options"):
        memory.unroll(make(name), inputs, wrong, STARTS["first"])


def test_a_core_that_carries_nothing_runs_at_once_whatever_is_reset():
    core = memory.make_core("feedforward", input_size=3, output_size=2)
    assert "carries nothing" in memory.why_slow(core, sequence().float())
    found = memory.unroll(core, sequence().float(), None, STARTS["side by side"])[0]
    with memory.step_by_step():
        expected = memory.unroll(core, sequence().float(), None, STARTS["side by side"])[0]
    torch.testing.assert_close(found, expected)
