"""A trained learner of episodes that learns classes from examples and names others.

Dimensions: N classes, K examples of each, M queries.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa.agents.few_shot.learning import Learner
from lukasa.agents.few_shot.lifelong import ClassMemory


class ClassAgent:
    """Learns from a few examples of each class, by ``adapt``, and names queries, by ``predict``.

    Args:
        learner: what was trained.

    Attributes:
        classes: the labels that it knows, in the order that they came in.
    """

    def __init__(self, learner: Learner):
        self.learner = learner.eval()
        self.reset()

    def reset(self) -> None:
        """Forget all classes."""
        self.classes: list[Hashable] = []
        self._support: Tensor | None = None

    def adapt(self, examples: Any, labels: Sequence[Hashable]) -> None:
        """Learn classes; those of before are forgotten.

        Args:
            examples: [N K, *shape], floating point, scaled as in training: pictures of Omniglot from 0 to 1.
            labels: of each: numbers or names, K times each.

        Raises:
            ValueError: they do not belong together, or the learner takes other examples or another number of classes.
        """
        given, named = self._examples(examples), _plain(labels)
        if len(given) != len(named):
            raise ValueError(f"{len(given)} examples came with {len(named)} labels: they must be as many")
        places: dict[Hashable, list[int]] = {}
        for place, label in enumerate(named):
            places.setdefault(label, []).append(place)
        counts = {label: len(found) for label, found in places.items()}
        if not counts or len(set(counts.values())) > 1:
            raise ValueError(f"the classes have {counts} examples: give as many of each class, and at least one")
        support = torch.stack([given[found] for found in places.values()])[None]  # [1, N, K, *shape]
        with torch.no_grad():
            self.learner(support, support[:, 0])  # refuses what it cannot learn, before anything is forgotten
        self.classes, self._support = list(places), support

    @torch.no_grad()
    def scores(self, queries: Any) -> np.ndarray:
        """Log-probabilities of the classes, up to a constant in each row: [M, *shape] -> [M, N].

        Raises:
            ValueError: nothing was learned yet, or the queries are no such examples.
        """
        if self._support is None:
            raise ValueError("no class is known yet: show some examples first, adapt(examples, labels)")
        return self.learner(self._support, self._examples(queries)[None])[0].float().cpu().numpy()

    def predict(self, queries: Any) -> list[Hashable]:
        """The label of each query: [M, *shape] -> M labels, those that ``adapt`` was given.

        Raises:
            ValueError: as ``scores``.
        """
        return [self.classes[place] for place in self.scores(queries).argmax(-1)]

    def class_memory(self, slots: int, **options: Any) -> ClassMemory:
        """An empty life-long memory of classes that embeds with this learner's encoder.

        Args:
            slots: of the memory.
            **options: those of ``ClassMemory``.

        Raises:
            ValueError: this learner has no encoder of single examples, or an option cannot be used.
        """
        encoder: Any = getattr(self.learner, "encoder", None)
        if encoder is None:
            raise ValueError(f"{type(self.learner).__name__} has no encoder: take a prototypical or matching learner")
        return ClassMemory(encoder, slots, **options)

    def _examples(self, examples: Any) -> Tensor:
        like = next(self.learner.parameters(), torch.empty(0))
        given = examples if isinstance(examples, Tensor) else torch.as_tensor(np.asarray(examples))
        if not given.is_floating_point() or given.shape[1:] != self.learner.shape:
            raise ValueError(
                f"examples are {list(given.shape)} of {given.dtype}: expected some of shape "
                f"{list(self.learner.shape)}, in floating point and scaled as in training"
            )
        return given.to(like.device, like.dtype)


def _plain(labels: Any) -> list[Hashable]:
    return labels.tolist() if hasattr(labels, "tolist") else list(labels)
