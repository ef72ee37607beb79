"""Cores under ``torch.autocast``: layers in bfloat16, memory and state in float32."""

import pytest
import torch

from lukasa import memory
from tests.memory.core_rows import ROWS, Row

CORES = ("ntm", "dnc", "mann", "snail", "gtrxl", "compressive_transformer", "lstm", "gru", "feedforward")
CORES += ("mingru", "lru", "ffm", "lmu")
CORES += ("mqn", "rmqn", "frmqn", "neural_map")
CORES += ("act", "dntm", "rmc", "stack_rnn", "list_rnn")
NORMALISING = ("gated_deltanet", "mlstm", "shm")
CORES += NORMALISING
TWICE = ("gated_deltanet-2", "mlstm-2")
"""Two layers that normalise what is nearly zero multiply a rounding by more than MIXED allows."""
DENSE = {name: row for name, row in ROWS.items() if row.core in CORES and name not in TWICE}
# A weight of a layer is off by up to 2^-9 of itself, and a sequence of six steps multiplies that by less than ten.
MIXED = {"rtol": 0.02, "atol": 0.02}


def core_and_inputs(row: Row) -> tuple[memory.Core, torch.Tensor]:
    torch.manual_seed(0)
    core = memory.make_core(row.core, input_size=3, output_size=2, **row.options)
    return core, torch.randn(4, 6, 3)


@pytest.mark.parametrize("row", DENSE.values(), ids=DENSE)
@pytest.mark.parametrize("stepwise", [False, True])
def test_autocast_around_a_core_leaves_state_and_gradients_whole(row: Row, stepwise: bool):
    core, inputs = core_and_inputs(row)
    starts = torch.zeros(4, 6, dtype=torch.bool)
    starts[1, 3] = stepwise
    expected, whole = memory.unroll(core, inputs, None, starts)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = memory.unroll(core, inputs, None, starts)
    assert outputs.dtype == torch.bfloat16
    for name, tensor in memory.state_to_dict(state).items():
        assert tensor.dtype == torch.float32 or not tensor.is_floating_point(), name
        torch.testing.assert_close(tensor, memory.state_to_dict(whole)[name], **MIXED)
    torch.testing.assert_close(outputs.float(), expected, **MIXED)
    outputs.float().square().sum().backward()
    found = {name: one.grad for name, one in core.named_parameters() if one.grad is not None}
    core.zero_grad()
    expected.square().sum().backward()
    for name, one in core.named_parameters():
        if one.grad is not None:
            assert found[name].dtype == torch.float32
            # what is normalised multiplies roundings
            normalised = 0.1 * one.grad.abs().max().item() if row.core in NORMALISING else 0
            torch.testing.assert_close(found[name], one.grad, rtol=0.1, atol=max(0.05, normalised))


@pytest.mark.parametrize("name", ["ntm", "dnc"])
def test_memory_under_autocast_equals_the_whole_one_given_the_same_interface(name: str):
    """With layers that round nothing, all that autocast could still change is the memory."""
    core, inputs = core_and_inputs(DENSE[f"{name}-feedforward"])
    state = memory.unroll(core, inputs)[1]
    emitted = torch.randn(4, core.get_parameter("interface.weight").shape[0])
    core.interface.register_forward_hook(lambda *_: emitted)
    _, expected = core(inputs[:, 0], state)
    with torch.autocast("cpu", torch.bfloat16):
        _, found = core(inputs[:, 0], state)
    torch.testing.assert_close(memory.state_to_dict(found), memory.state_to_dict(expected), rtol=0, atol=0)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["ntm-lstm", "dnc-gru", "mann-lstm", "dam-lstm", "sam-lstm", "sdnc-gru", "lstm"])
def test_autocast_on_a_device_is_finite_near_float32_and_keeps_the_memory_whole(
    name: str, half: torch.dtype, real_device: torch.device
):
    if name == "lstm" and half == torch.float16 and real_device.type == "cpu":
        pytest.skip("PyTorch's LSTM has no float16 on many CPUs")
    core, inputs = core_and_inputs(ROWS[name])
    core, inputs = core.to(real_device), inputs.to(real_device)
    with memory.step_by_step():
        expected, _ = memory.unroll(core, inputs)
        with torch.autocast(real_device.type, half):
            outputs, state = memory.unroll(core, inputs)
    torch.testing.assert_close(outputs.float(), expected, **MIXED)
    whole = [one for one in memory.state_to_dict(state).values() if one.is_floating_point()]
    assert all(one.dtype in (torch.float32, torch.float64) and bool(one.isfinite().all()) for one in whole)
    outputs.float().square().sum().backward()
    assert all(bool(one.grad.isfinite().all()) for one in core.parameters() if one.grad is not None)
