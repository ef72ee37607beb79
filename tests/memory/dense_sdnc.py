"""An SDNC over dense memory and links, written as loops and differentiated by autograd, to hold the sparse one to.

Legend: B batch, D input width, H heads, N slots, W word size, C slots that a head reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.memory.link_oracle import DenseLinks
from tests.memory.sparse.dense import Ring


class DenseSDNC:
    """Rae et al. 2016, eq. 2 to 6 and supplement D, for one row after the other; slots are chosen here too.

    Of the core the parameters are used, and where its interface holds what: keys, words, strengths, α, γ, π.
    """

    def __init__(self, core: Any, batch_size: int):
        self.core, self.batch_size = core, batch_size
        self.rows = [DenseRow(core) for _ in range(batch_size)]
        self.controller = core.controller.initial_state(batch_size)

    def step(self, inputs: Tensor) -> Tensor:
        core = self.core
        reads = torch.stack([row.reads.flatten() for row in self.rows])
        hidden, self.controller = core.controller(torch.cat([inputs, reads], 1), self.controller)
        emitted = F.linear(hidden, core.interface.weight, core.interface.bias)
        for row, told in zip(self.rows, emitted, strict=True):
            row.step(told)
        reads = torch.stack([row.reads.flatten() for row in self.rows])
        return F.linear(torch.cat([hidden, reads], 1), core.output.weight, core.output.bias)

    def detach(self) -> None:
        for row in self.rows:
            row.memory, row.reads, row.weights = row.memory.detach(), row.reads.detach(), row.weights.detach()
        self.controller = type(self.controller)(*(part.detach() for part in self.controller))

    def reset(self, starts: list[bool]) -> None:
        choose = torch.tensor(starts).view(-1, 1, 1)
        fresh = self.core.controller.initial_state(self.batch_size)
        parts = zip(fresh, self.controller, strict=True)
        self.controller = type(fresh)(*(torch.where(choose, new, old) for new, old in parts))
        self.rows = [DenseRow(self.core) if start else row for row, start in zip(self.rows, starts, strict=True)]


class DenseRow:
    """Memory, links and usage of one row."""

    def __init__(self, core: Any):
        self.core = core
        self.memory = torch.zeros(core.slots, core.word_size, dtype=torch.float64)
        self.weights = torch.zeros(core.heads, core.slots, dtype=torch.float64)
        self.reads = torch.zeros(core.heads, core.word_size, dtype=torch.float64)
        self.links = DenseLinks(core.slots, core.linking["entries"], core.linking["decay"] == "both")
        self.ring = Ring(core.slots)
        self.written: set[int] = set()

    def step(self, told: Tensor) -> None:
        core, heads, width = self.core, self.core.heads, self.core.word_size
        keys, words = told[: 2 * heads * width].view(2, heads, width)
        strengths, alpha, gamma = told[2 * heads * width :][: 3 * heads].view(3, heads)
        modes = torch.softmax(told[-3 * heads :].view(heads, 3), 1)
        one = torch.eye(core.slots, dtype=torch.float64)
        oldest, writes = self.ring.least_recent(heads), []
        for slot in oldest:
            self.memory = self.memory * (1 - one[slot]).unsqueeze(1)
        for h in range(heads):
            a, g = torch.sigmoid(alpha[h]), torch.sigmoid(gamma[h])
            writes.append([a * g * self.weights[h], a * (1 - g) * one[oldest[h]]])
            self.memory = self.memory + torch.outer(writes[h][0] + writes[h][1], words[h])
            self.written |= {oldest[h]}
        total = torch.stack([part for pair in writes for part in pair]).sum(0)
        self.links.update(total.detach().numpy(), oldest)
        found = [self.read_weighting(h, keys[h], F.softplus(strengths[h]), modes[h]) for h in range(heads)]
        self.weights = torch.stack(found)
        self.reads = self.weights @ self.memory
        parts = [part for pair in writes for part in pair] + found
        limit = core.sparse["delta"]
        self.ring.access([slot for slot in range(core.slots) if any(part[slot] > limit for part in parts)])

    def read_weighting(self, head: int, key: Tensor, strength: Tensor, modes: Tensor) -> Tensor:
        """π[1] b + π[2] c + π[3] f, of which the C largest entries stay."""
        core = self.core
        length = (self.memory.square().sum(1) + 1e-6).sqrt() * (key.square().sum() + 1e-6).sqrt()
        cosine = self.memory @ key / length
        nearest = sorted(self.written, key=lambda slot: -cosine[slot].item())[: core.reads]
        content = torch.zeros(core.slots, dtype=torch.float64)
        content = content.index_put((torch.tensor(nearest),), torch.softmax(strength * cosine[nearest], 0))
        back = torch.tensor(self.links.earlier).T @ self.weights[head]
        ahead = torch.tensor(self.links.later).T @ self.weights[head]
        mixed = modes[0] * back + modes[1] * content + modes[2] * ahead
        stay = np.argsort(-mixed.detach().numpy(), kind="stable")[: core.reads]
        return mixed * torch.zeros(core.slots, dtype=torch.float64).index_fill(0, torch.from_numpy(stay), 1)
