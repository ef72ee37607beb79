"""The sequence-to-sequence models beside which the Pointer Network was shown.

Legend: B batch, N points, M points that there are outputs for, T steps of an answer with its end, H size of a state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lukasa.memory.pointers.pointer import FEATURES, Encoded, Pointer, Step, choices_of, initialise, run_lstm
from lukasa.memory.pointers.pointer_network import pointer_scores

State = tuple[Tensor, Tensor, Tensor]  # hidden and cell [B, H], and d' of the step before [B, H]


class AttentionLSTM(Pointer):
    """An LSTM reads the points, another looks at them and answers in a fixed dictionary of places (sections 2.1, 2.2).

    d' = sum_j a_j e_j is what it looked at; [d', d] gives the scores and goes into the next step. A set may have no
    more points than the dictionary; places that a smaller set does not have are never answered.

    Args:
        most: the most points of a set (M).
        size: units of the encoder and of the decoder (H).
        attention: whether it looks at the points; without, it is the plain LSTM of section 2.1.
        init: weights are drawn uniformly from plus or minus this much.
    """

    def __init__(self, most: int, *, size: int = 512, attention: bool = True, init: float = 0.08):
        super().__init__()
        self.most, self.attention = most, attention
        self.encoder = nn.LSTM(FEATURES, size, batch_first=True)
        self.symbols = nn.Embedding(most + 2, size)  # the end, each place, and the start
        self.decoder = nn.LSTMCell(2 * size if attention else size, size)
        if attention:
            self.to_keys = nn.Linear(size, size, bias=False)
            self.to_query = nn.Linear(size, size, bias=False)
            self.weight = nn.Parameter(torch.empty(size))
        self.output = nn.Linear(2 * size if attention else size, most + 1)
        initialise(self, init)

    def encode(self, points: Tensor, sizes: Tensor) -> Encoded:
        """Read sets of points.

        Raises:
            ValueError: there are more points than the dictionary has places.
        """
        self.check(points)
        states, (hidden, cell) = run_lstm(self.encoder, points, sizes)
        keys = self.to_keys(states) if self.attention else states
        return Encoded(points, sizes, states, keys, hidden, cell)

    def begin(self, encoded: Encoded) -> State:
        """The encoder's last state; nothing has been looked at."""
        return encoded.hidden, encoded.cell, torch.zeros_like(encoded.hidden)

    def step(self, encoded: Encoded, state: State, chosen: Tensor | None) -> Step:
        """Look, and answer a place; the input is the place that was answered before."""
        hidden, cell, looked = state
        assert self.most is not None
        batch, count = encoded.points.shape[:2]
        if chosen is None:
            chosen = torch.full((batch,), self.most + 1, device=hidden.device)
        inputs = self.symbols(chosen)
        inputs = torch.cat([inputs, looked], -1) if self.attention else inputs
        hidden, cell = self.decoder(inputs, (hidden, cell))
        there = torch.arange(count, device=hidden.device) < encoded.sizes[:, None]
        if self.attention:
            heights = pointer_scores(encoded.keys, self.to_query(hidden)[:, None], self.weight).squeeze(1)
            weights = torch.softmax(heights.masked_fill(~there, -torch.inf), -1)  # [B, N]
            looked = (weights[..., None] * encoded.states).sum(1)
            outputs = self.output(torch.cat([looked, hidden], -1))
        else:
            weights, outputs = torch.zeros_like(there, dtype=hidden.dtype), self.output(hidden)
        scores = outputs[:, : count + 1].masked_fill(~torch.nn.functional.pad(there, (1, 0), value=True), -torch.inf)
        return Step(scores, weights, (hidden, cell, looked))

    def forward(self, points: Tensor, sizes: Tensor, answers: Tensor) -> Tensor:
        """Step by step, for what was looked at goes into the next step."""
        encoded = self.encode(points, sizes)
        state, chosen, found = self.begin(encoded), None, []
        for right in choices_of(answers).unbind(1):
            scores, _, state = self.step(encoded, state, chosen)
            found.append(scores)
            chosen = right
        return torch.stack(found, 1)
