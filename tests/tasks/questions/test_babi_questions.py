"""The bAbI tasks as questions, from their files and made up."""

import os
import tarfile

import pytest
import torch

from lukasa.ground.names import UnknownNameError
from lukasa.tasks.babi_files import FOLDER, TITLES
from lukasa.tasks.data import DataError
from lukasa.tasks.questions import make_questions
from lukasa.tasks.questions.babi import PARTS, BabiQuestions, MadeBabiQuestions

REAL = pytest.mark.skipif(not os.environ.get("LUKASA_DATA"), reason="$LUKASA_DATA does not name the real data")
MADE = sorted(MadeBabiQuestions.tasks)


def as_words(some):
    """Every question as text: its story, itself, its answer and the sentences that support it."""
    words = some.vocabulary.words
    asked = some.take(torch.arange(len(some)))

    def sentence(numbers):
        return " ".join(words[number] for number in numbers if number)

    return [
        (
            tuple(sentence(line) for line in asked.story[row, : asked.sentences[row]].tolist()),
            sentence(asked.question[row].tolist()),
            some.vocabulary.answers[asked.answers[row, 0]],
            tuple(place for place in asked.support[row].tolist() if place >= 0),
        )
        for row in range(len(some))
    ]


@pytest.mark.parametrize("task", MADE)
def test_made_stories_and_questions_are_as_told(task):
    made = MadeBabiQuestions(stories=30)
    told = as_words(made.load("train", [task]))
    assert len(told) == 30 * {15: 4, 16: 1}.get(task, 5)
    for story, question, answer, support in told:
        assert not any(sentence.endswith((".", "?")) for sentence in (*story, question))
        assert answer in made.load("train", [task]).vocabulary.answers
        assert 0 < len(support) <= {1: 1, 6: 1, 2: 2, 15: 2}.get(task, 3)
        assert max(support) < len(story)


def test_parts_share_no_story_and_repeat_by_seed():
    parts = {part: as_words(MadeBabiQuestions(stories=50).load(part, [1, 15])) for part in PARTS}
    stories = {part: {story for story, *_ in told if len(story) == 10} for part, told in parts.items()}
    assert all(len(one) == 50 for one in stories.values())
    assert not stories["train"] & stories["validation"]
    assert not stories["train"] & stories["test"]
    assert parts["test"] == as_words(MadeBabiQuestions(stories=50).load("test", [1, 15]))
    assert parts["test"] != as_words(MadeBabiQuestions(stories=50, seed=1).load("test", [1, 15]))


def test_parts_have_one_vocabulary():
    made = MadeBabiQuestions(stories=5)
    vocabularies = {made.load(part, [1, 2, 6]).vocabulary for part in PARTS}
    assert len(vocabularies) == 1
    assert {"yes", "no", "garden"} <= set(vocabularies.pop().answers)


def test_each_question_sees_all_statements_before_it():
    told = as_words(MadeBabiQuestions(stories=1).load("train", [1]))
    assert [len(story) for story, *_ in told] == [2, 4, 6, 8, 10]
    assert all(told[4][0][: len(story)] == story for story, *_ in told)


@REAL
@pytest.mark.parametrize("task", range(1, 21))
def test_real_set_has_a_thousand_questions_for_training_and_for_testing(task):
    sizes = {part: len(BabiQuestions(size="en").load(part, [task])) for part in PARTS}
    assert sizes["train"] + sizes["validation"] == sizes["test"] == 1000
    assert sizes["validation"] == pytest.approx(100, abs=10)


@REAL
def test_real_first_question_of_task_2():
    assert as_words(BabiQuestions(size="en").load("train", [2]))[0] == (
        (
            "mary moved to the bathroom",
            "sandra journeyed to the bedroom",
            "mary got the football there",
            "john went to the kitchen",
            "mary went back to the kitchen",
            "mary went back to the garden",
        ),
        "where is the football",
        "garden",
        (2, 5),
    )


@REAL
def test_real_validation_is_the_last_stories_of_the_training_file():
    data = BabiQuestions(size="en")
    train, validation = (as_words(data.load(part, [3])) for part in ("train", "validation"))
    whole = [story for story, *_ in train if story[:2] == train[0][0][:2]]
    assert len(whole) >= 5  # one story's questions are together
    beginnings = [{story[:6] for story, *_ in part} for part in (train, validation)]
    assert not beginnings[0] & beginnings[1]
    assert [len(one) for one in beginnings] == [186, 20]
    assert validation == as_words(BabiQuestions(size="en").load("validation", [3]))


