"""A Transformer encoder over the sentences of a story (Vaswani et al. 2017; Dehghani et al. 2019, section 3.1).

Legend: B batch, S sentences, P positions of the question and the sentences, D size of a state.
"""

from __future__ import annotations

import torch
from torch import nn

from lukasa.memory.readers.encodings import AnswerScores
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked
from lukasa.memory.readers.self_attention import Layer, Positions, check_heads, sinusoids


class Transformer(Reader):
    """Layers of self-attention, each with weights of its own, over sentences and question.

    Answers are scored from the question's position after the last layer. A hop of the attention is a layer: how much
    the question's position looked at each sentence, over all heads.

    Args:
        sizes: of the questions.
        size: numbers of a position's state (D).
        heads: heads of each attention, a divisor of the size.
        layers: one above another.
        hidden: units of the transition in each layer.
        dropout: share of what each part of a layer adds that is left out in training.

    Raises:
        ValueError: the size is not a multiple of the heads.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        size: int = 128,
        heads: int = 4,
        layers: int = 2,
        hidden: int = 512,
        dropout: float = 0.1,
    ):
        super().__init__(sizes)
        check_heads(size, heads)
        self.positions = Positions(sizes, size)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(size, heads, hidden, dropout) for _ in range(layers))
        self.answer = AnswerScores(sizes, size)

    def forward(self, asked: Asked) -> Reading:
        """Answer questions."""
        check_asked(self.sizes, asked)
        states, inside, numbers = self.positions(asked)
        states = self.dropout(states + sinusoids(numbers, states.shape[2], states.dtype))
        attention = []
        for layer in self.layers:
            states, looked = layer(states, inside)
            attention.append(looked[:, 1:])
        return Reading(self.answer(states[:, 0]), torch.stack(attention, 1))
