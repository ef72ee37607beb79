"""What Transformers share: positions, and a layer of self-attention over the sentences of a story and its question.

Legend: B batch, S sentences, P = 1 + S positions, the question's first and then the sentences', D size of a state,
H heads, L words of a sentence.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lukasa.memory.readers.encodings import masked_sum, word_embedding
from lukasa.memory.readers.reader import Asked, Sizes, in_story


class Layer(nn.Module):
    """Self-attention and a transition of each position; Vaswani et al. 2017, section 3.1.

    A = LayerNorm(X + MultiHeadSelfAttention(X)), and what comes out is LayerNorm(A + Transition(A)).

    Args:
        size: D.
        heads: H, a divisor of D.
        hidden: units of the transition, two linear layers with a ReLU between them.
        dropout: share of what each of the two adds that is left out in training.
    """

    def __init__(self, size: int, heads: int, hidden: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.projections = nn.Linear(size, 3 * size, bias=False)
        self.output = nn.Linear(size, size, bias=False)
        self.transition = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, size))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """One layer.

        Args:
            states: [B, P, D].
            inside: bool [B, P], which positions there are.

        Returns:
            States [B, P, D], and how much the first position, the question's, looked at each, [B, P], over all heads.
        """
        queries, keys, values = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.projections(states).chunk(3, 2)
        )  # [B, H, P, D / H]
        looked, weights = attend(queries, keys, values, inside)
        states = self.norms[0](states + self.dropout(self.output(looked.transpose(1, 2).flatten(2))))
        return self.norms[1](states + self.dropout(self.transition(states))), weights[:, :, 0].mean(1)


def attend(queries: Tensor, keys: Tensor, values: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(Q Kᵀ / √d) V of every head; Dehghani et al. 2019, section 2.1.

    Args:
        queries: [B, H, P, d].
        keys: likewise.
        values: likewise.
        inside: bool [B, P], which positions may be looked at; one of each row at least.

    Returns:
        [B, H, P, d] and the weights [B, H, P, P].
    """
    scores = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[3])
    weights = scores.masked_fill(~inside[:, None, None], -math.inf).softmax(3)
    return weights @ values, weights


class Positions(nn.Module):
    """A story and its question as positions: each sentence one, the question the one after the last sentence.

    The words of a sentence are summed, each times a learned mask of its place (Dehghani et al. 2019, appendix D.1;
    Henaff et al. 2017, section 2.1).

    Args:
        sizes: of the questions.
        size: D.
    """

    def __init__(self, sizes: Sizes, size: int):
        super().__init__()
        self.embedding = word_embedding(sizes, size, 1.0)
        self.masks = nn.Parameter(torch.ones(sizes.length, size))

    def forward(self, asked: Asked) -> tuple[Tensor, Tensor, Tensor]:
        """Encodings [B, P, D], bool [B, P] which there are, and the number [B, P] of each position, from 1 on."""
        encoded = [masked_sum(part, self.embedding, self.masks) for part in (asked.question[:, None], asked.story)]
        inside = nn.functional.pad(in_story(asked), (1, 0), value=True)
        numbers = torch.arange(inside.shape[1], device=inside.device).repeat(len(inside), 1)
        numbers[:, 0] = asked.sentences + 1
        return torch.cat(encoded, 1), inside, numbers


def sinusoids(numbers: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """sin(i / 10000^{2j/D}) at 2j and the cosine at 2j + 1; Vaswani et al. 2017, section 3.5.

    Args:
        numbers: any shape, i.
        size: D.
        dtype: of the result.

    Returns:
        [..., D].
    """
    even = torch.arange(0, size, 2, device=numbers.device, dtype=torch.float64)
    angles = numbers[..., None] / 10000 ** (even / size)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)[..., :size].to(dtype)


def check_heads(size: int, heads: int) -> None:
    """Refuse a size that does not part into heads.

    Raises:
        ValueError: it does not.
    """
    if size % heads:
        raise ValueError(f"size is {size} and heads {heads}: expected a size that is a multiple of the heads")
