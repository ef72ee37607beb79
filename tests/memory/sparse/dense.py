"""A dense float64 memory and a dense SAM, written as loops and differentiated by autograd, to hold the sparse ones to.

Legend: B batch, D input width, H heads, N slots, W word size, C slots that a head reads, S slots of one operation.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def read(memory: Tensor, slots: list[list[int]]) -> Tensor:
    """Rows [B, S, W] of a memory [B, N, W]; slot -1 reads zeros."""
    nothing = torch.zeros(memory.shape[2], dtype=memory.dtype)
    rows = [torch.stack([memory[b, s] if s >= 0 else nothing for s in row]) for b, row in enumerate(slots)]
    return torch.stack(rows)


def write(memory: Tensor, slots: list[list[int]], keep: list[list[bool]], words: Tensor) -> Tensor:
    """Erase what is not kept, then add word by word."""
    kept = torch.ones(memory.shape[:2], dtype=memory.dtype)
    for b, row in enumerate(slots):
        for s, stays in zip(row, keep[b], strict=True):
            if s >= 0 and not stays:
                kept[b, s] = 0
    memory = memory * kept.unsqueeze(2)
    for b, row in enumerate(slots):
        for position, s in enumerate(row):
            if s >= 0:
                here = torch.zeros(memory.shape[:2], dtype=memory.dtype)
                here[b, s] = 1
                memory = memory + here.unsqueeze(2) * words[b, position]
    return memory


class Ring:
    """Slots of one row by their last access, never accessed ones first, ties by lowest slot."""

    def __init__(self, slots: int):
        self.when = [0] * slots
        self.now = 0

    def least_recent(self, count: int) -> list[int]:
        return sorted(range(len(self.when)), key=lambda slot: (self.when[slot], slot))[:count]

    def access(self, slots: list[int]) -> None:
        self.now += 1
        for slot in slots:
            self.when[slot] = self.now


class DenseSlots:
    """A ``lukasa.memory.sparse.slot_memory.SlotMemory`` that is one dense tensor and looks at every slot."""

    def __init__(self, rows: Tensor, used: list[int], rings: list[Ring]):
        self.rows, self.used, self.rings = rows, used, rings  # rows [B, N, W]

    @classmethod
    def empty(cls, batch_size: int, slots: int, word_size: int) -> DenseSlots:
        rows = torch.zeros(batch_size, slots, word_size, dtype=torch.float64)
        return cls(rows, [0] * batch_size, [Ring(slots) for _ in range(batch_size)])

    @property
    def batch_size(self) -> int:
        return len(self.rows)

    @property
    def slots(self) -> int:
        return self.rows.shape[1]

    @property
    def word_size(self) -> int:
        return self.rows.shape[2]

    def least_recent(self, count: int) -> Tensor:
        return torch.tensor([ring.least_recent(count) for ring in self.rings])

    def search(self, queries: Tensor, k: int) -> Tensor:
        found = torch.full((*queries.shape[:2], k), -1)
        for b, used in enumerate(self.used):
            for r, query in enumerate(queries[b]):
                scores = F.cosine_similarity(self.rows[b, :used], query, dim=1)
                best = sorted(range(used), key=lambda slot, scores=scores: -scores[slot].item())[:k]
                found[b, r, : len(best)] = torch.tensor(best, dtype=torch.int64)
        return found

    def read(self, slots: Tensor) -> tuple[Tensor, DenseSlots]:
        return read(self.rows, slots.flatten(1).tolist()).view(*slots.shape, self.word_size), self

    def write(self, slots: Tensor, keep: Tensor, words: Tensor) -> DenseSlots:
        rows = write(self.rows, slots.tolist(), keep.tolist(), words)
        used = [max(before, max(row) + 1) for before, row in zip(self.used, slots.tolist(), strict=True)]
        return DenseSlots(rows, used, self.rings)

    def access(self, slots: Tensor, weights: Tensor) -> DenseSlots:
        for ring, row, heavy in zip(self.rings, slots.tolist(), (weights > 0.005).tolist(), strict=True):
            ring.access(sorted({slot for slot, accessed in zip(row, heavy, strict=True) if accessed and slot >= 0}))
        return self


class DenseSAM:
    """SAM over a dense memory: the selected slots are given, all else is computed from the paper's equations.

    Of the core the parameters are used, and where its interface holds what: keys, words, strengths, α, γ.
    """

    def __init__(self, core: Any, batch_size: int):
        self.core, self.batch_size = core, batch_size
        self.start()

    def start(self) -> None:
        core = self.core
        self.memory = torch.zeros(self.batch_size, core.slots, core.word_size, dtype=torch.float64)
        self.weights = torch.zeros(self.batch_size, core.heads, core.slots, dtype=torch.float64)
        self.reads = torch.zeros(self.batch_size, core.heads, core.word_size, dtype=torch.float64)
        self.rings = [Ring(core.slots) for _ in range(self.batch_size)]
        self.controller = core.controller.initial_state(self.batch_size)

    def detach(self) -> None:
        self.memory, self.weights, self.reads = self.memory.detach(), self.weights.detach(), self.reads.detach()
        self.controller = type(self.controller)(*(part.detach() for part in self.controller))

    def reset(self, starts: list[bool]) -> None:
        fresh = DenseSAM(self.core, self.batch_size)
        choose = torch.tensor(starts).view(-1, 1, 1)
        self.memory = torch.where(choose, fresh.memory, self.memory)
        self.weights = torch.where(choose, fresh.weights, self.weights)
        self.reads = torch.where(choose, fresh.reads, self.reads)
        parts = zip(fresh.controller, self.controller, strict=True)
        self.controller = type(self.controller)(*(torch.where(choose, new, old) for new, old in parts))
        self.rings = [new if start else old for new, old, start in zip(fresh.rings, self.rings, starts, strict=True)]

    def step(self, inputs: Tensor, selected: list[list[list[int]]]) -> Tensor:
        core, heads, width = self.core, self.core.heads, self.core.word_size
        hidden, self.controller = core.controller(torch.cat([inputs, self.reads.flatten(1)], 1), self.controller)
        emitted = F.linear(hidden, core.interface.weight, core.interface.bias)
        outputs = []
        memory, weights, reads = [], [], []
        for b in range(self.batch_size):
            keys = emitted[b, : heads * width].view(heads, width)
            words = emitted[b, heads * width : 2 * heads * width].view(heads, width)
            strengths, alpha, gamma = emitted[b, 2 * heads * width :].view(3, heads)
            alpha, gamma = torch.sigmoid(alpha), torch.sigmoid(gamma)
            oldest = self.rings[b].least_recent(heads)
            new_memory, write_weights = self.memory[b], []
            for slot in oldest:
                new_memory = new_memory * (1 - torch.eye(core.slots, dtype=torch.float64)[slot]).unsqueeze(1)
            for h in range(heads):
                one = torch.eye(core.slots, dtype=torch.float64)[oldest[h]]
                write_weights.append(alpha[h] * (gamma[h] * self.weights[b, h] + (1 - gamma[h]) * one))
                new_memory = new_memory + torch.outer(write_weights[h], words[h])
            new_weights, new_reads, accessed = [], [], set()
            for h in range(heads):
                found = [slot for slot in selected[b][h] if slot >= 0]
                length = (new_memory.square().sum(1) + 1e-6).sqrt() * (keys[h].square().sum() + 1e-6).sqrt()
                scores = F.softplus(strengths[h]) * (new_memory @ keys[h]) / length
                weight = torch.zeros(core.slots, dtype=torch.float64)
                if found:
                    weight = weight.index_put((torch.tensor(found),), torch.softmax(scores[found], 0))
                new_weights.append(weight)
                new_reads.append(weight @ new_memory)
                one = torch.eye(core.slots, dtype=torch.float64)[oldest[h]]
                parts = [weight, alpha[h] * gamma[h] * self.weights[b, h], alpha[h] * (1 - gamma[h]) * one]
                accessed |= {slot for part in parts for slot in range(core.slots) if part[slot] > core.sparse["delta"]}
            self.rings[b].access(sorted(accessed))
            memory.append(new_memory)
            weights.append(torch.stack(new_weights))
            reads.append(torch.stack(new_reads))
            outputs.append(core.output(torch.cat([hidden[b], reads[b].flatten()])))
        self.memory, self.weights, self.reads = torch.stack(memory), torch.stack(weights), torch.stack(reads)
        return torch.stack(outputs)
