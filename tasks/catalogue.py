"""The tasks by name: samplers, splits, and what is to be known about each."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lukasa.ground.names import UnknownNameError
from lukasa.ground.registry import Registry
from lukasa.tasks.addition import BinaryAddition
from lukasa.tasks.associative_recall import AssociativeRecall
from lukasa.tasks.babi import Babi, MadeBabi
from lukasa.tasks.changing_pairs import ChangingPairs
from lukasa.tasks.copying import Copy, Reverse
from lukasa.tasks.graph_tasks import Inference, ShortestPath, Traversal
from lukasa.tasks.key_value import KeyValue
from lukasa.tasks.known_graphs import FamilyInference, LondonShortestPath, LondonTraversal
from lukasa.tasks.mqar import MQAR
from lukasa.tasks.ngrams import NGrams
from lukasa.tasks.nth_farthest import NthFarthest
from lukasa.tasks.omniglot import OmniglotPresentations
from lukasa.tasks.parity import Parity
from lukasa.tasks.priority_sort import PrioritySort
from lukasa.tasks.repeat_copy import RepeatCopy
from lukasa.tasks.running_sum import RunningSum
from lukasa.tasks.samplers import Sampler
from lukasa.tasks.spec import Spec
from lukasa.tasks.stack_languages import COUNTS, StackLanguage

SPLITS = ("train", "validation", "test", "longer")
"""Splits a task may have; "longer" holds sequences beyond those trained on."""


@dataclass(frozen=True)
class Split:
    """One split of a task.

    Attributes:
        size: how many sequences; 0 for as many as are asked for.
        seed: of the generator that draws them.
        options: settings of the sampler.
    """

    size: int
    seed: int
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One task by name.

    Attributes:
        name: the key of ``TASKS``; of one of your own, its import path takes this place.
        description: what is to be remembered, in one line.
        sampler: the class that draws sequences.
        splits: by name.
        options: settings of the sampler that make this task.
        data: the data set it reads, a key of ``lukasa.tasks.data.DATA_SETS``; empty where it needs none.
        lengths: the settings that are the length of a sequence; by default the first range, such as min_items and
            max_items. A function says what they are at a length where they are not all that number.
        benchmark: the published benchmark that its scores belong to; empty for none.
    """

    name: str
    description: str
    sampler: type[Sampler]
    splits: dict[str, Split]
    options: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    lengths: tuple[str, ...] | Callable[[int], dict[str, int]] = ()
    benchmark: str = ""

    def at_length(self, length: int) -> dict[str, int]:
        """The settings that make every sequence this long; none where the task has no length.

        Example:
            >>> TASKS["associative_recall"].at_length(12), TASKS["mqar"].at_length(8)
            ({'min_items': 12, 'max_items': 12}, {'pairs': 8, 'length': 128})
        """
        if callable(self.lengths):
            return self.lengths(length)
        ranges = [name[4:] for name in inspect.signature(self.sampler).parameters if name.startswith("min_")]
        return dict.fromkeys(self.lengths or [f"{end}_{name}" for name in ranges[:1] for end in ("min", "max")], length)

    @property
    def spec(self) -> Spec:
        """What sequences of the training split show, ask and cost; reads no data."""
        return self.sampler(**{**self.options, **self.splits["train"].options}).spec

    @property
    def chance(self) -> float:
        """Score of one who knows the format and guesses the content."""
        return self.spec.chance

    @property
    def best(self) -> float:
        """Score of one who remembers everything."""
        return self.spec.best

    @property
    def unit(self) -> str:
        """Unit of the score."""
        return self.spec.unit

    @property
    def paper(self) -> str:
        """Where task and unit come from."""
        return self.spec.paper


def _task(
    name: str, description: str, sampler: type, longer: dict[str, Any] | None, data: str = "", **options: Any
) -> Task:
    splits = {"train": Split(0, 1), "validation": Split(1000, 2), "test": Split(1000, 3)}
    if longer is not None:
        splits["longer"] = Split(200, 4, longer)
    return Task(name, description, sampler, splits, options, data)


def _long(task: Task, *lengths: str) -> Task:
    """A task whose length is not its first range."""
    return replace(task, lengths=lengths)


def _mqar_length(pairs: int) -> dict[str, int]:
    """The sequence grows with the pairs, as from the default to the split "longer"."""
    return {"pairs": pairs, "length": max(64, 16 * pairs)}


def _changing_length(pairs: int) -> dict[str, int]:
    """No more keys than there are pairs to show them."""
    return {"keys": min(ChangingPairs.keys, pairs), "min_pairs": pairs, "max_pairs": pairs}


def _babi(name: str, description: str, sampler: type, longer: dict[str, Any] | None, data: str = "") -> Task:
    splits = {part: Split(0, seed, {"part": part}) for seed, part in enumerate(SPLITS[:3], 1)}
    if longer is not None:
        splits["longer"] = Split(0, 4, longer)
    return Task(name, description, sampler, splits, {}, data)


def _omniglot(name: str, description: str) -> Task:
    seen, new = {"part": "fit"}, {"part": "test", "augment": False}
    splits = {
        "train": Split(0, 1, seen),
        "validation": Split(1000, 2, {"part": "validation", "augment": False}),
        "test": Split(1000, 3, new),
        "longer": Split(200, 4, {**new, "classes": 15, "label_values": 15}),
    }
    return Task(
        name, description, OmniglotPresentations, splits, lengths=("classes",), benchmark="omniglot_presentations"
    )


