"""Small questions for the tests of readers."""

import torch

from lukasa.memory.readers import Sizes
from lukasa.tasks.questions import Questions

SIZES = Sizes(words=12, answers=5, sentences=6, length=4, supports=2)


def some_questions(rows=4, seed=0, sizes=SIZES):
    """Random stories of different lengths, an empty memory among them, and supports in order."""
    generator = torch.Generator().manual_seed(seed)

    def draw(high, *shape, low=0):
        return torch.randint(low, high, shape, generator=generator)

    story = draw(sizes.words, rows, sizes.sentences, sizes.length, low=1)
    lengths = draw(sizes.length + 1, rows, sizes.sentences, 1, low=1)
    story *= torch.arange(sizes.length) < lengths
    sentences = draw(sizes.sentences + 1, rows, low=2)
    sentences[0] = sizes.sentences
    story *= (torch.arange(sizes.sentences) < sentences[:, None])[..., None]
    if rows > 1:
        story[1, 0] = 0  # an empty memory
    question = draw(sizes.words, rows, sizes.length - 1, low=1)
    support = torch.stack([torch.zeros(rows, dtype=torch.int64), sentences - 1], 1)
    support[-1, 1] = -1
    return Questions(story, sentences, question, draw(sizes.answers, rows, 1), support, torch.zeros(rows).long())


def padded(asked, sentences=2, words=1):
    """The same questions in wider tables."""
    story = torch.nn.functional.pad(asked.story, (0, words, 0, sentences))
    return asked._replace(story=story, question=torch.nn.functional.pad(asked.question, (0, words)))


def where_is_it(rows, generator, places=4, people=3):
    """Who went where: the last sentence about the one asked for answers the question. Words 1-3 people, 4-7 places."""
    story = torch.zeros(rows, 5, 2, dtype=torch.int64)
    story[..., 0] = torch.randint(1, people + 1, (rows, 5), generator=generator)
    story[..., 1] = torch.randint(people + 1, people + places + 1, (rows, 5), generator=generator)
    story[:, :people, 0] = torch.arange(1, people + 1)  # everybody is somewhere
    who = torch.randint(1, people + 1, (rows,), generator=generator)
    last = torch.where(story[..., 0] == who[:, None], torch.arange(5), -1).amax(1)
    answer = story[torch.arange(rows), last, 1] - people - 1
    counts = torch.full((rows,), 5)
    return Questions(story, counts, who[:, None], answer[:, None], last[:, None], torch.zeros(rows).long())
