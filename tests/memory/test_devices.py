"""Every core and every kernel on a GPU: the same numbers as on the CPU, and one sentence where devices are mixed.

Legend: B batch, T time, D input width, H heads, N slots, W word size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.kernels.sequence import running
from lukasa.memory.kernels.sparse_access import access, access_reference
from lukasa.memory.kernels.temporal_links import fused
from lukasa.memory.sparse import SparseMemory
from tests.memory.core_rows import EVERY_CORE, ROWS, Row, make, sequences, watched
from tests.memory.operations import KERNELS
from tests.memory.samples import Sampler, reached_state
from tests.memory.test_kernels import EVERY_KERNEL, PAIRS, results_and_gradients

# Float64. A GPU adds in another order, and gradients of these cores reach hundreds.
CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
ONE_OF_EACH = {row.core: row for row in ROWS.values()}
EVERY_CLASS = pytest.mark.parametrize("row", ONE_OF_EACH.values(), ids=ONE_OF_EACH)


@pytest.fixture
def stepwise() -> Iterator[None]:
    """The equations on the CPU too: native code would first be compiled for each of these cores."""
    with memory.step_by_step():
        yield


PLAIN = pytest.mark.usefixtures("stepwise")


def lived(row: Row, device: torch.device | str, starts: Tensor) -> tuple[dict[str, Tensor], memory.Core]:
    """Everything that a sequence on a device gives, brought back to the CPU: it begins in a state that was reached."""
    own = reached_state(make(row), 3)
    core = make(row).to(device)
    state, leaves = watched(row, core, memory.state_from_dict(core, memory.state_to_dict(own)))
    inputs = sequences().to(device).requires_grad_()
    with memory.record(core) as recording:
        outputs, after = memory.unroll(core, inputs, state, starts.to(device))
    found = {"outputs": outputs, **memory.state_to_dict(after)}
    numbers = [one for one in found.values() if one.requires_grad]
    sampler = Sampler(3)
    sum((sampler.normal(*one.shape).to(device) * one).sum() for one in numbers).backward()
    gradients = {"inputs": inputs, **leaves, **dict(core.named_parameters())}
    found |= {f"gradient of {name}": one.grad for name, one in gradients.items() if one.grad is not None}
    found |= {f"recorded {name}": one for name, one in recording.stacked().items()}
    return {name: one.detach().cpu() for name, one in found.items()}, core


@PLAIN
@EVERY_CORE
def test_core_on_a_device_equals_the_cpu(row: Row, device: torch.device):
    starts = torch.zeros(3, 6, dtype=torch.bool)
    starts[1, 3] = starts[0, 0] = starts[0, 5] = True
    expected, _ = lived(row, "cpu", starts)
    found, core = lived(row, device, starts)
    assert {one.device.type for one in core.parameters()} == {device.type}
    assert any(name.startswith("recorded ") for name in found)
    torch.testing.assert_close(found, expected, **CLOSE)


@PLAIN
@EVERY_CLASS
def test_states_lie_where_their_core_does(row: Row, device: torch.device):
    core = make(row).to(device)
    for state in (core.initial_state(2), memory.unroll(core, sequences(2).to(device))[1]):
        where = {name: one.device.type for name, one in memory.state_to_dict(state).items()}
        assert where == dict.fromkeys(where, device.type)


@PLAIN
@EVERY_CLASS
@pytest.mark.parametrize("training", [True, False])
def test_unrecorded_sequence_on_a_device_has_the_gradients_of_the_cpu(row: Row, device: torch.device, training: bool):
    """Without resets and recording, some cores run the whole sequence by one call of a library."""

    def gradients(core: memory.Core, inputs: Tensor) -> dict[str, Tensor]:
        memory.unroll(core.train(training), inputs)[0].square().sum().backward()
        return {name: one.grad.cpu() for name, one in core.named_parameters() if one.grad is not None}

    expected = gradients(make(row), sequences())
    torch.testing.assert_close(gradients(make(row).to(device), sequences().to(device)), expected, **CLOSE)


@PLAIN
@EVERY_CLASS
@pytest.mark.parametrize("back", [False, True], ids=["from the CPU to a device", "from a device to the CPU"])
def test_state_goes_on_elsewhere(row: Row, device: torch.device, back: bool):
    inputs, core, moved = sequences(), make(row), make(row).to(device)
    _, expected = memory.unroll(core, inputs)
    source, target = (moved, core) if back else (core, moved)
    first, then = (device, torch.device("cpu")) if back else (torch.device("cpu"), device)
    state = memory.unroll(source, inputs[:, :4].to(first))[1]
    tensors = {name: one.detach().to(then) for name, one in memory.state_to_dict(state).items()}
    target.load_state_dict(source.state_dict())
    after = memory.unroll(target, inputs[:, 4:].to(then), memory.state_from_dict(target, tensors))[1]
    found = {name: one.cpu() for name, one in memory.state_to_dict(after).items()}
    torch.testing.assert_close(found, memory.state_to_dict(expected), **CLOSE)


def test_native_code_is_left_and_said_to_be(device: torch.device, monkeypatch: pytest.MonkeyPatch):
    core = memory.make_core("ntm", input_size=3, output_size=2, slots=5, word_size=3).to(device)
    inputs = torch.zeros(1, 4, 3, device=device)
    monkeypatch.setattr(running, "run_core", lambda *_: pytest.fail("native code ran"))
    memory.unroll(core, inputs)
    assert memory.why_slow(core, inputs) == (
        f"this call runs step by step: native code runs on the CPU, and this is on {device}"
    )


@EVERY_KERNEL
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (5, 3, 37, 11)], ids=str)
def test_kernel_on_a_device_equals_its_oracle(name: str, sizes: tuple[int, int, int, int], device: torch.device):
    arguments = list(KERNELS[name].build(Sampler(1), *sizes))
    found = KERNELS[name](*(argument.to(device) for argument in arguments))
    for one, expected in zip(found, KERNELS[name].expected(*arguments), strict=True):
        torch.testing.assert_close(one.cpu(), torch.from_numpy(expected), rtol=0, atol=1e-11)


@EVERY_KERNEL
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)], ids=str)
def test_kernel_on_a_device_has_the_gradients_of_the_reference_on_the_cpu(
    name: str, dtype: torch.dtype, tolerance: float, device: torch.device
):
    arguments = [one.to(dtype) for one in KERNELS[name].build(Sampler(2), 2, 4, 33, 20)]
    fast, reference = PAIRS[name]
    assert_as_on_the_cpu(fast, reference, arguments, device, tolerance)


def test_links_row_by_row_on_a_device_equal_the_reference(device: torch.device, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fused, "ROW_BY_ROW_BYTES", 1)
    arguments = list(KERNELS["temporal_links"].build(Sampler(3), 3, 2, 9, 1))
    assert_as_on_the_cpu(*PAIRS["temporal_links"], arguments, device, 1e-10)


def assert_as_on_the_cpu(
    fast: Any, reference: Any, arguments: list[Tensor], device: torch.device, tolerance: float
) -> None:
    expected = results_and_gradients(reference, arguments)
    found = results_and_gradients(lambda *leaves: fast(*(leaf.to(device) for leaf in leaves)), arguments)
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.cpu(), other, rtol=0, atol=tolerance * scale)


def test_sparse_access_on_a_device_equals_the_reference_on_the_cpu(device: torch.device):
    def accessed(kernel: Any, where: torch.device | str) -> list[Tensor]:
        sampler = Sampler(5)
        interface = sampler.normal(2, 4, 3 * (2 * 5 + 3)).to(where).requires_grad_()
        held = SparseMemory.empty(2, 40, 5, dtype=torch.float64, device=torch.device(where), index="exact")
        slots, weights, reads = torch.full((2, 3, 2), -1), torch.zeros(2, 3, 2, dtype=torch.float64), []
        slots, weights = slots.to(where), weights.to(where)
        for step in interface.unbind(1):
            after = kernel(held, step, slots, weights)
            held, slots, weights = after.memory, after.read_slots, after.read_weights
            reads.append(after.reads)
        sum(one.square().sum() for one in reads).backward()
        return [slots, weights, *reads, held.tensors()["rows"], interface.grad]

    for one, other in zip(accessed(access, device), accessed(access_reference, "cpu"), strict=True):
        torch.testing.assert_close(one.cpu(), other, **CLOSE)


@PLAIN
@EVERY_CLASS
@pytest.mark.parametrize("back", [False, True], ids=["core on a device", "core on the CPU"])
def test_what_lies_elsewhere_is_one_sentence(row: Row, device: torch.device, back: bool):
    core, other = make(row).to("cpu" if back else device), make(row).to(device if back else "cpu")
    here, elsewhere = (torch.device("cpu"), device) if back else (device, torch.device("cpu"))
    inputs, starts = sequences(2).to(here), torch.zeros(2, 6, dtype=torch.bool, device=elsewhere)
    with pytest.raises(ValueError, match=f"^inputs are on {elsewhere} and the core on {here}: move one with .to"):
        memory.unroll(core, inputs.to(elsewhere))
    with pytest.raises(ValueError, match=f"^starts are on {elsewhere} and inputs on {here}: move one with .to"):
        memory.unroll(core, inputs, None, starts)
    if not memory.state_parts(core):  # which has no state
        return
    for call in (
        lambda: memory.unroll(core, inputs, other.initial_state(2)),
        lambda: core(inputs[:, 0], other.initial_state(2)),
    ):
        with pytest.raises(ValueError, match=f"^state is on {elsewhere} .*and the core on {here}: make it with"):
            call()
