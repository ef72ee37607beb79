"""Strongly supervised memory networks against the equations of Weston et al. 2015, feature by feature."""

import dataclasses
import math

import pytest
import torch

from lukasa.memory.readers import MemoryNetwork
from lukasa.memory.readers.memory_network import features
from tests.memory.readers.asked import SIZES, some_questions

QUESTION, CHOSEN, SCORED, LAST = range(4)


class Paper:
    """Section 3 for one question, with whole feature vectors and matrices U."""

    def __init__(self, reader, asked, row):
        self.reader, self.words = reader, SIZES.words
        self.times_at = len(reader.choosing) * SIZES.words
        self.choosing = (
            torch.cat([*reader.choosing, *([] if reader.times is None else [reader.times])]).detach().tolist()
        )
        self.answering = torch.cat(list(reader.answering)).detach().tolist()
        self.story = [asked.story[row, s].tolist() for s in range(int(asked.sentences[row]))]
        self.question = asked.question[row].tolist()

    def phi(self, words, kind):
        vector = [0.0] * (self.times_at + 3)
        for word in words:
            if word:
                vector[kind * self.words + word] += 1
        return vector

    def x(self, chosen):
        kinds = [CHOSEN] * len(chosen)
        if chosen and len(self.reader.choosing) > LAST:
            kinds[-1] = LAST
        before = [self.phi(self.story[s], kind) for s, kind in zip(chosen, kinds, strict=True)]
        return [sum(one) for one in zip(self.phi(self.question, QUESTION), *before, strict=True)]

    def embed(self, vector, matrix, layer):
        found = [0.0] * len(matrix[0])
        for value, row in zip(vector, matrix, strict=False):
            if value:
                found = [f + value * r for f, r in zip(found, row, strict=True)]
        if layer is None:
            return found
        found = [math.tanh(f) for f in found]
        return [math.tanh(sum(w * f for w, f in zip(row, found, strict=True))) for row in layer.weight.tolist()]

    def s(self, chosen, y, other=None):
        """s_O(x, y), or s_Ot(x, y, y')."""
        layer = self.reader.choosing_layer
        left = self.embed(self.x(chosen), self.choosing, layer)
        right = self.embed(self.phi(self.story[y], SCORED), self.choosing, layer)
        if other is not None:
            minus = self.embed(self.phi(self.story[other], SCORED), self.choosing, layer)
            when = chosen[-1] if chosen else len(self.story)
            times = [0.0] * self.times_at + [float(when < y), float(when < other), float(y < other)]
            plus = self.embed(times, self.choosing, None)
            right = [r - m + p for r, m, p in zip(right, minus, plus, strict=True)]
        return sum(a * b for a, b in zip(left, right, strict=True))

    def choose(self, chosen):
        there = [s for s, words in enumerate(self.story) if any(words)]
        if self.reader.times is None:
            return max(there, key=lambda s: self.s(chosen, s))
        best = there[-1]
        for place in reversed(there[:-1]):
            if self.s(chosen, place, best) > 0:
                best = place
        return None if self.reader.stop is not None and self.prefers_to_stop(chosen, best) else best

    def prefers_to_stop(self, chosen, other):
        """To stop as y, with no time of its own, and the best sentence as y'."""
        left = self.embed(self.x(chosen), self.choosing, self.reader.choosing_layer)
        right = self.embed(self.phi(self.story[other], SCORED), self.choosing, self.reader.choosing_layer)
        when = chosen[-1] if chosen else len(self.story)
        older = self.reader.times[1].tolist() if when < other else [0.0] * len(left)
        stop = self.reader.stop.tolist()
        return sum(a * (s - r + t) for a, s, r, t in zip(left, stop, right, older, strict=True)) > 0

    def answers(self, chosen):
        layer = self.reader.answering_layer
        left = self.embed(self.x(chosen), self.answering, layer)
        found = []
        for words in SIZES.answer_words.tolist():
            right = self.embed(self.phi(words, SCORED), self.answering, layer)
            found.append(sum(a * b for a, b in zip(left, right, strict=True)))
        return found

    def loss(self, support, answer, margin):
        total, chosen = 0.0, []
        for true in support:
            for wrong, words in enumerate(self.story):
                if wrong == true or not any(words):
                    continue
                if self.reader.times is None:
                    total += max(0, margin - self.s(chosen, true) + self.s(chosen, wrong))
                else:
                    total += max(0, margin - self.s(chosen, true, wrong)) + max(0, margin + self.s(chosen, wrong, true))
            chosen.append(true)
        scores = self.answers(chosen)
        return total + sum(max(0, margin - scores[answer] + one) for r, one in enumerate(scores) if r != answer)


