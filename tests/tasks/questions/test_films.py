"""Questions about films: the world, what answers them, and which facts they see."""

import itertools
import time

import numpy as np
import pytest
import torch

from lukasa.tasks.data import DataError
from lukasa.tasks.questions import make_questions
from lukasa.tasks.questions.film_questions import PATHS, film_questions, follow
from lukasa.tasks.questions.film_world import ALL_RELATIONS, RELATIONS, film_world
from lukasa.tasks.questions.films import FilmQuestions
from lukasa.tasks.questions.knowledge import KnowledgeBase
from lukasa.tasks.questions.wikimovies import KNOWLEDGE, QUESTIONS, WikiMoviesQuestions, read_knowledge, read_questions

SMALL = FilmQuestions(facts=1500, questions=600)


def triples(world):
    return {(world.things[a], world.relations[r], world.things[b]) for a, r, b in world.facts.tolist()}


def told(some):
    words = some.vocabulary.words
    asked = some.take(torch.arange(len(some)))
    for row in range(len(some)):
        story = [tuple(words[word] for word in line) for line in asked.story[row, : asked.sentences[row]].tolist()]
        answers = [some.vocabulary.answers[one] for one in asked.answers[row].tolist() if one >= 0]
        support = [story[place] for place in asked.support[row].tolist() if place >= 0]
        yield story, [words[word] for word in asked.question[row].tolist() if word], answers, support


def test_every_film_has_its_facts_and_people_have_theirs():
    world = film_world(1500, 0)
    facts = triples(world)
    films = [name for name in world.things if name.startswith("the_")]
    assert len(films) == 115
    assert len(set(world.things)) == len(world.things)
    for film in films:
        has = [[b for a, r, b in facts if (a, r) == (film, relation)] for relation in RELATIONS]
        assert [len(one) for one in has] == [1, 1, 3, 1, 1, 1]
    for first, relation, second in facts:
        if relation in ("directed_by", "written_by", "starred_actors"):
            assert (second, f"!{relation}", first) in facts
    assert (np.diff(world.begins) == np.bincount(world.facts[:, 0], minlength=len(world.things))).all()


def test_worlds_differ_by_seed_and_repeat():
    assert (film_world(500, 3).facts == film_world(500, 3).facts).all()
    assert triples(film_world(500, 3)) != triples(film_world(500, 4))


def test_a_million_facts_take_seconds():
    begin = time.perf_counter()
    world = film_world(1_000_000, 0)
    assert time.perf_counter() - begin < 30
    assert 990_000 < len(world.facts) <= 1_000_000
    assert world.facts.nbytes == 12 * len(world.facts)


@pytest.mark.parametrize("hops", [1, 2])
def test_answers_are_all_that_the_relations_lead_to(hops):
    facts = triples(film_world(1500, 0))
    by_words = {}
    for path in PATHS[hops]:
        for first in {a for a, r, _ in facts if r == path[0]}:
            reached = {first}
            for relation in path:
                reached = {b for a, r, b in facts if a in reached and r == relation}
            by_words[path, first] = reached - {first}
    world = film_world(1500, 0)
    for path, first in list(by_words)[:300]:
        numbers = [ALL_RELATIONS.index(relation) for relation in path]
        answers, support = follow(world, world.things.index(first), numbers)
        assert {world.things[one] for one in answers} == by_words[path, first]
        assert len(answers) == len(set(answers))
        assert len(support) == (hops if answers else 0)


@pytest.mark.parametrize("task", [1, 2])
def test_supporting_facts_lead_from_the_question_to_the_first_answer(task):
    facts = triples(film_world(1500, 0))
    whole = 0
    for story, question, answers, support in told(SMALL.load("train", [task])):
        assert set(story) <= facts
        assert len(story) <= 100
        if not support:
            continue
        whole += 1
        assert len(support) == task
        assert support[0][0] in question
        assert support[-1][2] == answers[0]
        assert all(before[2] == after[0] for before, after in itertools.pairwise(support))
    assert whole > 0.98 * len(SMALL.load("train", [task]))


def test_one_hop_story_is_all_that_is_known_about_the_thing():
    facts = triples(film_world(1500, 0))
    for story, question, _, _ in told(SMALL.load("test", [1])):
        about = {fact for fact in facts if fact[0] in question}
        assert set(story) == about
        assert len(story) == len(about)


def test_stories_share_one_table_of_facts():
    some = SMALL.load("train", [1, 2])
    assert some.lines.shape == (len(film_world(1500, 0).facts), 3)
    assert some.lines is SMALL.load("test", [1]).lines


