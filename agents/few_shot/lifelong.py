"""Every class ever seen, in a sparse memory: learned from few examples, named among all of them.

Dimensions: n examples, m queries, D numbers of an embedding, k neighbours, C candidates.
"""

from __future__ import annotations

from os import PathLike
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from lukasa.agents.few_shot import class_files
from lukasa.agents.few_shot.encoders import BatchStatistics, Encoder
from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.layout import IndexName, IndexOptions, Storage
from lukasa.memory.sparse.usage import lazy_zeros

Kept: TypeAlias = Literal["means", "instances"]

AT_ONCE = 128
"""Examples that are embedded, learned or named at once: what a small machine's memory holds."""


class Nearest(NamedTuple):
    """What of a memory is nearest to each query, the nearest first.

    Attributes:
        classes: int64 [m, k]; -1 where fewer are remembered or found.
        distances: [m, k], squared Euclidean between embeddings; infinite there.
    """

    classes: Tensor
    distances: Tensor


class ClassMemory:
    """Names examples among all classes that it has ever learned, until more come than it has slots.

    Each slot of a sparse memory holds an embedding, so that neither learning nor naming takes longer the more classes
    there are, but by what its index needs. As in a prototypical network (Snell et al. 2017) the nearest in squared
    Euclidean distance names a query: of the embeddings that the index finds by cosine similarity.

    When all slots are taken, what was neither learned nor an answer for longest makes room.

    Args:
        encoder: of single examples; whoever trains it further makes what was learned before worthless.
        slots: how many embeddings there is room for; what is not written takes no memory.
        keep: "means", one slot for each class, which holds the mean of its examples; or "instances", one for each.
        index: that finds what is near: exact, lists, faiss, lsh, or auto, which picks by size and device.
        index_options: of that index.
        storage: "full", or half of the memory: "float16" or "bfloat16".
        candidates: found by the index for a query, then put in order by distance.

    Raises:
        ValueError: an option cannot be used, or the machine has not so much memory.

    Example:
        >>> from lukasa.agents.few_shot import make_encoder
        >>> memory = ClassMemory(make_encoder("identity", (2,)), slots=100)
        >>> memory.learn(torch.tensor([[0.0, 1.0], [0.2, 1.0], [1.0, 0.0]]), torch.tensor([7, 7, 9]))
        >>> memory.answer(torch.tensor([[0.1, 0.8], [0.9, 0.1]]))
        tensor([7, 9])
    """

    keep: Kept

    def __init__(
        self,
        encoder: Encoder,
        slots: int,
        *,
        keep: Kept = "means",
        index: IndexName = "auto",
        index_options: IndexOptions = None,
        storage: Storage = "full",
        candidates: int = 16,
    ):
        if keep not in ("means", "instances"):
            raise ValueError(f"a class memory cannot keep {keep!r}: choose 'means' or 'instances'")
        if min(slots, candidates) < 1:
            raise ValueError(f"a class memory with slots {slots}, candidates {candidates}: expected at least 1")
        self.encoder, self.candidates, self.keep = encoder, candidates, keep
        self.memory = SparseMemory.empty(
            batch_size=1,
            slots=slots,
            word_size=encoder.size,
            device=_like(encoder).device,
            storage=storage,
            index=index,
            index_options=index_options,
        )
        self._class_of, self._count_of = _tables(slots, self.memory)
        self._slot_of: dict[int, int] = {}  # of each class; only asked for where means are kept

    @property
    def slots(self) -> int:
        """How many embeddings there is room for."""
        return self.memory.slots

    @property
    def used(self) -> int:
        """How many embeddings are remembered."""
        return int(self.memory.used[0])

    @property
    def classes(self) -> Tensor:
        """The classes that are remembered, ascending, int64."""
        return self._class_of[: self.used].unique()

    @torch.no_grad()
    def learn(self, examples: Tensor, classes: Tensor) -> None:
        """Remember examples of classes, new or known.

        Args:
            examples: [n, *shape].
            classes: int64 [n], from 0.

        Raises:
            ValueError: they do not belong together, or an embedding is not finite; nothing is learned then.
        """
        if classes.shape != examples.shape[:1] or classes.is_floating_point():
            raise ValueError(
                f"examples {list(examples.shape)} have classes {list(classes.shape)} of {classes.dtype}: "
                "expected a whole number for each"
            )
        embeddings = embed_all(self.encoder, examples)
        classes = classes.to(embeddings.device, torch.int64)
        if int(classes.min()) < 0:
            raise ValueError(f"class {int(classes.min())} cannot be learned: expected numbers from 0")
        learn = self._learn_means if self.keep == "means" else self._learn_instances
        # What comes at once has to find room at once.
        size = min(AT_ONCE, self.slots)
        for part, named in zip(embeddings.split(size), classes.split(size), strict=True):
            learn(part, named)

    @torch.no_grad()
    def nearest(self, queries: Tensor, k: int = 1) -> Nearest:
        """What is nearest to each query; it counts as used from now on.

        Args:
            queries: [m, *shape].
            k: how many for each.

        Raises:
            ValueError: the queries are no such examples, k is not positive, or nothing was learned yet.
        """
        if k < 1:
            raise ValueError(f"{k} neighbours cannot be found: expected at least 1")
        if not self.used:
            raise ValueError("this memory knows no class yet: learn some examples first")
        parts = [self._nearest(part, k) for part in embed_all(self.encoder, queries).split(AT_ONCE)]
        return Nearest(*map(torch.cat, zip(*parts, strict=True)))

    def answer(self, queries: Tensor, neighbours: int = 1) -> Tensor:
        """Name each query: [m, *shape] -> classes, int64 [m]. -1 where the index finds nothing near.

        Args:
            queries: [m, *shape].
            neighbours: that vote; of classes with equally many votes the one with the nearest neighbour wins.

        Raises:
            ValueError: as ``nearest``.
        """
        classes = self.nearest(queries, neighbours).classes
        votes = (classes[:, :, None] == classes[:, None]).sum(-1).masked_fill(classes < 0, 0)
        return classes.gather(1, votes.argmax(1, keepdim=True)).squeeze(1)  # of equals the first, which is nearest

    def grow(self, slots: int) -> None:
        """Have more slots; nothing is forgotten.

        Raises:
            ValueError: there are more already, or the machine has not so much memory.
        """
        self.memory = self.memory.grow(slots)
        classes, counts = self._class_of[: self.used], self._count_of[: self.used]
        self._class_of, self._count_of = _tables(slots, self.memory)
        self._class_of[: self.used], self._count_of[: self.used] = classes, counts

    def save(self, folder: str | PathLike[str]) -> None:
        """Write everything that is remembered to a folder, all or nothing; the encoder is not among it."""
        table = class_files.Table(
            keep=self.keep,
            candidates=self.candidates,
            classes=self._class_of[: self.used],
            counts=self._count_of[: self.used],
            probe=_probe(self.encoder),
        )
        class_files.save(folder, self.memory, table)

    @classmethod
    def load(cls, folder: str | PathLike[str], encoder: Encoder, **layout: Any) -> ClassMemory:
        """What ``save`` wrote; its index is built anew.

        Args:
            folder: of the memory.
            encoder: the very same as then.
            **layout: what is to be different: index, index_options, or more slots.

        Raises:
            ValueError: the folder has no memory, not all of one, or one of another encoder.
        """
        memory, table = class_files.load(folder, device=_like(encoder).device, **layout)
        probe = _probe(encoder).cpu()
        # The same network on another device or number of threads rounds differently.
        if probe.shape != table.probe.shape or not torch.allclose(probe, table.probe, rtol=1e-3, atol=1e-4):
            raise ValueError(f"{folder} was learned with another encoder: load it with the one that it was saved with")
        loaded = cls.__new__(cls)
        loaded.encoder, loaded.keep, loaded.candidates = encoder, table.keep, table.candidates
        loaded.memory = memory
        loaded._class_of, loaded._count_of = _tables(memory.slots, memory)
        loaded._class_of[: loaded.used], loaded._count_of[: loaded.used] = table.classes, table.counts
        loaded._slot_of = {one: slot for slot, one in enumerate(table.classes.tolist())}
        return loaded

    def _learn_instances(self, embeddings: Tensor, classes: Tensor) -> None:
        slots = self.memory.least_recent(len(classes))[0]
        self._write(slots, embeddings, classes, torch.ones_like(classes))

    def _learn_means(self, embeddings: Tensor, classes: Tensor) -> None:
        distinct, which, counts = classes.unique(return_inverse=True, return_counts=True)
        sums = embeddings.new_zeros(len(distinct), embeddings.shape[1]).index_add_(0, which, embeddings)
        slots = torch.tensor([self._slot_of.get(one, -1) for one in distinct.tolist()], device=classes.device)
        known = slots >= 0
        # Known ones first, so that they do not make room for the new ones beside them.
        self._mark_used(slots)
        if not bool(known.all()):
            slots[~known] = self.memory.least_recent(int((~known).sum()))[0]
        before = self._count_of[slots].masked_fill(~known, 0)
        rows, self.memory = self.memory.read(slots.masked_fill(~known, -1)[None])
        total = before + counts
        means = (rows[0] * before[:, None] + sums) / total[:, None]
        for slot in slots[~known & (slots < self.used)].tolist():
            del self._slot_of[int(self._class_of[slot])]
        self._slot_of.update(zip(distinct.tolist(), slots.tolist(), strict=True))
        self._write(slots, means, distinct, total)

    def _write(self, slots: Tensor, words: Tensor, classes: Tensor, counts: Tensor) -> None:
        keep = torch.zeros_like(slots, dtype=torch.bool)
        self.memory = self.memory.write(slots[None], keep[None], words[None])
        self._class_of[slots], self._count_of[slots] = classes, counts
        self._mark_used(slots)

    def _nearest(self, embeddings: Tensor, k: int) -> Nearest:
        found = self.memory.search(embeddings[None], max(k, self.candidates))
        rows, self.memory = self.memory.read(found)  # [1, m, C, D]
        distances = (rows[0] - embeddings[:, None]).square().sum(-1).masked_fill(found[0] < 0, torch.inf)
        near, order = (part[:, :k] for part in distances.sort(dim=-1, stable=True))
        slots = found[0].gather(1, order)
        self._mark_used(slots.flatten())
        return Nearest(self._class_of[slots.clamp_min(0)].masked_fill(slots < 0, -1), near)

    def _mark_used(self, slots: Tensor) -> None:
        self.memory = self.memory.access(slots[None], torch.ones(1, len(slots), device=slots.device))


