"""Few-shot episodes from any array of classes × instances.

``Presentations`` are the sequences of Santoro et al. 2016: an example and, one step late, its label. ``Shots`` are the
N-way K-shot episodes of Vinyals et al. 2016: a support set and queries. Labels mean nothing beyond an episode.

Dimensions: B episodes, N classes of an episode, P presentations of each, T = N P steps, K support examples and Q
queries of each class, D numbers of an example, V different labels, S symbols of a label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.curriculum import Lessons
from lukasa.tasks.examples import Examples, check_enough, distinct
from lukasa.tasks.spec import Field, Spec

Labels = Literal["one-hot", "string"]

LETTERS, CHARACTERS = 5, 5
"""A string label is five characters, each one of five letters."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Presentations:
    """Name each example; its right name is shown one step later.

    One sample along time, for two classes ``x`` and ``o``, which are 1 and 0 in this episode::

        step      0  1  2  3  4
        example   x  o  x  x  o
        label     -  1  0  1  1
        target    1  0  1  1  0

    Classes, examples, their order and which class has which label are drawn anew for each episode; no example comes
    twice. A string label is right when its five characters are.

    Attributes:
        examples: of the classes.
        classes: different ones in an episode.
        presentations: of each class.
        labels: "one-hot", or "string" for five characters out of five letters.
        label_values: different one-hot labels; as many as classes by default. A curriculum of classes needs as many
            as it will ever show, so that the width stays.

    Raises:
        ValueError: a setting cannot be used, or the data has too few classes or instances.
    """

    examples: Examples
    classes: int = 5
    presentations: int = 10
    labels: Labels = "one-hot"
    label_values: int = 0

    def __post_init__(self) -> None:
        check_labels("episodes", self.classes, self.presentations, self.labels, self.label_values)
        source = self.examples.source
        check_enough("classes", self.classes, self.examples.classes, "classes", source)
        check_enough("presentations", self.presentations, self.examples.instances, "instances of each class", source)

    @property
    def spec(self) -> Spec:
        """An example and the label before in; a label out."""
        return presentation_spec(self.examples.shape, self.classes, self.presentations, self.labels, self.label_values)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw episodes; nothing but the generator decides which."""
        steps = self.classes * self.presentations
        order = distinct(batch_size, steps, steps, generator)  # [B, T]
        which = order // self.presentations  # which of the episode's classes each step shows
        classes = distinct(batch_size, self.classes, self.examples.classes, generator)
        instances = distinct(batch_size * self.classes, self.presentations, self.examples.instances, generator)
        names = distinct(batch_size, self.classes, _values(self.classes, self.labels, self.label_values), generator)
        shown = self.examples.take(
            classes.gather(1, which), instances.view(batch_size, steps).gather(1, order), generator
        ).flatten(2)  # [B, T, D]
        label = self.spec.target
        targets = names.gather(1, which).unsqueeze(-1)  # [B, T, 1]
        if self.labels == "string":
            targets = targets // LETTERS ** torch.arange(CHARACTERS) % LETTERS  # [B, T, S]
        late = F.pad(F.one_hot(targets, label.classes).flatten(2).to(shown), (0, 0, 1, 0))[:, :-1]
        mask = torch.ones(batch_size, steps, dtype=torch.bool)
        return Batch(torch.cat([shown, late], -1), targets, mask, torch.full((batch_size,), steps))


def check_labels(task: str, classes: int, presentations: int, labels: str, label_values: int) -> None:
    """Refuse settings of ``Presentations`` that no data could serve.

    Raises:
        ValueError: the message says which setting, what it was and what was expected.
    """
    check_whole(task, "classes", classes, 2)
    check_whole(task, "presentations", presentations, 1)
    check_choice(task, "labels", labels, ("one-hot", "string"))
    check_whole(task, "label_values", label_values, 0)
    if labels == "string" and label_values:
        raise ValueError(f"{task}: label_values is {label_values}, but labels are strings: leave it out")
    values = _values(classes, labels, label_values)
    if classes > values:
        raise ValueError(f"{task}: classes is {classes}, but there are {values} different labels: raise label_values")


def presentation_spec(
    shape: Sequence[int], classes: int, presentations: int, labels: Labels, label_values: int
) -> Spec:
    """The spec of ``Presentations`` of examples of some shape.

    Its best score is that of one who never forgets and, at the first presentation of a class, draws among the labels
    that have not been given yet.
    """
    values = _values(classes, labels, label_values)
    symbols, letters = (CHARACTERS, LETTERS) if labels == "string" else (1, values)
    guessed = sum(1 / (values - known) for known in range(classes))
    return Spec(
        inputs=(Field("example", "scalar", math.prod(shape)), Field("label", "categorical", symbols, letters)),
        target=Field("label", "categorical", symbols, letters),
        unit="accuracy %",
        item="step",
        chance=100 / values,
        best=100 * (classes * (presentations - 1) + guessed) / (classes * presentations),
        paper="Santoro et al. 2016",
        holds=classes,
    )


def _values(classes: int, labels: str, label_values: int) -> int:
    return LETTERS**CHARACTERS if labels == "string" else label_values or classes


def class_curriculum(first: int = 15, last: int = 25, *, episodes: int = 10_000, batch_size: int = 16) -> Lessons:
    """One class more after every so many episodes, as Santoro et al. 2016 train with string labels.

    Args:
        first: classes at first.
        last: classes at last.
        episodes: of each number of classes.
        batch_size: episodes in a batch.

    Raises:
        ValueError: there is no such curriculum.
    """
    lessons = [{"classes": count} for count in range(first, last + 1)]
    return Lessons(lessons, mastery=0.0, review=0.0, window=math.ceil(episodes / batch_size))


def presentation_numbers(targets: Tensor) -> Tensor:
    """How often each step's class has been shown by then: targets [B, T, S] -> [B, T], from 1."""
    same = (targets[:, :, None] == targets[:, None]).all(-1)  # [B, T, T]
    return same.tril().sum(-1)


