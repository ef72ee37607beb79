"""One version of a store: what goes stale, forks, rewinds, grows, and what is refused.

Legend: B batch, N slots, W word size, S slots of one operation.
"""

import gc
import random
import time
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa.memory.sparse import SparseMemory, StaleStateError
from lukasa.memory.sparse.usage import lazy_zeros
from tests.memory.samples import Sampler

SAME: dict[str, Any] = {"rtol": 0, "atol": 0}
B, N, W = 2, 6, 3


def empty(slots: int = N, batch_size: int = B, **layout: Any) -> SparseMemory:
    return SparseMemory.empty(batch_size, slots, W, **{"dtype": torch.float64, "index": "exact", **layout})


def written(count: int, memory: SparseMemory | None = None, seed: int = 0) -> SparseMemory:
    """Some slots of every row filled, from least recent on, and accessed."""
    memory, sampler = memory or empty(), Sampler(seed)
    for _ in range(count):
        slots = memory.least_recent(1)
        memory = memory.write(slots, torch.zeros_like(slots), sampler.normal(memory.batch_size, 1, W))
        memory = memory.access(slots, torch.ones(slots.shape))
    return memory


def resident() -> float:
    """MiB of this process that are in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def everything(memory: SparseMemory) -> dict[str, Tensor]:
    """What is in a memory, and what it answers."""
    queries = Sampler(9).normal(memory.batch_size, 3, W)
    answers = {"oldest": memory.least_recent(memory.slots), "nearest": memory.search(queries, 4)}
    return {**memory.tensors(), **answers, "all rows": memory.store.rows.clone()}


def test_every_change_makes_the_memories_before_it_stale():
    first = written(2)
    changes = [
        lambda memory: memory.write(torch.zeros(B, 1).long(), torch.ones(B, 1), torch.ones(B, 1, W)),
        lambda memory: memory.access(torch.zeros(B, 1).long(), torch.ones(B, 1)),
        lambda memory: memory.reset(torch.tensor([True, False])),
        lambda memory: memory.grow(N + 2),
    ]
    uses = [
        *changes,
        lambda memory: memory.read(torch.zeros(B, 1).long()),
        lambda memory: memory.search(torch.ones(B, 1, W), 1),
        lambda memory: memory.least_recent(1),
        lambda memory: memory.fork(),
        lambda memory: memory.tensors(),
        lambda memory: memory.used,
        lambda memory: memory.detach(),
    ]
    for change in changes:
        after = change(first)
        for use in uses:
            with pytest.raises(StaleStateError, match=rf"version {first.version} of {after.version}; use the newest"):
                use(first)
        first = after


def test_reading_and_an_empty_reset_leave_a_memory_as_it_is():
    memory = written(2)
    _, after = memory.read(torch.zeros(B, 1).long())
    assert after is memory
    assert memory.reset(torch.zeros(B, dtype=torch.bool)) is memory


def test_slots_are_handed_out_in_order_then_the_oldest_again():
    memory = empty(4)
    memory = memory.write(memory.least_recent(2), torch.zeros(B, 2), torch.ones(B, 2, W))
    memory = memory.access(torch.tensor([[0, 1]] * B), torch.tensor([[1.0, 0.004]] * B))
    assert memory.least_recent(4).tolist() == [[1, 2, 3, 0]] * B  # 1 was not accessed: its weight is below delta
    memory = written(3, memory)
    assert memory.used.tolist() == [4] * B
    assert memory.least_recent(4).tolist() == [[0, 1, 2, 3]] * B
    memory = memory.access(torch.tensor([[0, -1]] * B), torch.ones(B, 2))
    assert memory.least_recent(4).tolist() == [[1, 2, 3, 0]] * B


def test_a_slot_that_is_not_the_next_is_refused():
    for slots in ([[3]] * B, [[2, 4]] * B):
        with pytest.raises(ValueError, match=r"cannot be written while \[2, 2\] of 6 are: .*least_recent\(\)"):
            written(2).write(torch.tensor(slots), torch.zeros(B, len(slots[0])), torch.ones(B, len(slots[0]), W))
    with pytest.raises(ValueError, match="slots up to 6 cannot be written"):
        written(6).write(torch.full((B, 1), 6), torch.zeros(B, 1), torch.ones(B, 1, W))
    with pytest.raises(ValueError, match="7 slots asked for and the memory has 6"):
        empty().least_recent(7)


def test_search_finds_what_was_written_in_the_same_step_and_marks_what_is_missing():
    memory = empty().write(torch.tensor([[0], [-1]]), torch.zeros(B, 1), torch.ones(B, 1, W))
    assert memory.search(torch.ones(B, 1, W), 3).tolist() == [[[0, -1, -1]], [[-1, -1, -1]]]
    memory = memory.write(torch.tensor([[1], [0]]), torch.zeros(B, 1), -torch.ones(B, 1, W))
    assert memory.search(-torch.ones(B, 1, W), 3).tolist() == [[[1, 0, -1]], [[0, -1, -1]]]


def test_nothing_is_read_as_zeros_and_written_nowhere():
    memory = written(2)
    before = memory.store.rows.clone()
    memory = memory.write(torch.full((B, 2), -1), torch.zeros(B, 2), torch.full((B, 2, W), torch.nan))
    torch.testing.assert_close(memory.store.rows, before, **SAME)
    assert memory.read(torch.tensor([[-1, 0]] * B))[0][:, 0].count_nonzero() == 0


def test_reset_rows_are_as_new_and_others_untouched():
    memory = written(4)
    before = everything(memory)
    after = everything(memory.reset(torch.tensor([True, False])))
    fresh = everything(written(4, seed=0).reset(torch.tensor([True, True])))
    for name in ("used", "oldest", "nearest"):
        assert after[name][0].tolist() == fresh[name][0].tolist()
        assert after[name][1].tolist() == before[name][1].tolist()
    assert after["rows"][0].count_nonzero() == 0
    torch.testing.assert_close(after["rows"][1], before["rows"][1], **SAME)


def test_reset_costs_what_was_touched_and_no_pass_over_all_slots():
    memory = written(3, empty(1 << 24, 1))
    before, started = resident(), time.process_time()
    for _ in range(20):
        memory = written(2, memory.reset(torch.tensor([True])))
    assert time.process_time() - started < 1
    assert resident() - before < 20


def test_sixteen_million_slots_cost_nothing_until_they_are_written():
    before, started = resident(), time.process_time()
    memory = SparseMemory.empty(1, 1 << 24, 32, index="exact")
    memory = memory.write(memory.least_recent(4), torch.zeros(1, 4), torch.ones(1, 4, 32))
    assert time.process_time() - started < 1
    assert resident() - before < 200  # of 2 GiB; the exact index keeps a number a slot
    assert memory.store.view().shape == (1, 1 << 24, 32)


def test_lazy_zeros_are_zeros_of_any_kind():
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64):
        zeros = lazy_zeros((3, 5), dtype, torch.device("cpu"))
        assert (zeros.dtype, zeros.shape, zeros.count_nonzero()) == (dtype, (3, 5), 0)


def test_a_memory_larger_than_the_machine_is_refused_before_it_is_made():
    with pytest.raises(
        ValueError, match=r"1 x 1,099,511,627,776 slots of 3 numbers needs 32,768.0 GiB .*cpu has [\d.,]+ GiB"
    ):
        empty(1 << 40, 1)
    with pytest.raises(ValueError, match=r"needs .* GiB"):
        empty().grow(1 << 40)


def test_fork_shares_nothing():
    memory = written(4)
    twin, before = memory.fork(), everything(memory)
    torch.testing.assert_close(everything(twin), {**before, "all rows": everything(twin)["all rows"]}, **SAME)
    written(5, twin, seed=7)
    torch.testing.assert_close(everything(memory), before, **SAME)


@pytest.mark.parametrize("seed", range(6))
def test_rewind_restores_rows_usage_order_and_index_bit_for_bit(seed: int):
    """Through resets and slots that are re-used; then the same changes give the same memory again."""
    chance = random.Random(seed)
    memory = written(chance.randint(0, 8), seed=seed)
    with memory.journalling():
        passed = [(memory.version, everything(memory))]
        for step in range(12):
            if chance.random() < 0.3:
                memory = memory.reset(torch.tensor([chance.random() < 0.5, True]))
            memory = written(chance.randint(1, 2), memory, seed=step)
            passed.append((memory.version, everything(memory)))
        for version, expected in reversed(passed[::3]):
            memory = memory.rewind(version)
            found = everything(memory)
            if not expected["all rows"][:-1].numel():  # the rows were made after this version
                expected["all rows"] = torch.zeros_like(found["all rows"])
            torch.testing.assert_close(found, expected, **SAME)
            assert memory.version == version


def test_rewound_memory_makes_those_undone_stale_even_when_their_version_comes_again():
    memory = written(2)
    with memory.journalling():
        undone = written(1, memory)
        memory = undone.rewind(memory.version)
        again = written(1, memory)
        assert again.version == undone.version
        with pytest.raises(StaleStateError):
            undone.least_recent(1)


def test_rewind_without_a_journal_or_beyond_it_says_what_to_do():
    memory = written(2)
    with pytest.raises(RuntimeError, match=r"keeps no journal: change it inside `with memory.journalling\(\):`"):
        memory.rewind(0)
    with memory.journalling():
        memory = written(1, memory)
        for version in (3, 99):
            with pytest.raises(ValueError, match=f"cannot rewind to version {version}: the journal covers versions 4"):
                memory.rewind(version)
        with pytest.raises(RuntimeError, match="cannot grow while it keeps a journal"):
            memory.grow(N + 1)


def test_grown_memory_keeps_everything_and_hands_out_the_new_slots_first():
    memory = written(8)
    before = everything(memory)
    memory = memory.grow(N + 3)
    assert memory.slots == N + 3
    after = everything(memory)
    for name in ("rows", "used", "order", "nearest"):
        torch.testing.assert_close(after[name], before[name], **SAME)
    assert after["oldest"].tolist() == [[6, 7, 8, *row] for row in before["oldest"].tolist()]
    memory = written(3, memory)
    assert memory.used.tolist() == [N + 3] * B
    torch.testing.assert_close(memory.tensors()["rows"][:, :N], before["rows"], **SAME)
    with pytest.raises(ValueError, match="9 slots cannot shrink to 8"):
        memory.grow(8)


def test_gradients_flow_through_growth():
    words = Sampler(0).normal(B, 1, W).requires_grad_()
    memory = empty().write(torch.zeros(B, 1).long(), torch.zeros(B, 1), words).grow(N + 2)
    rows, _ = memory.read(torch.zeros(B, 2).long())
    (gradient,) = torch.autograd.grad(rows.sum(), words)
    assert gradient.unique().tolist() == [2]


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_halves_sum_duplicates_in_full_precision_and_round_once(storage: str):
    memory = empty(batch_size=1, dtype=torch.float32, storage=storage)
    memory = memory.write(torch.tensor([[0]]), torch.zeros(1, 1), torch.full((1, 1, W), 256.0))
    slots = torch.tensor([[0, 0, 0, 1, -1]])
    words = torch.tensor([0.3, 0.3, 0.6, 1.5, 9.0]).view(1, 5, 1).expand(1, 5, W)
    memory = memory.write(slots, torch.ones(1, 5), words)
    rows, _ = memory.read(torch.tensor([[0, 1, -1]]))
    rounded = torch.tensor(257.2).to(getattr(torch, storage)).item()
    assert rows[0, :, 0].tolist() == [rounded, 1.5, 0]
    memory = memory.write(slots, torch.tensor([[True, False, True, True, True]]), words)
    assert memory.read(torch.tensor([[0]]))[0].dtype == torch.float32
    torch.testing.assert_close(memory.read(torch.tensor([[0]]))[0][0, 0, 0].item(), 1.2, rtol=0, atol=0.01)


def test_dropped_memories_free_their_rows_at_once():
    """No circular reference: gigabytes must not wait for the garbage collector."""
    memory, words = written(2), torch.ones(B, 1, W, requires_grad=True)
    memory = memory.write(torch.zeros(B, 1).long(), torch.ones(B, 1), words)
    rows, memory = memory.read(torch.zeros(B, 1).long())
    store = weakref.ref(memory.store)
    gc.disable()
    try:
        del memory, rows
        assert store() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": torch.zeros(B, 9, W)}, "9 slots are written and this memory has 6"),
        ({"rows": torch.zeros(B, 2, W + 1)}, r"rows \[2, 2, 4\], .*expected \[batch, written, 3\]"),
        ({"used": torch.tensor([5, 1])}, r"used is \[5, 1\] and rows hold 2 slots"),
        ({"order": torch.tensor([[0, 4]] * B)}, "order names slots that are not written"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(change: dict[str, Tensor], message: str):
    tensors = written(2).tensors()
    with pytest.raises(ValueError, match=message):
        empty().from_tensors({**tensors, **change})
