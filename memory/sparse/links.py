"""What a state carries of temporal links: a view of one version of their tables.

Legend: B batch, N slots, S slots of one operation, H heads, C slots that a head reads, E = K_L entries of a row,
U slots written.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from lukasa.ground.files import replacing
from lukasa.memory.derivatives import refuse_transforms
from lukasa.memory.sparse.layout import refuse_elsewhere, the_device
from lukasa.memory.sparse.link_tables import LinkLayout, LinkTables
from lukasa.memory.sparse.store import StaleStateError

KIND = "lukasa sparse links 1"


class SparseLinks:
    """Which slots were written after which, as one version of it; a change returns the next and makes this one stale.

    The companion of ``SparseMemory`` in the state of an SDNC, with the same life: nothing costs more than what it
    touches, but for ``fork``, ``grow``, ``save``, ``tensors`` and ``from_tensors``, which cost what is written.

    Attributes:
        tables: N_t, P_t and p_t.
        version: how many changes came before.
    """

    def __init__(self, tables: LinkTables):
        self.tables = tables
        self.version = tables.version
        self._stamp = tables.stamp

    @classmethod
    def empty(cls, batch_size: int, slots: int, **layout: Any) -> SparseLinks:
        """Links of a memory in which nothing is written.

        Args:
            batch_size: B.
            slots: N.
            **layout: the other fields of ``LinkLayout``: entries, decay, device.

        Raises:
            ValueError: the machine has not so much memory.

        Example:
            >>> links, one = SparseLinks.empty(1, slots=1 << 20), torch.ones(1, 1)
            >>> nothing = torch.full((1, 1), -1)
            >>> for slot in (3, 7):
            ...     links = links.update(torch.tensor([[slot]]), one, nothing)
            >>> slots, weights = links.follow(torch.tensor([[[3]]]), torch.ones(1, 1, 1))
            >>> slots[0, 0, 1, 0].item(), weights[0, 0, 1, 0].item()
            (7, 1.0)
        """
        return cls(LinkTables(LinkLayout(batch_size, slots, **layout)))

    @property
    def batch_size(self) -> int:
        """B."""
        return self.tables.layout.batch_size

    @property
    def slots(self) -> int:
        """N."""
        return self.tables.layout.slots

    @property
    def device(self) -> torch.device:
        """Where they live."""
        return self.tables.layout.device

    @torch.no_grad()
    def update(self, slots: Tensor, weights: Tensor, erased: Tensor) -> SparseLinks:
        """Link what is written now to what was written before; N_t, P_t and p_t in Rae et al. 2016, supplement D.1.

        Args:
            slots: int64 [B, S]; -1 is nothing, duplicates add up.
            weights: [B, S], w_t, non-negative; divided by their sum where it exceeds 1.
            erased: int64 [B, X]; slots used anew: all links to and from them are dropped first.

        Returns:
            The links after it.

        Raises:
            StaleStateError: the links were changed since.
            ValueError: a slot is written that does not exist, or an argument is on another device.
        """
        tables = self._tables()
        refuse_elsewhere(self.device, slots=slots, weights=weights, erased=erased)
        if slots.device.type == "cpu" and slots.numel() and int(slots.max()) >= self.slots:  # elsewhere looking waits
            raise ValueError(
                f"slot {int(slots.max())} is written and these links have {self.slots} slots: "
                "grow() them together with the memory"
            )
        tables.update(slots, weights, erased)
        return SparseLinks(tables)

    def follow(self, slots: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Where links lead from what was read: b_t and f_t, before equal slots are added up.

        Args:
            slots: int64 [B, H, C], read at the step before; -1 is nothing.
            weights: [B, H, C], w^r_{t-1}; gradient flows through them, none through the links.

        Returns:
            Slots int64 and weights [B, H, 2, C * E]: the slots written before those read, and those written after;
            -1 and 0 for none, a slot may stand there more than once.

        Raises:
            StaleStateError: the links were changed since.
        """
        refuse_elsewhere(self.device, slots=slots, weights=weights)
        named, links = self._tables().read(slots)  # [B, H, C, 2, E]
        reached = links.to(weights.dtype) * weights[..., None, None]
        return named.transpose(2, 3).flatten(3), reached.transpose(2, 3).flatten(3)

    def detach(self) -> SparseLinks:
        """The same content: links carry no gradient."""
        return SparseLinks(self._tables())

    @torch.no_grad()
    def reset(self, mask: Tensor) -> SparseLinks:
        """Drop all links of the batch rows where the mask [B] is set."""
        tables = self._tables()
        if not bool(mask.any()):
            return self
        tables.reset(mask)
        return SparseLinks(tables)

    def fork(self) -> SparseLinks:
        """A copy with tables of its own."""
        return self.from_tensors(self.tensors())

    def __copy__(self) -> SparseLinks:
        """As ``fork``: two handles of the same tables would make one another stale."""
        return self.fork()

    def __reduce__(self) -> tuple[Any, ...]:
        """What is written, for ``pickle`` and ``copy.deepcopy``."""
        return SparseLinks, (self._tables(),)

    @torch.no_grad()
    def grow(self, slots: int) -> SparseLinks:
        """The same links for a memory of more slots.

        Raises:
            ValueError: there are more already, or the machine has not so much memory.
            RuntimeError: a journal is kept.
        """
        tables = self._tables()
        if slots < self.slots:
            raise ValueError(f"links of {self.slots} slots cannot shrink to {slots}: ask for more slots")
        if tables.journal is not None:
            raise RuntimeError("links cannot grow while a journal is kept: leave journalling() first")
        tables.change_layout(replace(tables.layout, slots=slots))
        return SparseLinks(tables)

    @contextlib.contextmanager
    def journalling(self) -> Iterator[None]:
        """Keep what ``rewind`` needs while the block lasts; costs memory with every change."""
        tables = self._tables()
        tables.journal, tables.journal_start = [], tables.version
        try:
            yield
        finally:
            tables.journal = None

    @torch.no_grad()
    def rewind(self, version: int) -> SparseLinks:
        """Undo every change since a version, bit for bit.

        Args:
            version: ``version`` of links with these tables, made while journalling.

        Returns:
            The links at that version; all others of these tables are stale.

        Raises:
            RuntimeError: no journal is kept.
            ValueError: the journal does not reach back so far.
        """
        tables = self.tables
        if tables.journal is None:
            raise RuntimeError("these links keep no journal: change them inside `with links.journalling():` to undo it")
        if not tables.journal_start <= version <= tables.version:
            raise ValueError(
                f"cannot rewind to version {version}: the journal covers versions {tables.journal_start} to "
                f"{tables.version}; begin journalling before the changes that are to be undone"
            )
        while tables.journal and tables.journal[-1].version >= version:
            tables.undo()
        tables.mark_changed()
        tables.version = version
        return SparseLinks(tables)

    def tensors(self) -> dict[str, Tensor]:
        """What is written, batch first: copies.

        Returns:
            names, logs [B, U, 2, E], survival [B, U, 2], used [B], recent_slots and recent_weights [B, E], each as
            ``LinkTables`` has it.
        """
        tables = self._tables()
        written = int(tables.used.max()) if self.batch_size else 0
        found = {
            name: tables.view(getattr(tables, name))[:, :written].clone() for name in ("names", "logs", "survival")
        }
        slots, weights = tables.recent
        return found | {"used": tables.used.clone(), "recent_slots": slots.clone(), "recent_weights": weights.clone()}

    @torch.no_grad()
    def from_tensors(self, tensors: Mapping[str, Tensor]) -> SparseLinks:
        """Links of this kind, with tables of their own, from what ``tensors`` gave.

        Args:
            tensors: as from ``tensors``; their batch may be another.

        Raises:
            ValueError: they do not fit this kind of links.
        """
        layout = self.tables.layout
        _check_tensors(tensors, layout)
        here = {name: tensor.to(layout.device) for name, tensor in tensors.items()}
        tables = LinkTables(replace(layout, batch_size=len(here["used"])))
        recent = (here["recent_slots"], here["recent_weights"])
        tables.fill(here["names"], here["logs"], here["survival"], here["used"], recent)
        return SparseLinks(tables)

    def save(self, path: str | PathLike[str]) -> None:
        """Write all that is written to a file beside the path, then rename it."""
        tensors = {name: tensor.cpu() for name, tensor in self.tensors().items()}
        layout = asdict(self.tables.layout) | {"device": "cpu"}
        sums = {name: _checksum(tensor) for name, tensor in tensors.items()}
        with replacing(path) as file:
            torch.save({"kind": KIND, "layout": layout, "checksums": sums, "tensors": tensors}, file)

    @classmethod
    def load(cls, path: str | PathLike[str], device: torch.device | str = "cpu") -> SparseLinks:
        """Links from what ``save`` wrote.

        Raises:
            ValueError: the file is none, cut short or altered.
        """
        try:
            found = torch.load(path, weights_only=True, mmap=True)
            intact = found["kind"] == KIND
        except FileNotFoundError:
            raise
        except Exception as error:  # whatever a file that is no archive makes torch.load raise
            raise ValueError(f"{path} holds no sparse links, or was cut short; restore it from a copy") from error
        for name, tensor in found["tensors"].items():
            intact = intact and _checksum(tensor) == found["checksums"][name]
        if not intact:
            raise ValueError(f"{path} was altered: a checksum does not match; restore it from a copy")
        layout = LinkLayout(**found["layout"] | {"device": the_device(device), "batch_size": 0})
        return cls(LinkTables(layout)).from_tensors(found["tensors"])

    def opened(self) -> LinkTables:
        """The tables, for an operation that is made elsewhere.

        Raises:
            StaleStateError: the links were changed since.
        """
        return self._tables()

    def _tables(self) -> LinkTables:
        refuse_transforms("a table of links")
        if self._stamp is not self.tables.stamp:
            raise StaleStateError(
                f"this state's links were changed since: version {self.version} of {self.tables.version}; "
                "use the newest state, or fork() before branching: memory.fork_state(state); activation checkpointing "
                "runs a function twice, so that the fork belongs inside it"
            )
        return self.tables


def _check_tensors(tensors: Mapping[str, Tensor], layout: LinkLayout) -> None:
    names, used, entries = tensors["names"], tensors["used"], layout.entries
    fit = used.dim() == 1 and names.shape[2:] == (2, entries) and names.shape[:1] == used.shape
    fit = fit and tensors["logs"].shape == names.shape and tensors["survival"].shape == names.shape[:3]
    if not fit or not tensors["recent_slots"].shape == tensors["recent_weights"].shape == (len(used), entries):
        shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
        raise ValueError(
            f"links {shapes} do not fit: expected names [batch, written, 2, {entries}] and others to match"
        )
    if names.shape[1] > layout.slots:
        raise ValueError(f"{names.shape[1]} slots are linked and these links have {layout.slots}: make them with more")
    if names.numel() and not 0 <= int(names.min()) <= int(names.max()) <= names.shape[1]:
        raise ValueError("links name slots that are not written: they belong to another memory")


def _checksum(tensor: Tensor) -> int:
    data: Any = tensor.detach().contiguous().view(-1).view(torch.uint8).numpy()
    return zlib.crc32(data)
