"""Progressive networks: a column for each task, which looks at those before it.

Dimensions: B examples, A answers to one, K columns of the output.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lukasa.agents.continual.encoders import StagedEncoder
from lukasa.agents.continual.methods.method import Method, parameter_bytes
from lukasa.agents.continual.networks import Classifier, Network, as_pictures
from lukasa.tasks.continual import Stream


class Adapter(nn.Module):
    """U σ(V α h): what earlier columns give, made small and scaled (Rusu et al. 2016, equation 2).

    Args:
        before: units or channels of all earlier columns together.
        inside: of the projection V.
        last: U, a linear map or convolution from ``inside``.
        flat: whether h are units, and not pictures of channels.
    """

    def __init__(self, before: int, inside: int, last: nn.Module, flat: bool):
        super().__init__()
        self.alpha = nn.Parameter(torch.full((), 0.1))
        self.project = nn.Linear(before, inside) if flat else nn.Conv2d(before, inside, 1)
        self.last = last

    def forward(self, given: Tensor) -> Tensor:
        """What is added before the nonlinearity of the new column."""
        return self.last(torch.relu(self.project(self.alpha * given)))


class Columns(Network):
    """A column for each task; those of earlier tasks are frozen, and feed each stage of the later ones.

    Stage i of column k gives f(W h_(i-1)^k + U σ(V α h_(i-1)^(<k))), and so does its head. Columns that are readers or
    cores are wholes, whose outputs alone feed those of later ones.

    Args:
        columns: one for each task, alike.
        stream: whose answers they give.
    """

    def __init__(self, columns: list[Network], stream: Stream):
        super().__init__(stream, True)
        self.parts = nn.ModuleList(columns)
        self.heads, self.columns = columns[0].heads, columns[0].columns
        first = columns[0]
        encoder = first.encoder if isinstance(first, Classifier) else None
        self.stages = len(encoder.stages) if isinstance(encoder, StagedEncoder) else 0
        self.adapters = nn.ModuleList(self._adapters(columns[number], number) for number in range(len(columns)))

    def _adapters(self, column: Network, number: int) -> nn.ModuleList:
        """Those of one column, stage by stage and for its head; none of the first column."""
        if not number:
            return nn.ModuleList()
        if not self.stages:
            width = column.columns
            return nn.ModuleList([Adapter(number * width, width, nn.Linear(width, width), True)])
        assert isinstance(column, Classifier)
        encoder = column.encoder
        assert isinstance(encoder, StagedEncoder)
        made: list[nn.Module] = []
        for before, after in zip(encoder.widths, encoder.widths[1:], strict=False):
            last = nn.Linear(before, after) if encoder.flat else nn.Conv2d(before, after, 3, padding=1, bias=False)
            made.append(Adapter(number * before, before, last, encoder.flat))
        inside = encoder.widths[-1]
        made.append(Adapter(number * encoder.size, inside, nn.Linear(inside, column.columns), True))
        return nn.ModuleList(made)

    def forward(self, inputs: Tensor, tasks: Tensor) -> Tensor:
        """Scores of every column of the output: [B, A, K], each example by the column of its task."""
        scores: Tensor | None = None
        for task in tasks.unique().tolist():
            rows = (tasks == task).nonzero().squeeze(1)
            said = self._answers(inputs[rows], tasks[rows], task)
            if scores is None:
                scores = said.new_zeros(len(tasks), *said.shape[1:])
            scores = scores.index_copy(0, rows, said)
        assert scores is not None
        return scores

    def wanted(self, answers: Tensor, tasks: Tensor) -> Tensor:
        """The columns of answers."""
        return self.parts[0].wanted(answers, tasks)  # pyright: ignore[reportCallIssue]

    def named(self, columns: Tensor) -> Tensor:
        """The answers that columns stand for."""
        return self.parts[0].named(columns)  # pyright: ignore[reportCallIssue]

    def _answers(self, inputs: Tensor, tasks: Tensor, task: int) -> Tensor:
        parts: Any = self.parts[: task + 1]
        adapters: Any = self.adapters
        if not self.stages:
            said = [part(inputs, tasks) for part in parts]
            return said[-1] + (adapters[task][0](torch.cat(said[:-1], -1)) if task else 0)
        given = [part.encoder.begin(as_pictures(inputs)) for part in parts]
        for stage in range(self.stages):
            after = []
            for number, part in enumerate(parts):
                first, *rest = part.encoder.stages[stage]
                inner = first(given[number])
                if number and stage:
                    inner = inner + adapters[number][stage - 1](torch.cat(given[:number], 1))
                for one in rest:
                    inner = one(inner)
                after.append(inner)
            given = after
        flat = [one.flatten(1) for one in given]
        said = parts[task].head(flat[task])
        return (said + (adapters[task][-1](torch.cat(flat[:-1], 1)) if task else 0)).unsqueeze(1)


class Progressive(Method):
    """Progressive networks (Rusu et al. 2016): a new column for each task, fed by the frozen ones before it.

    Nothing is ever forgotten; what it costs is a network for each task, and that the task has to be known.

    Args:
        setting: what it learns.

    Raises:
        ValueError: tasks are not known.
    """

    network: Columns

    def make_network(self) -> Network:
        """A column for each task; those to come are there from the beginning, and are not trained before their turn."""
        columns = [self.setting.build() for _ in self.stream.names]
        if not columns[0].task_known:
            raise ValueError("progressive columns need to know the task of each example: leave --no-task-known out")
        return Columns(columns, self.stream)

    @property
    def bytes(self) -> int:
        """Of the columns and adapters so far, beside one column."""
        parts = [*self.network.parts[1 : self.task + 1], *self.network.adapters[: self.task + 1]]
        return sum(parameter_bytes(one) for one in parts)

    def begin_task(self, task: int) -> None:
        """Train the column of the task alone."""
        super().begin_task(task)
        for number, parts in enumerate(zip(self.network.parts, self.network.adapters, strict=True)):
            for part in parts:
                part.requires_grad_(number == task)
