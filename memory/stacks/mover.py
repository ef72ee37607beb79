"""The network that moves stacks and lists: hidden units, actions and words (Joulin & Mikolov 2015, section 3).

Legend: B batch, D input width, H hidden units, S stacks or lists, E elements of each that are read, W numbers of an
element, A actions.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from lukasa.memory.controllers import NoState
from lukasa.memory.core import HALVES

EMPTY = -1.0
"""What is read where nothing is stored."""

Rounding: TypeAlias = Literal["never", "eval"]


class HiddenState(NamedTuple):
    """The hidden units of the step before."""

    hidden: Tensor  # [B, H]


class Moves(NamedTuple):
    """What one step does to every stack or list."""

    actions: Tensor  # [B, S, A], a_t; non-negative, sums to 1
    words: Tensor  # [B, S, W], σ(D h_t), in [0, 1]


class Mover(nn.Module):
    """A simple recurrent network that also reads the stacks, and says what is done to them.

    Args:
        input_size: D.
        size: H.
        structures: S.
        elements: E.
        word_size: W.
        actions: A.
        recurrent: whether the hidden units of the step before are read too (R); otherwise all memory is outside.
    """

    def __init__(
        self,
        input_size: int,
        size: int,
        *,
        structures: int,
        elements: int,
        word_size: int,
        actions: int,
        recurrent: bool,
    ):
        super().__init__()
        self.structures = structures
        self.inputs = nn.Linear(input_size, size)  # U
        self.hidden = nn.Linear(size, size, bias=False) if recurrent else None  # R
        self.elements = nn.Linear(structures * elements * word_size, size, bias=False)  # P
        self.actions = nn.Linear(size, structures * actions)  # A
        self.words = nn.Linear(size, structures * word_size)  # D

    def initial_state(self, batch_size: int) -> HiddenState | NoState:
        """Zeros; nothing where no hidden unit is carried."""
        if self.hidden is None:
            return NoState()
        return HiddenState(self.hidden.weight.new_zeros(batch_size, self.hidden.in_features))

    def forward(
        self, inputs: Tensor, elements: Tensor, state: HiddenState | NoState, rounded: bool
    ) -> tuple[Tensor, Moves, HiddenState | NoState]:
        """h_t = σ(U x_t + R h_{t-1} + P s_{t-1}) and a_t = softmax(A h_t).

        Args:
            inputs: [B, D].
            elements: as in ``advance``, and so is the rest.
            state: of the step before.
            rounded: whether every action is all or nothing.

        Returns:
            As ``advance``.
        """
        return self.advance(self.inputs(inputs), elements, state, rounded)

    def advance(
        self, driven: Tensor, elements: Tensor, state: HiddenState | NoState, rounded: bool
    ) -> tuple[Tensor, Moves, HiddenState | NoState]:
        """The step, of what the hidden units receive from the inputs.

        Args:
            driven: [B, H], U x_t.
            elements: [B, S, E, W], what is read of every stack or list as the step before left it.
            state: of the step before.
            rounded: whether every action is all or nothing, the most probable one.

        Returns:
            h_t [B, H], what is to be done, and the state.
        """
        emitted = driven + self.elements(elements.to(self.elements.weight.dtype).flatten(1))
        if isinstance(state, HiddenState) and self.hidden is not None:
            emitted = emitted + self.hidden(state.hidden)
            hidden = torch.sigmoid(emitted)
            state = HiddenState(hidden.to(state.hidden.dtype))
        else:
            hidden = torch.sigmoid(emitted)
        dtype = torch.float32 if elements.dtype in HALVES else elements.dtype
        scores = self.actions(hidden).unflatten(1, (self.structures, -1)).to(dtype)
        words = torch.sigmoid(self.words(hidden).unflatten(1, (self.structures, -1)).to(dtype))
        actions = torch.softmax(scores, 2)
        return hidden, Moves(rounded_to_one(actions) if rounded else actions, words), state


def rounded_to_one(actions: Tensor) -> Tensor:
    """1 for the most probable action, 0 for all others; of equals the first."""
    return torch.zeros_like(actions).scatter(-1, actions.argmax(-1, keepdim=True), 1)
