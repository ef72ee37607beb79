"""The sentences that an answer of the bAbI tasks follows from: they are enough, and none of them is too many."""

import os
import re
from itertools import pairwise

import pytest

from lukasa.tasks.babi_files import read_lines, task_text
from lukasa.tasks.babi_stories import DROPS, TAKES, TELLERS, tell

HANDLED = re.compile("|".join((*TAKES, *DROPS)))
MANY = {"wolf": "wolves", "sheep": "sheep", "mouse": "mice", "cat": "cats"}


def solve(told: list[list[str]], question: list[str]) -> str | None:
    """The answer, or None where the sentences do not lead to one; their order is that of use, the last place first."""
    texts = [" ".join(words[:-1]) for words in told]
    kinds = [text.split(" is a ") for text in texts if " is a " in text]
    if question[:3] == ["what", "color", "is"]:
        kind = dict(kinds).get(question[3])
        alike = [name for name, other in kinds if other == kind and name != question[3]]
        return next((text.split()[2] for name in alike for text in texts if text.startswith(f"{name} is ")
                     and " is a " not in text), None)  # fmt: skip
    if question[0] == "what":
        many = MANY.get(dict(kinds).get(question[2], ""), "nobody")
        return next(
            (one for text in texts for one, more in MANY.items() if text == f"{many} are afraid of {more}"), None
        )
    if question[0] == "is" or (len(question) == 4 and question[2] != "the"):
        person, item = question[1] if question[0] == "is" else question[2], None
    else:
        item = question[3]
        person = next((text.split()[0] for text in texts if HANDLED.search(text) and item in text.split()), None)
    places = [text.split()[-1] for text in texts if text.split()[0] == person and not HANDLED.search(text)]
    if question[0] == "is":
        return ("yes" if places[0] == question[-2] else "no") if places else None
    if question[1] == "is":
        return places[0] if places else None
    return next((before for place, before in pairwise(places) if place == question[-2]), None)


def asked(text: str, where: str):
    """Each question with the numbers of its supporting sentences, and the story up to there."""
    story: dict = {}
    for line in read_lines(text, where):
        if line.number == 1:
            story = {}
        if line.answers:
            yield line, dict(story)
        else:
            story[line.number] = line.words


def check(text: str, where: str) -> int:
    count = 0
    for line, story in asked(text, where):
        told = [story[number] for number in line.support]
        assert solve(told, line.words) == line.answers[0], (line, told)
        for place in range(len(told)):
            assert solve(told[:place] + told[place + 1 :], line.words) is None, (line, told)
        count += 1
    return count


@pytest.mark.parametrize("task", TELLERS)
def test_supporting_sentences_lead_to_the_answer_and_fewer_do_not(task):
    assert check(tell(task, 300, "evidence"), "made") == 300 * {15: 4, 16: 1}.get(task, 5)


@pytest.mark.skipif(not os.environ.get("LUKASA_DATA"), reason="$LUKASA_DATA does not name the real data")
@pytest.mark.parametrize("task", TELLERS)
def test_made_evidence_is_in_the_order_of_the_real_files(task):
    where, text = task_text(task, "en", "test")
    assert check(text, where) == 1000


def last(story, said):
    """The number of the last sentence that says something."""
    return max(number for number, words in story.items() if said(" ".join(words)))


def test_evidence_about_an_object_is_the_last_that_was_done_with_it_and_where_its_carrier_went():
    for line, story in asked(tell(2, 300, "evidence"), "made"):
        item = line.words[3]
        handled = last(story, lambda text, item=item: HANDLED.search(text) and item in text.split())
        person, dropped = story[handled][0], re.search("|".join(DROPS), " ".join(story[handled]))
        went = {number: words for number, words in story.items() if not dropped or number < handled}
        moved = last(went, lambda text, who=person: text.startswith(who) and not HANDLED.search(text))
        assert line.support == [handled, moved]


def test_evidence_about_a_person_is_where_they_went_last():
    for task in (1, 6):
        for line, story in asked(tell(task, 100, "evidence"), "made"):
            person = line.words[2 if task == 1 else 1]
            moved = last(story, lambda text, who=person: text.startswith(who) and not HANDLED.search(text))
            assert line.support == [moved]