@torch.no_grad()
def embed_all(encoder: Encoder, examples: Tensor) -> Tensor:
    """Embed any number of examples, some at a time, in evaluation mode: [n, *shape] -> [n, D], float32.

    The encoder is afterwards in the mode it was in.

    Raises:
        ValueError: they are no such examples, there are none, an embedding is not finite or depends on the others.
    """
    if any(isinstance(one, BatchStatistics) for one in encoder.modules()):
        raise ValueError(
            "this encoder's batch norm uses the statistics of the batch, as MAML's does, so that an example has no "
            "embedding of its own: take one of make_encoder, or that of a prototypical network"
        )
    if examples.shape[1:] != encoder.shape or not len(examples) or not examples.is_floating_point():
        raise ValueError(
            f"examples are {list(examples.shape)} of {examples.dtype}: expected some of shape {list(encoder.shape)}, "
            "in floating point"
        )
    like = _like(encoder)
    training = encoder.training
    encoder.eval()
    try:
        embeddings = torch.cat([encoder(part.to(like)).float() for part in examples.split(AT_ONCE)])
    finally:
        encoder.train(training)
    if not bool(embeddings.isfinite().all()):
        raise ValueError("the embedding of an example is not finite: look for NaN in the examples and in the encoder")
    return embeddings


def _like(encoder: Encoder) -> Tensor:
    return next(encoder.parameters(), torch.empty(0))


def _tables(slots: int, memory: SparseMemory) -> tuple[Tensor, Tensor]:
    """Room for the class of each slot and for how many examples its embedding is the mean of."""
    classes, counts = (lazy_zeros((slots,), torch.int64, memory.used.device) for _ in range(2))
    return classes, counts


def _probe(encoder: Encoder) -> Tensor:
    """An embedding by which to tell encoders apart."""
    return embed_all(encoder, torch.rand(1, *encoder.shape, generator=torch.Generator().manual_seed(0)))
