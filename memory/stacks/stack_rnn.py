"""Recurrent network with continuous stacks (Joulin & Mikolov 2015, section 3.2).

Every step pushes a word to each stack, pops one off, or leaves it, all three to a degree: the stack is a mean of what
each would have left.

Legend: B batch, D input width, K output width, S stacks, N elements of a stack, W numbers of an element, A actions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.memory.stacks.mover import EMPTY, Moves, Rounding
from lukasa.memory.stacks.moving import Moving


class StackRNNState(NamedTuple):
    """Everything a stack RNN carries from one step to the next."""

    stacks: Tensor  # [B, S, N, W], the top first; -1 where there is nothing
    controller: Any


class StackRNN(Moving):
    """A simple recurrent network with stacks that it pushes to and pops from; sizes are those of the paper.

    A stack holds ``depth`` elements: what is pushed below is lost. From below, -1 comes up, which is also what an
    empty stack shows.

    Args:
        input_size: D.
        output_size: K.
        size: hidden units (H).
        stacks: number of stacks (S).
        depth: elements of each stack (N).
        word_size: numbers in each element (W); 1 in the paper.
        elements: elements from the top that the hidden units read (k).
        no_op: whether a stack may also be left as it is; otherwise every step pushes or pops.
        recurrent: whether the hidden units read those of the step before (R); otherwise all memory is in the stacks.
        rounding: when the most probable action is taken as if it were certain: "never", or in evaluation ("eval").
    """

    kind = "stack"
    state = StackRNNState

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int = 40,
        stacks: int = 10,
        depth: int = 200,
        word_size: int = 1,
        elements: int = 2,
        no_op: bool = False,
        recurrent: bool = True,
        rounding: Rounding = "never",
    ):
        if elements > depth:
            raise ValueError(f"option 'elements' of core 'stack_rnn' is {elements}: expected at most {depth} (depth)")
        super().__init__(
            input_size,
            output_size,
            size=size,
            shape=(stacks, depth, word_size),
            elements=elements,
            actions=2 + no_op,
            recurrent=recurrent,
            rounding=rounding,
        )
        self.places = range(elements)

    def read(self, stored: Tensor) -> Tensor:
        """The elements at the top: of [B, S, N, W] [B, S, E, W]."""
        return stored[:, :, : len(self.places)]

    def moved(self, stored: Tensor, moves: Moves) -> Tensor:
        """After pushing and popping, [B, S, N, W]."""
        return push_and_pop(stored, moves)


def push_and_pop(stacks: Tensor, moves: Moves) -> Tensor:
    """What the stacks hold next; eq. 3 and 4.

    s_t[0] = a_t[PUSH] σ(D h_t) + a_t[POP] s_{t-1}[1] and s_t[i] = a_t[PUSH] s_{t-1}[i-1] + a_t[POP] s_{t-1}[i+1], to
    both of which a_t[NO-OP] s_{t-1}[i] is added where there is that action.

    Args:
        stacks: [B, S, N, W], s_{t-1}, the top first.
        moves: a_t, of the actions PUSH, POP and perhaps NO-OP; and σ(D h_t).
    """
    push, pop, *stay = moves.actions.unsqueeze(3).unsqueeze(3).unbind(2)  # [B, S, 1, 1]
    pushed = torch.cat([moves.words.unsqueeze(2), stacks[:, :, :-1]], 2)
    popped = torch.cat([stacks[:, :, 1:], torch.full_like(stacks[:, :, :1], EMPTY)], 2)
    after = push * pushed + pop * popped
    return after + stay[0] * stacks if stay else after
