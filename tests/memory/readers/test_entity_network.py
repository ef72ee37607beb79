"""Recurrent entity networks against the equations of Henaff et al. 2017, slot by slot."""

import dataclasses
import math

import pytest
import torch

from lukasa.memory.readers import EntityNetwork
from lukasa.memory.readers.entity_network import masked_sum, update_slots
from tests.memory.readers.asked import SIZES, some_questions


def times(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def encoded(words, embedding, masks):
    total = [0.0] * len(masks[0])
    for place, word in enumerate(words):
        if word:
            total = [t + f * e for t, f, e in zip(total, masks[place], embedding[word], strict=True)]
    return total


def oracle(reader, asked, row, phi, keys):
    """Section 2 for one question: scores, and the gates of each sentence."""
    weight = {name: one.tolist() for name, one in reader.named_parameters()}
    story = [asked.story[row, s].tolist() for s in range(int(asked.sentences[row]))]
    slots = [list(key) for key in keys]
    gates = []
    for words in story:
        if not any(words):
            gates.append([0.0] * len(keys))
            continue
        s = encoded(words, weight["embedding"], weight["masks"])
        biases = weight.get("gate_bias", [0.0] * len(keys))
        raised = [dot(s, h) + dot(s, w) + b for h, w, b in zip(slots, keys, biases, strict=True)]
        gates.append([1 / (1 + math.exp(-one)) for one in raised])
        for j, key in enumerate(keys):
            terms = (
                times(weight["of_slots"], slots[j]),
                times(weight["of_keys"], key),
                times(weight["of_sentences"], s),
                weight.get("candidate_bias", [0.0] * len(s)),
            )
            candidate = phi([sum(parts) for parts in zip(*terms, strict=True)])
            changed = [h + gates[-1][j] * c for h, c in zip(slots[j], candidate, strict=True)]
            length = math.sqrt(dot(changed, changed))
            slots[j] = [h / length for h in changed]
    q = encoded(asked.question[row].tolist(), weight["embedding"], weight["question_masks"])
    raised = [math.exp(dot(q, h)) for h in slots]
    p = [one / sum(raised) for one in raised]
    u = [sum(p[j] * slots[j][d] for j in range(len(keys))) for d in range(len(q))]
    y = phi([a + b for a, b in zip(q, times(weight["of_output"], u), strict=True)])
    return times(weight["answer.linear.weight"], y), gates, p


def scrambled(**options):
    torch.manual_seed(0)
    reader = EntityNetwork(SIZES, size=6, **options).double()
    with torch.no_grad():
        for one in reader.parameters():
            one.add_(0.4 * torch.randn_like(one))
    return reader


@pytest.mark.parametrize("activation", ["prelu", "relu", "identity"])
@pytest.mark.parametrize("words", [(), (3, 1, 7)])
@pytest.mark.parametrize("biases", [False, True])
def test_scores_are_the_papers(activation, words, biases):
    reader = scrambled(slots=4, activation=activation, keys="words" if words else "free", words=words, biases=biases)
    slopes = {"prelu": reader.slope, "relu": torch.zeros(6), "identity": torch.ones(6)}[activation].tolist()
    slopes = slopes * (6 // len(slopes))

    def phi(vector):
        return [max(x, 0) + slope * min(x, 0) for x, slope in zip(vector, slopes, strict=True)]

    keys = reader.embedding[list(words)].tolist() if words else reader.keys.tolist()
    asked = some_questions(rows=5)
    reading = reader(asked)
    for row in range(5):
        scores, gates, p = oracle(reader, asked, row, phi, keys)
        told = torch.tensor(gates, dtype=torch.float64)
        torch.testing.assert_close(reading.scores[row], torch.tensor(scores, dtype=torch.float64))
        torch.testing.assert_close(reading.shown["gates"][row, : len(gates)], told)
        torch.testing.assert_close(reading.shown["slots"][row], torch.tensor(p, dtype=torch.float64))
        wanted = told @ torch.tensor(p, dtype=torch.float64)
        torch.testing.assert_close(reading.attention[row, 0, : len(gates)], wanted)
        assert not reading.shown["gates"][row, len(gates) :].any()


def test_it_begins_as_the_identity():
    reader = EntityNetwork(SIZES)
    inputs = torch.randn(3, 4)
    assert torch.equal(reader.activate(inputs), inputs)
    assert (reader.masks == 1).all()


def test_masks_of_sentences_may_be_drawn_as_the_authors_do():
    torch.manual_seed(0)
    reader = EntityNetwork(SIZES, size=400, masks="drawn")
    assert float(reader.masks.detach().std()) == pytest.approx(0.1, rel=0.1)
    assert (reader.question_masks == 1).all()


def test_rows_come_back_in_their_order_and_empty_memories_change_nothing():
    reader = scrambled(slots=3)
    asked = some_questions(rows=6)._replace(sentences=torch.tensor([2, 6, 4, 1, 5, 3]))
    for row in range(6):
        torch.testing.assert_close(reader(asked.rows(row, row + 1)).scores[0], reader(asked).scores[row])
    story = torch.cat([asked.story[:, :1], torch.zeros_like(asked.story[:, :1]), asked.story[:, 1:5]], 1)
    longer = asked._replace(story=story, sentences=asked.sentences.clamp(max=5) + 1)
    torch.testing.assert_close(reader(longer).scores, reader(asked._replace(sentences=longer.sentences - 1)).scores)


def test_gradients_of_a_sentence():
    reader = scrambled(slots=3)
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)

    told = torch.tensor([True, False])
    inputs = (draw(2, 3, 6), draw(2, 6), draw(2, 3), draw(2, 3, 6))
    assert torch.autograd.gradcheck(lambda *given: update_slots(*given, reader, told), inputs)
    words = torch.tensor([[1, 2, 0], [3, 0, 0]])
    assert torch.autograd.gradcheck(lambda *given: masked_sum(words, *given), (draw(4, 5), draw(3, 5)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keys": "words"}, r"keys are words: name their numbers with the option words"),
        ({"words": (1, 2)}, r"keys are free: set the option keys to words"),
        ({"keys": "words", "words": (1, 12)}, r"words has 12: expected numbers of words from 1 to 11"),
        ({"keys": "words", "words": 3}, r"words is 3: expected the numbers of words"),
        ({"keys": "words", "words": (0,)}, r"words has 0: expected numbers of words from 1 to 11"),
        ({"keys": "words", "words": ("bill",)}, r"words has 'bill': expected numbers of words from 1 to 11"),
    ],
)
def test_keys_that_are_no_words_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EntityNetwork(SIZES, **options)


def test_keys_may_be_words_of_ranked_answers():
    sizes = dataclasses.replace(SIZES, ranked=True)
    reading = EntityNetwork(sizes, keys="words", words=(1, 2))(some_questions())
    assert reading.shown["slots"].shape == (4, 2)