@REAL
def test_real_joint_set_has_one_vocabulary_of_all_tasks():
    joint = BabiQuestions(size="en").load("test", list(range(1, 21)))
    assert len(joint) == 20_000
    assert joint.tasks.bincount().tolist() == [0] + [1000] * 20
    assert len(joint.vocabulary.words) - 1 > 155
    assert (joint.answers[:, 0] >= 0).all()
    assert joint.unit == "error %"
    assert joint.titles[19] == "path-finding"


def put(folder, text, part="train", task=1):
    file = folder / FOLDER / "en" / f"qa{task}_{TITLES[task - 1]}_{part}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


GOOD = "1 Mary moved to the garden.\n2 Where is Mary? \tgarden\t1\n"

BROKEN = [
    ("", r"is empty, expected bAbI stories"),
    (GOOD[:40], r"line 2: expected a sentence that ends in '.' or '\?'"),
    (GOOD[:-11], r"line 2: expected a question, its answer and its evidence between tabs"),
    (GOOD.replace("\tgarden", "\t"), r"line 2: expected an answer between the tabs, found none"),
    (GOOD.replace("\t1", "\t2"), r"line 2: expected numbers of sentences before this one as evidence, found '2'"),
    (GOOD.replace("\t1", "\t²"), r"line 2: expected numbers of sentences before this one as evidence, found '²'"),
    (GOOD.replace("moved", "sauntered"), r"line 1: 'sauntered' is not among the words of the bAbI tasks"),
    (GOOD.replace("2 W", "4 W"), r"line 2: expected the sentence's number 2, or 1 for a new story, found '4'"),
    (GOOD + "3 Where is Mary? \tgarden\t2\n", r"line 3: its evidence 2 is a question, expected a statement"),
    ('{"story": []}\n', r"line 1: expected the sentence's number 1, found"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_broken_file_names_itself_the_line_and_what_was_expected(text, message, tmp_path):
    put(tmp_path, text)
    put(tmp_path, GOOD, "test")
    with pytest.raises(DataError, match=message) as fault:
        BabiQuestions(size="en", data_dir=str(tmp_path)).load("train", [1])
    assert f"qa1_{TITLES[0]}_train.txt" in str(fault.value)


def test_good_file_is_read(tmp_path):
    for part in ("train", "test"):
        put(tmp_path, GOOD * 10, part)
    data = BabiQuestions(size="en", data_dir=str(tmp_path))
    assert [len(data.load(part, [1])) for part in PARTS] == [9, 1, 10]


def test_file_that_is_not_in_the_archive_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("lukasa.tasks.babi_files.locate", lambda *_: tmp_path / "babi.tar.gz")
    with tarfile.open(tmp_path / "babi.tar.gz", "w:gz"):
        pass
    with pytest.raises(DataError, match=r"babi.tar.gz lacks .*qa3_three-supporting-facts_train.txt: leave task 3 out"):
        BabiQuestions(size="en", data_dir=str(tmp_path)).load("train", [3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "hn"}, "size"),
        ({"sizes": "en"}, "questions 'babi' have no option 'sizes': did you mean 'size'"),
        ({"data_dir": "/nowhere/at/all"}, "does not exist"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises((ValueError, UnknownNameError, DataError), match=message):
        make_questions("babi", **options).load("train", [1])


@pytest.mark.parametrize("tasks", [[], [1, 1], [0], [21], [4]])
def test_wrong_tasks_are_refused(tasks):
    with pytest.raises(ValueError, match=r"babi_made: tasks is .* expected different numbers among 1, 2, 3, 6, 15, 16"):
        MadeBabiQuestions().load("train", tasks)


def test_wrong_part_is_refused():
    with pytest.raises(ValueError, match=r"part.*dev"):
        MadeBabiQuestions().load("dev", [1])


def test_unknown_set_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean 'babi_made'"):
        make_questions("babi_mad")


def test_what_was_read_is_not_found_where_it_is_no_more(tmp_path, monkeypatch):
    folder = tmp_path / "babi" / FOLDER / "en"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        text = "1 Mary moved to the garden.\n2 Where is Mary?\tgarden\t1\n"
        (folder / f"qa1_single-supporting-fact_{part}.txt").write_text(text)
    monkeypatch.setenv("LUKASA_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    questions = make_questions("babi", size="en")
    assert len(questions.load("test", [1])) == 1
    monkeypatch.setenv("LUKASA_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError):
        questions.load("test", [1])
