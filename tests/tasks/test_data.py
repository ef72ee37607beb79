"""Real data is found, downloaded whole or not at all, and refused where it is damaged."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lukasa.tasks import data
from lukasa.tasks.babi_files import WORDS, read_stories, task_text
from lukasa.tasks.babi_stories import TELLERS, tell
from lukasa.tasks.data import DATA_SETS, DataError, DataFile, DataSet, locate, read_text
from lukasa.tasks.known_graphs import london

CONTENT = b"one,two\n1,2\n"

REAL = pytest.mark.skipif(not os.environ.get("LUKASA_DATA"), reason="$LUKASA_DATA does not name the real data")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A data set of one small file, with its home on this machine; every usual place is empty."""
    source = tmp_path / "home" / "toy.csv"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    file = DataFile("toy.csv", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), source.as_uri())
    monkeypatch.setitem(DATA_SETS, "toy", DataSet("toy", "a toy", "http://localhost/toy", "none", (file,)))
    monkeypatch.delenv("LUKASA_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return source


def set_file(monkeypatch, **changes) -> None:
    toy = DATA_SETS["toy"]
    monkeypatch.setitem(DATA_SETS, "toy", replace(toy, files=(replace(toy.files[0], **changes),)))


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True)
    (folder / "toy.csv").write_bytes(content)
    return folder / "toy.csv"


def test_named_folder_comes_before_the_variable_and_that_before_the_cache(toy, tmp_path, monkeypatch):
    cached = put(tmp_path / "cache" / "lukasa" / "toy")
    assert locate("toy", "toy.csv") == cached
    shared = put(tmp_path / "shared")
    monkeypatch.setenv("LUKASA_DATA", str(tmp_path / "shared"))
    assert locate("toy", "toy.csv") == shared
    mine = put(tmp_path / "mine" / "toy")
    assert locate("toy", "toy.csv", str(tmp_path / "mine")) == mine


def test_download_lands_in_the_cache_under_its_own_name_alone(toy, tmp_path):
    path = locate("toy", "toy.csv")
    assert path == tmp_path / "cache" / "lukasa" / "toy" / "toy.csv"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["toy.csv"]


@pytest.mark.parametrize("content", [CONTENT[:-3], CONTENT + b"more", CONTENT.replace(b"1", b"7")])
def test_download_of_another_file_leaves_nothing(toy, tmp_path, content):
    toy.write_bytes(content)
    with pytest.raises(DataError, match="cut short or another file"):
        locate("toy", "toy.csv")
    assert not list((tmp_path / "cache").rglob("*.csv*"))


def test_failed_download_says_what_to_put_where(toy, tmp_path):
    toy.unlink()
    place = tmp_path / "cache" / "lukasa" / "toy" / "toy.csv"
    with pytest.raises(DataError, match="could not be downloaded") as fault:
        locate("toy", "toy.csv")
    assert f"put it at {place} (from http://localhost/toy), or name its folder with LUKASA_DATA" in str(fault.value)


def test_file_without_a_download_says_what_to_put_where(toy, tmp_path, monkeypatch):
    set_file(monkeypatch, url="")
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match=r"toy\.csv of a toy is not on this machine: put it at ") as fault:
        locate("toy", "toy.csv", str(tmp_path / "mine"))
    assert str(tmp_path / "mine" / "toy" / "toy.csv") in str(fault.value)


def test_truncated_file_is_refused_with_both_sizes(toy, tmp_path):
    path = put(tmp_path / "mine", CONTENT[:5])
    with pytest.raises(DataError, match=f"{path} has 5 bytes, expected 12: it is cut short or another file"):
        locate("toy", "toy.csv", str(tmp_path / "mine"))


def test_changed_file_is_refused_by_its_checksum(toy, tmp_path):
    put(tmp_path / "mine", CONTENT.replace(b"1", b"7"))
    with pytest.raises(DataError, match="has other contents than expected"):
        locate("toy", "toy.csv", str(tmp_path / "mine"))


def test_folder_that_is_not_there_is_refused(toy, tmp_path):
    with pytest.raises(DataError, match=r"the data folder .* does not exist"):
        locate("toy", "toy.csv", str(tmp_path / "nowhere"))


def test_every_set_says_where_it_is_from_and_under_what_licence():
    for name, data_set in DATA_SETS.items():
        assert data_set.name == name
        assert data_set.home.startswith("https://")
        assert data_set.licence
        assert all(len(file.sha256) == 64 and file.size > 0 for file in data_set.files)


