"""The direct access controller: an LSTM past which the input reaches the output, as far as it lets it.

Legend: B batch, T time, D input width, K output width, H hidden units, P paths.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lukasa.memory.controllers import make_controller
from lukasa.memory.core import Core, State, check_inputs

Recurrent = Literal["lstm", "gru"]


class DirectAccess(Core):
    """Zaremba & Sutskever 2015, revised 2016, "Direct access controller".

    What is read is added to what is put out, times a number between 0 and 1 that the controller's state gives: the
    symbol on the tape need not be carried through the controller, and the gradient has a short way::

        o_t = W_o h_t + b_o + sum_p sigmoid(w_p h_t + b_p) A_p x_t

    Args:
        input_size: D.
        output_size: K.
        size: units in every layer of the controller, H.
        layers: number of its layers, one above another.
        controller: "lstm", the paper's, or "gru".
        paths: ways past the controller with a gate each, P: one to what is written, others where a memory tape is
            written and read as well.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int = 128,
        layers: int = 1,
        controller: Recurrent = "lstm",
        paths: int = 1,
    ):
        super().__init__()
        self.input_size, self.output_size, self.paths = input_size, output_size, paths
        self.controller = make_controller(controller, input_size, size, layers)
        self.output = nn.Linear(size, output_size)
        self.gates = nn.Linear(size, paths)
        self.direct = nn.Linear(input_size, paths * output_size, bias=False)

    def initial_state(self, batch_size: int) -> State:
        """The controller's."""
        return self.controller.initial_state(batch_size)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: [B, D] to [B, K]."""
        check_inputs(self, inputs, state=state)
        hidden, state = self.controller(inputs, state)
        gates = torch.sigmoid(self.gates(hidden))  # [B, P]
        if self.recorder is not None:
            self.recorder.append({"hidden": hidden, "direct_gates": gates})
        return self._put_out(inputs, hidden, gates), state

    def sequence(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps at once: [B, T, D] to [B, T, K]."""
        hidden, state = self.controller.sequence(inputs, state)
        return self._put_out(inputs, hidden, torch.sigmoid(self.gates(hidden))), state

    def _put_out(self, inputs: Tensor, hidden: Tensor, gates: Tensor) -> Tensor:
        """What the controller says, and what the gates let past it: [..., K]."""
        past = self.direct(inputs).unflatten(-1, (self.paths, self.output_size))  # [..., P, K]
        return self.output(hidden) + (gates.unsqueeze(-1) * past).sum(-2)
