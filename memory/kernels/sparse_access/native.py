"""A step in native code: the same numbers as ``fused`` up to rounding, where a store and its index allow it.

Nothing here imports Numba before a step runs.

Legend: B batch, H heads, G = B H of all rows, W word size, C slots that a head reads.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lukasa.memory.kernels.sequence import calls
from lukasa.memory.kernels.sequence.calls import steps_are_asked_for
from lukasa.memory.kernels.sequence.threads import over_rows
from lukasa.memory.kernels.sparse_access.hearing import given, heard, threshold
from lukasa.memory.kernels.sparse_access.scanning import Scanned
from lukasa.memory.sparse.indexes import packed_lists
from lukasa.memory.sparse.indexes.automatic import Automatic
from lukasa.memory.sparse.indexes.exact import Exact
from lukasa.memory.sparse.indexes.packed_lists import PackedLists
from lukasa.memory.sparse.link_tables import LinkTables
from lukasa.memory.sparse.listener import ForeknowingListener, foreknows
from lukasa.memory.sparse.operations import Tape
from lukasa.memory.sparse.store import Store
from lukasa.memory.sparse.traffic import TRAFFIC

Results = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


def served(store: Any, interface: Tensor) -> tuple[Store, PackedLists | Scanned] | None:
    """A store on which a step can run in native code, and its index; None where it cannot."""
    if not getattr(store, "capacity", 0) or steps_are_asked_for() or obstacle(store, interface) is not None:
        return None
    return store, index_of(store)


def index_of(store: Any) -> PackedLists | Scanned:
    """The index of a store that has no obstacle, as compiled loops use it."""
    index: Any = _plain_index(store)
    return Scanned(index) if type(index) is Exact else index


def _plain_index(store: Any) -> Any:
    """What serves for the index of a store."""
    return store.index.inner if type(store.index) is Automatic else store.index


def obstacle(store: Any, like: Tensor) -> str | None:
    """Why what a core does to a store cannot run in native code, as the end of a sentence; None where it can."""
    if type(store) is not Store:
        return f"its memory is held by a {type(store).__name__}, which has no native code"
    if not foreknows(store.listener):
        return "its memory has a listener that does not say its answers beforehand, and hears of each step"
    if store.journal is not None:
        return "its memory keeps a journal, which the equations write"
    if type(like) is not Tensor or like.device.type != "cpu" or store.layout.device.type != "cpu":
        return f"native code runs on tensors of the CPU, and this is a {type(like).__name__} on {like.device}"
    if like.dtype != store.layout.stored:
        return f"its memory keeps {store.layout.stored} and the core computes in {like.dtype}"
    index = _plain_index(store)
    if type(store.index) is Exact:
        return None if calls.has_numba() else calls.NO_NUMBA
    if type(index) is not PackedLists or index.scanned is not None:
        return (
            f"its index is {store.layout.index!r}, served by {type(index).__name__}: native code searches 'lists' and "
            "'exact'"
        )
    return None


def obstacle_of_links(tables: Any) -> str | None:
    """The same of what a core does to its links."""
    if type(tables) is not LinkTables:
        return f"its links are held by a {type(tables).__name__}, which has no native code"
    if not foreknows(tables.listener):
        return "its links have a listener that hears of each step"
    return None if tables.journal is None else "its links keep a journal, which the equations write"


def forward(
    store: Store, index: PackedLists | Scanned, interface: Tensor, read_slots: Tensor, read_weights: Tensor
) -> Results | None:
    """As ``fused.forward``; None, and nothing changed, where the numbers need a closer look."""
    from lukasa.memory.kernels.sparse_access import loops

    batch, heads, reads = read_slots.shape
    size, usage = store.layout.word_size, store.usage
    kind, call = interface.dtype, packed_lists.compiling.call
    gates, write_weights = interface.new_empty(batch, 2 * heads), interface.new_empty(batch, heads, reads + 1)
    write_slots, added = (
        torch.empty(batch, heads, reads + 1, dtype=torch.int64),
        np.empty((batch, heads * (reads + 1), size), gates.numpy().dtype),
    )
    arrays = [_array(tensor) for tensor in (interface, read_slots, read_weights)]
    answers = given(store, 1, heads, reads)[0]
    limits = np.array([store.bounds.limit, store.bounds.query_limit])
    peaks, status = np.full(batch, store.bounds.peak), np.empty(batch, np.int64)
    usage.show_ahead(heads)
    order = usage.front.numpy(), usage.cursor.numpy(), usage.last.numpy(), usage.log.numpy(), usage.slots
    call(
        *(loops.prepare, kind, arrays[0], answers, *arrays[1:], *order, index.used, peaks, limits, gates.numpy()),
        *(write_slots.numpy(), write_weights.numpy(), added, status, 0, batch),
    )
    if status.any():
        return None
    found, weights = torch.empty(batch, heads, reads, dtype=torch.int64), interface.new_empty(batch, heads, reads)
    words, copies = interface.new_empty(batch, heads, size), interface.new_empty(batch * heads, reads, size)
    unit_keys, key_scale = interface.new_empty(batch * heads, size), interface.new_empty(batch * heads, 1)
    row_scale, cosines = (interface.new_empty(batch * heads, reads) for _ in range(2))
    log = usage.begin_event(heads * (2 * reads + 1))
    fixed = (
        *index.begin_step(reads),
        *(
            store.rows.view(-1).numpy(),
            store.capacity,
            index.used,
            arrays[0],
            answers,
            write_slots.numpy(),
            write_weights.numpy(),
        ),
        *(added, threshold(store), usage.last.numpy(), usage.log.numpy(), log, usage.slots, found.numpy()),
        *(weights.numpy(), words.numpy(), unit_keys.numpy(), key_scale.numpy(), row_scale.numpy(), copies.numpy()),
        cosines.numpy(),
    )
    if batch > 1 and index.worth_threads:
        over_rows(lambda low, high: call(loops.step, kind, *fixed, low, high), batch, batch)
    else:
        call(loops.step, kind, *fixed, 0, batch)
    store.bounds.peak = float(peaks.max())
    store.stepped(torch.from_numpy(index.used.copy()))
    index.end_step()
    usage.end_event()
    TRAFFIC.reads += found.numel()
    TRAFFIC.writes += write_slots.numel()
    if store.listener is not None:
        read = (found.unsqueeze(0), weights.unsqueeze(0))
        written = (write_slots.unsqueeze(0), write_weights.unsqueeze(0))
        cast(ForeknowingListener, store.listener).passed(heard(written, read[0], read, store.layout.delta))
    return (found, weights, words, write_slots, write_weights), (
        gates,
        unit_keys,
        key_scale,
        row_scale,
        copies,
        cosines,
    )


def backward(
    tape: Tape,
    positions: tuple[int, int],
    saved: tuple[Tensor, ...],
    to_weights: Tensor | None,
    to_words: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Gradients of the interface and of the earlier read weights.

    Args:
        tape: of the memory, in a backward pass.
        positions: of the write and of the read on it.
        saved: interface, read_weights, write_weights, weights and what ``forward`` kept.
        to_weights: gradient of the read weights [B, H, C].
        to_words: gradient of what was read [B, H, W].
    """
    from lukasa.memory.kernels.sparse_access import loops_back

    interface, weights = saved[0], saved[3]
    word_size = saved[8].shape[2]
    to_weights = torch.zeros_like(weights) if to_weights is None else to_weights
    to_words = weights.new_zeros(*weights.shape[:2], word_size) if to_words is None else to_words
    ids, (write_at, read_at) = tape.numbered(positions)
    to_interface, to_read_weights = torch.empty_like(interface), torch.empty_like(weights)
    fixed = (
        *(_array(tensor) for tensor in (*saved, to_weights, to_words)),
        *(tape.gradient.numpy(), ids.numpy(), write_at, read_at, to_interface.numpy(), to_read_weights.numpy()),
    )
    packed_lists.compiling.call(loops_back.backward, interface.dtype, *fixed, 0, len(interface))
    return to_interface, to_read_weights


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()
