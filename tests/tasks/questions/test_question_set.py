"""Questions in words as tables of numbers, and what may be done with a story before it is read."""

import pytest
import torch

from lukasa.tasks.questions import (
    Question,
    Questions,
    Vocabulary,
    accuracy_per_group,
    question_set,
    with_empty_memories,
)

WORDS = ("mary", "john", "went", "to", "kitchen", "garden", "where", "is")
KITCHEN = ["mary", "went", "to", "kitchen"]
GARDEN = ["john", "went", "to", "garden"]
BACK = ["mary", "went", "to", "garden"]
WHERE = ["where", "is", "mary"]


def a_set(asked, stories=None, answers=("garden", "kitchen", "n,w"), **options):
    vocabulary = Vocabulary.of(WORDS, answers, **options)
    return question_set(asked, vocabulary, unit="error %", titles={0: "where"}, source="here", stories=stories)


def words_of(some, rows):
    """Back from numbers to words."""
    words = some.vocabulary.words
    asked = some.take(torch.tensor(rows))
    return [
        [[words[word] for word in sentence if word] for sentence in story[:count].tolist()]
        for story, count in zip(asked.story, asked.sentences, strict=True)
    ]


THREE = [
    Question([KITCHEN], WHERE, ["kitchen"], [0]),
    Question([KITCHEN, GARDEN, BACK], WHERE, ["garden"], [2]),
    Question([GARDEN], ["where", "is", "john"], ["garden"], [0]),
]


def test_words_come_back_as_they_went_in():
    some = a_set(THREE)
    assert words_of(some, [0, 1, 2]) == [one.story for one in THREE]
    assert words_of(some, [2, 1]) == [THREE[2].story, THREE[1].story]
    asked = some.take(torch.tensor([1]))
    assert asked.story.shape == (1, 3, 4)
    assert [some.vocabulary.words[word] for word in asked.question[0]] == WHERE
    assert [some.vocabulary.answers[answer] for answer in asked.answers[0]] == ["garden"]
    assert (asked.support.tolist(), asked.tasks.tolist(), some.longest) == ([[2]], [0], 4)


def test_questions_of_one_story_share_its_sentences():
    shared = a_set(THREE, stories=[0, 0, 1])
    assert len(shared.lines) == 4
    assert len(a_set(THREE).lines) == 5
    assert words_of(shared, [0, 1, 2]) == [one.story for one in THREE]
    again = a_set([THREE[1], THREE[0]], stories=[7, 7])  # a later question may be about less
    assert len(again.lines) == 3
    assert words_of(again, [0, 1]) == [THREE[1].story, THREE[0].story]


def test_number_0_is_no_word_and_answers_are_words():
    vocabulary = Vocabulary.of(WORDS, ("kitchen", "n,w"))
    assert vocabulary.words == ("", *WORDS, "n,w")
    assert vocabulary.answer_words == (("kitchen",), ("n,w",))
    assert not vocabulary.ranked


def test_answers_of_several_words_are_ranked():
    words = (("to", "kitchen"), ("where", "is"))
    vocabulary = Vocabulary.of(WORDS, ("to kitchen", "where is"), words)
    assert vocabulary.ranked
    assert vocabulary.words == ("", *WORDS)
    assert vocabulary.answer_words == words


def test_a_large_vocabulary_takes_no_time():
    answers = [f"film_{number}" for number in range(100_000)]
    assert len(Vocabulary.of(answers[:50_000], answers).words) == 100_001


def test_answer_that_the_vocabulary_lacks_is_none():
    some = a_set([Question([KITCHEN], WHERE, ["attic"]), Question([KITCHEN], WHERE, ["kitchen", "garden"])])
    assert some.answers.tolist() == [[-1, -1], [1, 0]]
    assert some.support.tolist() == [[-1], [-1]]
    assert some.most_supports == 0


def test_unknown_word_is_named():
    with pytest.raises(ValueError, match=r"'attic' is not among the 9 words of these questions"):
        a_set([Question([["mary", "went", "to", "attic"]], WHERE, ["kitchen"])])


def test_stories_may_be_empty():
    none = a_set([Question([], WHERE, ["kitchen"])])
    asked = none.take(torch.tensor([0]))
    assert asked.story.shape == (1, 1, 1)
    assert asked.sentences.tolist() == [0]
    assert not asked.story.any()
    some = a_set([Question([KITCHEN], WHERE, ["kitchen"]), Question([], WHERE, ["kitchen"])])
    assert words_of(some, [0, 1]) == [[KITCHEN], []]
    assert some.take(torch.tensor([], dtype=torch.int64)).story.shape == (0, 1, 4)
    assert len(a_set([])) == a_set([]).most_sentences == 0


