"""Accuracy at the first, second, ... presentation of a class, for few-shot episodes, beside what papers report.

Dimensions: B episodes, P presentations of each class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from lukasa.ground.statistics import share_interval
from lukasa.launch.kinds.published import PRESENTATIONS
from lukasa.tasks import TASKS, Batch, Sampler, Spec
from lukasa.tasks.episodes import accuracy_by_presentation


@dataclass
class ByPresentation:
    """Gathers a core's answers batch by batch; pass it to ``lukasa.agents.sequence.evaluate`` as ``observe``.

    Attributes:
        spec: of the task.
        episodes: of each batch so far, percent right, [B, P].
    """

    spec: Spec
    episodes: list[Tensor] = field(default_factory=list)

    def __call__(self, outputs: Tensor, batch: Batch) -> None:
        """Add a batch."""
        self.episodes.append(accuracy_by_presentation(self.spec, outputs, batch))

    def rows(self) -> list[dict[str, Any]]:
        """For each presentation its number, from 1, the mean accuracy over episodes and its 95 % interval."""
        percent = torch.cat(self.episodes).double()
        return [
            {"presentation": number, "accuracy": float(one.mean()), "interval": share_interval(one.tolist(), 100)}
            for number, one in enumerate(percent.T, 1)
        ]


def observer(sampler: Sampler) -> ByPresentation | None:
    """What gathers accuracy by presentation; None for a task that presents no classes."""
    return ByPresentation(sampler.spec) if hasattr(sampler, "presentations") else None


def published(task: str, sampler: Any) -> dict[str, dict[int, float]]:
    """Percent right that papers report for these very settings: by model, by the number of the presentation.

    Args:
        task: its name.
        sampler: of the task.
    """
    benchmark = TASKS.find(task).benchmark
    if benchmark not in PRESENTATIONS:
        return {}
    return PRESENTATIONS[benchmark].get((sampler.labels, sampler.classes), {})


def presentations_table(title: str, row: dict[str, Any]) -> Table:
    """A table for people out of a row of ``lukasa eval``."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("presentation", "accuracy %", "95 % confidence", *row["published"]):
        table.add_column(column, justify="right", no_wrap=True)
    for one in row["presentations"]:
        low, high = one["interval"]
        reported = [numbers.get(one["presentation"]) for numbers in row["published"].values()]
        cells = ["-" if number is None else f"{number:.1f}" for number in reported]
        table.add_row(str(one["presentation"]), f"{one['accuracy']:.1f}", f"{low:.1f} to {high:.1f}", *cells)
    return table
