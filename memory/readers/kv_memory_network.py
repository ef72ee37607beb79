"""Key-value memory network: what is matched and what is read differ (Miller et al. 2016).

Legend: B batch, S sentences, L words of a sentence, Q words of the question, H hops, D size of an embedding, V words,
A answers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lukasa.memory.readers.encodings import bag_of_words, word_embedding
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked, in_story, softmax_within, steps_ago


class KeyValueMemoryNetwork(Reader):
    """Hops of attention over keys that read values; key and value are parts of each sentence.

    With Φ the bag of words: q_1 = AΦ(x) of the question, p_i = softmax(q_j · AΦ(k_i)), o = Σ p_i AΦ(v_i),
    q_{j+1} = R_j (q_j + o), and the scores of the answers are q_{H+1} · BΦ(y) (section 3.1). For facts of three words
    the key is the subject and the relation, the value is the object.

    Args:
        sizes: of the questions.
        size: numbers of an embedding (D).
        hops: times that the keys are looked at (H).
        value_words: words at the end of a sentence that are its value; all before are its key.
        tied: whether answers have the words' embedding A rather than one of their own (B = A, section 3.1).
        temporal: whether keys say how long ago their sentence was, as those of ``memn2n`` do; facts have no order.
        spread: standard deviation of the words' embeddings at the beginning.
    """

    answer_words: Tensor

    def __init__(
        self,
        sizes: Sizes,
        *,
        size: int = 50,
        hops: int = 2,
        value_words: int = 1,
        tied: bool = False,
        temporal: bool = False,
        spread: float = 0.1,
    ):
        super().__init__(sizes)
        self.hops, self.value_words = hops, value_words
        self.embedding = word_embedding(sizes, size, spread)
        self.answer_embedding = None if tied else word_embedding(sizes, size, spread)
        self.times = nn.Parameter(torch.randn(sizes.sentences, size) * spread) if temporal else None
        self.between = nn.ModuleList(nn.Linear(size, size, bias=False) for _ in range(hops))
        for matrix in self.between:  # R_j: at first a hop adds what it read
            assert isinstance(matrix, nn.Linear)
            nn.init.eye_(matrix.weight)
        self.register_buffer("answer_words", sizes.answer_words, persistent=False)

    def forward(self, asked: Asked) -> Reading:
        """Answer questions."""
        check_asked(self.sizes, asked)
        inside = in_story(asked)
        keys, values = self.memories(asked.story)
        if self.times is not None:
            keys = keys + nn.functional.embedding(steps_ago(asked), self.times)
        state = bag_of_words(asked.question, self.embedding)
        weights = []
        for hop in range(self.hops):
            state, looked = self.hop(hop, state, keys, values, inside)
            weights.append(looked)
        answers = self.embedding if self.answer_embedding is None else self.answer_embedding
        return Reading(state @ bag_of_words(self.answer_words, answers).T, torch.stack(weights, 1))

    def memories(self, story: Tensor, embedding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The keys AΦ(k) and the values AΦ(v), each [B, S, D].

        Args:
            story: int64 [B, S, L].
            embedding: in place of the reader's own A, [V, D].
        """
        key, value = key_and_value(story, self.value_words)
        embedding = self.embedding if embedding is None else embedding
        return bag_of_words(key, embedding), bag_of_words(value, embedding)

    def hop(self, number: int, state: Tensor, keys: Tensor, values: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """Look at the keys once: the next state [B, D], and the weights [B, S].

        Args:
            number: of the hop, from 0 on.
            state: q_j, [B, D].
            keys: [B, S, D].
            values: [B, S, D].
            inside: bool [B, S], which of them are there.
        """
        weights = softmax_within((keys @ state.unsqueeze(2)).squeeze(2), inside)
        output = (weights.unsqueeze(1) @ values).squeeze(1)
        return self.between[number](state + output), weights


def key_and_value(sentences: Tensor, value_words: int) -> tuple[Tensor, Tensor]:
    """The words of keys and of values, each int64 [..., L] with 0 in place of the other's.

    Args:
        sentences: int64 [..., L], 0 after the words.
        value_words: how many words at the end are the value.
    """
    count = (sentences > 0).sum(-1, keepdim=True)
    of_value = torch.arange(sentences.shape[-1], device=sentences.device) >= count - value_words
    return sentences.masked_fill(of_value, 0), sentences.masked_fill(~of_value, 0)
