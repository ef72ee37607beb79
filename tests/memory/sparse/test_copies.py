"""Copies of what holds a sparse memory, made by ``copy`` and ``pickle``, live a life of their own.

Legend: B batch, N slots, W word size.
"""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.agents.few_shot import ClassMemory, make_encoder
from lukasa.memory.sparse import SparseMemory, StaleStateError
from lukasa.memory.sparse.indexes import INDEXES
from tests.memory.core_rows import ROWS, SAME, assert_same_state, make, sequences

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
}
EVERY_COPY = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
SPARSE_CORE = pytest.mark.parametrize("row", [row for row in ROWS.values() if row.sparse], ids=lambda row: row.core)


def written(index: str, words: Tensor, **options: Any) -> SparseMemory:
    """A memory of two rows with these words [B, U, W] in the slots 0, 1, 2 ..."""
    memory = SparseMemory.empty(2, 64, words.shape[2], index=index, index_options=options or None)
    slots = memory.least_recent(words.shape[1])
    memory = memory.write(slots, torch.zeros_like(slots), words)
    return memory.access(slots, torch.ones(slots.shape))


@EVERY_COPY
@pytest.mark.parametrize("index", [*INDEXES, "faiss lists"])
def test_a_copy_and_its_original_do_not_see_what_the_other_writes(copied: Callable[[Any], Any], index: str):
    if "faiss" in index:
        pytest.importorskip("faiss")
    name, options = ("faiss", {"exact_up_to": 4}) if index == "faiss lists" else (index, {})
    words = torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(0))
    original = written(name, words, **options)
    twin = copied(original)
    assert twin.store is not original.store
    torch.testing.assert_close(twin.tensors(), original.tensors(), **SAME)
    torch.testing.assert_close(twin.search(words[:, :3], 1), torch.arange(3).expand(2, -1).unsqueeze(2), **SAME)
    slots, keep = torch.tensor([[5], [6]]), torch.zeros(2, 1)
    target = torch.full((2, 1, 8), 3.0)
    twin = twin.write(slots, keep, target)
    original = original.write(slots + 1, keep, target)  # would be stale if the store were shared
    torch.testing.assert_close(twin.search(target, 1).flatten(), slots.flatten(), **SAME)
    torch.testing.assert_close(original.search(target, 1).flatten(), slots.flatten() + 1, **SAME)
    assert twin.least_recent(1).tolist() == original.least_recent(1).tolist()


@EVERY_COPY
@SPARSE_CORE
def test_a_copied_state_goes_on_as_a_fork_does(copied: Callable[[Any], Any], row: Any):
    core, inputs = make(row), sequences()
    state = memory.detach_state(memory.unroll(core, inputs)[1])
    twin = copied([state])[0] if copied is not copy.copy else state._replace(memory=copy.copy(state.memory))
    twin = (
        twin if "links" not in state._fields or copied is not copy.copy else twin._replace(links=copy.copy(state.links))
    )
    assert_same_state(twin, state, **SAME)
    fork = memory.fork_state(state)
    expected = memory.unroll(core, inputs, fork)
    found = memory.unroll(core, inputs, twin)
    torch.testing.assert_close(found[0], expected[0], **SAME)
    assert_same_state(found[1], expected[1], **SAME)
    assert_same_state(memory.unroll(core, inputs, state)[1], expected[1], **SAME)


@SPARSE_CORE
def test_a_state_survives_torch_save(row: Any):
    core, inputs = make(row), sequences()
    state, file = memory.unroll(core, inputs)[1], io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert_same_state(memory.detach_state(loaded), memory.detach_state(state), **SAME)


def test_handles_of_one_store_share_its_copy():
    memory = written("exact", torch.ones(2, 3, 4))
    first, second = copy.deepcopy([memory, memory.detach()])
    assert first.store is second.store is not memory.store
    first.write(torch.tensor([[0], [0]]), torch.ones(2, 1), torch.ones(2, 1, 4))
    with pytest.raises(StaleStateError):
        second.search(torch.ones(2, 1, 4), 1)
    memory.search(torch.ones(2, 1, 4), 1)


def test_a_deep_copy_through_which_gradients_flow_names_fork():
    words = torch.ones(2, 3, 4, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"use fork\(\), or memory\.fork_state\(state\)"):
        copy.deepcopy(written("exact", words))


def test_a_copy_of_a_stale_handle_is_refused():
    stale = SparseMemory.empty(1, 8, 2)
    stale.write(torch.tensor([[0]]), torch.ones(1, 1), torch.ones(1, 1, 2))
    for copied in COPIES.values():
        with pytest.raises(StaleStateError, match=r"fork\(\) before branching"):
            copied(stale)


def test_a_module_that_holds_a_memory_is_copied_with_it():
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = written("auto", torch.eye(4).expand(2, -1, -1))

    holder = Holder()
    twin = copy.deepcopy(holder)
    twin.memory = twin.memory.write(torch.zeros(2, 1).long(), torch.zeros(2, 1), 5 * torch.ones(2, 1, 4))
    assert holder.memory.search(torch.ones(2, 1, 4), 4).sort().values.tolist() == [[[0, 1, 2, 3]]] * 2
    assert twin.memory.search(torch.ones(2, 1, 4), 1).tolist() == [[[0]]] * 2
    torch.testing.assert_close(holder.memory.tensors()["rows"], torch.eye(4).expand(2, -1, -1), **SAME)


def test_a_copied_class_memory_learns_on_its_own():
    known = ClassMemory(make_encoder("identity", (2,)), slots=10)
    known.learn(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([7, 9]))
    twin = copy.deepcopy(known)
    twin.learn(torch.tensor([[0.5, 0.5]]), torch.tensor([11]))
    query = torch.tensor([[0.5, 0.5]])
    assert (twin.answer(query).item(), twin.used) == (11, 3)
    assert known.answer(query).item() in (7, 9)
    assert known.used == 2


def test_a_copy_commits_no_more_than_what_is_written():
    memory = SparseMemory.empty(1, 1 << 24, 32, index="exact")
    memory = memory.write(torch.tensor([[0, 1]]), torch.zeros(1, 2), torch.ones(1, 2, 32))
    assert len(pickle.dumps(memory)) < 100_000
    assert copy.deepcopy(memory).slots == 1 << 24
