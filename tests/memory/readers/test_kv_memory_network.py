"""The key-value memory network against loops written from Miller et al. 2016, section 3.1."""

import math

import pytest
import torch

from lukasa.memory.readers import Sizes, make_reader
from lukasa.memory.readers.kv_memory_network import key_and_value
from lukasa.tasks.questions.films import FilmQuestions
from tests.memory.readers.asked import SIZES, some_questions


def bag(words, embedding):
    total = [0.0] * len(embedding[0])
    for word in words:
        if word:
            total = [one + other for one, other in zip(total, embedding[word], strict=True)]
    return total


def dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def oracle(reader, story, question, value_words):
    """The scores of one question, and its weights hop by hop, in plain Python."""
    embedding = reader.embedding.tolist()
    answers = embedding if reader.answer_embedding is None else reader.answer_embedding.tolist()
    sentences = [[word for word in sentence if word] for sentence in story]
    keys = [bag(sentence[: max(0, len(sentence) - value_words)], embedding) for sentence in sentences]
    values = [bag(sentence[max(0, len(sentence) - value_words) :], embedding) for sentence in sentences]
    if reader.times is not None:
        times = reader.times.tolist()
        keys = [
            [a + b for a, b in zip(key, times[len(keys) - 1 - place], strict=True)] for place, key in enumerate(keys)
        ]
    state, looked = bag(question, embedding), []
    for matrix in reader.between:
        exponents = [math.exp(dot(state, key)) for key in keys]
        weights = [one / sum(exponents) for one in exponents]
        read = [
            sum(weight * value[place] for weight, value in zip(weights, values, strict=True))
            for place in range(len(state))
        ]
        state = [dot(row, [a + b for a, b in zip(state, read, strict=True)]) for row in matrix.weight.tolist()]
        looked.append(weights)
    return [dot(state, bag(words, answers)) for words in reader.answer_words.tolist()], looked


@pytest.mark.parametrize("temporal", [False, True])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("hops", "value_words"), [(1, 1), (3, 2)])
def test_answers_are_those_of_the_papers_loops(hops, value_words, tied, temporal):
    torch.manual_seed(0)
    options = {"hops": hops, "value_words": value_words, "tied": tied, "temporal": temporal}
    reader = make_reader("kv_memory_network", SIZES, size=5, spread=0.7, **options).double()
    for matrix in reader.between:
        torch.nn.init.normal_(matrix.weight)
    asked = some_questions(6)
    reading = reader(asked)
    for row, count in enumerate(asked.sentences.tolist()):
        scores, weights = oracle(reader, asked.story[row, :count].tolist(), asked.question[row].tolist(), value_words)
        torch.testing.assert_close(reading.scores[row].tolist(), scores, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(reading.attention[row, :, :count].tolist(), weights, rtol=1e-9, atol=1e-9)


def test_value_is_the_end_of_a_sentence_and_key_the_rest():
    sentences = torch.tensor([[7, 8, 9, 0], [5, 0, 0, 0], [0, 0, 0, 0], [1, 2, 3, 4]])
    key, value = key_and_value(sentences, 1)
    assert key.tolist() == [[7, 8, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 2, 3, 0]]
    assert value.tolist() == [[0, 0, 9, 0], [5, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 4]]
    key, value = key_and_value(sentences, 2)
    assert key.tolist() == [[7, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 2, 0, 0]]


def test_tied_answers_have_no_embedding_of_their_own():
    tied, own = (make_reader("kv_memory_network", SIZES, tied=tied) for tied in (True, False))
    assert {name for name, _ in own.named_parameters()} - {name for name, _ in tied.named_parameters()} == {
        "answer_embedding"
    }


def hits(reader, some):
    asked = some.take(torch.arange(len(some)))
    best = reader.eval()(asked).scores.argmax(1)
    return float((best[:, None] == asked.answers).any(1).float().mean())


def test_it_learns_facts_about_films():
    data = FilmQuestions(facts=600, questions=350)
    train, test = (data.load(part, [1]) for part in ("train", "test"))
    words, answers = len(train.vocabulary.words), len(train.vocabulary.answers)
    numbers = torch.arange(words - answers, words)[:, None]  # an answer is a thing, and things are the last words
    torch.manual_seed(0)
    sizes = Sizes(words, answers, train.most_sentences, 12, answer_words=numbers)
    reader = make_reader("kv_memory_network", sizes, size=32, hops=1)
    optimizer = torch.optim.Adam(reader.parameters(), 0.02)
    generator = torch.Generator().manual_seed(0)
    for _ in range(250):
        losses, _ = reader.losses(train.take(torch.randint(len(train), (32,), generator=generator)))
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    assert hits(reader, train) > 0.95
    assert hits(reader, test) > 0.4  # an answer that was never asked for has an untrained embedding; a guess has 0.01
