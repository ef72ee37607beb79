"""A Dynamic Memory Network (Kumar et al. 2016).

Legend: B batch, S sentences, L words of a sentence, E episodes, D size of an embedding or state, V words.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lukasa.memory.readers.encodings import AnswerScores, word_embedding
from lukasa.memory.readers.episodes import check_supervision, compare, gated_gru, surprise_of_gates, xavier
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
        projected, by_question = self.facts(facts), self._by_question(facts, question)
        state, scores, gates = question, [], []
        for _ in range(self.episodes):
            hidden = by_question + self._by_memory(facts, state)
            scores.append(self.gate(hidden.tanh()).squeeze(2))  # [B, S]
            gates.append(scores[-1].sigmoid() * inside)
            state = self.memory_gru(gated_gru(projected, gates[-1], self.across), state)
        penalty = None
        if self.training and self.supervision:
            penalty = self.supervision * surprise_of_gates(torch.stack(scores, 1), asked)
        # y_0, which the answer's GRU reads beside the question, is no word
        output = self.answer(self.answer_gru(question, state))
        return Reading(output, torch.stack(gates, 1), penalty=penalty)

    # W₁ z + b₁ of the gates by parts, z = [c, m, q, c ∘ q, c ∘ m, |c − q|, |c − m|, cᵀ W q, cᵀ W m]: what the question
    # adds is the same in every episode, and what only it or the memory adds the same at every sentence.

    def _by_question(self, facts: Tensor, question: Tensor) -> Tensor:
        """What does not depend on the memory, [B, S, D]."""
        of_fact, _, of_question, product, _, difference, _, resembling, _ = self._of_parts()
        alone = linear(question, of_question, self.hidden.bias)
        told = torch.cat([facts, compare(facts, question)], 2)
        resemblance = facts @ self.bilinear(question).unsqueeze(2)  # [B, S, 1]
        weights = torch.cat([of_fact, product, difference], 1)
        return linear(told, weights) + resemblance * resembling.t() + alone[:, None]

    def _by_memory(self, facts: Tensor, memory: Tensor) -> Tensor:
        """What depends on the memory, [B, S, D]."""
        _, of_memory, _, _, product, _, difference, _, resembling = self._of_parts()
        resemblance = facts @ self.bilinear(memory).unsqueeze(2)
        weights = torch.cat([product, difference], 1)
        return (
            linear(compare(facts, memory), weights) + resemblance * resembling.t() + linear(memory, of_memory)[:, None]
        )

    def _of_parts(self) -> tuple[Tensor, ...]:
        """W₁, parted as z is."""
        size = self.bilinear.in_features
        return self.hidden.weight.split([size] * 7 + [1] * 2, 1)
