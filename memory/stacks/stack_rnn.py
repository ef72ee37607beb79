"""Recurrent network with continuous stacks (Joulin & Mikolov 2015, section 3.2).

Every step pushes a word to each stack, pops one off, or leaves it, all three to a degree: the stack is a mean of what
each would have left.

Legend: B batch, D input width, K output width, S stacks, N elements of a stack, W numbers of an element, A actions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lukasa.memory.core import Core, check_inputs, whole_precision
from lukasa.memory.stacks.mover import EMPTY, Mover, Moves, Rounding


class StackRNNState(NamedTuple):
    """Everything a stack RNN carries from one step to the next."""

    stacks: Tensor  # [B, S, N, W], the top first; -1 where there is nothing
    controller: Any


class StackRNN(Core):
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
        super().__init__()
        if elements > depth:
            raise ValueError(f"option 'elements' of core 'stack_rnn' is {elements}: expected at most {depth} (depth)")
        self.input_size, self.output_size, self.rounds = input_size, output_size, rounding == "eval"
        self.shape, self.elements = (stacks, depth, word_size), elements
        sizes = {"structures": stacks, "elements": elements, "word_size": word_size, "actions": 2 + no_op}
        self.controller = Mover(input_size, size, **sizes, recurrent=recurrent)
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> StackRNNState:
        """Empty stacks, hidden units at rest."""
        stacks = self.output.weight.new_full((batch_size, *self.shape), EMPTY)
        return StackRNNState(stacks, self.controller.initial_state(batch_size))

    def forward(self, inputs: Tensor, state: StackRNNState) -> tuple[Tensor, StackRNNState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        rounded = self.rounds and not self.training
        hidden, moves, carried = self.controller(inputs, state.stacks[:, :, : self.elements], state.controller, rounded)
        with whole_precision(inputs.device):
            stacks = push_and_pop(state.stacks.to(moves.actions.dtype), moves)
        if self.recorder is not None:
            self.recorder.append({"stack_actions": moves.actions, "stacks": stacks[..., 0]})
        return self.output(hidden), StackRNNState(stacks.to(state.stacks.dtype), carried)


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
