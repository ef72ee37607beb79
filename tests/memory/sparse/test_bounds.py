"""Numbers that a sparse memory refuses, before anything changes.

Legend: B batch, N slots, W word size.
"""

import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.heads import widths
from lukasa.memory.kernels.sparse_access import access
from lukasa.memory.sparse import SparseMemory, UnstorableError
from lukasa.memory.sparse.indexes import INDEXES
from lukasa.memory.sparse.layout import Layout

SAME: dict[str, Any] = {"rtol": 0, "atol": 0}
EVERY_INDEX = pytest.mark.parametrize("index", [*INDEXES, "faiss lists"])
BAD = pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])


def filled(index: str, storage: str = "full") -> SparseMemory:
    """Two rows of 64 slots, of which 12 are written, some found through inverted lists."""
    if "faiss" in index:
        pytest.importorskip("faiss")
    name, options = ("faiss", {"exact_up_to": 4}) if index == "faiss lists" else (index, None)
    words = torch.randn(2, 12, 8, generator=torch.Generator().manual_seed(0))
    made = SparseMemory.empty(2, 64, 8, index=name, index_options=options, storage=storage)
    return made.write(made.least_recent(12), torch.zeros(2, 12), words)


@EVERY_INDEX
@BAD
@pytest.mark.parametrize("slot", [3, 12], ids=["written", "new"])
def test_a_word_that_cannot_be_stored_is_refused_by_row_and_slot(index: str, bad: float, slot: int):
    made = filled(index)
    before, version = made.tensors(), made.version
    words = torch.zeros(2, 2, 8)
    words[1, 1, 5] = bad
    with pytest.raises(UnstorableError, match=rf"^row 1, slot {slot} would hold {re.escape(f'{bad:.3g}')}: "):
        made.write(torch.tensor([[0, 1], [2, slot]]), torch.ones(2, 2), words)
    torch.testing.assert_close(made.tensors(), before, **SAME)
    assert made.version == version
    assert made.search(before["rows"][:, :5], 1).flatten().tolist() == [*range(5)] * 2


@EVERY_INDEX
@BAD
def test_a_query_that_resembles_nothing_is_refused(index: str, bad: float):
    made, queries = filled(index), torch.ones(2, 3, 8)
    queries[1, 2, 0] = bad
    with pytest.raises(UnstorableError, match=rf"^query 2 of row 1 holds {re.escape(f'{bad:.3g}')}: "):
        made.search(queries, 2)


def test_words_that_add_up_to_too_much_are_refused_where_they_do():
    made, slots = filled("exact"), torch.tensor([[3, 3], [4, 5]])
    words = torch.full((2, 2, 8), 0.4 * made.store.bounds.limit)
    made = made.write(slots, torch.zeros(2, 2), words)  # 0.8 of the limit in one slot
    with pytest.raises(UnstorableError, match=r"^row 0, slot 3 would hold 3\.9"):
        made.write(slots[:, :1], torch.ones(2, 1), words[:, :1])
    made.write(slots[:, :1], torch.zeros(2, 1), words[:, :1])  # erased first: it fits


def test_the_largest_words_are_found_again():
    made = filled("exact")
    words = torch.zeros(2, 1, 8)
    words[:, :, 2] = 0.99 * made.store.bounds.limit
    made = made.write(torch.tensor([[3], [7]]), torch.zeros(2, 1), words)
    assert made.search(words, 1).flatten().tolist() == [3, 7]
    assert made.read(torch.tensor([[3], [7]]))[0].isfinite().all()


def test_float16_rows_refuse_what_float16_cannot_hold():
    made = filled("exact", "float16")
    words = torch.full((2, 1, 8), 60_000.0)
    made = made.write(torch.tensor([[3], [3]]), torch.zeros(2, 1), words)
    with pytest.raises(UnstorableError, match=r"row 0, slot 3 would hold 1\.2e\+05: .* at most 6\.6e\+04"):
        made.write(torch.tensor([[3], [3]]), torch.ones(2, 1), words)


def test_what_belongs_to_no_slot_may_hold_anything():
    made = filled("exact")
    words = torch.full((2, 1, 8), math.nan)
    after = made.write(torch.tensor([[-1], [-1]]), torch.ones(2, 1), words)
    assert after.tensors()["rows"].isfinite().all()
    assert after.read(torch.tensor([[-1], [-1]]))[0].count_nonzero() == 0


def test_contents_that_are_taken_over_are_looked_at(tmp_path):
    made = filled("exact")
    tensors = made.tensors()
    tensors["rows"][1, 4, 0] = math.nan
    with pytest.raises(UnstorableError, match="row 1, slot 4 would hold nan"):
        made.from_tensors(tensors)
    made.store.rows[made.store.capacity + 4, 0] = math.inf  # as an older version would have let through
    made.save(tmp_path / "memory")
    with pytest.raises(UnstorableError, match="row 1, slot 4 would hold inf"):
        SparseMemory.load(tmp_path / "memory")
    padding = filled("exact").tensors()
    padding["used"][:] = 3
    padding["order"] = padding["order"][:, :0]
    padding["rows"][:, 3:] = math.nan
    assert made.from_tensors(padding).used.tolist() == [3, 3]


@pytest.mark.parametrize("gradient", [False, True])
def test_a_whole_access_is_refused_before_it_changes_the_memory(gradient: bool):
    made = filled("exact")
    before = made.tensors()
    interface = torch.zeros(2, sum(widths(2, 8)), requires_grad=gradient)
    bad = interface + torch.where(torch.arange(interface.shape[1]) == 17, math.nan, 0.0)  # a number of the first word
    slots, weights = torch.full((2, 2, 3), -1), torch.zeros(2, 2, 3)
    with pytest.raises(UnstorableError, match="row 0, slot 0 would hold nan"):
        access(made, bad, slots, weights)
    torch.testing.assert_close(made.tensors(), before, **SAME)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int8, torch.complex64])
def test_a_memory_computes_in_whole_precision(dtype: torch.dtype):
    with pytest.raises(ValueError, match="computes in float32 or float64"):
        SparseMemory.empty(1, 8, 2, dtype=dtype)
    assert Layout(1, 8, 2).dtype == torch.float32


def test_words_of_whole_numbers_are_taken():
    made = SparseMemory.empty(1, 8, 2)
    words: Tensor = torch.tensor([[[1, -2]]], dtype=torch.int8)
    made = made.write(torch.tensor([[0]]), torch.zeros(1, 1), words)
    assert made.tensors()["rows"].tolist() == [[[1.0, -2.0]]]


@pytest.mark.parametrize("name", ["sam", "sdnc"])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_core_says_which_slot_a_nan_would_go_to(name: str, steps: int):
    core = memory.make_core(name, input_size=2, output_size=1, slots=16)
    with pytest.raises(ValueError, match="row 0, slot 0 would hold nan"):
        memory.unroll(core, torch.full((1, steps, 2), math.nan))
