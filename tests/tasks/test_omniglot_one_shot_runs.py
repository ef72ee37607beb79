"""The official one-shot runs: an archive of the same layout, its answers, and how its error is taken."""

import numpy as np
import pytest
import torch

from lukasa.tasks.data import DataError
from lukasa.tasks.one_shot_runs import nearest_pixels, one_shot_error, read_one_shot_runs
from tests.tasks.drawn import bits, png, put, zipped

RUNS, CLASSES = 20, 4

ANSWERS = [np.random.default_rng(run).permutation(CLASSES).tolist() for run in range(1, RUNS + 1)]
"""Of each run, which training drawing each test drawing is of."""


def make_runs(prefix: str = "") -> dict[str, bytes]:
    """An archive's contents: each test drawing is its training drawing with some pixels turned over."""
    contents: dict[str, bytes] = {}
    for run, answers in enumerate(ANSWERS, 1):
        name = f"run{run:02d}"
        lines = []
        for item, answer in enumerate(answers, 1):
            test, training = f"{name}/test/item{item:02d}.png", f"{name}/training/class{answer + 1:02d}.png"
            drawing = bits(100 * run + answer)
            contents[prefix + training] = png(drawing)
            contents[prefix + test] = png(drawing ^ (bits(17000 + 100 * run + item) & bits(9000 + item)))
            lines.append(f"{test} {training}\n")
        # Not in the order of the test drawings: names decide.
        contents[f"{prefix}{name}/class_labels.txt"] = "".join(reversed(lines)).encode()
    return contents


CONTENTS = make_runs()


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "all_runs.zip").write_bytes(zipped(CONTENTS))
    return tmp_path / "all_runs.zip"


def test_archive_gives_every_run_with_its_answers(archive):
    runs = read_one_shot_runs(archive, 105)
    assert [run.name for run in runs] == [f"run{number:02d}" for number in range(1, 21)]
    assert [run.answers.tolist() for run in runs] == ANSWERS
    assert torch.equal(runs[2].training[1], torch.from_numpy(bits(301)).float())
    assert runs[0].test.shape == (CLASSES, 105, 105)


@pytest.mark.parametrize("prefix", ["", "all_runs/"])
def test_unpacked_folder_serves_for_the_archive_with_or_without_a_folder_around(tmp_path, prefix):
    put(tmp_path / "runs", CONTENTS if not prefix else make_runs(prefix))
    assert [run.answers.tolist() for run in read_one_shot_runs(tmp_path / "runs")] == ANSWERS


def test_nearest_pixels_makes_no_error_where_drawings_differ_little(archive):
    assert one_shot_error(nearest_pixels, read_one_shot_runs(archive, 105)) == (0.0, [0.0] * 20)


def test_error_is_the_mean_over_runs_of_each_runs_error(archive):
    runs = read_one_shot_runs(archive)
    mean, each = one_shot_error(lambda training, test: torch.zeros(len(test), dtype=torch.int64), runs)
    assert each == [75.0] * 20
    assert mean == 75.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run07/class_labels.txt": None}, r"has 19 of 20 runs, run07/class_labels.txt is missing"),
        ({"run07/test/item02.png": None}, r"run07/class_labels.txt names test/item02.png, which is missing"),
        ({"run07/training/class01.png": b"no"}, r"run07/training/class01.png holds 2 bytes that are no picture"),
        ({"run07/class_labels.txt": b""}, r"run07/class_labels.txt is empty, expected a test and a training drawing"),
        ({"run07/class_labels.txt": b"1 2\n"}, r"class_labels.txt, line 1: expected 'run07/test/item01.png run07/tr"),
    ],
)
def test_hole_or_damage_is_named(tmp_path, change, message):
    contents = {name: content for name, content in (CONTENTS | change).items() if content is not None}
    (tmp_path / "all_runs.zip").write_bytes(zipped(contents))
    with pytest.raises(DataError, match=message):
        read_one_shot_runs(tmp_path / "all_runs.zip")


def test_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "all_runs.zip").write_bytes(b"not one")
    with pytest.raises(DataError, match=r"all_runs.zip is no zip archive .*: it is cut short or another file"):
        read_one_shot_runs(tmp_path / "all_runs.zip")
    with pytest.raises(DataError, match=r"elsewhere.zip is not there"):
        read_one_shot_runs(tmp_path / "elsewhere.zip")
