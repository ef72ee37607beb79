"""Learning without forgetting: the network of before says what it would have answered.

Dimensions: B examples, A answers to one, K columns of the output.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lukasa.agents.continual.methods.method import Method, Setting, parameter_bytes
from lukasa.agents.continual.networks import Network
from lukasa.tasks.continual import Taught


class Distillation(Method):
    """Learning without Forgetting (Li & Hoiem 2016): on the examples of now, the answers of the model before are kept.

    The loss of section 3 is L_new + λ_o Σ L_old, where L_old is the cross-entropy between the answers of the model
    before and of now in the head of each earlier task, both softened by the temperature T (equations 2 to 4). Where
    tasks are not known there is one head, of all answers so far.

    Args:
        setting: what it learns.
        weight: how much the answers of before count beside the new ones, λ_o.
        temperature: by which the answers are softened, T.

    Raises:
        ValueError: a number is not positive.
    """

    def __init__(self, setting: Setting, *, weight: float = 1.0, temperature: float = 2.0):
        super().__init__(setting)
        if weight <= 0 or temperature <= 0:
            raise ValueError(f"weight is {weight} and temperature {temperature}: expected more than 0")
        self.weight, self.temperature = weight, temperature
        self.before: Network | None = None

    @property
    def bytes(self) -> int:
        """Of the model before."""
        return 0 if self.before is None else parameter_bytes(self.before)

    def begin_task(self, task: int) -> None:
        """Keep the model as it is before the task."""
        super().begin_task(task)
        if task:
            self._keep()

    def _keep(self) -> None:
        self.before = copy.deepcopy(self.network).requires_grad_(False).eval()

    def beside(self, batch: Taught, scores: Tensor) -> Tensor | float:
        """λ_o Σ L_old."""
        if self.before is None:
            return 0.0
        asked, total = batch.answers >= 0, torch.zeros((), device=scores.device)
        for tasks, columns in self._heads(batch.tasks):
            now = self.network(batch.inputs, tasks)[..., columns][asked]
            with torch.no_grad():
                then = self.before(batch.inputs, tasks)[..., columns][asked]
            total = total + softened_surprise(then, now, self.temperature)
        return self.weight * total

    def _heads(self, tasks: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The task to be asked about, and its columns: of each earlier task, or of all of them together."""
        heads = self.network.heads[: self.task]
        if not self.network.task_known:
            yield tasks, torch.cat(heads).unique()
        elif not self.network.sees_task:  # one call answers for all heads
            yield from ((tasks, columns) for columns in heads)
        else:
            yield from ((torch.full_like(tasks, task), columns) for task, columns in enumerate(heads))

    def state_dict(self) -> dict[str, Any]:
        """The model before."""
        return {"before": None if self.before is None else self.before.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        if state["before"] is not None:
            self._keep()
            assert self.before is not None
            self.before.load_state_dict(state["before"])


def softened_surprise(then: Tensor, now: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of two softened distributions, mean of the examples (Li & Hoiem 2016, equations 2 and 3).

    Args:
        then: [n, K], scores of the model before.
        now: [n, K], scores of the model of now.
        temperature: T; y'^(1/T) made to sum to 1 again is the softmax of scores over T.
    """
    return -(torch.softmax(then / temperature, -1) * F.log_softmax(now / temperature, -1)).sum(-1).mean()
