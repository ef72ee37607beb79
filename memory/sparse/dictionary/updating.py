"""How values come in: which keys of an update are one, and what becomes of a value that is estimated again.

Legend: D dictionaries, M entries of an update, W key size, G distinct ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lukasa.memory.sparse.dictionary.entries import Entries, packed
from lukasa.memory.sparse.dictionary.options import Options


def take_in(
    entries: Entries, options: Options, which: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Take in estimates: first those of keys that are there, then the others.

    Returns:
        Where each went, int64 [M]; and the places, dictionary * N + slot, of values that changed and of new entries.
    """
    dictionaries, rate = entries.layout.batch_size, options.rate if options.rule == "average" else None
    if options.rule == "every":
        slots, appended = _append(entries, None, rate, which, keys, values)
        return slots, which.new_empty(0), appended
    (queries,), where = packed(which, dictionaries, (keys, 0))
    found, _, squared = entries.nearest(queries, 1)
    near = squared.flatten()[where] <= options.tolerance**2
    slots = torch.where(near, found.flatten()[where], -1)
    changed = appended = which.new_empty(0)
    if bool(near.any()):
        changed, which_value = (which * entries.layout.slots + slots)[near].unique(return_inverse=True)
        flat = entries.values.view(-1)
        flat[changed] = estimated_again(flat[changed], which_value, values[near], rate=rate)
        entries.touch(packed(which[near], dictionaries, (slots[near], -1))[0][0])
    if not bool(near.all()):
        slots[~near], appended = _append(entries, options.tolerance, rate, which[~near], keys[~near], values[~near])
    return slots, changed, appended


def _append(
    entries: Entries, tolerance: float | None, rate: float | None, which: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor]:
    """Entries of keys that are not there yet, one for keys that are one, or without a tolerance one for each key.

    Returns:
        Where each went, and the places of the new ones.
    """
    heads = torch.arange(len(which))
    if tolerance is not None:
        for one in which.unique():
            mine = (which == one).nonzero().flatten()
            heads[mine] = mine[alike(keys[mine], tolerance)]
    leading = heads == torch.arange(len(which))
    ids = leading.cumsum(0) - 1  # of each head among the heads
    later = (~leading).nonzero().flatten()
    fresh = estimated_again(values[leading], ids[heads[later]], values[later], rate=rate)
    which, keys, dictionaries = which[leading], keys[leading], entries.layout.batch_size
    free = entries.least_recent(int(which.bincount().max()))
    slots = free.flatten()[packed(which, dictionaries)[1]]
    entries.write(which, slots, keys, fresh)
    entries.touch(packed(which, dictionaries, (slots, -1))[0][0])
    return slots[ids[heads]], which * entries.layout.slots + slots


def alike(keys: Tensor, tolerance: float) -> Tensor:
    """For each key [M, W] the first of those before it, or itself, that stands for it: int64 [M].

    A key stands for itself unless one that does is within ``tolerance``; the nearest one then, the first of ties.
    """
    heads = torch.arange(len(keys))
    close = _perhaps_close(keys, tolerance)
    if not bool(close.any()):
        return heads
    leading = torch.ones(len(keys), dtype=torch.bool)
    for i in close.any(1).nonzero().flatten().tolist():
        before = (close[i] & leading).nonzero().flatten()
        if not len(before):
            continue
        squared = (keys[i] - keys[before]).square().sum(-1)
        nearest = int(squared.argmin())
        if float(squared[nearest]) <= tolerance * tolerance:
            heads[i], leading[i] = before[nearest], False
    return heads


def _perhaps_close(keys: Tensor, tolerance: float) -> Tensor:
    """Pairs of a key and an earlier one that no rounding keeps apart, bool [M, M]."""
    squared = keys.square().sum(-1)
    apart = squared.unsqueeze(1) + squared - 2 * keys @ keys.mT
    slack = 64 * torch.finfo(keys.dtype).eps * (squared.unsqueeze(1) + squared)
    return (apart <= tolerance * tolerance + slack).tril(-1)


def estimated_again(values: Tensor, places: Tensor, estimates: Tensor, *, rate: float | None) -> Tensor:
    """Values after estimates that come one after the other, several of them for one value.

    Args:
        values: [G].
        places: int64 [M], which value each estimate is of.
        estimates: [M].
        rate: alpha of Q <- Q + alpha (estimate - Q), the tabular rule of Pritzel et al. 2017; None keeps the largest,
            as Blundell et al. 2016 do.

    Returns:
        [G].
    """
    if rate is None:
        return values.scatter_reduce(0, places, estimates, "amax")
    values = values.clone()
    order = places.sort(stable=True)
    firsts = torch.searchsorted(order.values, order.values)
    ranks = torch.arange(len(places)) - firsts  # how many estimates of the same value came before
    for rank in range(int(ranks.max()) + 1 if len(places) else 0):
        turn = order.indices[ranks == rank]
        values[places[turn]] += rate * (estimates[turn] - values[places[turn]])
    return values
