"""The improved dynamic memory network DMN+ (Xiong et al. 2016).

Legend: B batch, S sentences, L words of a sentence, E episodes, D size of an embedding or state, V words.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lukasa.memory.readers.encodings import AnswerScores, position_encoding, word_embedding
from lukasa.memory.readers.episodes import attention_gru, check_supervision, compare, surprise_of_attention, xavier
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked, in_story, softmax_within
from lukasa.memory.readers.word_gru import both_ways, gru_encoding


class DMNPlus(Reader):
    """Episodes of attention over sentences that know one another, each with a memory update of its own.

    Sentences are read by position encoding and fused by GRUs in both directions, f_i = f→_i + f←_i (section 3.1). With
    m⁰ = q, episode t has g = softmax(W₂ tanh(W₁ z + b₁) + b₂), where z = [f ∘ q; f ∘ m; |f − q|; |f − m|], an attention
    GRU over the sentences that ends in c^t, and m^t = ReLU(W^t [m^{t−1}; c^t; q] + b) (3.3). Answers are scored from
    m^E beside q.

    Args:
        sizes: of the questions.
        size: numbers of an embedding and of all states.
        episodes: passes over the story (E).
        dropout: share of the numbers of sentence encodings, and of what answers are scored from, left out in training.
        supervision: weight of the attention's cross-entropy with the supporting sentences, the e-th episode looking at
            the e-th. 0, as in the paper, learns from answers alone.

    Raises:
        ValueError: there is supervision, and a question has more supporting sentences than there are episodes.
    """

    def __init__(
        self, sizes: Sizes, *, size: int = 80, episodes: int = 3, dropout: float = 0.1, supervision: float = 0.0
    ):
        super().__init__(sizes)
        check_supervision(sizes, episodes, supervision)
        self.supervision = supervision
        self.dropout = nn.Dropout(dropout)
        self.question_gru = nn.GRU(size, size, batch_first=True)
        self.forward_gru = nn.GRU(size, size, batch_first=True)
        self.backward_gru = nn.GRU(size, size, batch_first=True)
        self.hidden = nn.Linear(4 * size, size)
        self.gate = nn.Linear(size, 1, bias=False)  # the softmax does not see b₂
        self.facts = nn.Linear(size, 2 * size)
        self.across = nn.Parameter(torch.empty(2 * size, size))
        self.updates = nn.ModuleList(nn.Linear(3 * size, size) for _ in range(episodes))
        self.answer = AnswerScores(sizes, 2 * size)
        xavier(self)
        for part in self.across.data.split(size):
            nn.init.xavier_uniform_(part)
        self.embedding = word_embedding(sizes, size)
        nn.init.uniform_(self.embedding, -math.sqrt(3), math.sqrt(3))

    def forward(self, asked: Asked) -> Reading:
        """Answer questions; in training with supervision, the penalty is the surprise of the attention."""
        check_asked(self.sizes, asked)
        inside = in_story(asked)
        sentences = self.dropout(position_encoding(asked.story, self.embedding))
        facts = sum(both_ways(sentences, asked.sentences, self.forward_gru, self.backward_gru))
        assert isinstance(facts, Tensor)
        facts = facts.masked_fill(~inside[..., None], 0)
        question = gru_encoding(asked.question, self.embedding, self.question_gru)
        projected = self.facts(facts)
        # W₁ z + b₁ by parts: what the question adds to it is the same in every episode.
        of_pairs = self.hidden.weight.unflatten(1, (2, 2, -1))  # [D, products or differences, question or memory, D]
        of_question, of_memory = (of_pairs[:, :, number].flatten(1) for number in range(2))
        by_question = linear(compare(facts, question), of_question, self.hidden.bias)
        state, attention = question, []
        for update in self.updates:
            hidden = by_question + linear(compare(facts, state), of_memory)
            scores = self.gate(hidden.tanh()).squeeze(2)  # [B, S]
            attention.append(softmax_within(scores, inside))
            context = attention_gru(projected, attention[-1], self.across)
            state = update(torch.cat([state, context, question], 1)).relu()
        looked = torch.stack(attention, 1)
        penalty = None
        if self.training and self.supervision:
            penalty = self.supervision * surprise_of_attention(looked, asked)
        return Reading(self.answer(self.dropout(torch.cat([state, question], 1))), looked, penalty=penalty)