def test_no_question_is_in_two_parts():
    parts = {part: SMALL.load(part, [1, 2]) for part in SMALL.parts}
    assert [len(one) for one in parts.values()] == [1200, 120, 120]
    forms = [
        {(" ".join(sorted(question)), tuple(answers)) for _, question, answers, _ in told(one)}
        for one in parts.values()
    ]
    assert not forms[0] & forms[2]
    assert not forms[1] & forms[2]
    assert len({one.vocabulary for one in parts.values()}) == 1


def test_each_relation_is_asked_in_several_ways():
    ways = {one.way for one in film_questions(film_world(1500, 0), 1, 16, 0)}
    assert len(ways) == 3 * len(ALL_RELATIONS)
    assert len({one.way for one in film_questions(film_world(9000, 0), 2, 16, 0)}) == 15 * 6


def test_small_worlds_have_fewer_questions():
    sizes = [len(FilmQuestions(facts=100).load(part, [1])) for part in SMALL.parts]
    assert sizes[0] < 200
    assert sizes[1] == sizes[2] > 0


def test_facts_are_kept_once_and_cut():
    world = KnowledgeBase.of(["a", "b", "c"], ["r"], np.array([[1, 0, 2], [0, 0, 1], [0, 0, 1]]))
    assert world.facts.tolist() == [[0, 0, 1], [1, 0, 2]]
    assert world.story(0, 1, 9).tolist() == [0]
    assert world.story(0, 2, 9).tolist() == [0, 1]
    assert world.story(0, 2, 1).tolist() == [0]
    assert world.story(2, 2, 9).tolist() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [({"facts": 50}, "facts"), ({"questions": 1}, "questions"), ({"hops": 3}, "no option 'hops'")],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(Exception, match=message):
        make_questions("films", **options)


FACTS = """1 Hello, Dolly! directed_by Gene Kelly
2 Hello, Dolly! starred_actors Barbra Streisand, Walter Matthau
3 Hello, Dolly! release_year 1969
4 Hello, Dolly! has_plot A matchmaker, of sorts.

1 Kismet starred_actors Marlene Dietrich, Walter Matthau
"""
ASKED = """1 what films did Walter Matthau act in?\tHello, Dolly!, Kismet
1 who directed Hello, Dolly!?\tGene Kelly
"""


def put(folder, facts=FACTS, asked=ASKED):
    for name, text in ((KNOWLEDGE, facts), *((QUESTIONS.format(one), asked) for one in ("train", "dev", "test"))):
        path = folder / "movieqa" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def test_wikimovies_files_are_read(tmp_path):
    some = WikiMoviesQuestions(data_dir=put(tmp_path)).load("validation", [1])
    first, second = told(some)
    assert first[1] == ["what", "films", "did", "walter matthau", "act", "in"]
    assert first[2] == ["hello, dolly!", "kismet"]
    assert set(first[0]) == {("walter matthau", "!starred_actors", film) for film in ("hello, dolly!", "kismet")}
    assert second[1] == ["who", "directed", "hello, dolly!"]
    assert ("hello, dolly!", "directed_by", "gene kelly") in second[0]
    assert len(second[0]) == 4
    assert some.unit == "hits@1 %"


@pytest.mark.parametrize(
    ("facts", "asked", "message"),
    [
        ("1 Kismet was_a film\n", ASKED, r"kb.txt, line 1: expected a number, a film, a relation such as directed_by"),
        (FACTS[:10], ASKED, r"kb.txt, line 1: expected a number"),
        ("", ASKED, r"kb.txt is empty"),
        (FACTS, "1 who directed Kismet?\n", r"qa_train.txt, line 1: expected a number, a question, a tab"),
        (FACTS, "", r"qa_train.txt is empty"),
    ],
)
def test_broken_wikimovies_files_are_named(facts, asked, message, tmp_path):
    with pytest.raises(DataError, match=message):
        WikiMoviesQuestions(data_dir=put(tmp_path, facts, asked)).load("train", [1])


def test_wikimovies_that_is_nowhere_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("LUKASA_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"wiki_entities_kb.txt of WikiMovies .* is not on this machine"):
        WikiMoviesQuestions().load("train", [1])


def test_longest_names_are_found_in_questions():
    world = read_knowledge("1 The Kid directed_by Charlie Chaplin\n1 The Kid Stays directed_by Brett\n", "file")
    known = {name: number for number, name in enumerate(world.things)}
    [asked] = read_questions("1 who directed The Kid Stays?\tBrett", "file", known)
    assert (asked.words, asked.things, asked.answers) == (
        ["who", "directed", "the kid stays"],
        ["the kid stays"],
        ["brett"],
    )
