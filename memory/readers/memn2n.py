"""MemN2N: an end-to-end memory network (Sukhbaatar et al. 2015).

Legend: B batch, S sentences, L words of a sentence, H hops, D size of an embedding, V words.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lukasa.memory.readers.encodings import AnswerScores, Encoding, bag_of_words, encode, word_embedding
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked, in_story, softmax_within, steps_ago

SPREAD = 0.1
"""Standard deviation of all weights at the beginning (section 4.2)."""


class MemN2N(Reader):
    """Hops of attention over sentences, each with its own memories, trained from answers alone.

    With embeddings A of what is matched and C of what is read, u the question, m_i = Σ_j l_j · A x_ij + T_A(i) and
    c_i likewise with C: p = softmax(u m_i), o = Σ p_i c_i, and the next hop's u is u + o (sections 2 and 2.2).

    Args:
        sizes: of the questions.
        size: numbers of an embedding; the paper has 20 for one task at a time and 50 for all together.
        hops: times that the story is looked at (H).
        tying: adjacent: what a hop reads is what the next one matches (A^{k+1} = C^k), the question is embedded by A^1
            and answers are scored by C^H of their words; layerwise: the same A and C at every hop, with a linear map
            of u from hop to hop.
        encoding: how sentences are read: as the bag of their words, or with the words' places.
        temporal: whether memories say how long ago they were (section 4.1).
        relu: put a ReLU on half of u after each hop, as the paper does where all tasks are learned together (4.4).
        linear_start: batches of training that go without softmax at the beginning (section 4.2).
        gain: times which sentences and question count. The authors' code has position encoding twice as large as the
            paper, 2 l_j, without which bAbI's task 16 is seldom learned.
        blanks: whether places that no sentence takes, as many as the longest story of training leaves, and empty
            memories are looked at as well, with a score of 0 and nothing to read: attention may look at nothing. So in
            the authors' code; the paper does not say.

    Raises:
        ValueError: the gain is not above 0, or the linear start is negative.
    """

    linear_batches: Tensor
    places: Tensor
    answer_words: Tensor

    def __init__(
        self,
        sizes: Sizes,
        *,
        size: int = 20,
        hops: int = 3,
        tying: Literal["adjacent", "layerwise"] = "adjacent",
        encoding: Encoding = "position",
        temporal: bool = True,
        relu: bool = False,
        linear_start: int | None = None,
        gain: float = 1.0,
        blanks: bool = False,
    ):
        super().__init__(sizes)
        if not 0 < gain < math.inf:
            raise ValueError(f"gain is {gain}: expected a number above 0")
        if linear_start is not None and linear_start < 0:
            raise ValueError(f"linear_start is {linear_start}: expected a number of batches, 0 or more")
        self.hops, self.relu, self.linear_start = hops, relu, linear_start or 0
        self.encoding: Encoding = encoding
        self.gain, self.blanks = gain, blanks
        adjacent = tying == "adjacent"
        # Of adjacent hops the k-th matches by number k and reads by number k + 1; layer-wise, all by 0 and 1.
        count = hops + 1 if adjacent else 2
        self.embeddings = nn.ParameterList(word_embedding(sizes, size, SPREAD) for _ in range(count))
        self.times = nn.ParameterList(
            nn.Parameter(torch.randn(sizes.sentences, size) * SPREAD) for _ in range(count if temporal else 0)
        )
        self.between = None if adjacent else nn.Linear(size, size, bias=False)
        self.of_questions = None if adjacent else word_embedding(sizes, size, SPREAD)
        if self.between is not None:
            nn.init.normal_(self.between.weight, std=SPREAD)
        # Candidates of a dialog are embedded by a matrix of their own (Bordes et al. 2017, section 4.3).
        self.answer = AnswerScores(sizes, size, bias=False, spread=SPREAD) if sizes.ranked or not adjacent else None
        self.register_buffer("answer_words", sizes.answer_words, persistent=False)
        self.register_buffer("linear_batches", torch.zeros((), dtype=torch.int64))
        if blanks:
            self.register_buffer("places", torch.tensor(sizes.longest or sizes.sentences))
            self.register_load_state_dict_pre_hook(_with_most_places)

    @property
    def linear(self) -> bool:
        """Whether it still goes without softmax."""
        return int(self.linear_batches) < self.linear_start

    def forward(self, asked: Asked) -> Reading:
        """Answer questions; in training, count the batches of the linear start."""
        check_asked(self.sizes, asked)
        inside, linear = in_story(asked), self.linear
        if self.blanks:
            inside = inside & asked.story.any(2)
        if self.training and linear:
            self.linear_batches += 1
        first = self.embeddings[0] if self.of_questions is None else self.of_questions
        state = self.gain * encode(asked.question, first, self.encoding)
        weights = []
        memories = self._memories(asked)
        for hop in range(self.hops):
            matched, read = (memories[hop], memories[hop + 1]) if self.between is None else memories
            scores = (matched @ state.unsqueeze(2)).squeeze(2)  # [B, S]
            weights.append(scores * inside if linear else self._attend(scores, inside))
            output = (weights[-1].unsqueeze(1) @ read).squeeze(1)
            state = output + (state if self.between is None else self.between(state))
            if self.relu:
                half = state.shape[1] // 2
                state = torch.cat([state[:, :half], state[:, half:].relu()], 1)
        return Reading(self._answers(state), torch.stack(weights, 1))

    def _attend(self, scores: Tensor, inside: Tensor) -> Tensor:
        if not self.blanks:
            return softmax_within(scores, inside)
        blank = (self.places - inside.sum(1, keepdim=True)).clamp(min=0).to(scores.dtype)  # each adds exp(0)
        scores = torch.cat([scores.masked_fill(~inside, torch.finfo(scores.dtype).min), blank.log()], 1)
        return torch.softmax(scores, 1)[:, :-1] * inside

    def _answers(self, state: Tensor) -> Tensor:
        if self.answer is not None:
            return self.answer(state)
        return state @ bag_of_words(self.answer_words, self.embeddings[-1]).T

    def _memories(self, asked: Asked) -> list[Tensor]:
        """The story by each embedding: [B, S, D]; the last sentence is no step ago."""
        embeddings = torch.cat(list(self.embeddings), 1)
        sentences = self.gain * encode(asked.story, embeddings, self.encoding, len(self.embeddings))
        if len(self.times):
            sentences = sentences + nn.functional.embedding(steps_ago(asked), torch.cat(list(self.times), 1))
        return list(sentences.chunk(len(self.embeddings), 2))


def _with_most_places(reader: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Weights of a reader of shorter stories leave the places of the longer ones; others bring their own."""
    key = f"{prefix}places"
    if isinstance(reader, MemN2N) and key in state:
        state[key] = torch.maximum(state[key], reader.places.to(state[key]))
