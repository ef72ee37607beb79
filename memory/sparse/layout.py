"""What a sparse memory is made of, and what fits in it.

Legend: B batch, N slots, W word size, U slots written, A slots ever accessed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

Storage: TypeAlias = Literal["full", "float16", "bfloat16"]
IndexName: TypeAlias = str
IndexOptions: TypeAlias = dict[str, int | float] | None
HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Layout:
    """What a store is made of.

    Attributes:
        batch_size: B.
        slots: N.
        word_size: W.
        dtype: of all arithmetic.
        device: where everything lives; may be given by its name.
        storage: how the rows are kept: "full" in ``dtype``; the halves take half of float32's memory.
        delta: δ of Rae et al. 2016, section 3.3: a slot whose weight exceeds it is accessed.
        index: name of the index, a key of ``INDEXES`` or "package.module:Class".
        index_options: the index's own options.
    """

    batch_size: int
    slots: int
    word_size: int
    dtype: torch.dtype = torch.float32
    device: torch.device = CPU
    storage: Storage = "full"
    delta: float = 0.005
    index: IndexName = "auto"
    index_options: IndexOptions = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", the_device(self.device))

    @property
    def stored(self) -> torch.dtype:
        """The dtype of the rows in memory."""
        return HALVES.get(self.storage, self.dtype)

    def check_fits(self) -> None:
        """Refuse a memory larger than the machine's, or of numbers that it cannot compute with.

        Raises:
            ValueError: all slots together need more than there is, or the dtype is none of float32 and float64.
        """
        if self.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"a sparse memory computes in float32 or float64, not in {self.dtype}: storage='float16' or 'bfloat16' "
                "keeps its rows in half of the space"
            )
        needed = self.batch_size * self.slots * (self.word_size * self.stored.itemsize + 8)
        if self.device.type == "cuda":
            there = torch.cuda.mem_get_info(self.device)[1]
        else:
            there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > there:
            raise ValueError(
                f"a memory of {self.batch_size} x {self.slots:,} slots of {self.word_size} numbers needs "
                f"{needed / 2**30:,.1f} GiB when all are written and {self.device} has {there / 2**30:,.1f} GiB: "
                "use fewer slots or rows, or storage='float16'"
            )

    def check_contents(self, rows: Tensor, used: Tensor, order: Tensor) -> None:
        """Refuse contents that do not fit.

        Args:
            rows: [B, U, W], of any batch size.
            used: int64 [B].
            order: int64 [B, A], the slots ever accessed, -1 behind the end of a row.

        Raises:
            ValueError: they are of other sizes, or do not belong together.
        """
        if (
            rows.dim() != 3
            or rows.shape[2] != self.word_size
            or used.shape != rows.shape[:1]
            or order.shape[:1] != used.shape
        ):
            raise ValueError(
                f"memory rows {list(rows.shape)}, used {list(used.shape)} and order {list(order.shape)} do not fit: "
                f"expected [batch, written, {self.word_size}], [batch] and [batch, accessed]"
            )
        if rows.shape[1] > self.slots:
            raise ValueError(
                f"{rows.shape[1]} slots are written and this memory has {self.slots}: make it with at least as many"
            )
        if used.numel() and not 0 <= int(used.min()) <= int(used.max()) <= rows.shape[1]:
            raise ValueError(
                f"used is {used.tolist()} and rows hold {rows.shape[1]} slots: they belong to different memories"
            )
        if order.numel() and bool((order.amax(1) >= used).any()):
            raise ValueError("order names slots that are not written: it belongs to another memory")


def the_device(device: torch.device | str) -> torch.device:
    """A device by its name, with its number where there may be several; as tensors on it name it.

    Raises:
        ValueError: there is none of this name, or none that this PyTorch can use.
    """
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"there is no device {device!r}: expected 'cpu', or 'cuda' for a GPU") from None
    if found.type != "cuda":
        return found
    if not torch.cuda.is_available():
        raise ValueError(f"device {str(found)!r} needs a GPU that this PyTorch can use, and there is none: take 'cpu'")
    return torch.device("cuda", torch.cuda.current_device()) if found.index is None else found


def refuse_elsewhere(device: torch.device, **given: Tensor) -> None:
    """Refuse tensors that are not where a memory lives, before anything is changed.

    Raises:
        ValueError: one is on another device.
    """
    for name, tensor in given.items():
        if tensor.device != device:
            raise ValueError(f"{name} are on {tensor.device} and this sparse memory on {device}: move them with .to()")


def sparse_dtypes(dtype: torch.dtype, options: dict[str, Any]) -> dict[str, Any]:
    """The options of the sparse memory of a core of some dtype: halves are how rows are kept, not computed with."""
    if dtype not in HALVES.values():
        return {**options, "dtype": dtype}
    storage = str(dtype).removeprefix("torch.") if options["storage"] == "full" else options["storage"]
    return {**options, "storage": storage, "dtype": torch.float32}
