"""What is particular to inverted lists and to hashing: crowded and empty places, and when lists are made anew."""

import os
import sys
from pathlib import Path

import pytest
import torch

from lukasa.memory.sparse.indexes import Contents
from lukasa.memory.sparse.indexes.hashing import Hashing
from lukasa.memory.sparse.indexes.inverted_lists import GROWTH, OVERWRITES, InvertedLists
from lukasa.memory.sparse.indexes.nearest import top_slots
from tests.memory.sparse.test_indexes import drifting_keys, write


def contents(words: torch.Tensor) -> Contents:
    batch_size, slots, word_size = words.shape
    return Contents(batch_size, slots, word_size, words.device, lambda: words)


def rewrite(index: InvertedLists, words: torch.Tensor, times: int):
    slots = torch.arange(words.shape[1])
    for _ in range(times):
        index.update(torch.zeros_like(slots), slots, words[0])


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 1000, 1023])
@pytest.mark.parametrize("k", [1, 3, 70])
def test_top_slots_is_a_stable_sort(length, k):
    scores = torch.randint(0, 5, (3, 2, length), generator=torch.Generator().manual_seed(length)).float()
    scores[0, 1, ::2] = -torch.inf
    values, slots = top_slots(scores, k)
    ordered, expected = scores.sort(dim=-1, descending=True, stable=True)
    expected = torch.where(ordered == -torch.inf, -1, expected)
    shown = min(k, length)
    assert slots[..., :shown].tolist() == expected[..., :k].tolist()
    assert values[..., :shown].tolist() == ordered[..., :k].tolist()
    assert (slots[..., length:] == -1).all()


def test_lists_are_made_when_a_row_outgrows_scanning_and_anew_as_it_grows():
    words = drifting_keys(1000, torch.Generator().manual_seed(0)).view(1, 1000, 16)
    index = InvertedLists(contents(words), exact_up_to=100)
    write(index, words, [100])
    assert index.lists[0] is None
    assert index.rebuild_seconds == 0
    write(index, words, [101], step=1)
    assert index.lists[0].made_from == 101
    write(index, words, [101 * GROWTH - 1], step=1)
    assert index.lists[0].made_from == 101
    assert index.rebuild_seconds > 0
    write(index, words, [101 * GROWTH], step=101 * GROWTH)
    assert index.lists[0].made_from == 101 * GROWTH


def test_lists_made_for_a_full_memory_are_not_made_again_before_it_is_overwritten():
    words = drifting_keys(1000, torch.Generator().manual_seed(1)).view(1, 1000, 16)
    index = InvertedLists(contents(words), exact_up_to=100)
    index.rebuild(words, torch.tensor([1000]))
    made = index.lists[0]
    rewrite(index, words, OVERWRITES)
    assert index.lists[0] is made
    rewrite(index, words, 1)
    assert index.lists[0] is not made


def test_a_memory_that_grows_past_the_size_it_was_made_for_is_followed():
    words = drifting_keys(2000, torch.Generator().manual_seed(2)).view(1, 2000, 16)
    rows = words[:, :500]
    index = InvertedLists(Contents(1, 500, 16, words.device, lambda: rows), exact_up_to=100)
    write(index, words, [500])
    rows = words
    write(index, words, [2000])
    assert index.lists[0].made_from > 500
    assert index.search(words[:, 1900:1910], 1).flatten().tolist() == list(range(1900, 1910))


def test_a_row_that_is_reset_after_the_memory_grew_is_scanned_beside_one_with_lists():
    words = drifting_keys(1000, torch.Generator().manual_seed(10)).view(2, 500, 16)
    rows = words[:, :150]
    index = InvertedLists(Contents(2, 150, 16, words.device, lambda: rows), exact_up_to=100)
    write(index, words, [150, 150])
    rows = words
    write(index, words, [500, 500])
    index.reset(torch.tensor([0]))
    write(index, words, [50, 0])
    assert index.search(words[:, :50], 1).squeeze(2).tolist() == [list(range(50))] * 2


def test_probing_goes_on_until_enough_are_found():
    words = drifting_keys(3000, torch.Generator().manual_seed(3)).view(1, 3000, 16)
    index = InvertedLists(contents(words), exact_up_to=100, probes=1)
    index.rebuild(words, torch.tensor([3000]))
    found = index.search(words[:, :5], 2500)
    assert all(len(set(row)) == 2500 and min(row) >= 0 for row in found[0].tolist())


