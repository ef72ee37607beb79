"""The controllers of a machine: from which registers are zero to the circuit of a step.

A controller sees of each register the probability that it is 0 and nothing else (Kurach et al. 2016, section 3.2), so
that what it learns does not depend on M. Several machines, or starts, are trained as one: every weight has one more
dimension.

Dimensions: S starts, B rows of each, R registers, H hidden units, O outputs.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

ControllerName: TypeAlias = Literal["feedforward", "lstm"]


class ControllerState(NamedTuple):
    """What an LSTM carries from step to step; a feed-forward controller carries nothing, in tensors of no rows.

    Attributes:
        hidden: [S, H, B].
        cell: [S, H, B].
    """

    hidden: Tensor
    cell: Tensor


class Controller(nn.Module):
    """A feed-forward network of one hidden layer, or an LSTM, for each start.

    Args:
        kind: which.
        starts: S.
        registers: R.
        hidden: H.
        outputs: O.
    """

    def __init__(self, kind: ControllerName, starts: int, registers: int, hidden: int, outputs: int):
        super().__init__()
        self.kind: ControllerName = kind
        self.hidden = hidden
        inputs = registers if kind == "feedforward" else registers + hidden
        first = hidden if kind == "feedforward" else 4 * hidden
        self.inner = _uniform(starts, first, inputs)
        self.inner_bias = _uniform(starts, first, 1, inputs)
        self.outer = _uniform(starts, outputs, hidden)
        self.outer_bias = nn.Parameter(torch.zeros(starts, outputs, 1))

    def initial_state(self, rows: int) -> ControllerState:
        """Before the first step."""
        size = self.hidden if self.kind == "lstm" else 0
        nothing = self.inner.new_zeros(len(self.inner), size, rows)
        return ControllerState(nothing, nothing)

    def forward(self, zero: Tensor, state: ControllerState) -> tuple[Tensor, ControllerState]:
        """One step.

        Args:
            zero: [S, R, B], of each register the probability that it is 0.
            state: from the step before.

        Returns:
            [S, O, B], the logits of the circuit, and the state.
        """
        if self.kind == "feedforward":
            hidden = torch.relu(torch.baddbmm(self.inner_bias, self.inner, zero))
        else:
            seen = torch.cat([zero, state.hidden], 1)
            gates = torch.baddbmm(self.inner_bias, self.inner, seen)
            taken, forgotten, shown, new = gates.split(self.hidden, 1)
            # The forget gate begins open, as is usual: a machine runs for tens of steps.
            cell = torch.sigmoid(forgotten + 1) * state.cell + torch.sigmoid(taken) * torch.tanh(new)
            hidden = torch.sigmoid(shown) * torch.tanh(cell)
            state = ControllerState(hidden, cell)
        return torch.baddbmm(self.outer_bias, self.outer, hidden), state


def _uniform(starts: int, rows: int, columns: int, fan_in: int | None = None) -> nn.Parameter:
    bound = 1 / math.sqrt(fan_in or columns)
    return nn.Parameter(torch.empty(starts, rows, columns).uniform_(-bound, bound))
