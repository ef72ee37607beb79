"""Class memories that ``lukasa bench lifelong`` compares: filled, and timed on the same queries.

Dimensions: C characters, D numbers of an embedding, n embeddings.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lukasa.agents.few_shot import ClassMemory, make_encoder

Numbers = dict[str, Any]

INDEXES: dict[str, dict[str, Any]] = {"exact": {}, "faiss": {"exact_up_to": 1}}
"""What is compared, and its options: inverted lists from the first embedding on, where FAISS would scan a few."""

WARM_UPS = 3
BATCHES = 5
NOISE = 0.05
"""Share of each number by which embeddings that are made of drawings are off."""


@dataclass(frozen=True)
class Queries:
    """What is asked, and how often.

    Attributes:
        embeddings: [n, D].
        truth: int64 [n], their classes.
        timed: how many are timed one by one.
        at_once: how many in a batch.
    """

    embeddings: Tensor
    truth: Tensor
    timed: int
    at_once: int


@dataclass(frozen=True)
class Drawings:
    """The characters and their embeddings.

    Attributes:
        source: what they are, for results.
        embeddings: [C, 20, D], the drawings of each character in random order.
        new: bool [C], whether the encoder was trained without this character.
        embed_ms: milliseconds to embed a drawing.
    """

    source: str
    embeddings: Tensor
    new: Tensor
    embed_ms: float = 0.0

    def learned(self, shots: int) -> tuple[Tensor, Tensor]:
        """Embeddings and classes of the first drawings of each character, [n, D] and [n]."""
        return self._some(self.embeddings[:, :shots])

    def others(self, shots: int) -> tuple[Tensor, Tensor]:
        """Embeddings and classes of the drawings after those, [n, D] and [n]."""
        return self._some(self.embeddings[:, shots:])

    def _some(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        return embeddings.flatten(0, 1), torch.arange(len(embeddings)).repeat_interleave(embeddings.shape[1])


def filled(embeddings: Tensor, classes: Tensor, index: str, keep: str) -> ClassMemory:
    """A memory of embeddings [n, D] of classes [n], with room for as many, or for one of each class."""
    kept: Any = keep
    slots = len(embeddings) if keep == "instances" else len(classes.unique())
    name: Any = index
    memory = ClassMemory(
        make_encoder("identity", embeddings.shape[1:]), slots, keep=kept, index=name, index_options=INDEXES[index]
    )
    memory.learn(embeddings, classes)
    return memory


def filled_twice(embeddings: Tensor, classes: Tensor, keep: str) -> dict[str, tuple[ClassMemory, float]]:
    """A memory with each index, and the seconds that it took to learn."""
    made = {}
    for index in INDEXES:
        tell(f"learning {len(embeddings):,} embeddings, {keep}, {index}")
        begun = time.perf_counter()
        made[index] = filled(embeddings, classes, index, keep), time.perf_counter() - begun
    return made


def many_like(drawings: Drawings, shots: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Embeddings [n, D] between those of two learned drawings of a character, and their classes [n]."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(count) % len(drawings.new)
    one, other = (drawings.embeddings[classes, torch.randint(shots, (count,), generator=generator)] for _ in range(2))
    made = one.lerp_(other, torch.rand(count, 1, generator=generator))
    # No two are the same, be there one drawing.
    return made.mul_(1 + NOISE * torch.randn(made.shape, generator=generator)), classes


def race(what: str, made: dict[str, tuple[ClassMemory, float]], queries: Queries) -> list[Numbers]:
    """Time the same queries in each memory in turns, one by one and in batches."""
    single: dict[str, list[float]] = {index: [] for index in made}
    batched: dict[str, list[float]] = {index: [] for index in made}
    for turn in range(-WARM_UPS, queries.timed):
        for index, (memory, _) in made.items():
            single[index].append(_milliseconds(memory, queries.embeddings[[turn % queries.timed]]))
    for _ in range(1 + BATCHES):  # the first warms up
        for index, (memory, _) in made.items():
            some = queries.embeddings[: queries.at_once]
            batched[index].append(_milliseconds(memory, some) / len(some))
    answers = {index: memory.answer(queries.embeddings) for index, (memory, _) in made.items()}
    return [
        {
            "what": what,
            "stored": memory.used,
            "index": index,
            "learn_seconds": seconds,
            "ms": statistics.median(single[index][WARM_UPS:]),
            "low": min(single[index][WARM_UPS:]),
            "batch_ms": statistics.median(batched[index][1:]),
            "as_exact": 100 * float((answers[index] == answers["exact"]).double().mean()),
            "right": 100 * float((answers[index] == queries.truth).double().mean()),
        }
        for index, (memory, seconds) in made.items()
    ]


def _milliseconds(memory: ClassMemory, queries: Tensor) -> float:
    begun = time.perf_counter()
    memory.nearest(queries)
    return 1e3 * (time.perf_counter() - begun)


def tell(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)
