"""Files of points: what is read, and one sentence for what cannot be."""

import numpy as np
import pytest

from lukasa.tasks.data import DataError
from lukasa.tasks.pointing import fitted, read_points


def written(folder, text, name="points.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_sets_have_an_empty_line_between_them(tmp_path):
    path = written(tmp_path, "x,y\n0.1, 0.2\n0.3,0.4\n0.5,0.1\n\n\n0,0\n1,0\n1,1\n0.5,1\n")
    assert [one.tolist() for one in read_points(path, 3)] == [
        [[0.1, 0.2], [0.3, 0.4], [0.5, 0.1]],
        [[0, 0], [1, 0], [1, 1], [0.5, 1]],
    ]


def test_arrays_of_one_set_or_several(tmp_path):
    points = np.random.default_rng(0).random((2, 4, 2))
    np.savez(tmp_path / "one.npz", points=points[0])
    np.savez(tmp_path / "two.npz", points=points)
    assert np.array_equal(read_points(tmp_path / "one.npz", 3), points[:1])
    assert np.array_equal(read_points(tmp_path / "two.npz", 3), points)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no points: expected a point x,y on each line"),
        ("0.1,0.1\n0.2,0.5\n", "line 2: ends a set of 2 points: expected at least 3"),
        ("0,0\n1,0\n1,1\n\n0,0\n", "line 5: ends a set of 1 points: expected at least 3"),
        ("0,0\n1,0\n1,", "line 3: '1,' is no point: expected two numbers, x,y"),
        ("0,0\n1,0,3\n1,1", "line 2: '1,0,3' is no point"),
        ("0,0\n1,zero\n1,1", "line 2: '1,zero' is no point"),
        ("0,0\n1,nan\n1,1", "line 2: (1, nan) is no point: expected finite numbers"),
        ("0,0\n1,0\n12,1", "line 3: (12, 1) is outside the unit square, from which models learn: add --fit"),
        ("0,0\n1,0\n0.5,1\n1,0", "line 4: is the same point as"),
        ("0,0\n0.5,0.5\n1,1", "line 3: ends a set whose points all lie on one line"),
        ("0.1,0.3\n0.2,0.6\n0.3,0.9", "line 3: ends a set whose points all lie on one line"),
    ],
)
def test_bad_files_are_one_sentence_with_the_line(tmp_path, text, sentence):
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_points(path, 3)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_for_fewer_points_takes_them(tmp_path):
    path = written(tmp_path, "0.1,0.1\n\n0.1,0.1\n0.2,0.5\n")
    assert [len(one) for one in read_points(path, 1)] == [1, 2]
    with pytest.raises(DataError, match=r"line 3: \(nan, 1\) is no point"):
        read_points(written(tmp_path, "0,0\n12,5\nnan,1\n", "nan.csv"), 1, fit=True)


def test_arrays_cut_short_or_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "points.npz"
    np.savez(path, points=np.random.default_rng(0).random((50, 4, 2)))
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match="cut short"):
        read_points(path, 3)
    np.savez(path, corners=np.zeros((4, 2)))
    with pytest.raises(DataError, match="has no array 'points': it has corners"):
        read_points(path, 3)
    np.savez(path, points=np.zeros((4, 3)))
    with pytest.raises(DataError, match="expected numbers"):
        read_points(path, 3)
    with pytest.raises(DataError, match=r"expected a file of points, \.csv or \.npz"):
        read_points(tmp_path / "points.txt", 3)
    with pytest.raises(DataError, match="cannot be read"):
        read_points(tmp_path / "missing.csv", 3)


def test_fitted_points_keep_their_angles(tmp_path):
    path = written(tmp_path, "10,10\n30,10\n30,20\n")
    assert read_points(path, 3, fit=True)[0].tolist() == [[0, 0.25], [1, 0.25], [1, 0.75]]
    points = np.random.default_rng(0).random((6, 2)) * [5, 900] - 40
    moved = fitted(points)
    assert moved.min() == 0
    assert moved.max() == 1
    ratio = np.linalg.norm(points[0] - points[1]) / np.linalg.norm(points[2] - points[3])
    assert np.linalg.norm(moved[0] - moved[1]) / np.linalg.norm(moved[2] - moved[3]) == pytest.approx(ratio)