BROKEN = [
    ("", "is empty, expected bAbI stories"),
    ("2 Mary left.\n", "line 1: expected the sentence's number 1, found '2'"),
    ("1 Mary left.\n3 Mary left.\n", "line 2: expected the sentence's number 2, or 1 for a new story, found '3'"),
    ("Mary left.\n", "line 1: expected the sentence's number 1, found 'Mary'"),
    ("1 Mary left.\n2 Mary le", "line 2: expected a sentence that ends in '.' or '?', found 'Mary le'"),
    ("1 Where is Mary?\tgar", "line 1: expected a question, its answer and its evidence between tabs"),
    ("1 Mary left.\tgarden\t1\n", "line 1: expected a question, its answer and its evidence between tabs"),
    (
        "1 Mary left.\n2 Where is Mary?\tgarden\t0\n",
        "line 2: expected numbers of sentences before this one as evidence",
    ),
    (
        "1 Mary left.\n2 Where is Mary?\tgarden\t2\n",
        "line 2: expected numbers of sentences before this one as evidence",
    ),
    (
        "1 Mary left.\n2 Where is Mary?\tgarden\tx\n",
        "line 2: expected numbers of sentences before this one as evidence",
    ),
    ("1 Mary sang.\n", "line 1: 'sang' is not among the words of the bAbI tasks"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_broken_story_names_file_line_and_what_was_expected(text, message):
    with pytest.raises(DataError) as fault:
        read_stories(text, "some/file.txt")
    assert str(fault.value).startswith("some/file.txt")
    assert message in str(fault.value)


def test_answers_of_several_words_have_as_many_placeholders():
    told = "1 The garden is north of the office.\n2 The kitchen is west of the office.\n"
    [story] = read_stories(f"{told}3 How do you go from the garden to the kitchen?\ts,w\t1 2\n", "file")
    assert [WORDS[word] for word in story.words[-3:]] == ["?", "-", "-"]
    assert [WORDS[answer] for answer in story.answers if answer >= 0] == ["s", "w"]


@pytest.mark.parametrize("task", TELLERS)
def test_made_stories_repeat_by_seed(task):
    assert tell(task, 3, "0") == tell(task, 3, "0") != tell(task, 3, "1")


def test_tables_of_the_map_name_the_line_where_a_value_is_missing(tmp_path, monkeypatch):
    contents = {
        "london.stations.csv": b"id,zone\n1,1\n2,\n",
        "london.connections.csv": b"station1,station2,line\n1,2,3\n",
    }
    files = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        files.append(DataFile(name, len(content), hashlib.sha256(content).hexdigest()))
    monkeypatch.setitem(DATA_SETS, "london_tube", replace(DATA_SETS["london_tube"], files=tuple(files)))
    with pytest.raises(DataError, match=r"london.stations.csv, line 3: expected a value in the column 'zone'"):
        london(str(tmp_path))


def test_unpacked_distribution_serves_for_the_archive(tmp_path):
    folder = tmp_path / "babi" / "tasks_1-20_v1-2" / "en"
    folder.mkdir(parents=True)
    (folder / "qa1_single-supporting-fact_train.txt").write_text("1 Mary left.\n", encoding="utf-8")
    assert task_text(1, "en", "train", str(tmp_path)) == (
        str(folder / "qa1_single-supporting-fact_train.txt"),
        "1 Mary left.\n",
    )


@REAL
def test_real_vocabulary_is_ours():
    seen = set()
    for task in range(1, 21):
        for part in ("train", "test"):
            where, text = task_text(task, "en", part)
            for story in read_stories(text, where):
                seen.update(story.words, (answer for answer in story.answers if answer >= 0))
    assert seen == set(range(len(WORDS)))
    assert len(WORDS) == 159


@REAL
def test_missing_member_of_the_archive_says_what_to_do():
    folder = Path(os.environ["LUKASA_DATA"]) / "babi" / "tasks_1-20_v1-2"
    if folder.exists():
        pytest.skip("the whole distribution is there")
    with pytest.raises(DataError, match=r"lacks .*qa3_three-supporting-facts_train\.txt: leave task 3 out, use"):
        task_text(3, "en-10k", "train")


@REAL
def test_central_london_is_as_documented():
    graph, _ = london()
    assert int((graph.targets >= 0).sum()) == 230
    assert data.DATA_SETS["london_tube"].files[0].size == 5113


def test_text_may_begin_with_the_mark_of_an_editor_and_is_else_refused(tmp_path):
    path = tmp_path / "some.txt"
    path.write_bytes("\ufeff1 Mary moved".encode())
    assert read_text(path) == "1 Mary moved"
    path.write_bytes(b"1 M\xffary")
    with pytest.raises(DataError, match=r"some\.txt is not text \(byte 3\): it is damaged, get the file anew"):
        read_text(path)
    with pytest.raises(DataError, match=r"none\.txt is missing: get it anew from home"):
        read_text(tmp_path / "none.txt", " from home")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_text(tmp_path)
