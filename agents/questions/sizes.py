"""What a reader has to hold for a set of questions.

Dimensions: A answers, C words of an answer.
"""

from __future__ import annotations

import torch

from lukasa.memory.readers import Sizes
from lukasa.tasks.questions import QuestionSet


def sizes_of(*parts: QuestionSet, sentences: int) -> Sizes:
    """The sizes of a reader that learns from the first of some parts, and answers all of them.

    Args:
        parts: of one set of questions, with one vocabulary; at least one.
        sentences: the most sentences of a story that the reader is to hold.

    Example:
        >>> from lukasa.tasks.questions import make_questions
        >>> questions = make_questions("babi_made", stories=20).load("train", [1])
        >>> sizes = sizes_of(questions, sentences=20)
        >>> sizes.answers, sizes.answer_words.shape
        (6, torch.Size([6, 1]))
    """
    vocabulary = parts[0].vocabulary
    numbers = {word: number for number, word in enumerate(vocabulary.words)}
    width = max(map(len, vocabulary.answer_words), default=1)
    words = torch.zeros(len(vocabulary.answers), width, dtype=torch.int64)  # [A, C]
    for place, answer in enumerate(vocabulary.answer_words):
        words[place, : len(answer)] = torch.tensor([numbers[word] for word in answer])
    return Sizes(
        words=len(vocabulary.words),
        answers=len(vocabulary.answers),
        sentences=sentences,
        length=max(one.longest for one in parts),
        supports=parts[0].most_supports,
        ranked=vocabulary.ranked,
        answer_words=words,
        longest=min(parts[0].most_sentences, sentences),
    )