def build(**options):
    torch.manual_seed(0)
    reader = MemoryNetwork(SIZES, **{"size": 5, **options}).double()
    with torch.no_grad():
        for one in reader.parameters():
            one.add_(0.4 * torch.randn_like(one))
    return reader


@pytest.mark.parametrize("write_time", [True, False])
@pytest.mark.parametrize("nonlinear", [True, False])
@pytest.mark.parametrize("last_apart", [True, False])
def test_hops_scores_and_losses_are_the_papers(write_time, nonlinear, last_apart):
    reader, rows = build(write_time=write_time, nonlinear=nonlinear, last_apart=last_apart, margin=0.3), 12
    asked = some_questions(rows=rows)
    losses, _ = reader.losses(asked._replace(support=asked.support.clamp(min=1)))
    reading = reader.eval()(asked)
    assert len(set(reading.attention[:, 1].argmax(1).tolist())) > 2, "the hops choose different places"
    for row in range(rows):
        paper, chosen = Paper(reader, asked, row), []
        for hop in range(2):
            chosen.append(paper.choose(chosen))
            assert reading.attention[row, hop].nonzero().flatten().tolist() == [chosen[-1]]
        torch.testing.assert_close(reading.scores[row], torch.tensor(paper.answers(chosen), dtype=torch.float64))
        support = asked.support[row].clamp(min=1).tolist()
        wanted = paper.loss(support, int(asked.answers[row, 0]), 0.3)
        torch.testing.assert_close(losses[row], torch.tensor(wanted, dtype=torch.float64))


def test_gradients_are_exact():
    reader = build(nonlinear=True, adaptive=True, hops=3, last_apart=True)
    asked = some_questions(rows=3)
    names = [name for name, _ in reader.named_parameters()]

    def losses(*weights):
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(
            _Losses(reader), {f"reader.{name}": one for name, one in given.items()}, (asked,)
        )

    assert torch.autograd.gradcheck(losses, tuple(one.detach().requires_grad_() for one in reader.parameters()))


class _Losses(torch.nn.Module):
    def __init__(self, reader):
        super().__init__()
        self.reader = reader

    def forward(self, asked):
        return self.reader.losses(asked)[0]


def test_an_adaptive_one_stops_and_looks_no_further():
    reader = build(adaptive=True, hops=3)
    asked = some_questions(rows=6)
    with torch.no_grad():
        reader.stop.mul_(0)
        reader.choosing[QUESTION].copy_(reader.choosing[QUESTION].abs())
        reader.choosing[SCORED].copy_(reader.choosing[SCORED].abs())
        reader.times.mul_(0)
        reader.choosing[CHOSEN].copy_(-reader.choosing[CHOSEN].abs() * 100)
    # By the question alone all scores are above that of the stop, 0; with a sentence beside it all are below.
    attention = reader.eval()(asked).attention
    assert (attention.sum(2) == torch.tensor([1.0, 0, 0])).all()


@pytest.mark.parametrize("last_apart", [True, False])
def test_to_stop_is_compared_as_any_other_choice_with_regard_to_time(last_apart):
    reader, asked = build(adaptive=True, hops=3, nonlinear=True, last_apart=last_apart).eval(), some_questions(rows=40)
    with torch.no_grad():
        reader.times.mul_(3)  # so that time decides
        reader.stop.mul_(0.5)
    reading, hops = reader(asked), []
    for row in range(40):
        paper, chosen = Paper(reader, asked, row), []
        for hop in range(3):
            place = paper.choose(chosen) if len(chosen) == hop else None
            assert reading.attention[row, hop].nonzero().flatten().tolist() == ([] if place is None else [place])
            chosen += [] if place is None else [place]
        hops.append(len(chosen))
        torch.testing.assert_close(reading.scores[row], torch.tensor(paper.answers(chosen), dtype=torch.float64))
    assert len(set(hops)) > 2, "some stop early and some late"


