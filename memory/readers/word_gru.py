"""Gated recurrent networks over words and over sentences, and what they remember at the end.

Legend: B batch, S sentences, L words of a sentence, T inputs of a sequence, D size of an embedding or state, V words.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lukasa.memory.kernels.sequence.calls import has_numba, obstacle_of_the_call, steps_are_asked_for
from lukasa.memory.kernels.sequence.choice import NUMBERS, SHORT


def run_gru(gru: nn.GRU, inputs: Tensor) -> Tensor:
    """The states of a GRU over sequences, from zeros: by native code where that is faster, and else by the library's.

    Args:
        gru: one direction, batch first.
        inputs: [B, T, D].

    Returns:
        [B, T, D].
    """
    if not inputs.shape[1]:
        return inputs.new_zeros(len(inputs), 0, gru.hidden_size)
    plain = steps_are_asked_for() or inputs.shape[1] < SHORT or not has_numba()
    if plain or inputs.dtype not in NUMBERS or obstacle_of_the_call(inputs) is not None:
        return gru(inputs)[0]
    from lukasa.memory.kernels.sequence.layer_function import run_layers

    state = inputs.new_zeros(len(inputs), gru.num_layers, gru.hidden_size)
    return run_layers(inputs, None, gru.all_weights, [state])[0]


def gru_encoding(words: Tensor, embedding: Tensor, gru: nn.GRU) -> Tensor:
    """The state after the last word of each sentence, which is read from a state of zeros; zeros where it has none.

    The question in Kumar et al. 2016, section 2.2: q_t = GRU(L[w_t], q_{t−1}).

    Args:
        words: int64 [..., L], 0 for none, after the words.
        embedding: [V, D]; what it has at 0 says nothing.
        gru: of one layer, batch first.

    Returns:
        [..., D].
    """
    flat = words.reshape(-1, words.shape[-1])
    states = run_gru(gru, embedding[flat])
    lengths = (flat > 0).sum(1)
    last = states[torch.arange(len(flat), device=words.device), (lengths - 1).clamp(min=0)]
    return (last * (lengths > 0)[:, None]).reshape(*words.shape[:-1], gru.hidden_size)


def story_encoding(words: Tensor, inside: Tensor, embedding: Tensor, end: Tensor, gru: nn.GRU) -> Tensor:
    """The state at the end of each sentence of a story that is read as one text; Kumar et al. 2016, section 2.1.

    Every sentence, one without words too, is followed by a mark of its end; its state is the one at that mark.

    Args:
        words: int64 [B, S, L], 0 for none, after the words.
        inside: bool [B, S], which places hold a sentence.
        embedding: [V, D]; what it has at 0 says nothing.
        end: [D], the embedding of the mark.
        gru: of one layer, batch first.

    Returns:
        [B, S, D]; what is at places without a sentence says nothing.
    """
    # The mark follows the words as number V; every number but 0 is then moved to the front of one long sentence.
    marks = torch.where(inside, len(embedding), 0)[..., None]  # [B, S, 1]
    text = torch.cat([words * inside[..., None], marks], 2)  # [B, S, L + 1]
    there = text > 0
    ends = there.flatten(1).cumsum(1).view_as(text)[..., -1] - 1  # [B, S], where each mark comes to be
    order = (~there).flatten(1).to(torch.uint8).argsort(dim=1, stable=True)
    length = max(1, int(there.flatten(1).sum(1).amax())) if len(text) else 1
    text = text.flatten(1).gather(1, order[:, :length])  # [B, T]
    states = run_gru(gru, torch.cat([embedding, end[None]])[text])
    return states.gather(1, ends.clamp(min=0)[..., None].expand(-1, -1, states.shape[2]))


def both_ways(inputs: Tensor, lengths: Tensor, forward: nn.GRU, backward: nn.GRU) -> tuple[Tensor, Tensor]:
    """A sequence read in its order and in the reverse one, each row from its own last input on.

    Args:
        inputs: [B, T, D].
        lengths: int64 [B], inputs of each row; what is after them is not read by any state within.
        forward: reads in order.
        backward: reads the reversed sequence.

    Returns:
        The states of both [B, T, D], those of the reverse reading too at the place of the input.
    """
    places = torch.arange(inputs.shape[1], device=inputs.device)
    mirrored = (lengths[:, None] - 1 - places).clamp(min=0)  # [B, T]; its own inverse within the length

    def reverse(some: Tensor) -> Tensor:
        return some.gather(1, mirrored[..., None].expand(-1, -1, some.shape[2]))

    return run_gru(forward, inputs), reverse(run_gru(backward, reverse(inputs)))
