"""``lukasa bench lifelong``: what it learns, asks and counts, and what it refuses."""

import json

import pytest
import torch

from lukasa.benchmarks.class_memories import Drawings, Queries, filled_twice, many_like, race
from lukasa.benchmarks.lifelong import accuracies
from lukasa.launch.cli import main
from lukasa.launch.runs.directory import Run, open_run
from tests.launch.refusals import fails

DATA = "--source generated --part background_small1 --size 16 --options.channels 4"


def drawn(characters: int = 12, spread: float = 0.4) -> Drawings:
    """Characters around points of their own, every third one new."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(characters, 1, 8, generator=generator)
    embeddings = points + spread * torch.randn(characters, 20, 8, generator=generator)
    return Drawings("points", embeddings, torch.arange(characters) % 3 == 0)


def percent_right(known, queries):
    """Of nearest means in double precision, by class: [C, D] and [C, M, D] -> [C]."""
    found = torch.cdist(queries.double(), known.double()).argmin(-1)
    return 100 * (found == torch.arange(len(known))[:, None]).double().mean(1)


def test_accuracy_is_of_the_other_drawings_and_of_the_new_ones_apart():
    drawings = drawn(spread=1.0)
    rows = accuracies(drawings, 5)
    assert [(row["keep"], row["index"], row["stored"]) for row in rows] == [
        ("means", "exact", 12),
        ("means", "faiss", 12),
        ("instances", "exact", 60),
        ("instances", "faiss", 60),
    ]
    means, others, new = drawings.embeddings[:, :5].mean(1), drawings.embeddings[:, 5:], drawings.new
    expected = percent_right(means, others)
    assert rows[0]["all"] == pytest.approx(float(expected.mean()))
    assert rows[0]["all_half_interval"] == pytest.approx(1.96 * float(expected.std()) / 12**0.5)
    assert rows[0]["new"] == pytest.approx(float(expected[new].mean()))
    assert rows[0]["new_alone"] == pytest.approx(float(percent_right(means[new], others[new]).mean()))
    assert rows[0]["new"] < rows[0]["new_alone"] < 100


def test_one_drawing_is_its_own_mean_and_measured_once():
    assert [row["keep"] for row in accuracies(drawn(), 1)] == ["means", "means"]


def test_very_many_embeddings_lie_between_learned_ones_of_their_character():
    drawings = drawn()
    made, classes = many_like(drawings, 10, 500, seed=0)
    assert len({tuple(row) for row in made.tolist()}) == 500
    assert classes.bincount().tolist() == [42] * 8 + [41] * 4
    nearest = torch.cdist(made, drawings.embeddings[:, :10].flatten(0, 1)).argmin(1) // 10
    assert (nearest == classes).double().mean() > 0.95


def test_race_counts_right_answers_and_times_every_memory():
    drawings = drawn()
    embeddings, truth = drawings.others(10)
    rows = race("drawings", filled_twice(*drawings.learned(10), "instances"), Queries(embeddings, truth, 4, 7))
    assert [(row["index"], row["stored"]) for row in rows] == [("exact", 120), ("faiss", 120)]
    assert rows[0]["as_exact"] == 100
    assert rows[0]["right"] > 90
    assert all(0 < row["low"] <= row["ms"] for row in rows)
    shifted = race("drawings", filled_twice(*drawings.learned(10), "instances"), Queries(embeddings, truth + 1, 4, 7))
    assert shifted[0]["right"] < 10


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small Prototypical Network after two batches."""
    run = Run(tmp_path_factory.mktemp("runs") / "run", "episodes")
    small = f"{DATA} --ways 3 --queries 2 --report-every 1 --steps 2"
    assert main(["train", "few-shot", *small.split(), "--out", str(run.path)]) == 0
    return run


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--shots 1,20", "option --shots has 20: a character has 20 drawings, and one has to be left to name"),
        ("--shots few", "option --shots has 'few': expected whole numbers"),
        ("--characters 9", "option --characters is 9: expected at least 10"),
        ("--characters 2000", "option --characters is 2000: Omniglot has 1623"),
        ("--at-once 0", "option --at-once is 0: expected at least 1"),
        ("--stored 999999999999", "GiB are free: ask for less with --stored"),
        ("--source unreal", "option --source is 'unreal': choose one of"),
    ],
)
def test_bad_word_is_one_sentence_with_what_was_expected(capsys, trained, words, sentence):
    capsys.readouterr()  # what the training of the fixture said
    assert sentence in fails(capsys, "bench", "lifelong", "--run", str(trained.path), *words.split()).removeprefix(
        "lukasa: "
    )


def test_missing_run_is_one_sentence(capsys, tmp_path):
    assert "--run is missing: give the folder" in fails(capsys, "bench", "lifelong")
    assert "there is no run at" in fails(capsys, "bench", "lifelong", "--run", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("kind", "part", "sentence"),
    [
        ("task", "train", "is no learner of shots"),
        ("few-shot", "test", "was trained on part 'test': take a run that left characters out"),
        ("few-shot", "all", "was trained on part 'all'"),
    ],
)
def test_run_that_cannot_serve_is_refused(capsys, trained, tmp_path, kind, part, sentence):
    _, config = open_run(trained.path)
    other = config | {"kind": kind, "experiment": config["experiment"] | {"part": part}}
    (tmp_path / "config.json").write_text(json.dumps(other))
    (tmp_path / "checkpoints").symlink_to(trained.checkpoints)
    assert sentence in fails(capsys, "bench", "lifelong", "--run", str(tmp_path))


def test_learner_that_compares_no_embeddings_is_refused(capsys, tmp_path):
    words = f"{DATA} --learner maml --ways 2 --queries 1 --report-every 1 --steps 1 --out {tmp_path / 'maml'}"
    assert main(["train", "few-shot", *words.split()]) == 0
    told = fails(capsys, "bench", "lifelong", "--run", str(tmp_path / "maml"))
    assert "does not compare embeddings: take a run of 'prototypical'" in told


def test_lifelong_measures_prints_and_saves(capsys, trained, tmp_path):
    capsys.readouterr()
    sizes = "--characters 20 --shots 1,3 --stored 200 --timed 3 --at-once 2"
    words = ["bench", "lifelong", "--run", str(trained.path), *sizes.split(), "--out", str(tmp_path / "new")]
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "new" / "lifelong.json").read_text()) == result
    assert (result["characters"], result["new"], result["trained_on"]) == (20, 8, "background_small1")
    assert result["data"].startswith("generated strokes (all, 1,623 characters)")
    assert [(row["shots"], row["stored"]) for row in result["accuracy"]] == [(1, 20)] * 2 + [(3, 20)] * 2 + [
        (3, 60)
    ] * 2
    assert [(row["what"], row["stored"]) for row in result["times"]] == [
        (what, size) for what, size in (("means", 20), ("drawings", 60), ("made of drawings", 200)) for _ in range(2)
    ]
    assert all(row["all"] > 100 / 20 for row in result["accuracy"])
    page = (tmp_path / "new" / "lifelong.md").read_text()
    assert "| learned | kept | stored | index | 20-way % | new, 20-way % | new, 8-way % |" in page
    assert main(words) == 0
    assert "Time of a query" in capsys.readouterr().out
