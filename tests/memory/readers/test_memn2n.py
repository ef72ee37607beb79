"""End-to-end memory networks against the equations of Sukhbaatar et al. 2015, hop by hop."""

import dataclasses
import math

import pytest
import torch

from lukasa.memory.readers import MemN2N
from tests.memory.readers.asked import SIZES, some_questions


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def added(*vectors):
    return [sum(parts) for parts in zip(*vectors, strict=True)]


def encoded(words, embedding, encoding, gain):
    """Σ_j l_j · A x_j, with l_kj = (1 − j/J) − (k/d)(1 − 2j/J); section 4.1."""
    words, size = [word for word in words if word], len(embedding[0])
    total = [0.0] * size
    for j, word in enumerate(words, 1):
        share = j / len(words)
        for k in range(size):
            weight = 1 - share - (k + 1) / size * (1 - 2 * share) if encoding == "position" else 1.0
            total[k] += gain * weight * embedding[word][k]
    return total


class Paper:
    """Sections 2, 2.2 and 4.1 for one question, in plain Python."""

    def __init__(self, reader, asked, row, encoding="position", gain=1.0, places=None):
        self.reader, self.places = reader, places
        self.weights = {name: one.tolist() for name, one in reader.named_parameters()}
        self.story = [asked.story[row, s].tolist() for s in range(int(asked.sentences[row]))]
        self.question = asked.question[row].tolist()
        self.encode = lambda words, embedding: encoded(words, embedding, encoding, gain)

    def memories(self, number):
        found = []
        for ago, words in zip(reversed(range(len(self.story))), self.story, strict=True):
            one = self.encode(words, self.weights[f"embeddings.{number}"])
            if len(self.reader.times):
                one = added(one, self.weights[f"times.{number}"][ago])
            found.append(one)
        return found

    def attend(self, scores):
        if self.reader.linear:
            return scores
        raised = [math.exp(one) for one in scores]
        if self.places is None:
            return [one / sum(raised) for one in raised]
        there = [any(words) for words in self.story]
        raised = [one if here else 0.0 for one, here in zip(raised, there, strict=True)]
        return [one / (sum(raised) + max(0, self.places - sum(there))) for one in raised]

    def answers(self):
        adjacent = self.reader.between is None
        u, looked = self.encode(self.question, self.weights["embeddings.0" if adjacent else "of_questions"]), []
        for hop in range(self.reader.hops):
            m, c = (self.memories(one) for one in ((hop, hop + 1) if adjacent else (0, 1)))
            looked.append(self.attend([dot(u, one) for one in m]))
            o = added(*([p * number for number in one] for p, one in zip(looked[-1], c, strict=True)))
            u = added(o, u if adjacent else [dot(row, u) for row in self.weights["between.weight"]])
            if self.reader.relu:
                u = u[: len(u) // 2] + [max(one, 0.0) for one in u[len(u) // 2 :]]
        if not adjacent:
            return [dot(row, u) for row in self.weights["answer.linear.weight"]], looked
        last = self.weights[f"embeddings.{self.reader.hops}"]
        return [sum(dot(last[w], u) for w in words if w) for words in SIZES.answer_words.tolist()], looked


def build(sizes=SIZES, **options):
    torch.manual_seed(0)
    reader = MemN2N(sizes, size=6, hops=3, **options).double()
    with torch.no_grad():
        for one in reader.parameters():
            one.add_(0.4 * torch.randn_like(one))
    return reader


def check(reader, asked, **said):
    reading = reader(asked)
    for row in range(len(asked.story)):
        scores, looked = Paper(reader, asked, row, **said).answers()
        torch.testing.assert_close(reading.scores[row], torch.tensor(scores, dtype=torch.float64))
        there = reading.attention[row, :, : len(looked[0])]
        torch.testing.assert_close(there, torch.tensor(looked, dtype=torch.float64))
        assert not reading.attention[row, :, len(looked[0]) :].any()


@pytest.mark.parametrize("tying", ["adjacent", "layerwise"])
@pytest.mark.parametrize("encoding", ["position", "bag"])
@pytest.mark.parametrize("temporal", [True, False])
def test_hops_and_scores_are_the_papers(tying, encoding, temporal):
    check(build(tying=tying, encoding=encoding, temporal=temporal).eval(), some_questions(), encoding=encoding)


def test_joint_training_has_a_relu_on_half_of_the_state():
    check(build(relu=True).eval(), some_questions())


def test_sentences_and_question_count_as_often_as_the_gain():
    check(build(gain=2.0).eval(), some_questions(), gain=2.0)


@pytest.mark.parametrize("gain", [0.0, -1.0, math.inf, math.nan])
def test_a_gain_that_leaves_nothing_is_refused(gain):
    with pytest.raises(ValueError, match=r"gain is .*: expected a number above 0"):
        MemN2N(SIZES, gain=gain)


def test_a_linear_start_of_fewer_than_no_batches_is_refused():
    with pytest.raises(ValueError, match="linear_start is -1: expected a number of batches, 0 or more"):
        MemN2N(SIZES, linear_start=-1)


def test_a_linear_start_attends_without_softmax():
    check(build(linear_start=2).eval(), some_questions())


def test_blank_places_take_a_share_of_the_attention():
    """As many as the longest story of training leaves, and those of empty memories."""
    reader, asked = build(blanks=True, temporal=False).eval(), some_questions()
    check(reader, asked, places=SIZES.sentences)
    alone = type(asked)(*(one[2:3] for one in asked))
    alone = alone._replace(story=alone.story[:, : int(alone.sentences)])
    torch.testing.assert_close(reader(alone).scores, reader(asked).scores[2:3])


def test_places_are_those_of_the_longest_story_of_training():
    """They follow from the questions alone, so that those who share a batch have the same."""
    sizes = dataclasses.replace(SIZES, longest=4)
    reader = MemN2N(sizes, blanks=True)
    reader.train()(some_questions())
    assert int(reader.places) == 4
    check(build(sizes, blanks=True).eval(), some_questions(), places=4)


def test_a_story_longer_than_those_of_training_leaves_no_place_blank():
    reader, asked = build(dataclasses.replace(SIZES, longest=1), blanks=True, temporal=False).eval(), some_questions()
    torch.testing.assert_close(reader(asked).attention[0].sum(1), torch.ones(3).double())


def test_places_are_saved_and_the_most_of_both_count():
    """Once they were counted in training, empty memories among them; and a reader may start from one of other tasks."""
    for saved, longest, expected in ((6, 3, 6), (3, 6, 6)):
        old = MemN2N(dataclasses.replace(SIZES, longest=saved), blanks=True)
        reader = MemN2N(dataclasses.replace(SIZES, longest=longest), blanks=True)
        reader.load_state_dict(old.state_dict())
        assert int(reader.places) == expected
    assert "places" not in build().state_dict()


def test_a_story_without_a_sentence_is_answered_from_the_question():
    asked = some_questions(rows=2)._replace(sentences=torch.tensor([0, 3]))
    for blanks in (False, True):
        reading = build(blanks=blanks).eval()(asked._replace(story=asked.story * 0))
        assert torch.isfinite(reading.scores).all()
        assert not reading.attention[0].any()


@pytest.mark.parametrize("blanks", [False, True])
def test_gradients_are_exact(blanks):
    reader, asked = build(blanks=blanks).eval(), some_questions(rows=2)
    names = [name for name, _ in reader.named_parameters()]

    def scores(*weights):
        return torch.func.functional_call(reader, dict(zip(names, weights, strict=True)), (asked,)).scores

    assert torch.autograd.gradcheck(scores, tuple(one.detach().requires_grad_() for one in reader.parameters()))
