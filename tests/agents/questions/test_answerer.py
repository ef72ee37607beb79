"""Questions in words."""

import pytest
import torch

from lukasa.agents.questions import Answerer, UnknownWordError, split_words
from lukasa.memory.readers import Sizes, make_reader
from lukasa.tasks.questions import Vocabulary

WORDS = ["mary", "john", "went", "is", "where", "to", "the", "hall", "garden"]
VOCABULARY = Vocabulary.of(WORDS, ["hall", "garden", "n,w"])


def answerer(sentences=4):
    torch.manual_seed(0)
    return Answerer(make_reader("memn2n", Sizes(len(VOCABULARY.words), 3, sentences, 5)), VOCABULARY)


def test_words_are_told_apart():
    assert split_words("  Where's  Mary, John?! ") == ["where's", "mary", "john"]
    assert split_words("<silence> api_call", {"<silence>"}) == ["<silence>", "api_call"]


def test_the_story_is_kept_until_it_is_forgotten():
    one = answerer()
    one.tell("Mary went to the hall.")
    one.tell("john WENT to the garden")
    first = one.ask("Where is Mary?")
    assert one.story == [["mary", "went", "to", "the", "hall"], ["john", "went", "to", "the", "garden"]]
    assert {first.text, *(text for text, _ in first.others)} == {"hall", "garden", "n,w"}
    assert first.probability + sum(share for _, share in first.others) == pytest.approx(1)
    one.reset()
    assert one.story == []


def test_attention_names_sentences_of_the_whole_story():
    one = answerer(sentences=2)
    for _ in range(3):
        one.tell("mary went to the hall")
    one.tell("john went to the garden")
    for hop in one.ask("where is john").attention:
        assert sorted(place for place, _ in hop) == [2, 3]  # it holds the last two alone
        assert [weight for _, weight in hop] == sorted((weight for _, weight in hop), reverse=True)


def test_an_unknown_word_is_named_and_nothing_is_told():
    one = answerer()
    with pytest.raises(UnknownWordError, match=r"never seen the word 'marry'; did you mean 'mary'\?"):
        one.tell("Marry went to the hall")
    with pytest.raises(UnknownWordError, match=r"never seen the word 'xylophone': it knows 10 words"):
        one.ask("where is the xylophone?")
    assert one.story == []


def test_too_many_words_and_none_are_refused():
    with pytest.raises(ValueError, match="has 6 words: this reader takes 5 a sentence"):
        answerer().tell("mary went to the the hall")
    with pytest.raises(ValueError, match="has no word"):
        answerer().ask(" ?")


def test_a_question_without_a_story_is_answered():
    assert answerer().ask("where is mary?").text in ("hall", "garden", "n,w")