def test_two_sentences_are_told_apart_by_which_was_chosen_last():
    asked = some_questions(rows=3)._replace(support=torch.tensor([[0, 1]] * 3))
    turned = asked._replace(support=torch.tensor([[1, 0]] * 3))
    for last_apart in (False, True):
        reader = build(last_apart=last_apart)
        scores = [reader.losses(one)[1].scores for one in (asked, turned)]
        assert torch.allclose(*scores) is not last_apart


def test_an_adaptive_one_is_taught_to_stop():
    reader = build(adaptive=True, hops=2)
    losses, _ = reader.losses(some_questions()._replace(support=torch.full((4, 2), -1)))
    losses.mean().backward()
    assert reader.stop.grad.any()


def test_a_question_without_its_own_second_sentence_is_taught_one_hop():
    reader, asked = build(write_time=False), some_questions(rows=1)
    one = asked._replace(support=torch.tensor([[2, -1]]))
    wanted = Paper(reader, asked, 0).loss([2], int(asked.answers[0, 0]), 0.1)
    torch.testing.assert_close(reader.losses(one)[0][0], torch.tensor(wanted, dtype=torch.float64))


def test_runs_of_words_are_features():
    words = torch.tensor([[3, 4, 5, 0], [4, 5, 0, 0], [3, 4, 5, 6]])
    found = features(words, 12, 3, 50)
    assert found.shape == (3, 4 + 3 + 2)
    assert torch.equal(found[:, :4], words)
    assert ((found[:, 4:] == 0) | ((found[:, 4:] >= 12) & (found[:, 4:] < 62))).all()
    assert (found[:, 4:] > 0).sum(1).tolist() == [3, 1, 5]
    assert found[0, 5] == found[1, 4], "the same run has the same number, wherever it is"
    assert found[0, 7] == found[2, 7]
    assert features(words[:, :1], 12, 3, 50).shape == (3, 1)


def test_word_order_matters_with_runs_alone():
    asked = some_questions(rows=1)
    turned = asked._replace(question=asked.question.flip(1))
    for ngrams, same in ((1, True), (3, False)):
        reader = build(ngrams=ngrams, hops=2).eval()
        assert torch.allclose(reader(asked).scores, reader(turned).scores) is same


def test_more_supporting_sentences_than_hops_are_refused():
    sizes = dataclasses.replace(SIZES, supports=4)
    message = r"a question has 4 supporting sentences, memory_network has 2 hops: set the option hops to 4"
    with pytest.raises(ValueError, match=message):
        MemoryNetwork(sizes)
    with pytest.raises(ValueError, match=r"these questions name no supporting sentences"):
        MemoryNetwork(dataclasses.replace(SIZES, supports=0))
    asked = some_questions()._replace(support=torch.tensor([[0, 1, 1]] * 4))
    with pytest.raises(ValueError, match=r"a question has 3 supporting sentences, memory_network has 2 hops"):
        build().losses(asked)
    build().eval().losses(asked)


def test_it_has_no_more_hops_than_any_question_needs():
    assert MemoryNetwork(dataclasses.replace(SIZES, supports=1), hops=3).hops == 1
    assert MemoryNetwork(dataclasses.replace(SIZES, supports=1), hops=3, adaptive=True).hops == 2


def test_a_question_without_supporting_sentences_is_refused_in_training():
    asked = some_questions()._replace(support=torch.full((4, 2), -1))
    with pytest.raises(ValueError, match=r"a question names no supporting sentence"):
        build().losses(asked)
    losses, _ = build().eval().losses(asked)
    assert torch.isfinite(losses).all()


def test_an_answer_that_is_not_known_has_no_loss_of_its_own():
    asked = some_questions(rows=1)
    reader = build(write_time=False)
    known = Paper(reader, asked, 0).loss(asked.support[0].clamp(min=1).tolist(), 0, 0.1)
    losses, _ = reader.losses(asked._replace(answers=torch.tensor([[-1]]), support=asked.support.clamp(min=1)))
    assert float(losses.detach()) < known


def test_a_negative_margin_is_refused():
    with pytest.raises(ValueError, match=r"margin is -0\.1: expected 0 or more"):
        MemoryNetwork(SIZES, margin=-0.1)