_LANGUAGES = {
    "anbn": "n times a, then as often b",
    "anbncn": "n times a, then as often b and c",
    "anbncndn": "n times a, then as often b, c and d",
    "anb2n": "n times a, then twice as often b",
    "anbmcnm": "n times a, m times b, then c as often as both",
    "reversal": "a word of n symbols, then the same backwards",
}
assert _LANGUAGES.keys() == COUNTS.keys()


class UnknownTaskError(UnknownNameError):
    """A task, or a split of one, that there is not; the message gives the nearest one."""


def _own(path: str, found: Any) -> Task:
    """A task of one's own, or a sampler, whose splits then all draw with its defaults."""
    if isinstance(found, Task):
        return replace(found, name=path)
    if not (isinstance(found, type) and callable(getattr(found, "sample", None)) and hasattr(found, "spec")):
        raise ValueError("expected a lukasa.tasks.Task, or a class with spec and sample, as lukasa.tasks.Sampler")
    return _task(path, (inspect.getdoc(found) or "").partition("\n")[0], found, None)


TASKS: Registry[Task] = Registry(
    "task",
    {
        task.name: task
        for task in (
            _task("copy", "write down a sequence of words", Copy, {"min_length": 21, "max_length": 120}),
            _task(
                "reverse", "write down a sequence of words backwards", Reverse, {"min_length": 21, "max_length": 120}
            ),
            _task(
                "repeat_copy",
                "write down a sequence of words a given number of times",
                RepeatCopy,
                {"min_length": 11, "max_length": 20, "min_repeats": 11, "max_repeats": 20},
            ),
            _task(
                "repeat_copy_dnc",
                "the same in the layout and sizes of the released DNC",
                RepeatCopy,
                {"min_length": 3, "max_length": 4, "min_repeats": 3, "max_repeats": 4},
                layout="dnc",
                bits=4,
                max_length=2,
                max_repeats=2,
            ),
            _task(
                "associative_recall",
                "name the item that came after the one shown again",
                AssociativeRecall,
                {"min_items": 7, "max_items": 20},
            ),
            _long(
                _task("ngrams", "predict bits from a table that must be inferred", NGrams, {"length": 400}), "length"
            ),
            _task("priority_sort", "put words in order", PrioritySort, {"min_items": 40, "max_items": 40}),
            *(
                _task(f"stack_{name}", text, StackLanguage, {"min_n": 21, "max_n": 60}, language=name)
                for name, text in _LANGUAGES.items()
            ),
            _task(
                "binary_addition",
                "add two binary numbers, as text",
                BinaryAddition,
                {"min_digits": 11, "max_digits": 20},
            ),
            _task("key_value", "recall the value of every key", KeyValue, {"min_pairs": 17, "max_pairs": 32}),
            replace(
                _task(
                    "changing_pairs",
                    "recall the newest value of every key",
                    ChangingPairs,
                    {"min_pairs": 25, "max_pairs": 48},
                ),
                lengths=_changing_length,
            ),
            replace(
                _task("mqar", "recall values of keys among random tokens", MQAR, {"pairs": 16, "length": 256}),
                lengths=_mqar_length,
            ),
            _long(
                _task("nth_farthest", "which vector is the n-th farthest from another", NthFarthest, {"pause": 16}),
                "pause",
            ),
            _task("parity", "say whether the number of 1s in a vector is odd", Parity, None),
            _task(
                "running_sum",
                "add decimal numbers one after another",
                RunningSum,
                {"numbers": 10},
            ),
            _long(
                _task(
                    "traversal",
                    "follow a route through a random graph",
                    Traversal,
                    {"min_nodes": 10, "max_nodes": 20, "min_path": 5, "max_path": 7},
                ),
                "min_path",
                "max_path",
            ),
            _long(
                _task(
                    "shortest_path",
                    "find the shortest path in a random graph",
                    ShortestPath,
                    {"min_nodes": 15, "max_nodes": 20, "min_path": 5, "max_path": 6},
                ),
                "min_path",
                "max_path",
            ),
            _long(
                _task(
                    "inference",
                    "say where a relation leads in a random graph",
                    Inference,
                    {"min_nodes": 11, "max_nodes": 20},
                ),
                "min_path",
                "max_path",
            ),
            _task(
                "london_traversal",
                "follow a route through the London Underground",
                LondonTraversal,
                {"min_path": 8, "max_path": 12},
                data="london_tube",
            ),
            _task(
                "london_shortest_path",
                "find the shortest path through the London Underground",
                LondonShortestPath,
                {"min_path": 5, "max_path": 7},
                data="london_tube",
            ),
            _task(
                "family_inference",
                "say where a relation leads in a family tree",
                FamilyInference,
                {"min_path": 5, "max_path": 5},
            ),
            _babi("babi", "answer questions about stories, all 20 tasks", Babi, None, "babi"),
            _babi(
                "babi_made",
                "the same for six tasks, with stories made up here",
                MadeBabi,
                {"part": "test", "tasks": (1, 2, 3, 6), "scale": 4},
            ),
            _omniglot("omniglot", "name characters that were never seen before the episode"),
        )
    },
    _own,
    UnknownTaskError,
)
"""Every task by the name that ``make_task`` and the command line know."""
