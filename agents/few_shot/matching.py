"""Matching Networks (Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra 2016).

Dimensions: B episodes, N classes, K support examples of each, S = N K, M queries, D numbers of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.agents.few_shot.encoders import EncoderName, embed, make_encoder
from lukasa.agents.few_shot.learning import Learner


class MatchingNetwork(Learner):
    """A query takes the classes of the support examples that it attends to (Vinyals et al. 2016, section 2.1).

    The attention a is a softmax over cosines, equation (1) sums it over the examples of a class. With ``context`` the
    embeddings are conditioned on the whole support (section 2.1.2 and appendix A.1, "fully conditional embeddings").

    Args:
        shape: of one example.
        ways: classes of an episode; any number does.
        encoder: network that embeds each example (f' and g', one and the same).
        channels: channels of each layer of the encoder.
        context: whether to embed support examples and queries in the context of the support.
        reads: readings of the support that a query's embedding takes with ``context`` (K in the paper).
        scale: factor of the cosines before the softmax; 1 in the paper, where no class of 5 can have more than 65 %.
    """

    def __init__(
        self,
        shape: Sequence[int],
        ways: int | None = None,
        *,
        encoder: EncoderName = "conv4",
        channels: int = 64,
        context: bool = False,
        reads: int = 5,
        scale: float = 1.0,
    ):
        super().__init__(shape)
        if scale <= 0:
            raise ValueError(f"option 'scale' of learner 'matching' is {scale!r}: expected a number above 0")
        self.encoder = make_encoder(encoder, shape, channels)
        self.scale = scale
        self.context = FullContext(self.encoder.size, reads) if context else None

    def forward(self, support: Tensor, queries: Tensor) -> Tensor:
        """Log-probabilities: [B, N, K, *shape] and [B, M, *shape] -> [B, M, N]."""
        known, asked = embed(self.encoder, support, queries)
        flat = known.flatten(1, 2)  # [B, S, D]
        if self.context is not None:
            flat, asked = self.context(flat, asked)
        cosines = F.normalize(asked, dim=-1) @ F.normalize(flat, dim=-1).transpose(1, 2)  # [B, M, S]
        attention = (self.scale * cosines).log_softmax(-1)
        return attention.unflatten(-1, known.shape[1:3]).logsumexp(-1)


class FullContext(nn.Module):
    """Embeddings in the context of the whole support (Vinyals et al. 2016, appendix A.1 and A.2).

    Args:
        size: numbers of an embedding, D.
        reads: K of the paper, steps of the LSTM that reads the support.
    """

    def __init__(self, size: int, reads: int):
        super().__init__()
        self.reads = reads
        self.around = nn.LSTM(size, size, batch_first=True, bidirectional=True)
        # The paper's LSTM has [h, r] for its hidden state; r is a constant of the step, so it may as well be input.
        self.reader = nn.LSTMCell(2 * size, size)

    def forward(self, known: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """From g' and f' to g and f: [B, S, D] and [B, M, D] to the same."""
        known = self.in_context(known)
        return known, self.reading(known, asked)

    def in_context(self, known: Tensor) -> Tensor:
        """A bidirectional LSTM over the support, with a skip: g(x_i, S) = h→_i + h←_i + g'(x_i); [B, S, D]."""
        both, _ = self.around(known)
        forwards, backwards = both.chunk(2, -1)
        return forwards + backwards + known

    def reading(self, known: Tensor, asked: Tensor) -> Tensor:
        """f(x, S) = attLSTM(f'(x), g(S), K), equations (3) to (6): g(S) [B, S, D] and f' [B, M, D] -> [B, M, D]."""
        flat = asked.flatten(0, 1)  # [B M, D]
        hidden, cell = torch.zeros_like(flat), torch.zeros_like(flat)
        for _ in range(self.reads):
            content = (hidden.view_as(asked) @ known.transpose(1, 2)).softmax(-1)  # [B, M, S]
            read = (content @ known).flatten(0, 1)
            hidden, cell = self.reader(torch.cat([flat, read], -1), (hidden, cell))
            hidden = hidden + flat
        return hidden.view_as(asked)
