"""What goes to which shard of a memory, and how answers come together; no shard is needed.

Legend: B batch, H heads, C slots that a head reads.
"""

import numpy as np
import torch

from lukasa.launch.ray.sharded.routing import Found, join_rows, merge, parts, split_write


def test_slots_of_a_write_go_to_their_shards_in_their_order():
    slots = torch.tensor([[5, 0, -1, 3, 5], [1, 4, 7, -1, 2]])
    keep = torch.tensor([[True, False, True, True, False]]).expand(2, -1)
    words = torch.arange(10.0).view(2, 5, 1)
    split = split_write(slots, keep, words, 3)
    assert {shard: part.slots.tolist() for shard, part in split.items()} == {
        0: [[0, 1], [-1, -1]],
        1: [[-1, -1, -1], [0, 1, 2]],
        2: [[1, 1], [0, -1]],
    }
    assert split[2].words[:, :, 0].tolist()[0] == [0, 4]
    assert split[2].keep.tolist()[0] == [True, False]
    assert split[0].nbytes == 2 * 2 * (8 + 1 + 4)
    assert list(split_write(torch.tensor([[3]]), torch.ones(1, 1), torch.ones(1, 1, 1), 3)) == [0]


def test_rows_that_shards_gave_go_back_to_their_places_and_nothing_reads_zeros():
    slots = np.array([[5, 0, -1, 3], [1, 4, 7, 2]])
    contents = np.random.default_rng(0).normal(size=(2, 9, 2)) + 1
    split = list(parts(slots, 3))
    answers = [contents[np.arange(2)[:, None], np.maximum(part.slots, 0) * 3 + part.shard] for part in split]
    rows = join_rows(split, answers, np.empty((2, 4, 2)))
    expected = contents[np.arange(2)[:, None], slots]
    expected[0, 2] = 0
    np.testing.assert_array_equal(rows, expected)


def test_merging_takes_the_best_of_all_and_of_equal_ones_the_lowest_slot():
    def found(scores, slots):
        rows = np.array(slots, np.float32)[None, None, :, None]
        return Found(np.array([[scores]], np.float32), np.array([[slots]]), rows)

    none = -np.inf
    answers = [found([0.5, 0.5, 0.1], [3, 7, 0]), found([0.9, 0.5, none], [1, 2, -1])]
    slots, rows = merge(answers, 3)
    assert slots.tolist() == [[[3, 5, 6]]]  # 1 of shard 1 is slot 3; among scores 0.5 slots 6, 14 and 5
    assert rows.flatten().tolist() == [1, 2, 3]
    assert merge([found([0.5, none], [0, -1]), found([none, none], [-1, -1])], 2)[0].tolist() == [[[0, -1]]]
