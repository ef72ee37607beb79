"""The index of packed lists: exact while few are written, its tables, any number of rows and threads."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch

from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.indexes import Contents
from lukasa.memory.sparse.indexes import packed_lists as packed
from lukasa.memory.sparse.indexes.packed_lists import PackedLists
from tests.memory.sparse.test_indexes import drifting_keys, recall, write

EQUAL = 1e-5


class Program:
    """Random changes of a batch of memories, each told to an index."""

    def __init__(self, seed: int, batch: int, slots: int, width: int, dtype: torch.dtype, **options):
        self.generator = torch.Generator().manual_seed(seed)
        self.words = torch.zeros(batch, slots, width, dtype=dtype)
        self.used = torch.zeros(batch, dtype=torch.int64)
        self.index = PackedLists(Contents(batch, slots, width, self.words.device, lambda: self.words), **options)
        kinds = torch.randn(max(2, slots // 8), width, generator=self.generator, dtype=torch.float64)
        self.kinds = torch.cat([kinds, torch.zeros(1, width, dtype=torch.float64)])

    def pick(self, most: int) -> int:
        return int(torch.randint(most, (1,), generator=self.generator))

    def some_words(self, count: int) -> torch.Tensor:
        """Words of a few kinds, many of them equal or nearly so, some zero, of very different lengths."""
        kind = torch.randint(len(self.kinds), (count,), generator=self.generator)
        noise = torch.randn(count, self.words.shape[2], generator=self.generator, dtype=torch.float64)
        noisy = torch.rand(count, 1, generator=self.generator) < 0.7
        length = 10.0 ** torch.randint(-6, 7, (count, 1), generator=self.generator)
        return ((self.kinds[kind] + 0.1 * noise * noisy) * length).to(self.words.dtype)

    def write(self) -> None:
        rows, slots = [], []
        for b in range(len(self.words)):
            fresh = min(self.pick(12), self.words.shape[1] - int(self.used[b]))
            end = int(self.used[b]) + fresh
            old = torch.randperm(int(self.used[b]), generator=self.generator)[: self.pick(8)].tolist()
            mine = sorted({*old, *range(int(self.used[b]), end)})
            self.used[b] = end
            rows, slots = rows + [b] * len(mine), slots + mine
        rows, slots = torch.tensor(rows, dtype=torch.int64), torch.tensor(slots, dtype=torch.int64)
        self.words[rows, slots] = self.some_words(len(rows))
        self.index.update(rows, slots, self.words[rows, slots])

    def step(self) -> None:
        match self.pick(10):
            case 0:
                b = self.pick(len(self.words))
                self.words[b], self.used[b] = 0, 0
                self.index.reset(torch.tensor([b]))
            case 1:
                self.used = (self.used - self.pick(6)).clamp_min(0)
                self.index.truncate(self.used)
            case 2:
                self.index.rebuild(self.words, self.used)
            case _:
                self.write()

    def queries(self, count: int) -> torch.Tensor:
        return self.some_words(len(self.words) * count).view(len(self.words), count, -1)


def cosines(program: Program, queries: torch.Tensor) -> torch.Tensor:
    """In float64, [B, R, N]; -2 for what is not written."""
    words, queries = program.words.double(), queries.double()
    unit = words / words.norm(dim=-1, keepdim=True).clamp_min(1e-300)
    wanted = queries / queries.norm(dim=-1, keepdim=True).clamp_min(1e-300)
    unwritten = torch.arange(words.shape[1]) >= program.used.unsqueeze(1)
    return (wanted @ unit.mT).masked_fill(unwritten.unsqueeze(1), -2)


def check_tables(index: PackedLists) -> None:
    """Every filed slot is in one place, in the list that its block belongs to, and nothing else is."""
    tables, kernels = index.tables, packed.kernels
    for b in np.flatnonzero(tables.counts[:, kernels.LISTS]):
        slots = tables.slots.reshape(len(tables.counts), -1, kernels.LANES)[b]
        seen = {}
        for m in range(tables.counts[b, kernels.LISTS]):
            block, left = tables.heads[b, m], tables.lengths[b, m]
            lanes = (left - 1) % kernels.LANES + 1
            while block >= 0:
                assert tables.owners[b, block] == m
                seen |= {int(slot): block * kernels.LANES + lane for lane, slot in enumerate(slots[block, :lanes])}
                left, lanes, block = left - lanes, kernels.LANES, tables.before[b, block]
            assert left == 0
        assert sorted(seen) == list(range(index.used[b]))
        assert (
            tables.counts[b, kernels.FILED] == len(seen) == tables.lengths[b, : tables.counts[b, kernels.LISTS]].sum()
        )
        assert all(tables.places[b, slot] == place + 1 for slot, place in seen.items())
        assert not tables.places[b, index.used[b] :].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("slots", "width", "k"), [(150, 5, 3), (150, 32, 4), (40, 1, 50), (400, 17, 1)])
def test_what_it_finds_while_exact_is_brute_force(slots, width, k, dtype):
    for seed in range(12):
        program = Program(seed, 3, slots, width, dtype)
        for _ in range(12):
            program.step()
            queries = program.queries(2)
            found, similar = program.index.search(queries, k), cosines(program, queries)
            best = similar.topk(min(k, slots), -1).values
            for b, count in enumerate(program.used.tolist()):
                known = min(k, count)
                assert (found[b, :, known:] == -1).all()
                mine = similar[b].gather(1, found[b, :, :known])
                assert torch.allclose(mine, best[b, :, :known], rtol=0, atol=EQUAL if dtype == torch.float32 else 1e-12)
                assert all(len(set(row[:known])) == known for row in found[b].tolist())
        check_tables(program.index)


def test_equal_words_come_lowest_slot_first():
    words = torch.randn(2, 300, 8, generator=torch.Generator().manual_seed(0))
    words[:, 40::10] = words[:, 3:4]
    index = PackedLists(Contents(2, 300, 8, words.device, lambda: words))
    index.rebuild(words, torch.tensor([300, 300]))
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    for slots in order.split(20):  # whatever the order of filing
        index.update(torch.zeros_like(slots), slots, words[0, slots])
    expected = [3, *range(40, 300, 10)]
    assert index.search(words[:, 3:4], len(expected)).squeeze(1).tolist() == [expected] * 2
    assert index.search(torch.zeros(2, 1, 8), 4).squeeze(1).tolist() == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("scanned_centres", [0, 1024])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_lists_hold_every_slot_once_whatever_happens(scanned_centres, dtype, monkeypatch):
    monkeypatch.setattr(packed, "SCANNED_CENTRES", scanned_centres)
    monkeypatch.setattr(packed, "ROWS_PER_LIST", 4)
    for seed in range(8):
        program = Program(seed, 3, 300, 8, dtype, exact_up_to=30, probes=1 << 20)
        for _ in range(25):
            program.step()
            queries = program.queries(2).to(torch.promote_types(dtype, torch.float32))
            found, similar = program.index.search(queries, 2), cosines(program, queries)
            for b, count in enumerate(program.used.tolist()):
                known = min(2, count)
                assert (found[b, :, known:] == -1).all()
                if known:  # more words than candidates may be equal as int8
                    assert (similar[b].gather(1, found[b, :, :1]) >= similar[b].amax(1, keepdim=True) - 0.02).all()
        if dtype != torch.bfloat16:
            check_tables(program.index)


def test_rows_and_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(packed, "WORTH_THREADS", 0)
    words = drifting_keys(4000, torch.Generator().manual_seed(2)).view(5, 800, 16)
    queries = words[:, ::9] + 0.3 * torch.randn(5, 89, 16, generator=torch.Generator().manual_seed(3))

    def run(rows: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        index = PackedLists(Contents(len(rows), 800, 16, rows.device, lambda: rows), exact_up_to=100, probes=3)
        write(index, rows, [800] * len(rows))
        return index.search(asked, 4)

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        found = run(words, queries)
        alone = [run(words[b : b + 1], queries[b : b + 1]) for b in range(5)]
        torch.set_num_threads(4)
        assert run(words, queries).tolist() == found.tolist()
    finally:
        torch.set_num_threads(threads)
    assert torch.cat(alone).tolist() == found.tolist()


def test_what_int8_cannot_tell_apart_the_words_themselves_do():
    words = torch.ones(1, 20000, 32) + 1e-3 * torch.randn(1, 20000, 32, generator=torch.Generator().manual_seed(4))
    index = PackedLists(Contents(1, 20000, 32, words.device, lambda: words), exact_up_to=20000)
    index.rebuild(words, torch.tensor([20000]))
    assert index.search(words[:, ::997], 1).flatten().tolist() == list(range(0, 20000, 997))


@pytest.mark.parametrize("length", [1e-37, 1e-20, 1e18])
def test_very_long_and_very_short_words_are_found(length):
    words = length * drifting_keys(900, torch.Generator().manual_seed(5)).view(1, 900, 16) / 10
    for exact_up_to in (100, 1000):
        index = PackedLists(Contents(1, 900, 16, words.device, lambda: words), exact_up_to=exact_up_to)
        index.rebuild(words, torch.tensor([900]))
        assert index.search(words[:, ::50] / length, 1).flatten().tolist() == list(range(0, 900, 50))


def test_lists_are_made_anew_as_a_row_grows_and_as_it_is_overwritten():
    words = drifting_keys(1000, torch.Generator().manual_seed(6)).view(1, 1000, 16)
    index = PackedLists(Contents(1, 1000, 16, words.device, lambda: words), exact_up_to=100)
    write(index, words, [100])
    assert not index.approximate
    write(index, words, [101], step=1)
    assert index.approximate
    assert index.tables.counts[0, packed.kernels.MADE_FROM] == 101
    write(index, words, [101 * packed.GROWTH], step=101 * packed.GROWTH)
    assert index.tables.counts[0, packed.kernels.MADE_FROM] == 101 * packed.GROWTH
    index.rebuild(words, torch.tensor([1000]))
    slots = torch.arange(1000)
    for _ in range(packed.OVERWRITES):
        index.update(torch.zeros_like(slots), slots, words[0])
    assert index.tables.counts[0, packed.kernels.CHANGES] == packed.OVERWRITES * 1000
    index.update(torch.zeros_like(slots), slots, words[0])
    assert index.tables.counts[0, packed.kernels.CHANGES] == 0


@pytest.mark.parametrize("exact_up_to", [100, 1000])
def test_a_memory_that_grows_past_the_size_it_was_made_for_is_followed(exact_up_to):
    words = drifting_keys(2000, torch.Generator().manual_seed(7)).view(2, 1000, 16)
    rows = words[:, :300]
    index = PackedLists(Contents(2, 300, 16, words.device, lambda: rows), exact_up_to=exact_up_to)
    write(index, words, [300, 200])
    rows = words
    write(index, words, [1000, 900])
    check_tables(index)
    assert index.search(words[:, 850:860], 1).squeeze(2).tolist() == [list(range(850, 860))] * 2


def test_probing_goes_on_until_enough_are_found():
    words = drifting_keys(3000, torch.Generator().manual_seed(8)).view(1, 3000, 16)
    index = PackedLists(Contents(1, 3000, 16, words.device, lambda: words), exact_up_to=100, probes=1)
    index.rebuild(words, torch.tensor([3000]))
    found = index.search(words[:, :5], 2500)
    assert all(len(set(row)) == 2500 and min(row) >= 0 for row in found[0].tolist())


@pytest.mark.parametrize("copies", [200, 3000])
def test_a_memory_of_equal_words_still_files_and_finds_another(copies, monkeypatch):
    monkeypatch.setattr(packed, "ROWS_PER_LIST", 2)
    words = torch.zeros(1, copies + 40, 8)
    words[0, :, 0] = 1
    words[0, copies:] = torch.randn(40, 8, generator=torch.Generator().manual_seed(9))
    index = PackedLists(Contents(1, copies + 40, 8, words.device, lambda: words), exact_up_to=100)
    index.rebuild(words, torch.tensor([copies]))
    write(index, words, [copies + 40], step=60)
    assert index.search(words[:, copies:], 1).flatten().tolist() == list(range(copies, copies + 40))
    assert (index.search(words[:, :1], 4) < copies).all()


@pytest.mark.parametrize("scanned_centres", [0, 1024])
def test_lists_find_drifting_clustered_keys(scanned_centres, monkeypatch):
    monkeypatch.setattr(packed, "SCANNED_CENTRES", scanned_centres)
    monkeypatch.setattr(packed, "ROWS_PER_LIST", 16)
    words = drifting_keys(8000, torch.Generator().manual_seed(10)).view(1, 8000, 16)
    index = PackedLists(Contents(1, 8000, 16, words.device, lambda: words), exact_up_to=500)
    write(index, words, [8000], step=100)
    noise = torch.randn(1, 800, 16, generator=torch.Generator().manual_seed(11))
    queries = words[:, ::10] + 0.3 * noise * words[:, ::10].norm(dim=-1, keepdim=True) / 4
    assert recall(index, words, [8000], queries) >= 0.98


def test_words_too_large_for_int8_are_left_to_other_indexes():
    rows = torch.zeros(1, 4, packed.LARGEST_WORD + 1)
    with pytest.raises(
        ValueError, match=r"words of up to 4,096 numbers and this memory has 4,097: choose index 'faiss'"
    ):
        PackedLists(Contents(1, 4, packed.LARGEST_WORD + 1, rows.device, lambda: rows))
    memory = SparseMemory.empty(1, 4, packed.LARGEST_WORD + 1)
    assert memory.store.index.name == "exact"


@pytest.mark.parametrize("storage", ["full", "float16", "bfloat16"])
def test_a_memory_with_lists_is_copied_rewound_and_searched(storage):
    memory = SparseMemory.empty(2, 400, 16, index="lists", index_options={"exact_up_to": 50}, storage=storage)
    generator = torch.Generator().manual_seed(12)

    def written(memory: SparseMemory, times: int) -> SparseMemory:
        for _ in range(times):
            slots = memory.least_recent(8)
            words = torch.randn(2, 8, 16, generator=generator)
            memory = memory.write(slots, torch.zeros(2, 8, dtype=torch.bool), words).access(slots, torch.ones(2, 8))
        return memory

    memory, queries = written(memory, 40), torch.randn(2, 6, 16, generator=generator)
    with memory.journalling():
        version, before = memory.version, memory.search(queries, 4)
        memory = written(memory, 20)
        assert memory.search(queries, 4).tolist() != before.tolist()
        memory = memory.rewind(version)
    assert memory.search(queries, 4)[..., 0].tolist() == before[..., 0].tolist()
    for other in (memory.fork(), copy.deepcopy(memory)):
        assert other.search(queries, 1).tolist() == before[..., :1].tolist()


EMPTY_MILLIONS = """
import os, time
from pathlib import Path

import torch

from lukasa.memory.sparse import SparseMemory


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def used(slots):
    memory = SparseMemory.empty(1, slots, 32, index="lists")
    memory = memory.write(memory.least_recent(4), torch.zeros(1, 4, dtype=torch.bool), torch.randn(1, 4, 32))
    assert memory.search(torch.ones(1, 1, 32), 1).shape == (1, 1, 1)


used(8)  # loads what has to be loaded
before, started = resident(), time.process_time()
used(1 << 24)
print(resident() - before, time.process_time() - started)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_empty_memory_of_millions_takes_no_memory_and_no_time():
    done = subprocess.run([sys.executable, "-c", EMPTY_MILLIONS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    grown, seconds = map(float, done.stdout.split())
    assert grown < 16 << 20
    assert seconds < 0.2
