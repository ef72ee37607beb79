"""Dialogs about restaurants: the bot's rules, the parts, and the published format."""

from __future__ import annotations

import pytest
import torch

from lukasa.tasks.data import DataError
from lukasa.tasks.questions import accuracy_per_group, make_questions
from lukasa.tasks.questions.dialog import DialogQuestions
from lukasa.tasks.questions.dialog_files import CANDIDATES, ENDINGS, FILES, FOLDER
from lukasa.tasks.questions.dialog_making import PARTS, all_responses, make_dialogs
from lukasa.tasks.questions.dialog_phrases import BOT, USER
from lukasa.tasks.questions.dialog_restaurants import CUISINES, LOCATIONS, PEOPLE, PRICES, restaurants

TASKS = (1, 2, 3, 4, 5)
FIELD_WORDS = (
    ("cuisine", CUISINES[0] + CUISINES[1]),
    ("location", LOCATIONS[0] + LOCATIONS[1]),
    ("people", PEOPLE),
    ("price", PRICES),
)


def small(**options):
    return DialogQuestions(source="generated", **{"dialogs": 60, **options})


def told(some, rows=None):
    """Questions in words: the story, the question, the answer and the dialog."""
    words = some.vocabulary.words
    asked = some.take(torch.arange(len(some)) if rows is None else rows)

    def sentence(numbers):
        return [words[number] for number in numbers if number]

    for row in range(len(asked.story)):
        story = [sentence(line) for line in asked.story[row, : asked.sentences[row]].tolist()]
        yield story, " ".join(sentence(asked.question[row].tolist())), some.vocabulary.answers[asked.answers[row, 0]]


class Bot:
    """What is to be said next, by the words of the dialog alone."""

    def __init__(self, story, question):
        self.question = question
        self.facts = [one[1:] for one in story if one[0] == "<fact>"]
        self.said = [" ".join(one[1:]) for one in story if one[0] == "<bot>"]
        self.wish: dict = {}
        for one in [*(one[1:] for one in story if one[0] == "<user>"), question.split()]:
            self.wish.update({name: word for name, known in FIELD_WORDS for word in one if word in known})

    def search(self):
        missing = [name for name, _ in FIELD_WORDS if name not in self.wish]
        return BOT[missing[0]] if missing else BOT["search"]

    def propose(self):
        ratings = {name: int(value) for name, relation, value in self.facts if relation == "r_rating"}
        before = {one.split()[-1] for one in self.said}
        return BOT["propose"].format(max((name for name in ratings if name not in before), key=ratings.__getitem__))

    def fact(self, relation):
        chosen = [word for one in self.said if one.startswith("how about") for word in one.split()[-1:]]
        name = chosen[-1] if chosen else self.facts[0][0]
        return next(value for one, other, value in self.facts if (one, other) == (name, relation))

    def answer(self):
        if not self.said:
            return BOT["greet"]
        last = self.said[-1]
        if self.question == "<silence>":
            if last == BOT["request"]:
                return self.search()
            if last == BOT["search"] and not self.facts:
                return BOT["call"].format(*(self.wish[name] for name, _ in FIELD_WORDS))
            return self.propose()
        for act in ("phone", "address"):
            if self.question in USER[f"ask {act}"]:
                return BOT[act].format(self.fact(f"r_{act}"))
        if last == BOT["greet"]:
            return BOT["accept"] if "resto_" in self.question else BOT["request"]
        if last in {BOT[name] for name, _ in FIELD_WORDS}:
            return self.search()
        for act, answer in (
            ("no more changes", "search"),
            ("accept", "accept"),
            ("refuse", "refuse"),
            ("no more", "end"),
        ):
            if self.question in USER[act]:
                return BOT[answer]
        if self.question in USER["thank"]:
            return BOT["end" if last.startswith("api_call") else "thank"]
        return BOT["change"]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("part", ["train", "test_oov"])
def test_every_answer_follows_from_the_dialog_so_far(task, part):
    some = small().load(part, [task])
    right = [Bot(story, question).answer() == answer for story, question, answer in told(some)]
    assert accuracy_per_group(torch.tensor(right), some.groups) == 100
    assert len(some.groups.unique()) == 60


