import json

import pytest

from lukasa.launch.cli import main
from lukasa.launch.cli.bench import SUBJECTS
from tests.launch.refusals import fails

TINY = {
    "slots": "16,32",
    "dense": "8,16",
    "batch": 2,
    "batch-slots": 16,
    "steps": 3,
    "repeats": 1,
    "empty": 64,
    "long": 32,
    "recall-slots": 32,
    "training": 1,
    "queries": 4,
}
TINY_WORDS = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "takes one subject: choose one of sparse, dictionary, cores, field"),
        (["sprase"], "did you mean 'sparse'?"),
        (["sparse", "--slots", "many"], "option --slots has 'many': expected whole numbers such as 1024,16384"),
        (["sparse", "--dense", "2^8,4"], "option --dense: a memory of 4 slots is too small to measure"),
        (["sparse", "--steps", "0"], "option --steps is 0: expected at least 1"),
        (["sparse", "--index", "exakt"], "did you mean 'exact'?"),
        (["sparse", "--run", "RUN"], "there is no run at RUN"),
        (["episodes", "--recipes", "omniglot_man"], "did you mean 'omniglot_mann'?"),
        (["field", "--steps", "0"], "option --steps is 0: expected at least 1"),
        (["field", "--batch", "0"], "option --batch has no size of at least 1"),
        (["field", "--cores", "gur"], "did you mean 'gru'?"),
        (["episodes", "--batches", "0"], "option --batches is 0: expected at least 1"),
    ],
)
def test_bad_word_is_one_sentence_with_what_was_expected(capsys, argv, sentence):
    assert sentence in fails(capsys, "bench", *argv)


@pytest.mark.parametrize("option", ["slots", "batch-slots", "long", "recall-slots"])
def test_size_that_does_not_fit_is_refused_before_anything_is_measured(capsys, option):
    assert "GiB are free: ask for less" in fails(capsys, "bench", "sparse", "--quick", f"--{option}", str(2**36))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_has_options_of_its_own(capsys, subject):
    own = {"defaults": ("--repot", "--report"), "models": ("--tabel", "--table")}
    typed, meant = own.get(subject, ("--jsn", "--json"))
    assert f"did you mean '{meant}'?" in fails(capsys, "bench", subject, typed)


def test_help_tells_the_subjects(capsys):
    assert main(["bench", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"lukasa bench {subject}" in shown for subject in SUBJECTS)


def test_file_as_folder_is_refused(capsys, tmp_path):
    (tmp_path / "file").touch()
    assert "is a file: choose a folder" in fails(capsys, "bench", "sparse", "--out", str(tmp_path / "file"))


@pytest.mark.slow
def test_sparse_measures_prints_and_saves(capsys, tmp_path):
    assert main(["bench", "sparse", "--quick", *TINY_WORDS, "--json", "--out", str(tmp_path / "new")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["notes"] == []
    assert [row["slots"] for row in result["times"]] == [16, 32]
    assert [row["slots"] for row in result["dense_times"]] == [8, 16]
    assert [(row["core"], row["slots"]) for row in result["memory"]] == [
        ("ntm", 8),
        ("ntm", 16),
        ("sam", 16),
        ("sam", 32),
    ]
    assert [row["extrapolated"] for row in result["against_dense"]["time"]] == [False, True]
    assert {row["index"] for row in result["recall"]} >= {"exact", "lsh"}
    assert result["long_run"]["steps"] == 9  # 32 slots at 4 a step are full within the third sequence
    assert json.loads((tmp_path / "new" / "sparse.json").read_text()) == result
    page = (tmp_path / "new" / "sparse.md").read_text()
    assert "| 32 |" in page
    assert {"time.png", "memory.png"} <= {path.name for path in (tmp_path / "new").iterdir()}


@pytest.mark.slow
def test_episodes_are_measured_beside_training(capsys):
    recipes = "omniglot_lstm,omniglot_prototypical"
    words = ["--recipes", recipes, "--batches", "2", "--warm-up", "1", "--source", "generated"]
    assert main(["bench", "episodes", *words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["recipe"] for row in rows] == ["omniglot_lstm", "omniglot_prototypical"]
    assert all("generated" in row["data"] for row in rows)
    assert all(0 < row["share"] < 1 and row["draw_ms"] < row["step_ms"] for row in rows)
    assert main(["bench", "episodes", *words]) == 0
    assert "omniglot_prototypical" in capsys.readouterr().out
