"""Scores of a matrix of accuracies, against loops written from the papers."""

import numpy as np
import pytest

from lukasa.agents.continual import scores_of


def test_scores_equal_loops_from_the_papers():
    rng = np.random.default_rng(0)
    table, before = 100 * rng.random((5, 5)), 100 * rng.random(5)
    found = scores_of(table.tolist(), before.tolist())
    forgotten, back, forward = [], [], []
    for j in range(4):
        best = max(table[k][j] for k in range(4))
        forgotten.append(best - table[4][j])
        back.append(table[4][j] - table[j][j])
        forward.append(table[j][j + 1] - before[j + 1])
    assert found.average_accuracy == pytest.approx(sum(table[4]) / 5)
    assert found.forgetting == pytest.approx(sum(forgotten) / 4)
    assert found.backward_transfer == pytest.approx(sum(back) / 4)
    assert found.forward_transfer == pytest.approx(sum(forward) / 4)
    assert found.learning == pytest.approx(sum(table[i][i] for i in range(5)) / 5)


def test_after_some_tasks_only_they_count():
    found = scores_of([[90.0, 1.0, 2.0], [70.0, 80.0, 3.0]])
    assert (found.average_accuracy, found.forgetting, found.forward_transfer) == (75.0, 20.0, None)


def test_one_task_is_not_forgotten():
    found = scores_of([[90.0, 1.0]], [5.0, 5.0])
    assert (found.average_accuracy, found.forgetting, found.backward_transfer) == (90.0, 0.0, 0.0)


@pytest.mark.parametrize("matrix", [[], [[1.0], [2.0]], [[1.0, 2.0], [1.0]]])
def test_a_matrix_that_is_none_is_refused(matrix):
    with pytest.raises(ValueError, match="expected a row for each task learned"):
        scores_of(matrix)
    with pytest.raises(ValueError, match="with all tasks in each"):
        scores_of([[1.0, 2.0], [3.0, 4.0]], [1.0])
