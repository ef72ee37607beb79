"""A memory of classes: an encoder that stays as the first task left it, and what each class looks like to it.

Dimensions: B examples, D numbers of an embedding, K columns of the output.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lukasa.agents.continual.consolidation import consolidate
from lukasa.agents.continual.methods.method import Method, Setting, right_answers, surprise
from lukasa.agents.continual.networks import Classifier, as_pictures
from lukasa.agents.few_shot import ClassMemory, make_encoder
from lukasa.agents.learning import Learned
from lukasa.tasks import Score
from lukasa.tasks.continual import Taught


class ClassesInMemory(Method):
    """The life-long class memory (``lukasa.agents.few_shot.ClassMemory``) as a learner of a stream.

    The encoder learns with a head on the first task, and is then frozen. When a task ends, each of its classes is
    written into the sparse store, and the nearest entry names a picture.

    Args:
        setting: what it learns; of pictures.
        per_class: entries of each class: 1 is the mean of its examples, more are found by k-means, and 0 keeps every
            example.
        softness: how soft k-means is, in squared distance; 0 for k-means itself.

    Raises:
        ValueError: the stream has no pictures, or a number cannot be used.
    """

    network: Classifier

    def __init__(self, setting: Setting, *, per_class: int = 1, softness: float = 0.0):
        if setting.stream.form != "pictures":
            raise ValueError("method 'class_memory' is for pictures: it remembers what an encoder makes of them")
        if per_class < 0 or softness < 0:
            raise ValueError(f"per_class is {per_class} and softness {softness}: expected at least 0")
        super().__init__(setting)
        self.per_class, self.softness = per_class, softness
        self._entries = torch.zeros(0, self.network.encoder.size)
        self._classes = torch.zeros(0, dtype=torch.int64)
        self.memory: ClassMemory | None = None

    @property
    def bytes(self) -> int:
        """Of the entries, and eight for the class of each."""
        return len(self._classes) * (4 * self._entries.shape[1] + 8)

    def learn(self, batch: Taught) -> Learned:
        """As every method on the first task; nothing is changed by later ones."""
        if not self.task:
            return super().learn(batch)
        batch = batch.to(self._device())
        with torch.no_grad():
            scores = self.network.scores(batch.inputs, batch.tasks)
            loss = surprise(scores, self.network.wanted(batch.answers, batch.tasks))
        right, asked = right_answers(self.network, scores, batch)
        return Learned(float(loss), Score(100.0 * right, asked))

    @torch.no_grad()
    def end_task(self, task: int, examples: Taught) -> None:
        """Write the classes of the task into the memory."""
        found = self._embed(examples.inputs)
        columns = self.network.wanted(examples.answers, examples.tasks)[:, 0].cpu()
        if self.per_class:
            found, columns, _ = consolidate(found, columns, self.per_class, self.generator, self.softness)
        self._entries, self._classes = torch.cat([self._entries, found]), torch.cat([self._classes, columns])
        self._write()

    def _write(self) -> None:
        if len(self._classes):
            identity = make_encoder("identity", (self._entries.shape[1],))
            count = len(self._classes)
            self.memory = ClassMemory(identity, count, keep="instances", index="exact", candidates=count)
            self.memory.learn(self._entries, self._classes)

    def _embed(self, pictures: Tensor) -> Tensor:
        self.network.eval()
        parts = [self.network.encoder(as_pictures(part.to(self._device()))).cpu() for part in pictures.split(256)]
        return torch.cat(parts)

    @torch.no_grad()
    def scores(self, inputs: Tensor, tasks: Tensor) -> Tensor:
        """Minus the squared distance to the nearest entry of each class; of the head before the first task ended."""
        if self.memory is None:
            return super().scores(inputs, tasks)
        near = self.memory.nearest(self._embed(inputs), self.memory.used)
        found = torch.full((len(inputs), self.network.columns), -torch.inf)
        where = near.classes.clamp_min(0)
        found.scatter_reduce_(1, where, -near.distances, "amax")
        return self.network.allowed(found.to(inputs.device)[:, None], tasks)

    def state_dict(self) -> dict[str, Any]:
        """The entries and their classes."""
        return {"entries": self._entries, "classes": self._classes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._entries, self._classes = state["entries"].clone(), state["classes"].clone()
        self._write()
