"""Model-agnostic meta-learning (Finn, Abbeel and Levine 2017).

Dimensions: B episodes, N classes, K support examples of each, M queries.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.agents.few_shot.adaptation import adapt_and_predict
from lukasa.agents.few_shot.encoders import ConvEncoder, Encoder, EncoderName, check_episodes, make_encoder
from lukasa.agents.few_shot.learning import Learner


class MAML(Learner):
    """A classifier whose parameters are such that few steps of gradient descent on the support make a good one.

    The queries of an episode are named together: batch norm uses the statistics of the examples it sees, as in the
    authors' experiments, so an answer depends a little on the other queries (the transductive setting).

    Args:
        shape: of one example.
        ways: N; the last layer is as wide, so every episode has as many classes.
        encoder: network before the last layer.
        channels: channels of each layer of the encoder.
        inner_steps: steps of gradient descent in training; 1 for 5 ways and 5 for 20 in the paper's Omniglot.
        inner_lr: learning rate of those steps (α); 0.4 for 5 ways and 0.1 for 20 in the paper's Omniglot.
        test_steps: steps of gradient descent in evaluation.
        first_order: ignore second derivatives (section 5.2).
    """

    def __init__(
        self,
        shape: Sequence[int],
        ways: int,
        *,
        encoder: EncoderName = "conv4",
        channels: int = 64,
        inner_steps: int = 1,
        inner_lr: float = 0.4,
        test_steps: int = 3,
        first_order: bool = False,
    ):
        super().__init__(shape)
        if encoder == "conv4":
            self.encoder: Encoder = ConvEncoder(shape, channels, running_statistics=False)
        else:
            self.encoder = make_encoder(encoder, shape, channels)
        self.ways = ways
        self.inner_steps, self.inner_lr, self.test_steps = inner_steps, inner_lr, test_steps
        self.first_order = first_order
        self.head = nn.Linear(self.encoder.size, ways)

    @property
    def network(self) -> nn.Sequential:
        """Encoder and last layer: examples [E, *shape] to [E, N]."""
        return nn.Sequential(self.encoder, self.head)

    def forward(self, support: Tensor, queries: Tensor) -> Tensor:
        """Answers after adapting: [B, N, K, *shape] and [B, M, *shape] -> [B, M, N].

        Raises:
            ValueError: the episodes have another number of classes, or other examples.
        """
        check_episodes(self.shape, support, queries)
        batch_size, ways, shots = support.shape[:3]
        if ways != self.ways:
            raise ValueError(
                f"the episodes have {ways} classes and this MAML names {self.ways}: its last layer is as wide as the "
                f"number of classes, so make another with ways={ways}"
            )
        labels = torch.arange(ways, device=support.device).repeat_interleave(shots).expand(batch_size, -1)
        return adapt_and_predict(
            self.network,
            F.cross_entropy,
            support.flatten(1, 2),
            labels,
            queries,
            steps=self.inner_steps if self.training else self.test_steps,
            lr=self.inner_lr,
            first_order=self.first_order,
        )
