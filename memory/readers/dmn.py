"""A Dynamic Memory Network (Kumar et al. 2016).

Legend: B batch, S sentences, L words of a sentence, E episodes, D size of an embedding or state, V words.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lukasa.memory.readers.encodings import AnswerScores, word_embedding
from lukasa.memory.readers.episodes import check_supervision, gated_gru, surprise_of_gates, xavier
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked, in_story
from lukasa.memory.readers.word_gru import gru_encoding, story_encoding


class DMN(Reader):
    """Episodes over a story: each opens gates at some sentences, and a GRU takes up what they let through.

    A sentence c_t is the state of a GRU over all words at its end, the question q the last state of another (sections
    2.1 and 2.2). With m⁰ = q, episode i has the gates g_t = σ(W₂ tanh(W₁ z(c_t, m^{i−1}, q) + b₁) + b₂), the GRU over
    sentences that they gate ends in e^i, and m^i = GRU(e^i, m^{i−1}) (2.3). The answer is scored from one step of a GRU
    that starts at m^E (2.4).

    Args:
        sizes: of the questions.
        size: numbers of an embedding and of all states.
        episodes: passes over the story (E).
        supervision: weight of the gates' cross-entropy with the supporting sentences, the e-th episode looking at the
            e-th; α in section 2.5. 0 learns from answers alone.

    Raises:
        ValueError: there is supervision, and a question has more supporting sentences than there are episodes.
    """

    def __init__(self, sizes: Sizes, *, size: int = 80, episodes: int = 3, supervision: float = 0.0):
        super().__init__(sizes)
        check_supervision(sizes, episodes, supervision)
        self.episodes, self.supervision = episodes, supervision
        self.story_gru = nn.GRU(size, size, batch_first=True)
        self.question_gru = nn.GRU(size, size, batch_first=True)
        self.bilinear = nn.Linear(size, size, bias=False)
        self.hidden = nn.Linear(7 * size + 2, size)
        self.gate = nn.Linear(size, 1)
        self.facts = nn.Linear(size, 3 * size)
        self.across = nn.Parameter(torch.empty(3 * size, size))
        self.memory_gru = nn.GRUCell(size, size)
        self.answer_gru = nn.GRUCell(size, size)
        xavier(self)
        for part in self.across.data.split(size):
            nn.init.xavier_uniform_(part)
        self.embedding = word_embedding(sizes, size, 1.0)
        self.end = nn.Parameter(torch.randn(size))
        self.answer = AnswerScores(sizes, size)

    def forward(self, asked: Asked) -> Reading:
        """Answer questions; in training with supervision, the penalty is the surprise of the gates."""
        check_asked(self.sizes, asked)
        inside = in_story(asked)
        facts = story_encoding(asked.story, inside, self.embedding, self.end, self.story_gru)
        facts = facts.masked_fill(~inside[..., None], 0)
        question = gru_encoding(asked.question, self.embedding, self.question_gru)
        projected = self.facts(facts)
        state, scores, gates = question, [], []
        for _ in range(self.episodes):
            compared = compare(facts, state, question, self.bilinear.weight)
            scores.append(self.gate(self.hidden(compared).tanh()).squeeze(2))  # [B, S]
            gates.append(scores[-1].sigmoid() * inside)
            state = self.memory_gru(gated_gru(projected, gates[-1], self.across), state)
        penalty = None
        if self.training and self.supervision:
            penalty = self.supervision * surprise_of_gates(torch.stack(scores, 1), asked)
        # y_0, which the answer's GRU reads beside the question, is no word
        output = self.answer(self.answer_gru(question, state))
        return Reading(output, torch.stack(gates, 1), penalty=penalty)


def compare(facts: Tensor, memory: Tensor, question: Tensor, bilinear: Tensor) -> Tensor:
    """What a gate sees of each sentence; z(c, m, q) in Kumar et al. 2016, section 2.3.

    [c, m, q, c ∘ q, c ∘ m, |c − q|, |c − m|, cᵀ W q, cᵀ W m].

    Args:
        facts: [B, S, D], c.
        memory: [B, D], m.
        question: [B, D], q.
        bilinear: [D, D], W^(b).

    Returns:
        [B, S, 7 D + 2].
    """
    m, q = memory[:, None], question[:, None]
    both = torch.stack([question, memory], 2)  # [B, D, 2]
    resembling = facts @ (bilinear @ both)  # [B, S, 2]
    wide = [part.expand_as(facts) for part in (m, q)]
    return torch.cat([facts, *wide, facts * q, facts * m, (facts - q).abs(), (facts - m).abs(), resembling], 2)
