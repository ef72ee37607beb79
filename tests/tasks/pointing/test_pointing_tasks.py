"""What is right about sets of points, against slow definitions, and what answers are worth."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from lukasa.ground.names import UnknownNameError
from lukasa.tasks.pointing import (
    POINTING,
    held_karp,
    make_pointing_task,
    point_sets,
    sample_points,
    searched_tours,
    shortest_tours,
)
from lukasa.tasks.pointing.geometry import is_simple, signed_area, tour_length
from lukasa.tasks.pointing.hulls import convex_hulls, quick_hull

SQUARE = np.array([[0.1, 0.1], [0.9, 0.1], [0.5, 0.4], [0.9, 0.9], [0.1, 0.9]])


def random_points(sets, size, seed=0):
    return np.random.default_rng(seed).random((sets, size, 2))


def turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def hull_loop(points):
    """The edges that have all other points on their left, followed from the corner of the lowest number."""
    count = len(points)
    after = {
        i: j
        for i, j in permutations(range(count), 2)
        if all(turn(points[i], points[j], points[k]) > 0 for k in range(count) if k not in (i, j))
    }
    answer = [min(after)]
    while after[answer[-1]] != answer[0]:
        answer.append(after[answer[-1]])
    return answer


def delaunay_loop(points):
    """The triangles whose circle has no other point inside, in the order of the centres of the circles inside them."""
    found = []
    for corners in combinations(range(len(points)), 3):
        a, b, c = (points[k] for k in corners)
        if turn(a, b, c) < 0:
            b, c = c, b
        inside = False
        for k in set(range(len(points))) - set(corners):
            px, py = points[k]
            rows = [[x - px, y - py, (x - px) ** 2 + (y - py) ** 2] for x, y in (a, b, c)]
            inside = inside or np.linalg.det(np.array(rows)) > 0
        if not inside:
            a, b, c = (points[k] for k in corners)
            sides = [math.dist(b, c), math.dist(a, c), math.dist(a, b)]
            centre = [sum(s * p[k] for s, p in zip(sides, (a, b, c), strict=True)) / sum(sides) for k in (0, 1)]
            found.append((centre, corners))
    return [one for _, corners in sorted(found) for one in corners]


def test_hulls_are_the_definition():
    task = make_pointing_task("convex_hull")
    for size in (3, 5, 9, 18):
        points = random_points(20, size)
        for one, answer in zip(points, task.answers(points), strict=True):
            assert answer.tolist() == hull_loop(one)
            assert signed_area(one[answer]) > 0


def test_hulls_of_batches_are_scipys():
    points = random_points(200, 10, seed=8)
    assert [one.tolist() for one in convex_hulls(points)] == [quick_hull(one).tolist() for one in points]


def test_points_on_an_edge_of_the_hull_are_no_corners():
    points = np.array([[[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.5]]])
    assert convex_hulls(points)[0].tolist() == [0, 2, 3, 4]
    assert convex_hulls(points[:, :5])[0].tolist() == [0, 2, 3, 4]


def test_triangulations_are_the_definition():
    task = make_pointing_task("delaunay")
    for size in (3, 5, 8):
        points = random_points(10, size, seed=1)
        for one, answer in zip(points, task.answers(points), strict=True):
            assert answer.tolist() == delaunay_loop(one)
            assert len(answer) <= task.longest(size)


@pytest.mark.parametrize("size", [3, 4, 6, 7])
def test_held_and_karps_tours_are_the_shortest_of_all(size):
    points = random_points(6, size, seed=2)
    for one, tour in zip(points, held_karp(points), strict=True):
        shortest = min(tour_length(one[[0, *rest]]) for rest in permutations(range(1, size)))
        assert sorted(tour.tolist()) == list(range(size))
        assert tour_length(one[tour]) == pytest.approx(shortest)


def test_sets_beyond_one_table_are_solved_alike():
    points = random_points(70, 5, seed=3)
    assert held_karp(points).tolist() == [held_karp(one[None])[0].tolist() for one in points]


def test_searched_tours_are_close_to_the_shortest():
    points = random_points(40, 10, seed=4)
    exact, searched = held_karp(points), searched_tours(points)
    lengths = np.array([[tour_length(one[tour]) for one, tour in zip(points, some, strict=True)]
                        for some in (exact, searched)])  # fmt: skip
    assert (lengths[1] >= lengths[0] - 1e-9).all()
    assert lengths[1].mean() < 1.01 * lengths[0].mean()
    beyond = random_points(3, 14, seed=5)
    for one, tour in zip(beyond, shortest_tours(beyond), strict=True):
        assert sorted(tour.tolist()) == list(range(14))
        assert is_simple(one[tour])  # 2-opt leaves no crossing


def test_tours_begin_with_the_first_point_and_turn_counter_clockwise():
    for size in (3, 7, 13):
        points = random_points(10, size, seed=6)
        for one, tour in zip(points, shortest_tours(points), strict=True):
            assert tour[0] == 0
            assert signed_area(one[tour]) > 0


def test_the_same_polygon_is_right_wherever_it_begins():
    hull = make_pointing_task("convex_hull")
    assert hull.is_right([3, 4, 0, 1], [0, 1, 3, 4])
    assert hull.is_right([1, 0, 4, 3], [0, 1, 3, 4])
    assert not hull.is_right([0, 3, 1, 4], [0, 1, 3, 4])
    assert not hull.is_right([0, 1, 3], [0, 1, 3, 4])
    assert not hull.is_right([], [0, 1, 3, 4])


def test_area_is_what_a_simple_polygon_covers():
    hull = make_pointing_task("convex_hull")
    assert hull.scores(SQUARE, [0, 1, 3], [0, 1, 3, 4])["area"] == pytest.approx(50)
    assert hull.scores(SQUARE, [0, 1, 2, 3, 4], [0, 1, 3, 4])["area"] == pytest.approx(75)
    assert hull.scores(SQUARE, [0, 3, 1, 4], [0, 1, 3, 4])["area"] is None
    assert not is_simple(SQUARE[[0, 1]])
    assert not is_simple(SQUARE[[0, 1, 3, 0]])
    assert not is_simple(np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0]]))  # there and back


def test_triangles_count_in_any_order():
    task = make_pointing_task("delaunay")
    right = task.answers(SQUARE[None])[0].tolist()
    assert len(right) == 12
    turned = [*right[3:], right[2], right[0], right[1]]
    assert task.is_right(turned, right)
    assert not task.is_right(right[3:], right)
    assert task.scores(SQUARE, right[3:], right)["triangles"] == pytest.approx(75)
    assert task.scores(SQUARE, right[:3] * 4, right)["triangles"] == pytest.approx(25)


def test_a_tour_is_worth_its_length():
    task = make_pointing_task("tsp")
    corners = SQUARE[[0, 1, 3, 4]]
    found = task.scores(corners, [0, 2, 1, 3], [0, 1, 2, 3])
    assert found["known"] == pytest.approx(3.2)
    assert found["gap"] == pytest.approx(100 * ((1.6 + 1.6 * math.sqrt(2)) / 3.2 - 1))
    assert task.scores(corners, [0, 1, 1, 3], [0, 1, 2, 3])["gap"] is None


@pytest.mark.parametrize("name", POINTING)
def test_the_same_seed_draws_the_same_sets(name):
    task = make_pointing_task(name)
    one, other = (sample_points(task, 6, 4, 7, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert one.sizes.unique().numel() > 1
    for row, (size, length) in enumerate(zip(one.sizes.tolist(), one.lengths.tolist(), strict=True)):
        answer = one.answers[row, :length].tolist()
        points = one.points[row, :size].double().numpy()
        assert not one.points[row, size:].any()
        assert (one.answers[row, length:] == -1).all()
        assert answer == task.answers(points[None])[0].tolist()
        assert task.is_right(answer, answer)
        assert length % task.multiple == 0
        assert length <= task.longest(size)


@pytest.mark.parametrize("name", POINTING)
def test_too_few_points_are_refused(name):
    with pytest.raises(ValueError, match="needs at least 3 points, got 2"):
        make_pointing_task(name).answers(random_points(1, 2))


@pytest.mark.parametrize("name", ["convex_hull", "delaunay"])
def test_points_on_one_line_have_no_hull(name):
    line = torch.tensor([[[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]]])
    with pytest.raises(ValueError, match="all points lie on one line"):
        point_sets(make_pointing_task(name), line, torch.tensor([3]))
    slanted = np.array([[0.1, 0.3], [0.2, 0.6], [0.3, 0.9]])  # in line, but for the rounding of 0.3 and 0.6
    for some in (slanted, slanted[[0, 1, 2, 1]], 1e-3 * slanted + 0.9, np.tile(slanted, (6, 1))):
        with pytest.raises(ValueError, match="all points lie on one line"):
            make_pointing_task(name).answers(some[None])
    assert len(make_pointing_task(name).answers((slanted + 1e-9 * np.eye(3, 2))[None])[0]) == 3


@pytest.mark.parametrize("name", POINTING)
def test_points_that_are_not_finite_are_refused(name):
    for wrong in (np.nan, np.inf):
        points = random_points(2, 5)
        points[1, 3, 0] = wrong
        with pytest.raises(ValueError, match="needs finite numbers, and a point has one that is not"):
            make_pointing_task(name).answers(points)


@pytest.mark.parametrize("name", POINTING)
def test_no_sets_have_no_answers(name):
    found = sample_points(make_pointing_task(name), 0, 3, 5, torch.Generator().manual_seed(0))
    assert [len(part) for part in found] == [0] * 4


def test_unknown_tasks_are_named():
    with pytest.raises(UnknownNameError, match="did you mean 'convex_hull'"):
        make_pointing_task("convexhull")
