"""Options out of dataclasses: what a command line says, and what the help says about it."""

import dataclasses
import doctest
import json
import re
import subprocess
import sys
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

import lukasa.launch.kinds.described
import lukasa.launch.options.described
import lukasa.launch.options.help
import lukasa.launch.options.kept_tables
import lukasa.launch.options.words
from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.cli import main
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT, SEQUENCE_RECIPES
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.kinds.table import KINDS, kind_of
from lukasa.launch.options.describing import kind_of_row
from lukasa.launch.options.fields import Switch, options_of
from lukasa.launch.options.help import Page
from lukasa.launch.options.parsing import parse
from lukasa.launch.options.words import as_pairs, as_word, read_pairs, read_value
from lukasa.launch.training.requests import read_request, train_page


@dataclass(frozen=True)
class Inner:
    """Inside.

    Attributes:
        size: how large it is.
    """

    size: int = 3


@dataclass(frozen=True)
class Everything:
    """One option of each type.

    Attributes:
        count: a whole number.
    """

    count: int = 1
    rate: float = 0.5
    name: str = "x"
    place: Path = Path("here")
    kind: Literal["one", "two"] = "one"
    flag: bool = True
    given: Switch = False
    most: int | None = None
    many: tuple[int, ...] = (1,)
    inner: Inner = field(default_factory=Inner)
    settings: dict[str, Any] = field(default_factory=dict)


def read(*argv):
    return parse(Everything, argv, prog="lukasa everything")


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--count", "-7"], "count", -7),
        (["--count=1e6"], "count", 1_000_000),
        (["--rate", "-1e-3"], "rate", -0.001),
        (["--rate", ".5"], "rate", 0.5),
        (["--name=--x"], "name", "--x"),
        (["--name", ""], "name", ""),
        (["--place", "a b"], "place", Path("a b")),
        (["--kind", "two"], "kind", "two"),
        (["--no-flag"], "flag", False),
        (["--no-flag", "--flag"], "flag", True),
        (["--flag", "false"], "flag", False),
        (["--given"], "given", True),
        (["--most", "4"], "most", 4),
        (["--most", "None"], "most", None),
        (["--many", "1", "-2"], "many", (1, -2)),
        (["--inner.size", "5"], "inner", Inner(5)),
        (["--count", "1", "--count", "2"], "count", 2),
        (["--settings", "a", "1", "--count", "2", "--settings", "b=x", "a", "2"], "settings", {"a": 2, "b": "x"}),
    ],
)
def test_words_become_values_of_the_options_type(argv, name, value):
    found = getattr(read(*argv), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--count", "1.5"], "option --count is '1.5': expected a whole number"),
        (["--count", "1e400"], "expected a whole number"),
        (["--rate", "nan"], "option --rate is nan: expected a finite number"),
        (["--rate", "1e999"], "expected a finite number"),
        (["--count"], "option --count needs a value"),
        (["--count", "--rate", "1"], "option --count needs a value"),
        (["--count", "1", "2"], "option --count takes one value, got 2: 1 2"),
        (["--kind", "three"], "option --kind is 'three': choose one of 'one', 'two'"),
        (["--given", "yes"], "option --given takes no value, got 'yes'"),
        (["--no-given"], "unknown option '--no-given': did you mean '--given'?"),
        (["--many"], "option --many needs one value or more"),
        (["--size", "3"], "unknown option '--size': did you mean '--inner.size'?"),
        (["-c", "3"], "unknown option '-c'"),
        (["word"], "unexpected word 'word': options begin with --"),
        (["--settings"], "option --settings needs settings"),
        (["--settings", "a"], "option --settings a has no value"),
        (["--settings", "a", "1", "2", "3"], "has '2' where the name of a setting belongs"),
        (["--settings", "a", "inf"], "option --settings a is inf: expected a finite number"),
        (["--settings", "a", "[1, 2"], "option --settings a cannot be read"),
        (["--settings", "a", "--count", "1"], "option --settings a has no value"),
    ],
)
def test_bad_words_are_one_sentence(argv, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        read(*argv)


def test_unknown_option_among_many_is_not_answered_with_all_of_them():
    with pytest.raises(UserError, match=r"^unknown option '-x': --help lists the options$"):
        read_request(TASK, ["--task", "copy", "-x"])
    assert nearest("x", map(str, range(100))) == "known are " + ", ".join(map(str, range(40))) + " and 60 more"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("None", None),
        ("7", 7),
        ("-7", -7),
        ("1e-3", 0.001),
        ("-.5", -0.5),
        ("4x4", "4x4"),
        ("tRue", "tRue"),
        ('"true"', "true"),
        ("'7'", "7"),
        ('"--x"', "--x"),
        ("[1, -2.5, true, null]", [1, -2.5, True, None]),
        ("(1, 2)", [1, 2]),
        ("[True, 'a']", [True, "a"]),
        ('{"a": {"b": [1, false]}}', {"a": {"b": [1, False]}}),
        ("module:Name-v0", "module:Name-v0"),
        ("", ""),
    ],
)
def test_words_are_typed_as_in_json_or_python(word, value):
    found = read_value("x", word)
    assert found == value
    assert type(found) is type(value)
    assert read_value("x", as_word(found)) == found


@pytest.mark.parametrize(
    "word", ["inf", "-inf", "nan", ".inf", "1e999", "[1", "{1: 2}", "[1e999]", "yes", "OFF", "{'a'}"]
)
def test_words_that_could_mean_two_things_are_refused(word):
    with pytest.raises(UserError):
        read_value("x", word)
    assert read_value("x", as_word(word)) == word  # as text, in quotes


