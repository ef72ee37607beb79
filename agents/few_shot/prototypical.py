"""Prototypical Networks (Snell, Swersky and Zemel 2017).

Dimensions: B episodes, N classes, K support examples of each, M queries, D numbers of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lukasa.agents.few_shot.encoders import EncoderName, embed, make_encoder
from lukasa.agents.few_shot.learning import Learner


def squared_distances(points: Tensor, others: Tensor) -> Tensor:
    """Squared Euclidean distances: [..., M, D] and [..., N, D] -> [..., M, N], never negative."""
    lengths = points.square().sum(-1)[..., :, None] + others.square().sum(-1)[..., None, :]
    # Rounding could leave a point a little less than nothing away from itself.
    return (lengths - 2 * points @ others.transpose(-1, -2)).clamp(min=0)


class PrototypicalNetwork(Learner):
    """A class is the mean of its embedded examples; a query is of the class whose mean is near.

    c_n is the mean of f(x) over the support of class n (equation 1), and p(n | x) the softmax over classes of minus
    the squared Euclidean distance between f(x) and c_n (equation 2).

    Args:
        shape: of one example.
        ways: classes of an episode; any number does.
        encoder: network that embeds each example (f).
        channels: channels of each layer of the encoder.
    """

    def __init__(
        self, shape: Sequence[int], ways: int | None = None, *, encoder: EncoderName = "conv4", channels: int = 64
    ):
        super().__init__(shape)
        self.encoder = make_encoder(encoder, shape, channels)

    def forward(self, support: Tensor, queries: Tensor) -> Tensor:
        """Minus the squared distances: [B, N, K, *shape] and [B, M, *shape] -> [B, M, N]."""
        known, asked = embed(self.encoder, support, queries)
        prototypes = known.mean(2)  # [B, N, D]
        return -squared_distances(asked, prototypes)