def test_last_sentences_alone_and_supports_that_are_left():
    asked = [
        Question([KITCHEN, GARDEN, BACK], WHERE, ["garden"], [0, 2]),
        Question([KITCHEN, GARDEN, BACK], WHERE, ["garden"], [2, 0, 1]),
        Question([KITCHEN], WHERE, ["kitchen"], [0]),
    ]
    cut = a_set(asked, stories=[0, 0, 1]).last_sentences(2)
    assert words_of(cut, [0, 1, 2]) == [[GARDEN, BACK], [GARDEN, BACK], [KITCHEN]]
    assert cut.support.tolist() == [[1, -1, -1], [1, 0, -1], [0, -1, -1]]
    assert (cut.most_sentences, cut.most_supports) == (2, 2)
    assert a_set(asked).last_sentences(50).support.equal(a_set(asked).support)


def test_tasks_are_chosen_by_number():
    asked = [one._replace(task=task) for task, one in zip((3, 1, 3), THREE, strict=True)]
    some = question_set(
        asked, Vocabulary.of(WORDS, ("kitchen", "garden")), unit="error %", titles={1: "a", 3: "b"}, source="here"
    )
    assert some.of_tasks([3]).tasks.tolist() == [3, 3]
    assert some.of_tasks([3]).titles == {3: "b"}
    assert words_of(some.of_tasks([3]), [1]) == [[GARDEN]]
    with pytest.raises(ValueError, match=r"there is no task 2: choose among 1, 3"):
        some.of_tasks([2])
    assert words_of(some.only(torch.tensor([2])), [0]) == words_of(some, [2])


def counted(rows, sentences, longest=2):
    """Stories whose words are the numbers of their sentences."""
    numbers = torch.arange(1, sentences + 1).expand(rows, sentences)
    story = numbers[..., None].repeat(1, 1, longest)
    support = torch.tensor([[0, sentences - 1, sentences // 2]]).repeat(rows, 1)
    rest = torch.zeros(rows, 1).long()
    return Questions(story, torch.full((rows,), sentences), rest, rest, support, rest.squeeze(1))


def drawn(asked, share, most, seed=0):
    return with_empty_memories(asked, share, most, torch.Generator().manual_seed(seed))


def test_empty_memories_move_sentences_and_leave_their_order():
    noisy = drawn(counted(200, 20), 0.1, 100)
    assert noisy.sentences.float().mean() == pytest.approx(22, abs=0.3)
    assert noisy.story.shape[1] == noisy.sentences.max()
    for story, count, support in zip(noisy.story, noisy.sentences, noisy.support, strict=True):
        told = story[:count, 0]
        assert told[told > 0].tolist() == list(range(1, 21))
        assert told[support].tolist() == [1, 20, 11]
        assert told[-1] == 20  # an empty memory is before a sentence, never last
        assert not story[count:].any()


def test_empty_memories_take_the_place_of_the_oldest_sentences():
    noisy = drawn(counted(200, 20), 0.3, 20)
    assert (noisy.sentences == 20).all()
    for story, support in zip(noisy.story, noisy.support, strict=True):
        told = story[:, 0]
        left = told[told > 0].tolist()
        assert left == list(range(21 - len(left), 21))
        wanted = [word for word in (1, 20, 11) if word in left]
        assert support.tolist() == [told.tolist().index(word) for word in wanted] + [-1] * (3 - len(wanted))


def test_no_share_leaves_all_as_it_was():
    asked = counted(3, 5)._replace(sentences=torch.tensor([5, 2, 0]), support=torch.tensor([[4], [1], [-1]]))
    asked = asked._replace(story=asked.story * (torch.arange(5) < asked.sentences[:, None])[..., None])
    same = drawn(asked, 0.0, 5)
    assert all(one.equal(other) for one, other in zip(same, asked, strict=True))


def test_same_generator_same_empty_memories():
    one, other, third = (drawn(counted(50, 9), 0.2, 12, seed) for seed in (1, 1, 2))
    assert one.story.equal(other.story)
    assert one.sentences.tolist() != third.sentences.tolist()


def test_groups_are_numbered_and_the_others_are_by_themselves():
    asked = [THREE[0]._replace(group=group) for group in (3, 3, -1, 5, -1)]
    some = a_set(asked)
    assert some.groups.tolist() == [3, 3, 6, 5, 7]
    assert some.only(torch.tensor([1, 4])).groups.tolist() == [3, 7]
    assert a_set(THREE).groups.tolist() == [0, 1, 2]


def test_group_is_right_where_all_its_questions_are():
    groups = torch.tensor([4, 9, 4, 2, 9])
    assert accuracy_per_group(torch.tensor([True, False, True, True, True]), groups) == pytest.approx(200 / 3)
    assert accuracy_per_group(torch.ones(5).bool(), groups) == 100
    with pytest.raises(ValueError, match=r"right \[2\] and groups \[5\] differ"):
        accuracy_per_group(torch.ones(2).bool(), groups)
