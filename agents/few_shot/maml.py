"""Model-agnostic meta-learning (Finn, Abbeel and Levine 2017).

Dimensions: B episodes, N classes, K support examples of each, M queries; E examples to adapt to, O numbers of an
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from agents.few_shot.encoders import ConvEncoder, Encoder, EncoderName, check_episodes, make_encoder
from agents.few_shot.learning import Learner

Loss = Callable[[Tensor, Tensor], Tensor]
"""Answers [E, O] and targets [E, ...] to a scalar."""


def adapt(
    network: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    *,
    steps: int,
    lr: float,
    first_order: bool = False,
) -> dict[str, Tensor]:
    """The parameters after some steps of gradient descent on one task; θ' of equation 1, from the network's own θ.

    The network keeps its parameters. Gradients flow from the result back into them.

    Args:
        network: without buffers that change, such as running statistics.
        loss: of its answers.
        inputs: [E, ...].
        targets: [E, ...].
        steps: of gradient descent.
        lr: α, the size of each.
        first_order: take the gradients of the steps for constants.

    Returns:
        Parameters by name, for ``torch.func.functional_call``.
    """

    def task_loss(parameters: Mapping[str, Tensor]) -> Tensor:
        return loss(functional_call(network, dict(parameters), (inputs,)), targets)

    parameters: dict[str, Tensor] = dict(network.named_parameters())
    for _ in range(steps):
        with torch.set_grad_enabled(torch.is_grad_enabled() and not first_order):
            slopes = grad(task_loss)(parameters)
        parameters = {name: value - lr * slopes[name] for name, value in parameters.items()}
    return parameters


def adapt_and_predict(
    network: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    queries: Tensor,
    *,
    steps: int,
    lr: float,
    first_order: bool = False,
) -> Tensor:
    """Answer queries after adapting to each episode's own examples; of any task, regression too.

    Args:
        network: θ, which is trained by the gradient of a loss of the result.
        loss: of the examples, for instance ``F.mse_loss``.
        inputs: [B, E, ...], examples to adapt to.
        targets: [B, E, ...].
        queries: [B, M, ...].
        steps: as in ``adapt``, like what follows.
        lr: α.
        first_order: whether to ignore second derivatives.

    Returns:
        [B, M, O].

    Example:
        >>> curves = torch.rand(4, 10, 2)                                # 4 tasks of 10 points: x and y
        >>> network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        >>> x, y = curves.split(1, -1)
        >>> adapt_and_predict(network, F.mse_loss, x[:, :5], y[:, :5], x[:, 5:], steps=1, lr=0.01).shape
        torch.Size([4, 5, 1])
    """

    def episode(inputs: Tensor, targets: Tensor, queries: Tensor) -> Tensor:
        adapted = adapt(network, loss, inputs, targets, steps=steps, lr=lr, first_order=first_order)
        return functional_call(network, adapted, (queries,))

    return vmap(episode)(inputs, targets, queries)


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
