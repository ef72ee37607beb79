"""Many slots into few: k-means, hard and soft, against loops."""

import math

import pytest
import torch

from lukasa.agents.continual import consolidate, kmeans


def clouds(seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], dtype=torch.float64)
    return centres.repeat_interleave(20, 0) + torch.randn(60, 2, generator=generator, dtype=torch.float64)


def test_centres_are_the_means_of_what_is_nearest_to_them():
    points = clouds()
    centres, counts = kmeans(points, 3, torch.Generator().manual_seed(1))
    assert sorted(counts.tolist()) == [20, 20, 20]
    for place, centre in enumerate(centres):
        mine = [
            one
            for one in points.tolist()
            if min(range(3), key=lambda other: math.dist(one, centres[other].tolist())) == place
        ]
        for axis in range(2):
            assert centre[axis] == pytest.approx(sum(one[axis] for one in mine) / len(mine))


def test_soft_centres_are_weighted_means():
    points, softness = clouds(), 8.0
    centres, counts = kmeans(points, 2, torch.Generator().manual_seed(0), softness)
    assert math.dist(*centres.tolist()) > 3  # and not both in the middle of everything
    total, sums = [0.0, 0.0], [[0.0, 0.0], [0.0, 0.0]]
    for one in points.tolist():
        weights = [math.exp(-(math.dist(one, centre) ** 2) / softness) for centre in centres.tolist()]
        for place in range(2):
            share = weights[place] / sum(weights)
            total[place] += share
            sums[place] = [sums[place][axis] + share * one[axis] for axis in range(2)]
    for place in range(2):
        assert counts[place] == pytest.approx(total[place], rel=1e-3)
        assert centres[place].tolist() == pytest.approx([one / total[place] for one in sums[place]], rel=1e-3)


def test_one_entry_of_a_class_is_its_mean():
    points = clouds()
    classes = torch.arange(3).repeat_interleave(20)
    found = consolidate(points, classes, 1, torch.Generator())
    assert torch.allclose(found.entries, points.unflatten(0, (3, 20)).mean(1))
    assert found.classes.tolist() == [0, 1, 2]


def test_as_many_entries_as_points_lose_nothing():
    points = clouds()[:5]
    centres, _ = kmeans(points, 50, torch.Generator().manual_seed(0))
    assert torch.equal(centres.sort(0).values, points.sort(0).values)


def test_equal_points_have_a_centre_each_and_no_nan():
    centres, counts = kmeans(torch.ones(4, 2), 3, torch.Generator().manual_seed(0))
    assert torch.equal(centres, torch.ones(3, 2))
    assert counts.sum() == 4


@pytest.mark.parametrize(("points", "count"), [(torch.zeros(0, 2), 1), (torch.zeros(3, 2), 0)])
def test_what_cannot_be_consolidated_is_refused(points, count):
    with pytest.raises(ValueError, match="expected"):
        kmeans(points, count, torch.Generator())


def test_entries_that_stand_for_nothing_are_left_out():
    found = consolidate(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64), 3, torch.Generator().manual_seed(0))
    assert (found.entries.tolist(), found.counts.tolist()) == ([[1, 1]], [4])


def test_whole_numbers_are_distilled_too():
    generator = torch.Generator().manual_seed(0)
    found = consolidate(torch.tensor([[0], [1], [10], [11]]), torch.zeros(4, dtype=torch.int64), 2, generator)
    assert sorted(found.entries.flatten().tolist()) == [0.5, 10.5]


def test_no_memory_and_no_numbers_are_refused():
    nothing = torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="a memory of no entries cannot be distilled"):
        consolidate(*nothing, 2, torch.Generator())
    with pytest.raises(ValueError, match="numbers that are not finite"):
        kmeans(torch.tensor([[0.0], [torch.nan]]), 1, torch.Generator())
