"""Rehearsal: examples of earlier tasks, learned again beside those of now."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lukasa.agents.continual.consolidation import consolidate
from lukasa.agents.continual.episodic import EpisodicMemory, Keep
from lukasa.agents.continual.methods.method import Method, Setting, surprise
from lukasa.tasks.continual import Taught


class Rehearsal(Method):
    """Learns as many examples from an episodic memory beside each batch (Chaudhry et al. 2019).

    Args:
        setting: what it learns.
        slots: examples that the memory holds.
        keep: which examples stay: a reservoir of all (Vitter 1985), or an equal share of slots for each class.
        distil_to: when a task ends, the kept pictures of each class are distilled into at most so many by k-means;
            needs a share for each class. 0 keeps them as they are.

    Raises:
        ValueError: the memory is smaller than the classes that it must hold, or what it holds cannot be distilled.
    """

    def __init__(self, setting: Setting, *, slots: int = 400, keep: Keep = "reservoir", distil_to: int = 0):
        super().__init__(setting)
        if distil_to < 0:
            raise ValueError(f"distil_to is {distil_to}: expected at least 0")
        if distil_to and (keep != "per_class" or setting.stream.form != "pictures"):
            raise ValueError(
                "distil_to makes means of pictures of a class: take keep per_class and a stream of pictures"
            )
        self.distil_to = distil_to
        self.memory = EpisodicMemory(slots, setting.stream.train[0], setting.stream.groups, keep)

    @property
    def bytes(self) -> int:
        """Of the examples that are kept."""
        return self.memory.bytes

    def beside(self, batch: Taught, scores: Tensor) -> Tensor | float:
        """The surprise of as many examples from the memory, once there is an earlier task."""
        if not self.task or not self.memory.used:
            return 0.0
        rank, count = self.setting.sharing.rank, len(batch.tasks)
        drawn = self.memory.draw(count * self.setting.sharing.workers, self.generator)
        mine = drawn.rows(rank * count, (rank + 1) * count).to(self._device())
        said = self.network.scores(mine.inputs, mine.tasks)
        return surprise(said, self.network.wanted(mine.answers, mine.tasks))

    def end_task(self, task: int, examples: Taught) -> None:
        """See the task's examples once, in random order, and keep some; distil them where that is asked for."""
        order = torch.randperm(len(examples.tasks), generator=self.generator)
        self.memory.add(examples.take(order), self.generator)
        if self.distil_to:
            self._distil(task)

    def _distil(self, task: int) -> None:
        kept = self.memory.everything()
        new, old = (kept.take(places.nonzero().squeeze(1)) for places in (kept.tasks == task, kept.tasks != task))
        points = new.inputs.flatten(1).float()
        found = consolidate(points, new.groups, self.distil_to, self.generator)
        answers = torch.stack([new.answers[new.groups == one][0] for one in found.classes.tolist()])
        pictures = found.entries.round().to(new.inputs.dtype).unflatten(1, tuple(new.inputs.shape[1:]))
        distilled = Taught(pictures, answers, torch.full((len(answers),), task), found.classes)
        self.memory.replace(Taught.joined([old, distilled]))

    def state_dict(self) -> dict[str, Any]:
        """The memory."""
        return {"memory": self.memory.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.memory.load_state_dict(state["memory"])
