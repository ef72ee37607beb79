"""Words read one after another by a gated recurrent network, and what it remembers at the end of a sentence.

Legend: L words of a sentence, D size of an embedding or state, V words.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def gru_encoding(words: Tensor, embedding: Tensor, gru: nn.GRU) -> Tensor:
    """The state after the last word of each sentence, which is read from a state of zeros; zeros where it has none.

    The question in Kumar et al. 2016, section 3.2: q_t = GRU(L[w_t], q_{t−1}).

    Args:
        words: int64 [..., L], 0 for none, after the words.
        embedding: [V, D]; what it has at 0 says nothing.
        gru: of one layer, batch first.

    Returns:
        [..., D].
    """
    flat = words.reshape(-1, words.shape[-1])
    states, _ = gru(embedding[flat])
    lengths = (flat > 0).sum(1)
    last = states[torch.arange(len(flat), device=words.device), (lengths - 1).clamp(min=0)]
    return (last * (lengths > 0)[:, None]).reshape(*words.shape[:-1], -1)
