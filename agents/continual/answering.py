"""A trained method that answers examples in a program of one's own.

Dimensions: B examples, A answers to one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lukasa.agents.continual.methods import Method
from lukasa.tasks.continual import Stream


class StreamAgent:
    """Answers examples of any task that it learned.

    Args:
        method: what was trained.
        stream: that it learned.
    """

    def __init__(self, method: Method, stream: Stream):
        self.method, self.stream = method, stream

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks."""
        return self.stream.names

    @torch.no_grad()
    def answer(self, inputs: Tensor, task: int | str | None = None) -> Tensor:
        """The likeliest answers, int64 [B, A].

        Args:
            inputs: [B, ...], as the stream has them: pictures uint8, or from 0 to 1.
            task: its number from 0, or its name; None where it is not known, which a method that learned with known
                tasks does not take.

        Raises:
            ValueError: the task has to be known, there is no such one, or the inputs are of another shape.
        """
        network = self.method.network
        if task is None and network.task_known:
            raise ValueError(f"this network learned with known tasks: say which, one of {', '.join(self.tasks)}")
        number = self.tasks.index(task) if isinstance(task, str) and task in self.tasks else task or 0
        if not isinstance(number, int) or not 0 <= number < len(self.tasks):
            raise ValueError(f"there is no task {task!r}: expected one of {', '.join(self.tasks)}")
        if tuple(inputs.shape[1:]) != self.stream.shape:
            raise ValueError(f"inputs are {list(inputs.shape)}: expected [B, {', '.join(map(str, self.stream.shape))}]")
        device = next(network.parameters()).device
        scores = self.method.scores(inputs.to(device), torch.full((len(inputs),), number, device=device))
        return network.named(scores.argmax(-1)).cpu()
