"""An episodic memory of examples in the sparse store: which of them stay, by chance or by class.

Dimensions: n examples, N slots, W numbers of an example, G groups.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Generator, Tensor

from lukasa.ground.settings import check_choice
from lukasa.memory.sparse import SparseMemory
from lukasa.tasks.continual import Taught

Keep: TypeAlias = Literal["reservoir", "per_class"]


class EpisodicMemory:
    """Keeps some of the examples of a stream that it sees once.

    "reservoir" keeps each example that ever came with the same probability (Vitter 1985, algorithm R). "per_class"
    shares the slots out evenly to all groups, a class or a task each, and keeps a reservoir of each.

    Inputs lie in a sparse memory in half precision, which holds pixels, numbers of words and bits exactly; what is not
    written takes no memory.

    Args:
        slots: N.
        like: an example of the stream, for shapes.
        groups: G, how many there will be.
        keep: which stay.

    Attributes:
        seen: examples that came so far.

    Raises:
        ValueError: there are no slots, or fewer than groups where each has a share; or no such way to keep some.

    Example:
        >>> from lukasa.tasks.continual import taught
        >>> some = taught(torch.rand(50, 4), torch.zeros(50, 1, dtype=torch.int64), 0)
        >>> memory = EpisodicMemory(10, some, 1)
        >>> memory.add(some, torch.Generator().manual_seed(0))
        >>> memory.used, memory.seen
        (10, 50)
    """

    def __init__(self, slots: int, like: Taught, groups: int, keep: Keep = "reservoir"):
        check_choice("EpisodicMemory", "keep", keep, get_args(Keep))
        if slots < 1:
            raise ValueError(f"an episodic memory has {slots} slots: expected at least 1")
        if keep == "per_class" and slots < groups:
            raise ValueError(
                f"an episodic memory of {slots} slots cannot hold an example of each of {groups} classes: give it at "
                f"least {groups}, or keep a reservoir"
            )
        self.slots, self.keep, self.seen = slots, keep, 0
        self.share = slots // groups
        self._shape, self._dtype = like.inputs.shape[1:], like.inputs.dtype
        self._begin(like.answers.shape[1], groups)

    def _begin(self, answers: int, groups: int) -> None:
        self.memory = SparseMemory.empty(1, self.slots, self._shape.numel(), storage="float16", index="exact")
        self._answers = torch.full((self.slots, answers), -1)
        self._tasks, self._groups = torch.full((self.slots,), -1), torch.full((self.slots,), -1)
        self._came = torch.zeros(groups, dtype=torch.int64)  # examples of each group so far
        self._places: list[list[int]] = [[] for _ in range(groups)]  # slots of each group

    @property
    def used(self) -> int:
        """Examples that are kept."""
        return int(self.memory.used[0])

    @property
    def bytes(self) -> int:
        """What the examples that are kept take: two bytes a number, and eight for each answer, task and group."""
        return self.used * (2 * self.memory.word_size + 8 * (self._answers.shape[1] + 2))

    def add(self, examples: Taught, generator: Generator) -> None:
        """See examples, each once, in their order; the generator decides which stay."""
        chosen: dict[int, int] = {}  # the slot, and which of the examples goes there: of two the later
        used = self.used
        for place, group in enumerate(examples.groups.tolist()):
            slot = self._slot(group, generator, used)
            if slot is not None:
                used += slot == used
                chosen[slot] = place
        if chosen:
            slots = torch.tensor(sorted(chosen))
            self._write(slots, examples.take(torch.tensor([chosen[one] for one in slots.tolist()])))

    def _slot(self, group: int, generator: Generator, used: int) -> int | None:
        """Where an example of a group goes; None where it is not kept."""
        self.seen += 1
        self._came[group] += 1
        mine = self.keep == "per_class"
        count = int(self._came[group]) if mine else self.seen
        room = self.share if mine else self.slots
        if count <= room:
            if mine:
                self._places[group].append(used)
            return used
        drawn = int(torch.randint(count, (1,), generator=generator))
        if drawn >= (len(self._places[group]) if mine else room):
            return None
        return self._places[group][drawn] if mine else drawn

    def _write(self, slots: Tensor, examples: Taught) -> None:
        keep = torch.zeros(1, len(slots), dtype=torch.bool)
        self.memory = self.memory.write(slots[None], keep, examples.inputs.flatten(1).float()[None])
        self._answers[slots] = examples.answers.cpu()
        self._tasks[slots], self._groups[slots] = examples.tasks.cpu(), examples.groups.cpu()

    def draw(self, count: int, generator: Generator) -> Taught:
        """So many of the kept examples at random, none twice while there are enough.

        Raises:
            ValueError: nothing is kept yet.
        """
        if not self.used:
            raise ValueError("this memory holds no example yet: add some first")
        places = torch.randperm(self.used, generator=generator)[:count]
        if len(places) < count:
            more = torch.randint(self.used, (count - len(places),), generator=generator)
            places = torch.cat([places, more])
        return self.at(places)

    def at(self, slots: Tensor) -> Taught:
        """The examples in some slots, int64 [n]."""
        words, self.memory = self.memory.read(slots[None])
        inputs = words[0] if self._dtype.is_floating_point else words[0].round()
        inputs = inputs.to(self._dtype).unflatten(1, tuple(self._shape))
        return Taught(inputs, self._answers[slots], self._tasks[slots], self._groups[slots])

    def everything(self) -> Taught:
        """All that is kept."""
        return self.at(torch.arange(self.used))

    def replace(self, examples: Taught) -> None:
        """Hold these in place of all that is kept, as after a consolidation; groups that come again replace no more.

        Raises:
            ValueError: there are more of them than slots, or a reservoir is kept of all groups together.
        """
        if self.keep == "reservoir":
            raise ValueError("a reservoir of all groups together cannot be consolidated: keep one per class")
        if len(examples.inputs) > self.slots:
            raise ValueError(f"{len(examples.inputs)} examples do not fit into {self.slots} slots: keep fewer")
        came = self._came.clone()
        self._begin(self._answers.shape[1], len(came))
        self._came = came
        if len(examples.inputs):
            self._write(torch.arange(len(examples.inputs)), examples)
        for slot, group in enumerate(examples.groups.tolist()):
            self._places[group].append(slot)

    def state_dict(self) -> dict[str, Any]:
        """Everything that is kept, and what decides about the examples to come."""
        return {**self.everything()._asdict(), "seen": self.seen, "came": self._came, "places": self._places}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._begin(self._answers.shape[1], len(self._came))
        kept = Taught(*(state[name] for name in Taught._fields))
        if len(kept.inputs):
            self._write(torch.arange(len(kept.inputs)), kept)
        self.seen, self._came = state["seen"], state["came"].clone()
        self._places = [list(one) for one in state["places"]]
