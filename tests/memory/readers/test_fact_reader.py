"""Facts found by an index, and read as the key-value memory network reads a whole story."""

import pytest
import torch

from lukasa.memory.readers import FactMemory, FactReader, KeyValueMemoryNetwork, Sizes
from lukasa.memory.readers.fact_reader import once, right_among, start_with_rare_words
from lukasa.tasks.questions import Questions
from lukasa.tasks.questions.films import FilmQuestions

WORDS, SIZE = 30, 6


def build(facts=40, hops=1, seed=0, index="exact", read=None, **options):
    torch.manual_seed(seed)
    sizes = Sizes(WORDS, 4, facts, 5)
    network = KeyValueMemoryNetwork(sizes, size=SIZE, hops=hops, tied=True, spread=0.8)
    memory = FactMemory(torch.randint(1, WORDS, (facts, 3)), SIZE, index=index)
    memory.encode(network.embedding.detach())
    return FactReader(network, memory, facts=read or facts, beam=options.pop("beam", 1), **options)


def some_questions(rows=5):
    question = torch.randint(1, WORDS, (rows, 4), generator=torch.Generator().manual_seed(1))
    question[0, 2:] = 0
    return question


def test_reading_all_facts_is_reading_them_as_a_story():
    reader, question = build(), some_questions()
    reading = reader(question)
    zero = torch.zeros(5, 1).long()
    story = reader.memory.facts.long().expand(5, -1, -1)
    whole = reader.network(Questions(story, torch.full((5,), 40), question, zero, zero - 1, zero.squeeze(1)))
    order = reading.places[:, 0].argsort(1)
    torch.testing.assert_close(reading.weights[:, 0].gather(1, order), whole.attention[:, 0])
    assert reading.answers.gather(1, order).equal(story[..., 2])


@pytest.mark.parametrize("index", ["exact", "lsh"])
def test_there_may_be_no_question(index):
    reader = build(hops=2, read=8, index=index, beam=4)
    assert reader(some_questions()[:0]).scores.shape == (0, 8)
    assert reader.losses(some_questions()[:0], torch.zeros(0, 1).long())[0].shape == (0,)


def test_few_facts_are_those_with_the_nearest_keys():
    reader, question = build(read=7), some_questions()
    places = reader(question).places[:, 0]
    embedding, facts = reader.network.embedding.detach(), reader.memory.facts.long()
    keys = embedding[facts[:, 0]] + embedding[facts[:, 1]]
    asked = (embedding[question] * (question > 0).unsqueeze(2)).sum(1)
    nearest = torch.cosine_similarity(asked[:, None], keys[None], dim=2).topk(7, 1).indices
    assert places.sort(1).values.equal(nearest.sort(1).values)


def test_score_is_the_likeness_of_state_and_value_and_may_count_the_weight():
    reader, question = build(read=8), some_questions()
    reading = reader(question)
    weighted = FactReader(reader.network, reader.memory, facts=8, beam=1, weighted=True)(question)
    torch.testing.assert_close(weighted.scores, reading.scores + reading.weights[:, 0].log())
    embedding = reader.network.embedding
    values = embedding[reading.answers]
    state = (embedding[question] * (question > 0).unsqueeze(2)).sum(1)
    state = state + (reading.weights[:, 0].unsqueeze(1) @ values).squeeze(1)  # R_1 is the identity at first
    torch.testing.assert_close(reading.scores, (values @ state.unsqueeze(2)).squeeze(2))


def test_gradient_is_that_of_a_whole_table_and_sparse():
    reader, question = build(read=8), some_questions()
    answers = reader(question).answers[:, [2, 5]]
    losses, _ = reader.losses(question, answers)
    losses.sum().backward()
    found = reader.network.embedding.grad
    assert found.is_sparse
    places = reader(question).places[:, 0]
    reader.network.embedding.grad = None
    embedding = reader.network.embedding
    facts = reader.memory.facts.long()[places]
    keys, values = embedding[facts[..., 0]] + embedding[facts[..., 1]], embedding[facts[..., 2]]
    state = (embedding[question] * (question > 0).unsqueeze(2)).sum(1)
    weights = (keys @ state.unsqueeze(2)).squeeze(2).softmax(1)
    scores = (values @ (state + (weights.unsqueeze(1) @ values).squeeze(1)).unsqueeze(2)).squeeze(2)
    right = right_among(facts[..., 2], answers)
    (-(scores.softmax(1) * right).sum(1).log()).sum().backward()
    torch.testing.assert_close(found.to_dense(), embedding.grad, rtol=1e-4, atol=1e-5)


