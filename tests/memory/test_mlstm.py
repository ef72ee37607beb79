"""mLSTM against loops written from the paper's equations, without the stabiliser.

Legend: B batch, T time.
"""

from typing import Any

import pytest
import torch

from lukasa import memory
from tests.memory.core_rows import ROWS
from tests.memory.matrix_oracles import MatrixLSTM, assert_as_in_loops

LAYERS: dict[str, Any] = {
    "mlstm": [MatrixLSTM(2)],
    "mlstm-2": [MatrixLSTM(2) for _ in range(2)],
    "mlstm-bare": [MatrixLSTM(2, "exponential", "sigmoid", convolution=False)],
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("stepwise", [False, True])
def test_outputs_are_those_of_the_equations(name: str, stepwise: bool):
    """Thirty steps with starts at the first step, the last and two in a row; read by more and by less than 1."""
    assert_as_in_loops(ROWS[name], LAYERS[name], stepwise, rtol=0, atol=1e-9)


def test_gates_that_no_float_could_hold_leave_reads_finite():
    """An input gate of e^200 and then of e^−200, in float32: the value that came in first is what is read."""
    core = memory.make_core("mlstm", input_size=3, output_size=2, size=8, heads=1, key_size=4, value_size=4)
    gates = iter([200.0, *[-200.0] * 5])
    layer: Any = core.stack.layers[0]  # type: ignore[union-attr]
    inputs = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(0))
    layer.gates.register_forward_hook(
        lambda _, __, emitted: torch.cat([torch.tensor(list(gates)).view(1, -1, 1), emitted[..., 1:]], -1)
    )
    outputs, state = memory.unroll(core, inputs)
    assert outputs.isfinite().all()
    assert state.largest.item() > 150
    assert state.memory.isfinite().all()
    assert state.memory.abs().max() > 0


def test_forget_gates_begin_nearly_open():
    core = memory.make_core("mlstm", input_size=3, output_size=2, heads=4)
    bias = core.get_parameter("stack.layers.0.gates.bias")
    torch.testing.assert_close(bias[4:], torch.tensor([3.0, 4.0, 5.0, 6.0]))
    summed = memory.make_core("mlstm", input_size=3, output_size=2, forget_gate="exponential")
    assert summed.get_parameter("stack.layers.0.gates.bias")[2:].count_nonzero() == 0