def test_settings_come_back_from_their_words():
    settings = {
        "slippery": False,
        "name": "4x4",
        "text": "true",
        "none": None,
        "map": ["SF", "HG"],
        "deep": {"a": [1.5]},
    }
    assert read_pairs("--x", as_pairs(settings)) == settings


@pytest.mark.parametrize("kind", [RL, TASK, FEW_SHOT], ids=lambda kind: kind.name)
def test_page_has_examples_first_and_every_option_in_one_group(kind):
    experiment = kind.experiment()
    options = [one for one in options_of(kind.experiment, experiment) if not one.is_pairs]
    page = train_page(kind)
    grouped = [one.name for _, some in page.grouped(options) for one in some]
    assert sorted(grouped) == sorted(one.name for one in options)
    lines = page.lines(options)
    assert lines.index("Examples") < lines.index("What to train") < lines.index("Learning")
    known = {one.name for one in dataclasses.fields(kind.experiment)}
    for names in kind.sections.values():
        assert set(names) <= known


def test_page_shows_what_follows_an_option_and_its_default():
    text = "\n".join(Page("lukasa everything", "one of each").lines(options_of(Everything, Everything())))
    assert "One of each." in text
    assert re.search(r"--count N +A whole number. \[1\]", text)
    assert "--kind one|two" in text
    assert "--flag, --no-flag" in text
    assert "--no-given" not in text
    assert "--settings NAME VALUE ..." in text


LETTER = re.compile(r"(\S|of|the same|how many|as many)[ ,;.:]")


def texts():
    """Every option of the command line with its help."""
    for kind in (kind_of(name).experiments for name in KINDS):
        for one in options_of(kind.experiment, kind.experiment()):
            yield f"{kind.name} {one.name}", one.text
    for sort, things in lukasa.launch.options.described.table().items():
        for name, row in things.items():
            for option in row.get("options", ()):
                yield f"{sort} {name} {option['name']}", option["help"]


def test_every_option_says_what_it_does():
    said = dict(texts())
    assert len(said) > 300
    assert [name for name, text in said.items() if LETTER.match(text) or len(text.split()) < 3] == []


def test_table_says_what_the_living_things_say():
    kept = lukasa.launch.options.described.table()
    assert kept == json.loads(json.dumps(lukasa.launch.options.described.build_table()))
    for sort in ("cores", "tasks", "learners", "indexes", "algorithms"):
        for name in kept[sort]:
            for row in kept[sort][name]["options"]:
                kind_of_row(row)


def test_table_is_made_anew_when_a_source_changes(monkeypatch, tmp_path):
    place = tmp_path / "table.json"
    monkeypatch.setattr(lukasa.launch.options.kept_tables, "places", lambda name: [place])
    monkeypatch.setattr(lukasa.launch.options.described, "build_table", lambda: {"cores": {"old": {}}})
    lukasa.launch.options.described.table.cache_clear()
    assert lukasa.launch.options.described.table() == {"cores": {"old": {}}}
    monkeypatch.setattr(lukasa.launch.options.described, "build_table", lambda: {"cores": {"new": {}}})
    lukasa.launch.options.described.table.cache_clear()
    assert lukasa.launch.options.described.table() == {"cores": {"old": {}}}
    monkeypatch.setattr(lukasa.launch.options.kept_tables, "fingerprint", lambda sources: "another")
    lukasa.launch.options.described.table.cache_clear()
    assert lukasa.launch.options.described.table() == {"cores": {"new": {}}}
    place.write_text("{")
    lukasa.launch.options.described.table.cache_clear()
    assert lukasa.launch.options.described.table() == {"cores": {"new": {}}}
    lukasa.launch.options.described.table.cache_clear()


@pytest.mark.parametrize(
    "argv",
    [
        ["list"],
        ["list", "cores"],
        ["train", "rl", "--help"],
        ["train", "task", "--core", "sam", "--help"],
        ["train", "few-shot", "--help"],
        ["eval", "--help"],
        ["plot", "--help"],
        ["view", "--help"],
        ["tune", "--help"],
        ["train", "rl", "--stpes", "3"],
        ["train", "task", "--task", "cpoy"],
    ],
    ids=" ".join,
)
def test_screens_and_typos_import_nothing_that_takes_seconds(argv):
    lukasa.launch.options.described.table()  # made when it is first asked for, by what is slow
    lukasa.launch.kinds.described.table()
    code = (
        f"import sys\nfrom lukasa.launch.cli import main\ntry: main({argv!r})\nexcept SystemExit: pass\n"
        "sys.exit(' '.join({'torch', 'ray', 'gymnasium', 'numpy', 'matplotlib', 'rich'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_overview_is_one_screen_and_names_the_words_that_list_each(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80
    from lukasa.launch.cli.listing import LISTS

    assert {found[1] for line in lines if (found := re.search(r"lukasa list (\w+)", line))} == set(LISTS)


def test_examples_in_docstrings_hold():
    for module in (lukasa.launch.options.words, lukasa.launch.options.help):
        assert doctest.testmod(module, extraglobs={"Any": typing.Any}).failed == 0


def test_recipes_of_sequences_are_those_of_omniglot():
    assert {name for name, recipe in TASK.recipes.items() if recipe().task == "omniglot"} == set(SEQUENCE_RECIPES)
