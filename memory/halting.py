"""Adaptive computation time (Graves 2016): how many steps to think, learned by whoever thinks.

A model that may take several steps at one input asks ``HaltingUnit`` after each of them. The unit gives the step's
weight, by which its state and output count in the end, and says which rows go on.

Dimensions: D numbers of a state; everything else has the shape of what halts, such as [B] or [B, P] for P positions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Halting(NamedTuple):
    """How far each row has come; all of one shape."""

    total: Tensor  # Σ h^n over the steps taken but the last one of a row that has halted; in [0, 1]
    steps: Tensor  # int64, N: steps taken
    running: Tensor  # bool, whether it goes on

    @property
    def remainder(self) -> Tensor:
        """R, what the last step's weight is or would be."""
        return 1 - self.total


def begin(running: Tensor, dtype: torch.dtype) -> Halting:
    """Before the first step.

    Args:
        running: bool, who takes part; the others, such as padding, never take a step.
        dtype: of the probabilities.
    """
    return Halting(torch.zeros_like(running, dtype=dtype), torch.zeros_like(running, dtype=torch.int64), running)


def halt(probability: Tensor, before: Halting, epsilon: float, last: bool) -> tuple[Tensor, Halting]:
    """The weight of one step, and who goes on; p_t^n, N(t) and R(t) in Graves 2016, section 2.

    N is the first n for which Σ_{n' ≤ n} h^{n'} reaches 1 − ε. The weights are h^n for n < N, R = 1 − Σ_{n < N} h^n for
    n = N and 0 afterwards, so that those of all steps sum to 1.

    Args:
        probability: h^n, each in (0, 1).
        before: how far each row has come.
        epsilon: ε, without which a row could never halt after one step.
        last: whether this step is the last that there may be (M).

    Returns:
        The weights, and how far each row has come.
    """
    total = before.total + probability
    ends = before.running & ((total >= 1 - epsilon) | last)
    goes_on = before.running & ~ends
    zero = probability.new_zeros(())
    weights = torch.where(goes_on, probability, torch.where(ends, before.remainder, zero))
    after = Halting(torch.where(goes_on, total, before.total), before.steps + before.running, goes_on)
    return weights, after


def ponder_cost(halting: Halting) -> Tensor:
    """ρ = N + R of each row, 0 of one that never took a step; Graves 2016, section 2.1.

    The number of steps has no gradient: lowering the remainder raises the probabilities that halt earlier.
    """
    return torch.where(halting.steps > 0, halting.steps + halting.remainder, 0)


class HaltingUnit(nn.Module):
    """The unit that says when to halt; h^n = σ(W s^n + b) in Graves 2016, section 2.

    Args:
        size: D.
        epsilon: ε; the paper has 0.01.
        bias: b at the beginning; the paper has 1, with which hardly anybody takes more than two steps at first.

    Raises:
        ValueError: ε is not between 0 and 1.

    Example:
        A GRU that thinks about one input for up to 10 steps:

        >>> cell, unit = torch.nn.GRUCell(3, 4), HaltingUnit(4)
        >>> inputs, state, mean = torch.zeros(2, 3), torch.zeros(2, 4), 0
        >>> halting = begin(torch.ones(2, dtype=torch.bool), torch.float32)
        >>> for step in range(10):
        ...     state = cell(inputs, state)
        ...     weights, halting = unit(state, halting, last=step == 9)
        ...     mean = mean + weights[:, None] * state
        ...     if not halting.running.any():
        ...         break
        >>> mean.shape, ponder_cost(halting).shape
        (torch.Size([2, 4]), torch.Size([2]))
    """

    def __init__(self, size: int, *, epsilon: float = 0.01, bias: float = 1.0):
        super().__init__()
        if not 0 < epsilon < 1:
            raise ValueError(f"epsilon is {epsilon:g}: expected a number between 0 and 1")
        self.epsilon = epsilon
        self.linear = nn.Linear(size, 1)
        nn.init.constant_(self.linear.bias, bias)

    def forward(self, states: Tensor, before: Halting, last: bool) -> tuple[Tensor, Halting]:
        """The weight of the step that ended in ``states`` [..., D], and who goes on.

        Args:
            states: s^n; of rows that have halted any.
            before: as ``begin`` or the step before gave it.
            last: whether there may be no further step.
        """
        return halt(self.linear(states).squeeze(-1).sigmoid(), before, self.epsilon, last)