def test_nothing_right_among_the_facts_is_no_loss():
    reader, question = build(read=4), some_questions(2)
    losses, _ = reader.losses(question, torch.full((2, 3), -1))
    assert losses.tolist() == [0, 0]
    losses.sum().backward()
    assert not reader.network.embedding.grad.to_dense().any()


def test_second_hop_searches_from_what_the_first_one_read():
    reader = build(facts=60, hops=2, read=12, beam=3)
    question = some_questions(2)
    reading = reader(question)
    assert reading.places.shape == reading.weights.shape == (2, 2, 12)
    network, memory = reader.network, reader.memory
    embedding = network.embedding.detach()
    for row in range(2):
        best = reading.weights[row, 0].topk(3).indices
        read = embedding[memory.facts[reading.places[row, 0, best], 2].long()]
        wanted = set(memory.nearest(read, 4).flatten().tolist()) - set(reading.places[row, 0].tolist())
        there = [place for place in reading.places[row, 1].tolist() if place >= 0]
        assert len(there) == len(set(there))
        assert set(there) == wanted
    assert (reading.weights[reading.places < 0] == 0).all()


def test_once_keeps_each_place_once():
    assert once(torch.tensor([[5, 2, 5, -1], [1, 1, 1, 1]])).tolist() == [[-1, 2, 5, -1], [1, -1, -1, -1]]


def test_right_answers_are_any_of_several():
    found = torch.tensor([[4, 7, 0], [2, 2, 9]])
    assert right_among(found, torch.tensor([[7, 0], [2, -1]])).tolist() == [[False, True, False], [True, True, False]]


def test_keys_follow_the_embedding_when_refreshed():
    reader = build(facts=50)
    memory, moved = reader.memory, torch.randn(WORDS, SIZE)
    memory.refresh(torch.tensor([3, 8]), moved)
    fresh = FactMemory(memory.facts, SIZE, index="exact")
    fresh.encode(moved)
    assert memory.keys[0, [3, 8]].equal(fresh.keys[0, [3, 8]])
    assert not memory.keys[0, 4].equal(fresh.keys[0, 4])
    assert memory.nearest(fresh.keys[0, [8]], 1).tolist() == [[8]]
    memory.encode(moved)
    assert memory.keys.equal(fresh.keys)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"facts": 10, "beam": 3}, "facts is 10: expected a multiple of beam, 3")],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    reader = build()
    with pytest.raises(ValueError, match=message):
        FactReader(reader.network, reader.memory, **options)
    untied = KeyValueMemoryNetwork(Sizes(WORDS, 4, 5, 5), size=SIZE)
    with pytest.raises(ValueError, match=r"answers are tied \(tied=True\)"):
        FactReader(untied, reader.memory)


def test_first_hop_may_be_given_its_facts():
    reader, question = build(read=7), some_questions()
    found = reader(question)
    given = reader(question, found.places[:, 0])
    assert all(one.equal(other) for one, other in zip(found, given, strict=True))
    fewer = reader(question, torch.tensor([[4, -1, 9]] * 5))
    assert (fewer.weights[:, 0, 1] == 0).all()
    assert (fewer.answers[:, 1] == 0).all()


def test_it_learns_relations_and_answers_about_things_it_was_never_asked_about():
    pytest.importorskip("faiss")
    data = FilmQuestions(facts=20_000, questions=1500)
    train, test = (data.load(part, [1]) for part in ("train", "test"))
    words, first = len(train.vocabulary.words), len(train.vocabulary.words) - len(train.vocabulary.answers)
    torch.manual_seed(0)
    network = KeyValueMemoryNetwork(Sizes(words, 4, 1, 12), size=64, hops=1, tied=True)
    memory = FactMemory(train.lines, 64)
    start_with_rare_words(network, memory)
    memory.encode(network.embedding.detach())
    reader = FactReader(network, memory, facts=32, beam=1, weighted=True)
    optimizer = torch.optim.SGD(reader.parameters(), 0.5)
    generator = torch.Generator().manual_seed(0)

    def asked(some, rows):
        taken = some.take(rows)
        return taken.question, torch.where(taken.answers < 0, -1, taken.answers + first)

    for step in range(60):
        if step == 30:
            memory.encode(network.embedding.detach())
        losses, _ = reader.losses(*asked(train, torch.randint(len(train), (32,), generator=generator)))
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    memory.encode(network.embedding.detach())
    question, answers = asked(test, torch.arange(len(test)))
    with torch.no_grad():
        reading = reader(question)
    right = right_among(reading.answers, answers).gather(1, reading.scores.argmax(1, keepdim=True))
    assert right.float().mean() > 0.8
