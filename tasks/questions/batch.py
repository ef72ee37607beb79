"""What one batch of questions is.

Dimensions: B questions, S sentences, L words of a sentence, Q words of a question, M answers, F supporting sentences.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Questions(NamedTuple):
    """Questions about stories, in numbers of words and answers; word 0 is none."""

    story: Tensor  # int64 [B, S, L], the oldest sentence first
    sentences: Tensor  # int64 [B], how many of the S are there
    question: Tensor  # int64 [B, Q]
    answers: Tensor  # int64 [B, M], those that are right, the first to be learned; -1 after
    support: Tensor  # int64 [B, F], places in the story, in the order of use; -1 after
    tasks: Tensor  # int64 [B], the number of each one's task

    def rows(self, start: int, stop: int) -> Questions:
        """Some of the questions."""
        return Questions(*(tensor[start:stop] for tensor in self))

    def to(self, device: str | torch.device) -> Questions:
        """On another device."""
        return Questions(*(tensor.to(device) for tensor in self))
