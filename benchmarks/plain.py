"""A plain NTM and a plain DNC, as public implementations write them: the yardstick of ``cores.py`` in the same run.

Equation by equation, autograd throughout, no kernels; one read and one write head (NTM), R read heads (DNC).

Legend: B batch, T time, D input width, K output width, R read heads, N slots, W word size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-6


def cosine(memory: Tensor, keys: Tensor) -> Tensor:
    """[B, N, W] and [B, R, W] to [B, R, N]."""
    return F.cosine_similarity(keys.unsqueeze(2), memory.unsqueeze(1), dim=-1, eps=EPSILON)


class PlainNTM(nn.Module):
    """Graves et al. 2014 with one read and one write head."""

    def __init__(self, inputs: int, outputs: int, slots: int, word: int, hidden: int):
        super().__init__()
        self.slots, self.word = slots, word
        self.cell = nn.LSTMCell(inputs + word, hidden)
        self.widths = [word, 1, 1, 3, 1]
        self.read_head = nn.Linear(hidden, sum(self.widths))
        self.write_head = nn.Linear(hidden, sum(self.widths) + 2 * word)
        self.output = nn.Linear(hidden + word, outputs)

    def address(self, memory: Tensor, previous: Tensor, head: Tensor) -> Tensor:
        """Weights [B, N] of one head."""
        key, strength, gate, shift, sharpness = head.split(self.widths, 1)
        content = torch.softmax(F.softplus(strength) * cosine(memory, key.unsqueeze(1)).squeeze(1), 1)
        gate, shift = torch.sigmoid(gate), torch.softmax(shift, 1)
        weights = gate * content + (1 - gate) * previous
        around = torch.cat([weights[:, -1:], weights, weights[:, :1]], 1).unfold(1, 3, 1)  # [B, N, 3]
        weights = (around * shift.flip(1).unsqueeze(1)).sum(2)
        weights = weights ** (1 + F.softplus(sharpness))
        return weights / (weights.sum(1, keepdim=True) + 1e-16)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [B, T, D] to outputs [B, T, K]."""
        batch = inputs.shape[0]
        memory = inputs.new_full((batch, self.slots, self.word), 1e-6)
        reading = writing = inputs.new_full((batch, self.slots), 1 / self.slots)
        read = inputs.new_zeros(batch, self.word)
        state, outputs = None, []
        for step in inputs.unbind(1):
            hidden, cell = self.cell(torch.cat([step, read], 1), state)
            state = hidden, cell
            head, erase, add = self.write_head(hidden).split([sum(self.widths), self.word, self.word], 1)
            writing = self.address(memory, writing, head)
            memory = memory * (1 - writing.unsqueeze(2) * torch.sigmoid(erase).unsqueeze(1))
            memory = memory + writing.unsqueeze(2) * add.unsqueeze(1)
            reading = self.address(memory, reading, self.read_head(hidden))
            read = (reading.unsqueeze(2) * memory).sum(1)
            outputs.append(self.output(torch.cat([hidden, read], 1)))
        return torch.stack(outputs, 1)


class PlainDNC(nn.Module):
    """Graves et al. 2016."""

    def __init__(self, inputs: int, outputs: int, slots: int, word: int, heads: int, hidden: int):
        super().__init__()
        self.slots, self.word, self.heads = slots, word, heads
        self.cell = nn.LSTMCell(inputs + heads * word, hidden)
        self.widths = [heads * word, heads, word, 1, word, word, heads, 1, 1, 3 * heads]
        self.interface = nn.Linear(hidden, sum(self.widths))
        self.output = nn.Linear(hidden + heads * word, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [B, T, D] to outputs [B, T, K]."""
        batch, new = inputs.shape[0], inputs.new_zeros
        memory, usage = new(batch, self.slots, self.word), new(batch, self.slots)
        links, precedence = new(batch, self.slots, self.slots), new(batch, self.slots)
        reading, writing = new(batch, self.heads, self.slots), new(batch, self.slots)
        reads, state, outputs = new(batch, self.heads, self.word), None, []
        others = 1 - torch.eye(self.slots)
        for step in inputs.unbind(1):
            hidden, cell = self.cell(torch.cat([step, reads.flatten(1)], 1), state)
            state = hidden, cell
            keys, strengths, key, strength, erase, add, free, allocate, write, modes = self.interface(hidden).split(
                self.widths, 1
            )
            retention = (1 - torch.sigmoid(free).unsqueeze(2) * reading).prod(1)
            usage = (usage + writing - usage * writing) * retention
            ascending, free_list = usage.sort(dim=1, stable=True)
            before = torch.cat([torch.ones_like(ascending[:, :1]), ascending.cumprod(1)[:, :-1]], 1)
            allocation = torch.zeros_like(usage).scatter(1, free_list, (1 - ascending) * before)
            content = torch.softmax((1 + F.softplus(strength)) * cosine(memory, key.unsqueeze(1)).squeeze(1), 1)
            allocate, write = torch.sigmoid(allocate), torch.sigmoid(write)
            writing = write * (allocate * allocation + (1 - allocate) * content)
            memory = memory * (1 - writing.unsqueeze(2) * torch.sigmoid(erase).unsqueeze(1))
            memory = memory + writing.unsqueeze(2) * add.unsqueeze(1)
            pairs = 1 - writing.unsqueeze(2) - writing.unsqueeze(1)
            links = (pairs * links + writing.unsqueeze(2) * precedence.unsqueeze(1)) * others
            precedence = (1 - writing.sum(1, keepdim=True)) * precedence + writing
            found = cosine(memory, keys.unflatten(1, (self.heads, -1)))
            found = torch.softmax((1 + F.softplus(strengths)).unsqueeze(2) * found, 2)
            modes = torch.softmax(modes.unflatten(1, (self.heads, 3)), 2).unsqueeze(3)
            ahead, back = reading @ links.transpose(1, 2), reading @ links
            reading = modes[:, :, 0] * back + modes[:, :, 1] * found + modes[:, :, 2] * ahead
            reads = reading @ memory
            outputs.append(self.output(torch.cat([hidden, reads.flatten(1)], 1)))
        return torch.stack(outputs, 1)
