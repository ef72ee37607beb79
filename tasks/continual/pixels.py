"""One set of pictures, the pixels of each task in another order (Goodfellow et al. 2014; Kirkpatrick et al. 2017).

Dimensions: W classes, E examples of each, S side of a picture in pixels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.continual.mnist_files import read_mnist
from lukasa.tasks.continual.taught import Stream, divided, taught
from lukasa.tasks.examples import check_enough
from lukasa.tasks.omniglot import load_omniglot
from lukasa.tasks.omniglot_files import DRAWERS, SIDE
from lukasa.tasks.omniglot_strokes import stroke_characters

TESTED = 0.25
"""Share of the drawings that are kept for the test; MNIST has a test set of its own."""


@dataclass(frozen=True, kw_only=True)
class PermutedPixels:
    """The same pictures in every task, each task with an order of the pixels of its own; the first has their own order.

    Attributes:
        tasks: orders of the pixels.
        pictures: generated strokes, Omniglot, or MNIST where its files are on this machine.
        classes: characters; 10 at most of MNIST.
        examples: pictures of each class, a fourth of which is for the test; 20 at most of Omniglot. Of MNIST so many to
            learn from, and a third of that for the test.
        size: side of the pictures, pixels; those of MNIST have 28.
        data_dir: folder to look for the files in first.
        split_seed: decides about the orders, the classes, and what is kept for the test.
    """

    tasks: int = 10
    pictures: Literal["generated", "omniglot", "mnist"] = "generated"
    classes: int = 10
    examples: int = 120
    size: int = 28
    data_dir: str = ""
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_choice("permuted pixels", "pictures", self.pictures, ("generated", "omniglot", "mnist"))
        check_whole("permuted pixels", "tasks", self.tasks, 1, 10_000)
        check_whole("permuted pixels", "classes", self.classes, 2, 10 if self.pictures == "mnist" else 1200)
        check_whole("permuted pixels", "examples", self.examples, 2, 100_000)
        check_whole("permuted pixels", "size", self.size, 4, SIDE)
        check_whole("permuted pixels", "split_seed", self.split_seed, 0, 2**32 - 1)
        if self.pictures == "omniglot":
            check_enough("examples", self.examples, DRAWERS, "drawings of each character", "Omniglot")
        if self.pictures == "mnist" and self.size != 28:
            raise ValueError(f"size is {self.size}: the pictures of MNIST have 28 pixels a side")

    def load(self) -> Stream:
        """The stream: the same one every time.

        Raises:
            lukasa.tasks.data.DataError: the files are nowhere, or damaged.
        """
        return _load(self)


@functools.lru_cache(maxsize=4)
def _load(asked: PermutedPixels) -> Stream:
    generator = Generator().manual_seed(asked.split_seed)
    (learned, learned_classes), (tested, tested_classes), source = _pictures(asked, generator)
    pixels = asked.size**2
    train, test = [], []
    for task in range(asked.tasks):
        order = torch.randperm(pixels, generator=generator) if task else torch.arange(pixels)
        for part, pictures, classes in ((train, learned, learned_classes), (test, tested, tested_classes)):
            shuffled = pictures.flatten(1)[:, order].view_as(pictures)
            part.append(taught(shuffled, classes[:, None], task, classes + task * asked.classes))
    names = tuple(f"order {task + 1}" for task in range(asked.tasks))
    columns = tuple(torch.arange(asked.classes) for _ in names)
    return Stream(
        "pictures",
        names,
        tuple(train),
        tuple(test),
        columns,
        asked.classes,
        asked.classes * asked.tasks,
        f"{source}, {asked.classes} classes",
    )


Labelled = tuple[Tensor, Tensor]


def _pictures(asked: PermutedPixels, generator: Generator) -> tuple[Labelled, Labelled, str]:
    """Pictures [n, S, S] and classes [n], to learn from and to be scored on, and what they are."""
    if asked.pictures == "mnist":
        learned = _of_each(*read_mnist("train", asked.data_dir), asked.classes, asked.examples, generator)
        tested = _of_each(*read_mnist("t10k", asked.data_dir), asked.classes, max(1, asked.examples // 3), generator)
        return learned, tested, "MNIST"
    if asked.pictures == "omniglot":
        everything = load_omniglot("train", asked.size, source="real", data_dir=asked.data_dir).values
        picked = torch.randperm(len(everything), generator=generator)[: asked.classes]
        drawn, source = everything[picked, : asked.examples], "Omniglot"
    else:
        drawn = stroke_characters(asked.classes, asked.size, drawers=asked.examples, seed=1)
        source = "generated strokes"
    parts = divided(asked.examples, TESTED, generator)
    classes = torch.arange(asked.classes)
    learned, tested = ((drawn[:, some].flatten(0, 1), classes.repeat_interleave(len(some))) for some in parts)
    return learned, tested, source


def _of_each(pictures: Tensor, classes: Tensor, count: int, most: int, generator: Generator) -> Labelled:
    """At most so many pictures of each of the first classes, at random."""
    order = torch.randperm(len(classes), generator=generator)
    places = torch.cat([order[classes[order] == one][:most] for one in range(count)])
    return pictures[places], classes[places]
