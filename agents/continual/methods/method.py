"""What every method of learning a stream of tasks shares.

Dimensions: B examples, A answers to one, K columns of the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from lukasa.agents.continual.networks import Network
from lukasa.agents.learning import ALONE, Learned, Sharing
from lukasa.tasks import Score
from lukasa.tasks.continual import Stream, Taught


@dataclass(frozen=True)
class Setting:
    """What a method learns, and with what.

    Attributes:
        stream: the tasks.
        build: makes an untrained network for them; may be given ``slots`` and ``chosen`` of a memory before the head.
        generator: decides what a method draws, such as the examples that it keeps; a CPU generator.
        sharing: the processes that share its batches.
    """

    stream: Stream
    build: Callable[..., Network]
    generator: Generator = field(default_factory=Generator)
    sharing: Sharing = ALONE


class Method:
    """Learns the tasks of a stream one after the other: a learner as ``lukasa.agents.learning`` knows them.

    Args:
        setting: what it learns.

    Attributes:
        network: what is trained.
        sees_all: whether it is shown the examples of all tasks at once.
        task: the number of the task that it learns now.
    """

    part = "network"
    sees_all = False

    def __init__(self, setting: Setting):
        self.setting, self.stream, self.generator = setting, setting.stream, setting.generator
        self.network = self.make_network()
        self.task = 0

    def make_network(self) -> Network:
        """The network that it trains."""
        return self.setting.build()

    @property
    def module(self) -> nn.Module:
        """Whose parameters are trained."""
        return self.network

    @property
    def bytes(self) -> int:
        """What it keeps for the sake of earlier tasks, beside the network that fine-tuning has as well."""
        return 0

    def begin_task(self, task: int) -> None:
        """Hear that the batches to come are of a new task."""
        self.task = task

    def learn(self, batch: Taught) -> Learned:
        """Add the gradient of the batch's objective to that of the parameters.

        The loss that is reported is that of the answers alone.
        """
        batch = batch.to(self._device())
        self.network.train()
        scores = self.network.scores(batch.inputs, batch.tasks)
        loss = surprise(scores, self.network.wanted(batch.answers, batch.tasks))
        (loss + self.beside(batch, scores)).backward()
        right, asked = right_answers(self.network, scores, batch)
        return Learned(float(loss.detach()), Score(100.0 * right, asked))

    def beside(self, batch: Taught, scores: Tensor) -> Tensor | float:
        """What else is to be lowered, beside the surprise of the answers.

        Args:
            batch: of the task.
            scores: [B, A, K], what the network says of it.
        """
        return 0.0

    def updated(self, batch: Taught) -> None:
        """Hear that an update has been made with a batch, which is whole even where processes share it."""

    def end_task(self, task: int, examples: Taught) -> None:
        """Hear that a task is over.

        Args:
            task: its number.
            examples: that it was learned from, for one last look.
        """

    @torch.no_grad()
    def scores(self, inputs: Tensor, tasks: Tensor) -> Tensor:
        """What it says of examples in the end: [B, A, K], the likeliest answer has the highest score."""
        self.network.eval()
        return self.network.scores(inputs, tasks)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the network and the generator that decides about the batches to come."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""

    def _device(self) -> torch.device:
        return next(self.network.parameters()).device


def surprise(scores: Tensor, wanted: Tensor) -> Tensor:
    """Mean nats of the right answers of all questions that are asked.

    Args:
        scores: [B, A, K].
        wanted: int64 [B, A]; -1 where nothing is asked.
    """
    return F.cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=-1)


def right_answers(network: Network, scores: Tensor, batch: Taught) -> tuple[int, int]:
    """How many answers are right, and how many were asked for."""
    asked = batch.answers >= 0
    named = network.named(scores.argmax(-1))
    return int(((named == batch.answers) & asked).sum()), int(asked.sum())


def parameter_bytes(module: nn.Module) -> int:
    """What the parameters of a module take."""
    return sum(one.numel() * one.element_size() for one in module.parameters())