@pytest.mark.parametrize("copies", [200, 3000])
def test_a_memory_of_equal_words_still_files_and_finds_another(copies, monkeypatch):
    monkeypatch.setattr("lukasa.memory.sparse.indexes.inverted_lists.ROWS_PER_LIST", 2)  # many centres, all equal
    words = torch.zeros(1, copies + 40, 8)
    words[0, :, 0] = 1
    words[0, copies:] = torch.randn(40, 8, generator=torch.Generator().manual_seed(4))
    index = InvertedLists(contents(words), exact_up_to=100)
    index.rebuild(words, torch.tensor([copies]))
    write(index, words, [copies + 40], step=60)
    assert index.search(words[:, copies:], 1).flatten().tolist() == list(range(copies, copies + 40))
    assert (index.search(words[:, :1], 4) < copies).all()


def test_reset_drops_the_lists_of_a_row():
    words = drifting_keys(400, torch.Generator().manual_seed(8)).view(2, 200, 16)
    index = InvertedLists(contents(words), exact_up_to=100)
    write(index, words, [200, 200])
    kept = index.lists[1]
    index.reset(torch.tensor([0]))
    assert index.lists == [None, kept]


def test_a_row_that_lost_its_lists_is_scanned_by_what_was_written_since():
    """Lengths among it, which nobody keeps while every row has lists."""
    words = drifting_keys(400, torch.Generator().manual_seed(9)).view(2, 200, 16)
    index = InvertedLists(contents(words), exact_up_to=100)
    write(index, words, [200, 200])
    words *= torch.linspace(0.01, 100, 200).view(1, -1, 1)
    write(index, words, [200, 200])
    index.reset(torch.tensor([0]))
    words[0] = words[0].flip(0)
    write(index, words, [90, 0])
    assert index.lists[0] is None
    assert index.search(words[:, :90], 1)[0].flatten().tolist() == list(range(90))


def test_rows_with_and_without_lists_are_searched_together():
    words = drifting_keys(900, torch.Generator().manual_seed(5)).view(3, 300, 16)
    index = InvertedLists(contents(words), exact_up_to=100)
    write(index, words, [300, 50, 200])
    assert [lists is None for lists in index.lists] == [False, True, False]
    queries = words[:, 40:44]
    assert index.search(queries, 1).squeeze(2).tolist() == [[40, 41, 42, 43]] * 3


def test_rows_searched_in_parallel_equal_rows_searched_in_turn():
    words = drifting_keys(2000, torch.Generator().manual_seed(6)).view(4, 500, 16)
    index = InvertedLists(contents(words), exact_up_to=100)
    write(index, words, [500] * 4)
    together = index.search(words[:, :50], 5)
    index.pool = None
    assert index.search(words[:, :50], 5).tolist() == together.tolist()


def test_a_slot_changed_at_every_step_does_not_crowd_out_its_bucket():
    words = torch.ones(1, 20, 8) + 1e-4 * torch.randn(1, 20, 8, generator=torch.Generator().manual_seed(7))
    index = Hashing(contents(words), bucket=32)
    write(index, words, [20])
    for _ in range(100):
        index.update(torch.tensor([0]), torch.tensor([3]), words[:, 3])
    assert sorted(index.search(words[:, :1], 20).flatten().tolist()) == list(range(20))


def test_a_full_bucket_keeps_the_newest():
    words = torch.ones(1, 100, 8)
    together, singly = Hashing(contents(words), bucket=16), Hashing(contents(words), bucket=16)
    write(together, words, [100], step=100)
    write(singly, words, [100], step=1)
    for index in (together, singly):
        assert sorted(index.search(words[:, :1], 16).flatten().tolist()) == list(range(84, 100))


def test_hashing_passes_over_entries_of_words_that_have_changed():
    words = torch.eye(8).repeat(4, 1).unsqueeze(0)
    index = Hashing(contents(words))
    write(index, words, [32])
    words[0, 5] = -words[0, 5]
    assert 5 not in index.search(words[:, 13:14], 3).flatten().tolist()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_hashing_takes_no_memory_for_what_is_not_written():
    rows = torch.zeros(1, 1, 32)
    index = Hashing(Contents(1, 1 << 24, 32, rows.device, lambda: rows))
    index.update(torch.tensor([0]), torch.tensor([0]), torch.ones(1, 32))
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert index.entries.nbytes > 3 << 30
    assert resident < 2 << 30