def test_request_names_none_to_all_fields_alike_and_changes_one_to_all():
    dialogs = make_dialogs(2, "train", 400, 0).split("\n\n")
    asked = [sum(BOT[name] in one for name, _ in FIELD_WORDS) for one in dialogs]
    changed = [one.count(BOT["change"]) for one in dialogs]
    for found, values in ((asked, range(5)), (changed, range(1, 5))):
        shares = [found.count(value) / 400 for value in values]
        assert sum(shares) == 1
        assert all(share == pytest.approx(1 / len(values), abs=0.07) for share in shares)


def test_options_are_accepted_a_quarter_of_the_time():
    text = make_dialogs(3, "train", 400, 0)
    dialogs = text.split("\n\n")
    found = [one.count("R_rating") for one in dialogs]
    assert min(found) >= 3
    at_once = sum(one.count(BOT["refuse"]) == 0 for one in dialogs)
    assert at_once / 400 == pytest.approx(0.25, abs=0.06)
    assert all(one.count(BOT["refuse"]) < count for one, count in zip(dialogs, found, strict=True))


def test_phone_address_or_both_are_asked_for():
    dialogs = make_dialogs(4, "train", 400, 0).split("\n\n")
    asked = [("you can call" in one, "you find it" in one) for one in dialogs]
    assert asked.count((True, True)) / 400 == pytest.approx(0.5, abs=0.07)
    assert asked.count((True, False)) / 400 == pytest.approx(0.25, abs=0.07)
    assert asked.count((False, True)) / 400 == pytest.approx(0.25, abs=0.07)


def test_two_knowledge_bases_of_600_restaurants_share_only_prices_and_sizes():
    usual, others = (restaurants(half, 0) for half in (0, 1))
    facts = [[fact.split() for one in half for fact in one.facts()] for half in (usual, others)]
    assert [len(one) for one in facts] == [4200, 4200]
    values = [{fact[2] for fact in one} for one in facts]
    assert values[0] & values[1] == {*PRICES, *PEOPLE, *map(str, range(1, 9))}
    assert restaurants(0, 0) != restaurants(0, 1)
    assert [one.name for one in restaurants(0, 0)] == [one.name for one in restaurants(0, 1)]


def test_candidates_are_all_responses_of_all_parts():
    some = small().load("train", [1])
    vocabulary = some.vocabulary
    assert (len(vocabulary.answers), len(set(vocabulary.answers))) == (4212, 4212)
    assert vocabulary.ranked
    assert len(vocabulary.words) == len(set(vocabulary.words)) == 3746
    for part in PARTS:
        other = small().load(part, list(TASKS))
        assert other.vocabulary == vocabulary
        assert (other.answers >= 0).all()
        assert other.tasks.unique().tolist() == list(TASKS)
    assert set(all_responses()) == set(vocabulary.answers)


def test_out_of_vocabulary_words_are_in_no_other_part():
    def seen(part):
        return {word for story, question, _ in told(small().load(part, [2])) for line in [*story, question.split()]
                for word in line}  # fmt: skip

    oov = {*CUISINES[1], *LOCATIONS[1]}
    assert oov <= seen("test_oov")
    assert not oov & (seen("train") | seen("validation") | seen("test"))
    assert not {*CUISINES[0], *LOCATIONS[0]} & seen("test_oov")


def test_same_seed_same_dialogs_and_parts_share_none():
    texts = {part: make_dialogs(5, part, 50, 0) for part in PARTS}
    assert texts["train"] == make_dialogs(5, "train", 50, 0)
    assert texts["train"] != make_dialogs(5, "train", 50, 1)
    assert make_dialogs(5, "train", 80, 0).startswith(texts["train"])
    dialogs = [set(text.split("\n\n")) for text in texts.values()]
    assert len(set.union(*dialogs)) == sum(map(len, dialogs)) == 200


def test_sentences_say_who_said_them():
    story, question, answer = list(told(small().load("train", [1])))[2]
    assert [line[0] for line in story] == ["<user>", "<bot>", "<user>", "<bot>"]
    assert question == "<silence>"
    assert answer in (BOT["cuisine"], BOT["location"], BOT["people"], BOT["price"], BOT["search"])


def published(folder, tasks=TASKS, dialogs=60, seed=0):
    """Made dialogs in the files of the published ones."""
    folder = folder / "dialog" / FOLDER
    folder.mkdir(parents=True)
    (folder / CANDIDATES).write_text("".join(f"1 {one}\n" for one in all_responses()))
    for task in tasks:
        for part, ending in ENDINGS.items():
            path = folder / f"dialog-babi-task{task}-{FILES[task]}-{ending}.txt"
            path.write_text(make_dialogs(task, part, dialogs, seed))
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    published(folder, dialogs=12)
    return folder


