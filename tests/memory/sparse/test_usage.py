"""The usage order against a list that is sorted anew every time."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lukasa.memory.sparse import usage
from lukasa.memory.sparse.usage import UsageOrder
from tests.memory.samples import property_test
from tests.memory.sparse.dense import Ring

B = 3


class Both:
    """Orders of B rows beside B lists; between two events their answers must agree."""

    def __init__(self, seed: int, slots: int):
        self.random, self.slots = random.Random(seed), slots
        self.order = UsageOrder(B, slots, torch.device("cpu"))
        self.rings = [Ring(slots) for _ in range(B)]

    def access(self, width: int) -> None:
        """Of the lowest slots, as those that are written are; duplicates and slots below delta among them."""
        reach = self.random.randint(1, self.slots)
        slots = [[self.random.randint(-1, reach - 1) for _ in range(width)] for _ in range(B)]
        marked = [[self.random.random() < 0.6 for _ in range(width)] for _ in range(B)]
        self.order.access(torch.tensor(slots), torch.tensor(marked))
        for ring, row, marks in zip(self.rings, slots, marked, strict=True):
            ring.access(sorted({slot for slot, mark in zip(row, marks, strict=True) if mark and slot >= 0}))

    def reset(self, row: int) -> None:
        self.order.reset(row, self.slots)
        self.rings[row] = Ring(self.slots)

    def grow(self) -> None:
        self.order.grow(self.slots + 3, self.slots)
        for ring in self.rings:
            ring.when += [0] * 3
        self.slots += 3

    def restore(self) -> None:
        order = self.order.accessed_slots()
        self.order = UsageOrder(B, self.slots, torch.device("cpu"))
        self.order.restore(order)

    def check(self, count: int) -> None:
        assert self.order.least_recent(count).tolist() == [ring.least_recent(count) for ring in self.rings]


@property_test
@given(seed=st.integers(0, 2**31), slots=st.integers(1, 12), compaction=st.sampled_from([4, 40, 4096]))
def test_order_equals_a_sorted_list(seed: int, slots: int, compaction: int):
    both = Both(seed, slots)
    both.order.compact_at = compaction
    for _ in range(60):
        both.access(both.random.randint(1, 6))
        chance = both.random.random()
        if chance < 0.1:
            both.reset(both.random.randrange(B))
        elif chance < 0.15:
            both.grow()
        elif chance < 0.2:
            both.restore()
        both.check(both.random.randint(1, both.slots))


def test_slots_never_accessed_come_first_in_their_order():
    order = UsageOrder(1, 6, torch.device("cpu"))
    order.access(torch.tensor([[0, 1, 3]]), torch.tensor([[True, False, True]]))
    assert order.least_recent(6).tolist() == [[1, 2, 4, 5, 0, 3]]


def test_log_stays_within_twice_the_slots_accessed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(usage, "LOG_ENTRIES", 16)
    order = UsageOrder(2, 1000, torch.device("cpu"))
    order.compact_at = 16
    for step in range(200):
        slots = torch.tensor([[step % 10, (step + 1) % 10, 3, 3]] * 2)
        order.access(slots, torch.ones_like(slots, dtype=torch.bool))
        order.least_recent(4)
        assert order.end <= 2 * 10 + 16 + 4
    assert order.log.shape[1] <= 64


def test_each_entry_of_the_log_is_passed_once():
    """A slot that is never accessed stays the first; those behind it must not be looked at again and again."""
    order = UsageOrder(1, 5000, torch.device("cpu"))
    for step in range(1, 4000):
        order.access(torch.tensor([[step]]), torch.tensor([[True]]))
        assert order.least_recent(2).tolist() == [[0, step + 1]]
    assert 4001 <= int(order.cursor) <= 4001 + usage.AHEAD