def accuracy_by_presentation(spec: Spec, outputs: Tensor, batch: Batch) -> Tensor:
    """How much of the first, second, ... presentations is right, as in table 1 of Santoro et al. 2016.

    Args:
        spec: of the task.
        outputs: [B, T, V or S V], a model's.
        batch: the episodes they answer; in each, every class is presented equally often.

    Returns:
        [B, P], percent of each episode's classes: the mean over episodes and its spread are the caller's to take.
    """
    number = presentation_numbers(batch.targets.cpu()) - 1
    right = (spec.answers(outputs.detach()) == batch.targets).all(-1).float().cpu()
    total = torch.zeros(len(number), int(number.max()) + 1)
    count = total.scatter_add(1, number, torch.ones_like(right))
    return 100 * total.scatter_add(1, number, right) / count


class Episode(NamedTuple):
    """N-way K-shot episodes; the label of an example is its place along N."""

    support: Tensor  # [B, N, K, ...], float
    query: Tensor  # [B, N, Q, ...], float
    classes: Tensor  # [B, N], int64, their numbers in the data


@dataclass(frozen=True, kw_only=True, eq=False)
class Shots:
    """N-way K-shot: a few examples of each class, and others to be named.

    No example of a query is in the support. Classes come in random order, so that a place along N means nothing.

    Attributes:
        examples: of the classes.
        ways: classes of an episode, N.
        shots: support examples of each, K.
        queries: of each class, Q.

    Raises:
        ValueError: a setting cannot be used, or the data has too few classes or instances.

    Example:
        >>> shots = Shots(examples=Examples(torch.rand(30, 20, 28, 28), "noise"), ways=5, shots=1, queries=3)
        >>> episode = shots.sample(4, Generator().manual_seed(0))
        >>> tuple(episode.support.shape), tuple(episode.query.shape)
        ((4, 5, 1, 28, 28), (4, 5, 3, 28, 28))
    """

    examples: Examples
    ways: int = 5
    shots: int = 1
    queries: int = 5

    def __post_init__(self) -> None:
        for name in ("ways", "shots", "queries"):
            check_whole("episodes", name, getattr(self, name), 1)
        source = self.examples.source
        check_enough("ways", self.ways, self.examples.classes, "classes", source)
        together = self.shots + self.queries
        check_enough("shots + queries", together, self.examples.instances, "instances of each class", source)

    def sample(self, batch_size: int, generator: Generator) -> Episode:
        """Draw episodes; nothing but the generator decides which."""
        together = self.shots + self.queries
        classes = distinct(batch_size, self.ways, self.examples.classes, generator)
        instances = distinct(batch_size * self.ways, together, self.examples.instances, generator)
        everything = classes[..., None].expand(-1, -1, together)
        shown = self.examples.take(everything, instances.view(everything.shape), generator)
        return Episode(shown[:, :, : self.shots], shown[:, :, self.shots :], classes)
