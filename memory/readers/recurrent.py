"""Every recurrent core as a reader: one encoded sentence a step, the question last.

Legend: B batch, S sentences, L words of a sentence, Q steps of the question, T steps, D size of an encoding, A answers,
V words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.memory.collecting import refuse_choices
from lukasa.memory.readers.encodings import AnswerScores, encode, word_embedding
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked
from lukasa.memory.readers.word_gru import gru_encoding


class Recurrent(Reader):
    """A core writes the story into its memory sentence by sentence, and is then asked.

    The answer is what the core gives at the last step of the question. Each row's question comes right after its own
    last sentence, so that no state ever sees padding before it. Nothing of the story is looked at afterwards, so
    ``attention`` has no hops; ``memory.record`` shows what a core did with its memory. The penalty in training is what
    the core costs beside its task, where it has such costs.

    Args:
        sizes: of the questions.
        size: numbers of the encoding of a sentence (D).
        encoding: how sentences and question are read: the bag of their words, one that knows the words' places
            (Sukhbaatar et al. 2015, section 4.1), or the last state of a GRU over the words.
        core: name of the memory core that reads.
        core_options: the core's own options. A "snail" should be given ``length``, the most sentences of a story.
        question_first: the question's encoding beside that of every sentence, so that the question is known before
            the story is written down. Without it a core has to keep whatever might be asked, which is what makes
            task 16 of bAbI hard for them.
        question_steps: steps for which the question is shown; the core thinks in those after the first.

    Raises:
        UnknownNameError: the core or one of its options is unknown.
        ValueError: an option of the core cannot be used, or the core chooses at random.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        size: int = 64,
        encoding: Literal["bag", "position", "gru"] = "position",
        core: str = "lstm",
        core_options: Mapping[str, Any] | None = None,
        question_first: bool = False,
        question_steps: int = 1,
    ):
        super().__init__(sizes)
        self.question_first, self.question_steps = question_first, question_steps
        self.encoding: Literal["bag", "position"] = "bag" if encoding == "bag" else "position"
        self.embedding = word_embedding(sizes, size, 1.0)
        self.gru = nn.GRU(size, size, batch_first=True) if encoding == "gru" else None
        self.core = memory.make_core(
            core,
            input_size=size * (2 if question_first else 1) + 1,
            output_size=size if sizes.ranked else sizes.answers,
            **(core_options or {}),
        )
        refuse_choices(self.core, "a reader of questions")
        self.answer = AnswerScores(sizes, size) if sizes.ranked else None

    def forward(self, asked: Asked) -> Reading:
        """Answer questions."""
        check_asked(self.sizes, asked)
        sentences, question = self._encode(asked.story), self._encode(asked.question)
        inputs, last = steps_to_read(sentences, asked.sentences, question, self.question_steps, self.question_first)
        with memory.collect_auxiliary(self.core) as auxiliary:
            outputs, _ = memory.unroll(self.core, inputs)
        output = outputs[torch.arange(len(last), device=last.device), last]
        scores = output if self.answer is None else self.answer(output)
        cost = auxiliary.cost(torch.arange(inputs.shape[1], device=last.device) <= last[:, None])
        penalty = cost.expand(len(scores)) if cost is not None and self.training else None
        return Reading(scores, scores.new_zeros(len(scores), 0, asked.story.shape[1]), penalty=penalty)

    def _encode(self, words: Tensor) -> Tensor:
        if self.gru is not None:
            return gru_encoding(words, self.embedding, self.gru)
        return encode(words, self.embedding, self.encoding)


def steps_to_read(
    story: Tensor, sentences: Tensor, question: Tensor, question_steps: int, question_first: bool
) -> tuple[Tensor, Tensor]:
    """The inputs of a core: each row's sentences, its question, and then nothing.

    Args:
        story: [B, S, D], encoded sentences.
        sentences: int64 [B], how many each row has.
        question: [B, D], encoded.
        question_steps: how long it is shown (Q).
        question_first: whether the question's encoding comes beside every sentence as well.

    Returns:
        Inputs [B, T, D + 1] or [B, T, 2 D + 1], the last number 1 where the input is the question and 0 where it is a
        sentence; and int64 [B], the last step of each row's question.
    """
    longest = int(sentences.max()) if len(sentences) else 0
    steps = torch.arange(longest + question_steps, device=story.device)
    count = sentences[:, None]
    reading = (steps < count)[..., None]  # [B, T, 1]
    asking = ((steps >= count) & (steps < count + question_steps))[..., None]
    told = nn.functional.pad(story[:, :longest], (0, 0, 0, question_steps))
    inputs = torch.where(reading, told, torch.where(asking, question[:, None], 0))
    parts = [inputs, asking.to(inputs.dtype)]
    if question_first:
        parts.insert(1, torch.where(reading | asking, question[:, None], 0))
    return torch.cat(parts, 2), sentences + question_steps - 1
