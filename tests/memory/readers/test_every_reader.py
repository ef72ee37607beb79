"""What holds for every reader, whatever it is made of."""

import dataclasses

import pytest
import torch

from lukasa.memory.readers import READERS, Sizes, make_reader
from tests.memory.readers.asked import SIZES, padded, some_questions, where_is_it

OPTIONS = {
    "entity_network": {"size": 8, "slots": 5},
    "memn2n": {"hops": 2, "size": 8},
    "memory_network": {"size": 8},
    "kv_memory_network": {"hops": 2, "size": 8, "temporal": True},
    "dmn": {"size": 8, "episodes": 2},
    "dmn_plus": {"size": 8, "episodes": 2},
    "recurrent": {"size": 8, "core": "lstm", "core_options": {"size": 32}},
    "query_reduction": {"size": 8},
    "transformer": {"size": 8, "heads": 2, "hidden": 32, "dropout": 0.0},
    "universal_transformer": {"size": 8, "heads": 2, "hidden": 32, "steps": 3, "dropout": 0.0, "act": True},
}
"""Small ones of each reader, for these tests."""

MORE = {
    "dmn": {"supervision": 0.5},
    "dmn_plus": {"supervision": 0.5, "dropout": 0.0},
    "entity_network": {"biases": True},
    "memn2n": {"blanks": True, "relu": True},
    "memory_network": {"adaptive": True, "ngrams": 2, "nonlinear": True, "last_apart": True},
    "query_reduction": {"vector_gates": True, "layers": 3},
    "recurrent": {"encoding": "gru"},
}
"""More of what they have."""

STEPS = {"entity_network": 600}
"""Of training, for those that guess between two people for a while before they tell them apart."""

ROOMY = dataclasses.replace(SIZES, sentences=8, length=5)


def build(name, sizes=ROOMY, seed=0, **options):
    torch.manual_seed(seed)
    return make_reader(name, sizes, **{**OPTIONS[name], **options})


def test_every_reader_has_a_row():
    assert set(OPTIONS) == set(READERS)


@pytest.fixture(params=sorted(READERS))
def name(request):
    return request.param


def test_scores_and_attention_have_their_shapes(name):
    asked, reader = some_questions(), build(name).eval()
    reading = reader(asked)
    assert reading.scores.shape == (4, SIZES.answers)
    hops = reading.attention.shape[1]
    assert reading.attention.shape == (4, hops, SIZES.sentences)
    assert torch.isfinite(reading.scores).all()
    assert reader.losses(asked)[0].shape == (4,)


def test_padding_changes_nothing(name):
    asked, reader = some_questions(), build(name).double().eval()
    torch.testing.assert_close(reader(padded(asked)).scores, reader(asked).scores)


def test_rows_do_not_mix(name):
    asked, reader = some_questions(), build(name).double().eval()
    for row in range(4):
        alone = reader(asked.rows(row, row + 1)).scores
        torch.testing.assert_close(alone, reader(asked).scores[row : row + 1])


def test_nothing_is_read_outside_the_story(name):
    asked, reader = some_questions(), build(name).double().eval()
    attention = reader(asked).attention
    outside = torch.arange(SIZES.sentences) >= asked.sentences[:, None]
    assert not attention.masked_select(outside[:, None]).any()
    assert (attention >= 0).all()


def test_a_story_may_be_empty(name):
    asked, reader = some_questions(), build(name).eval()
    empty = asked._replace(
        story=torch.zeros_like(asked.story), sentences=torch.zeros(4).long(), support=torch.full((4, 2), -1)
    )
    assert torch.isfinite(reader(empty).scores).all()
    reader.train().losses(empty)[0].mean().backward()
    assert all(one.grad is None or torch.isfinite(one.grad).all() for one in reader.parameters())


def test_there_may_be_no_place_for_a_sentence(name):
    asked, reader = some_questions(), build(name, **MORE.get(name, {})).double().eval()
    blank = asked._replace(
        story=torch.zeros_like(asked.story), sentences=torch.zeros(4).long(), support=torch.full((4, 2), -1)
    )
    none = blank._replace(story=blank.story[:, :0])
    torch.testing.assert_close(reader(none).scores, reader(blank).scores)
    assert reader(none).attention.shape[2] == 0
    reader.train().losses(none)[0].mean().backward()


def test_there_may_be_no_question(name):
    asked, reader = some_questions().rows(0, 0), build(name, **MORE.get(name, {})).double()
    assert reader.eval()(asked).scores.shape == (0, SIZES.answers)
    assert reader.train().losses(asked)[0].shape == (0,)


def test_what_lies_after_the_last_sentence_is_no_part_of_the_story(name):
    asked, reader = some_questions(), build(name, **MORE.get(name, {})).double().eval()
    after = torch.arange(SIZES.sentences) >= asked.sentences[:, None]
    other = asked._replace(story=torch.where(after[..., None], 7, asked.story))
    torch.testing.assert_close(reader(other).scores, reader(asked).scores)


def test_every_parameter_learns(name):
    reader = build(name).train()
    loss = sum(reader.losses(some_questions(8, seed))[0].mean() for seed in range(3))
    loss.backward()
    dead = [where for where, one in reader.named_parameters() if one.grad is None or not one.grad.any()]
    assert not dead


def test_words_outside_are_never_embedded(name):
    # The row of "no word" may not carry anything: whatever it holds, the scores stay.
    asked, reader = some_questions(), build(name).double().eval()
    before = reader(asked).scores
    with torch.no_grad():
        for one in reader.parameters():
            if one.shape[:1] == (SIZES.words,):
                one[0] += 100
    torch.testing.assert_close(reader(asked).scores, before)


def test_answers_may_be_sentences(name):
    words = torch.tensor([[1, 2, 3], [4, 0, 0], [5, 6, 0], [7, 8, 0], [9, 0, 0]])
    sizes = dataclasses.replace(ROOMY, ranked=True, answer_words=words)
    reader = build(name, sizes)
    losses, reading = reader.losses(some_questions())
    assert reading.scores.shape == (4, 5)
    losses.mean().backward()


def test_too_long_a_story_is_refused(name):
    with pytest.raises(ValueError, match=r"a story has 6 sentences: this reader holds 5"):
        build(name, dataclasses.replace(SIZES, sentences=5))(some_questions())


SLOW = ("dmn", "dmn_plus", "entity_network", "universal_transformer")


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in sorted(READERS)]
)
def test_it_learns_who_is_where(name):
    reader = build(name, Sizes(words=8, answers=4, sentences=5, length=2, supports=1), size=20)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(reader.parameters(), 0.01)
    for _ in range(STEPS.get(name, 400)):
        losses, _ = reader.losses(where_is_it(32, generator))
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    asked = where_is_it(500, generator)
    right = (reader.eval()(asked).scores.argmax(1) == asked.answers[:, 0]).float().mean()
    assert right > 0.8, f"{float(right):.0%} right, 25 % is a guess"
