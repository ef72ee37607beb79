"""The Pointer Network.

Legend: B batch, N points, F numbers of a point, T steps of an answer with its end, H size of a state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lukasa.memory.pointers.pointer import (
    FEATURES,
    Encoded,
    LSTMState,
    Pointer,
    Step,
    choices_of,
    initialise,
    run_lstm,
)


def pointer_scores(keys: Tensor, queries: Tensor, weight: Tensor) -> Tensor:
    """u_j^i = v^T tanh(W_1 e_j + W_2 d_i), equation 3 of Vinyals et al. 2015.

    Args:
        keys: [B, K, H], W_1 e_j.
        queries: [B, T, H], W_2 d_i.
        weight: [H], v.

    Returns:
        [B, T, K].
    """
    return torch.tanh(keys[:, None] + queries[:, :, None]) @ weight


class PointerNetwork(Pointer):
    """An LSTM reads the points, another points at them: attention is the output (Vinyals et al. 2015, section 2.3).

    The end is a symbol with a learned key, so that an answer may have any length; it is chosen like a point.

    Args:
        most: the most points of a set that it is trained on, which says nothing here: it points at any number.
        size: units of the encoder and of the decoder (H).
        init: weights are drawn uniformly from plus or minus this much.
    """

    def __init__(self, most: int = 0, *, size: int = 512, init: float = 0.08):
        super().__init__()
        self.encoder = nn.LSTM(FEATURES, size, batch_first=True)
        self.decoder = nn.LSTM(FEATURES, size, batch_first=True)
        self.start = nn.Parameter(torch.empty(FEATURES))  # the decoder's first input
        self.end = nn.Parameter(torch.empty(size))  # what is encoded of the end
        self.to_keys = nn.Linear(size, size, bias=False)  # W_1
        self.to_query = nn.Linear(size, size, bias=False)  # W_2
        self.weight = nn.Parameter(torch.empty(size))  # v
        initialise(self, init)

    def encode(self, points: Tensor, sizes: Tensor) -> Encoded:
        """Read sets of points; the first key is that of the end."""
        states, (hidden, cell) = run_lstm(self.encoder, points, sizes)
        ends = self.end.expand(len(points), 1, -1)
        return Encoded(points, sizes, states, self.to_keys(torch.cat([ends, states], 1)), hidden, cell)

    def begin(self, encoded: Encoded) -> LSTMState:
        """The encoder's last state."""
        return encoded.hidden, encoded.cell

    def step(self, encoded: Encoded, state: LSTMState, chosen: Tensor | None) -> Step:
        """Point once; the input is the point that was chosen before, which after an end does not matter."""
        if chosen is None:
            inputs = self.start.expand(len(encoded.points), -1)
        else:
            rows = torch.arange(len(chosen), device=chosen.device)
            inputs = encoded.points[rows, (chosen - 1).clamp(min=0)]  # [B, F]
        outputs, (hidden, cell) = self.decoder(inputs[:, None], (state[0][None], state[1][None]))
        scores = self._scores(encoded, outputs).squeeze(1)
        return Step(scores, torch.softmax(scores, -1)[:, 1:], (hidden[0], cell[0]))

    def forward(self, points: Tensor, sizes: Tensor, answers: Tensor) -> Tensor:
        """All steps at once: what the decoder is given does not depend on what it says."""
        encoded = self.encode(points, sizes)
        before = choices_of(answers)[:, :-1].sub(1).clamp(min=0)[..., None].expand(-1, -1, points.shape[-1])
        inputs = torch.cat([self.start.expand(len(points), 1, -1), points.gather(1, before)], 1)
        outputs, _ = self.decoder(inputs, (encoded.hidden[None], encoded.cell[None]))
        return self._scores(encoded, outputs)

    def _scores(self, encoded: Encoded, outputs: Tensor) -> Tensor:
        scores = pointer_scores(encoded.keys, self.to_query(outputs), self.weight)
        there = torch.arange(scores.shape[-1], device=scores.device) <= encoded.sizes[:, None]
        return scores.masked_fill(~there[:, None], -torch.inf)
