"""Algorithmic tasks, one after the other, in one form: a core of one width learns them all.

Dimensions: B sequences, T steps of the longest, D columns of the widest input, S symbols of the widest target, A = T S
answers to a sequence, K values of the symbol that has most.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Generator
from torch.nn import functional as F

from lukasa.ground.settings import check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.continual.taught import Stream, Taught, taught
from lukasa.tasks.making import make_task
from lukasa.tasks.samplers import Sampler

SMALL: dict[str, dict[str, Any]] = {
    "copy": {"bits": 4, "max_length": 5},
    "reverse": {"bits": 4, "max_length": 5},
    "repeat_copy": {"bits": 4, "max_length": 3, "max_repeats": 3},
    "associative_recall": {"bits": 4, "item_length": 1, "min_items": 2, "max_items": 4},
    "parity": {"size": 8, "max_numbers": 8},
}
"""Settings of tasks that are learned in a stream; others have those of their own training split."""

TEST_SEED = 1_000_000_007


class SequenceSizes(NamedTuple):
    """What a core has to have: D columns in, and S symbols of K values each out at each step."""

    inputs: int
    symbols: int
    values: int


@dataclass(frozen=True, kw_only=True)
class AlgorithmStream:
    """Copying, recalling and counting one after the other, learned by one core.

    Each task's inputs and targets are widened with zeros to those of the widest task.

    Attributes:
        which: names of the tasks, in their order; lukasa list tasks names those there are.
        sequences: sequences of each task to learn from.
        tested: sequences of each task to be scored on.
        split_seed: decides which sequences there are.
    """

    which: tuple[str, ...] = ("copy", "associative_recall", "reverse", "parity", "repeat_copy")
    sequences: int = 4000
    tested: int = 200
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_whole("stream of algorithms", "sequences", self.sequences, 1, 10_000_000)
        check_whole("stream of algorithms", "tested", self.tested, 1, 1_000_000)
        check_whole("stream of algorithms", "split_seed", self.split_seed, 0, 2**32 - 1)
        if not self.which or len(set(self.which)) < len(self.which):
            raise ValueError(f"which is {self.which}: expected different names of tasks")

    def load(self) -> Stream:
        """The stream: the same one every time.

        Raises:
            lukasa.tasks.UnknownTaskError: there is no such task.
            ValueError: a task asks for numbers.
        """
        return _load(self)


@functools.lru_cache(maxsize=4)
def _load(asked: AlgorithmStream) -> Stream:
    samplers = [make_task(name, **SMALL.get(name, {})) for name in asked.which]
    for name, sampler in zip(asked.which, samplers, strict=True):
        if sampler.spec.target.kind == "scalar":
            raise ValueError(f"task {name!r} asks for numbers, and a stream scores right answers: leave it out")
    targets = [sampler.spec.target for sampler in samplers]
    values = [one.classes or 2 for one in targets]
    sizes = SequenceSizes(
        max(one.spec.input_size for one in samplers), max(one.symbols for one in targets), max(values)
    )
    batches = [
        [_drawn(sampler, count, 1000 * asked.split_seed + number + first) for number, sampler in enumerate(samplers)]
        for count, first in ((asked.sequences, 0), (asked.tested, TEST_SEED))
    ]
    steps = max(one.mask.shape[1] for part in batches for one in part)
    train, test = (
        tuple(_widened(batch, number, steps, sizes) for number, batch in enumerate(part)) for part in batches
    )
    columns = tuple(torch.arange(count) for count in values)
    source = f"{asked.sequences:,} sequences a task"
    return Stream("sequences", asked.which, train, test, columns, sizes.values, len(samplers), source, sizes)


def _drawn(sampler: Sampler, count: int, seed: int) -> Batch:
    return sampler.sample(count, Generator().manual_seed(seed))


def _widened(batch: Batch, task: int, steps: int, sizes: SequenceSizes) -> Taught:
    """Sequences of one task in the form of all: [B, T, D] in, answers [B, T S], -1 where nothing is asked."""
    missing = steps - batch.mask.shape[1]
    inputs = F.pad(batch.inputs, (0, sizes.inputs - batch.inputs.shape[2], 0, missing))
    answers = batch.targets.long().masked_fill(~batch.mask[..., None], -1)
    answers = F.pad(answers, (0, sizes.symbols - answers.shape[2], 0, missing), value=-1)
    return taught(inputs, answers.flatten(1), task)
