"""Recurrent network with doubly linked lists (Joulin & Mikolov 2015, section 3.2, "Doubly-linked lists").

A head rests on one element of each list. Every step moves it to the left, to the right, or inserts a word at it, all
to a degree. The head is kept in the middle of what is stored, and the list moves under it.

Legend: B batch, D input width, K output width, S lists, N elements of a list, W numbers of an element, A actions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.memory.stacks.mover import EMPTY, Moves, Rounding
from lukasa.memory.stacks.moving import Moving


class ListRNNState(NamedTuple):
    """Everything a list RNN carries from one step to the next."""

    lists: Tensor  # [B, S, N, W], the head's element in the middle; -1 where there is nothing
    controller: Any


class ListRNN(Moving):
    """A simple recurrent network with lists, at whose heads it moves and inserts.

    A list reaches ``reach`` elements to each side of its head: what moves further away is lost, and -1 comes in.

    Args:
        input_size: D.
        output_size: K.
        size: hidden units (H).
        lists: number of lists (S).
        reach: elements of each list at either side of its head; N = 2 reach + 1.
        word_size: numbers in each element (W); 1 in the paper.
        elements: elements that the hidden units read (k): that of the head, then the next to the right, the next to the
            left, and so on in turn.
        no_op: whether a list may also be left as it is; otherwise every step moves or inserts.
        recurrent: whether the hidden units read those of the step before (R); otherwise all memory is in the lists.
        rounding: when the most probable action is taken as if it were certain: "never", or in evaluation ("eval").
    """

    kind = "list"
    state = ListRNNState

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int = 40,
        lists: int = 10,
        reach: int = 100,
        word_size: int = 1,
        elements: int = 2,
        no_op: bool = False,
        recurrent: bool = True,
        rounding: Rounding = "never",
    ):
        if elements > 2 * reach + 1:
            raise ValueError(
                f"option 'elements' of core 'list_rnn' is {elements}: expected at most {2 * reach + 1} (2 reach + 1)"
            )
        super().__init__(
            input_size,
            output_size,
            size=size,
            shape=(lists, 2 * reach + 1, word_size),
            elements=elements,
            actions=3 + no_op,
            recurrent=recurrent,
            rounding=rounding,
        )
        self.places = [reach + (place + 1) // 2 * (1 if place % 2 else -1) for place in range(elements)]

    def read(self, stored: Tensor) -> Tensor:
        """The elements around the head: of [B, S, N, W] [B, S, E, W]."""
        return torch.stack([stored[:, :, place] for place in self.places], 2)

    def moved(self, stored: Tensor, moves: Moves) -> Tensor:
        """After moves and insertions, [B, S, N, W]."""
        return move_and_insert(stored, moves)


def move_and_insert(lists: Tensor, moves: Moves) -> Tensor:
    """What the lists hold next.

    L_t[i] = a_t[RIGHT] L_{t-1}[i+1] + a_t[LEFT] L_{t-1}[i-1] + a_t[INSERT] times σ(D h_t) at the head, L_{t-1}[i+1] to
    the left of it and L_{t-1}[i] to the right; a_t[NO-OP] L_{t-1}[i] is added where there is that action.

    Args:
        lists: [B, S, N, W], L_{t-1}, the head in the middle.
        moves: a_t, of the actions LEFT, RIGHT, INSERT and perhaps NO-OP; and σ(D h_t).
    """
    left, right, insert, *stay = moves.actions.unsqueeze(3).unsqueeze(3).unbind(2)  # [B, S, 1, 1]
    empty, head = torch.full_like(lists[:, :, :1], EMPTY), lists.shape[2] // 2
    one_back = torch.cat([empty, lists[:, :, :-1]], 2)
    one_on = torch.cat([lists[:, :, 1:], empty], 2)
    inserted = torch.cat([lists[:, :, 1 : head + 1], moves.words.unsqueeze(2), lists[:, :, head + 1 :]], 2)
    after = left * one_back + right * one_on + insert * inserted
    return after + stay[0] * lists if stay else after
