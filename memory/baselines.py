"""Cores without an external memory, behind the same contract: what a memory core must beat.

Legend: B batch, T time, D input width, K output width.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lukasa.memory.controllers import Kind, make_controller
from lukasa.memory.core import Core, State, check_inputs


class _Plain(Core):
    """A controller and a linear output."""

    def __init__(self, kind: Kind, input_size: int, output_size: int, size: int, layers: int):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.controller: Any = make_controller(kind, input_size, size, layers)
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> State:
        return self.controller.initial_state(batch_size)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        check_inputs(self, inputs, state=state)
        hidden, state = self.controller(inputs, state)
        if self.recorder is not None:
            self.recorder.append({"hidden": hidden})
        return self.output(hidden), state

    def sequence(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, state = self.controller.sequence(inputs, state)
        return self.output(hidden), state


class LSTM(_Plain):
    """An LSTM with a linear output.

    Args:
        input_size: D.
        output_size: K.
        size: units in every layer.
        layers: number of layers, one above another.
    """

    def __init__(self, input_size: int, output_size: int, *, size: int = 128, layers: int = 1):
        super().__init__("lstm", input_size, output_size, size, layers)


class GRU(_Plain):
    """A GRU with a linear output.

    Args:
        input_size: D.
        output_size: K.
        size: units in every layer.
        layers: number of layers, one above another.
    """

    def __init__(self, input_size: int, output_size: int, *, size: int = 128, layers: int = 1):
        super().__init__("gru", input_size, output_size, size, layers)


class FeedForward(_Plain):
    """A network without any memory: the control that shows what memory is worth.

    Args:
        input_size: D.
        output_size: K.
        size: units in every layer.
        layers: number of layers, one above another.
    """

    def __init__(self, input_size: int, output_size: int, *, size: int = 128, layers: int = 1):
        super().__init__("feedforward", input_size, output_size, size, layers)
