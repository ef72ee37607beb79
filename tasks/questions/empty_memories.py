"""Empty memories at random places of a story, which make the time of a sentence less certain.

Dimensions: B questions, S sentences of a story.
"""

from __future__ import annotations

import torch
from torch import Generator

from lukasa.tasks.questions.batch import Questions
from lukasa.tasks.questions.question_set import left_over


def with_empty_memories(asked: Questions, share: float, most: int, generator: Generator) -> Questions:
    """Stories with empty memories at random places, which make the time of a sentence less certain.

    "Random noise" in Sukhbaatar et al. 2015, section 4.1: a tenth more memories, without words.

    Args:
        asked: the questions.
        share: empty memories for each sentence; 0.1 in the paper. Each place has one with this probability.
        most: sentences that a story may have in the end; the oldest ones give way.
        generator: draws the places.
    """
    here = torch.arange(asked.story.shape[1]) < asked.sentences[:, None]  # [B, S]
    before = (torch.rand(here.shape, generator=generator) < share) & here  # an empty memory before this sentence
    place = torch.arange(asked.story.shape[1]) + before.cumsum(1)  # [B, S], where each sentence goes
    counts = asked.sentences + before.sum(1)
    over = (counts - most).clamp(min=0)[:, None]
    place = place - over
    longest = max(1, int((counts - over.squeeze(1)).max()))
    story = asked.story.new_zeros(len(place), longest + 1, asked.story.shape[2])  # what goes nowhere goes to the last
    target = torch.where(here & (place >= 0), place, longest)
    story.scatter_(1, target[..., None].expand_as(asked.story), asked.story)
    supported = asked.support >= 0
    moved = place.gather(1, asked.support.clamp(min=0)) if asked.support.shape[1] else asked.support
    support = left_over(torch.where(supported & (moved >= 0), moved, -1))
    return asked._replace(story=story[:, :longest], sentences=counts - over.squeeze(1), support=support)
