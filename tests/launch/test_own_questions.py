"""Sets of questions of one's own: mistakes in them are one sentence, before anything is written."""

import sys

import pytest

from lukasa.launch.cli import main
from lukasa.launch.kinds.questions.data import reader_sizes
from lukasa.launch.training.requests import read_command_line
from lukasa.tasks.questions import make_questions
from tests.launch.refusals import fails

MODULE = '''
from lukasa.tasks.questions import Question, Vocabulary, question_set

WORDS = Vocabulary.of(["a", "b", "is", "where"], ["x", "y"])


class Plain:
    """Where something is."""

    parts, tasks = ("train", "validation", "test"), {1: "one"}

    def __init__(self, count: int = 6):
        self.count = count

    def load(self, part, tasks):
        asked = [self.ask(part) for _ in range(self.count)]
        return question_set(asked, WORDS, unit="accuracy %", titles=self.tasks, source="own")

    def ask(self, part):
        return Question([["a", "is"]] * 2, ["where", "is", "a"], ["x"], [0], task=1)


class TestFirst(Plain):
    parts = ("test", "train")

    def ask(self, part):
        return super().ask(part)._replace(story=[["a", "is"]] * (9 if part == "test" else 3))


class OtherTask(Plain):
    def ask(self, part):
        return super().ask(part)._replace(task=0)


class FarSupport(Plain):
    def ask(self, part):
        return super().ask(part)._replace(support=[7])


class NoSuchAnswer(Plain):
    def ask(self, part):
        return super().ask(part)._replace(answers=["z"] if part == "train" else ["x"])


class NoneToValidate(Plain):
    def load(self, part, tasks):
        return super().load(part, tasks) if part != "validation" else Plain(0).load(part, tasks)


class NoSet(Plain):
    def load(self, part, tasks):
        return 3


class NoDefault(Plain):
    def __init__(self, count: int):
        super().__init__(count)
'''


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "own_questions.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("own_questions", None)


def words(name, *more):
    return [f"--data=own_questions:{name}", "--steps", "8", "--batch-size", "4", "--report-every", "8", *more]


VALIDATED = ("--validate-every", "8")


@pytest.mark.parametrize(
    ("name", "more", "sentence"),
    [
        ("TestFirst", VALIDATED, "have no part 'validation': take one of test, train"),
        ("OtherTask", (), "load gave a question of task 0, expected those asked for that have a title, 1: give each"),
        ("FarSupport", (), "a supporting sentence is at place 7 of a story that is shorter"),
        ("NoSuchAnswer", (), "the answer of question 1 of part train is not among the 2 answers of the vocabulary"),
        ("NoneToValidate", VALIDATED, "part validation has no question of all tasks: leave --validate-every out"),
        ("NoSet", (), "load gave a int, expected what question_set makes"),
        ("NoDefault", (), "option 'count' of questions 'own_questions:NoDefault' has no default: give it one"),
    ],
)
def test_a_mistake_is_one_sentence(name, more, sentence, folder, capsys):
    assert sentence in fails(capsys, "train", "questions", *words(name, *more))
    assert not (folder / "runs").exists()


def test_parameters_in_order_are_options_too():
    assert len(make_questions("own_questions:Plain", count=3).load("train", [1])) == 3


def test_what_is_learned_from_is_the_part_train_whatever_comes_first():
    sizes = reader_sizes(read_command_line("questions", words("TestFirst")).experiment, [1])
    assert sizes.longest == 3


def test_there_is_nothing_to_show_of_a_part_without_questions(capsys):
    assert main(["train", "questions", *words("NoneToValidate"), "--out", "run"]) == 0
    for command in ("plot", "view"):
        assert "there is no question of task 1 in this part" in fails(capsys, command, "run", "--part", "validation")


def test_a_set_without_mistakes_is_trained_and_scored(folder):
    assert main(["train", "questions", *words("Plain", *VALIDATED), "--out", "run"]) == 0
    assert main(["eval", "run", "--ablation"]) == 0