@pytest.mark.parametrize("source", ["auto", "real"])
def test_files_are_read_as_they_were_written(source, files):
    for part in PARTS:
        real = DialogQuestions(source=source, data_dir=str(files)).load(part, [1, 3, 5])
        assert list(told(real)) == list(told(small(dialogs=12).load(part, [1, 3, 5])))
        assert real.source == "dialog bAbI"
        assert len(real.groups.unique()) == 36


def test_vocabulary_of_files_is_the_same_for_all_parts(files):
    data = DialogQuestions(data_dir=str(files))
    assert len({data.load(part, [2]).vocabulary for part in PARTS}) == 1
    assert set(LOCATIONS[1]) <= set(data.load("train", [2]).vocabulary.words)


BROKEN = [
    ("2 hi\thello how may i help you\n", r"line 1: expected the line's number 1, found '2'"),
    (
        "1 hi\thello how may i help you\n3 hi\thi\n",
        r"line 2: expected the line's number 2, or 1 for a new dialog, found",
    ),
    ("1 hi\n", r"line 1: expected what the user says, a tab and what the bot answers, or a fact such as .*found 'hi'"),
    ("1 hi\tgood day to you\n", r"line 1: 'good day to you' is not among the 4,212 things that a bot may say"),
    ("1 hi\t\n", r"line 1: expected something before and after one tab"),
    ("1 hi\ta\tb\n", r"line 1: expected something before and after one tab"),
    ("1 resto_a R_price\n", r"line 1: expected what the user says, a tab .* or a fact such as"),
    ("", r"is empty, expected dialogs"),
    ('{"dialog": []}\n', r"line 1: expected the line's number 1, found"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_broken_file_names_itself_the_line_and_what_was_expected(text, message, tmp_path):
    folder = published(tmp_path, [1], 2)
    (folder / "dialog-babi-task1-API-calls-dev.txt").write_text(text)
    with pytest.raises(DataError, match=message) as fault:
        DialogQuestions(data_dir=str(tmp_path)).load("train", [1])
    assert "dialog-babi-task1-API-calls-dev.txt" in str(fault.value)


@pytest.mark.parametrize(
    ("text", "message"), [("", "is empty, expected a number"), ("1 hi\nhello there\n", "line 2: expected a number and")]
)
def test_broken_candidates_are_named(text, message, tmp_path):
    (published(tmp_path, [1], 2) / CANDIDATES).write_text(text)
    with pytest.raises(DataError, match=message):
        DialogQuestions(data_dir=str(tmp_path)).load("train", [1])


def test_missing_task_is_named(tmp_path):
    published(tmp_path, [1], 2)
    with pytest.raises(DataError, match=r"dialog-babi-task2-API-refine-trn.txt is missing"):
        DialogQuestions(data_dir=str(tmp_path)).load("test", [2])


def test_file_that_is_not_text_is_named(tmp_path):
    (published(tmp_path, [1], 2) / "dialog-babi-task1-API-calls-tst.txt").write_bytes(b"1 hi\xff\thello\n")
    with pytest.raises(DataError, match=r"tst.txt is not text \(byte 4\)"):
        DialogQuestions(data_dir=str(tmp_path)).load("train", [1])


def test_real_dialogs_that_are_nowhere_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("LUKASA_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"not on this machine: put the folder dialog-bAbI-tasks .* in .*LUKASA_DATA"):
        DialogQuestions(source="real").load("train", [1])
    assert DialogQuestions(dialogs=2).load("train", [1]).source == "generated dialogs"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"source": "made"}, "source"), ({"dialogs": 0}, "dialogs"), ({"seed": -1}, "seed"), ({"tasks": 1}, "no option")],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(Exception, match=message):
        make_questions("dialog", **options)


@pytest.mark.parametrize("tasks", [[], [6], [1, 1]])
def test_wrong_tasks_are_refused(tasks):
    with pytest.raises(ValueError, match=r"dialog: tasks is .* expected different numbers among 1, 2, 3, 4, 5"):
        small().load("train", tasks)
    with pytest.raises(ValueError, match="part"):
        small().load("oov", [1])
