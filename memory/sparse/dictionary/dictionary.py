"""The differentiable neural dictionary of Pritzel et al. 2017, "Neural Episodic Control".

Legend: D dictionaries, N slots of each, W key size, R queries, P neighbours, M entries, U entries held.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from lukasa.memory.sparse.dictionary import saving
from lukasa.memory.sparse.dictionary.changes import ChangeLog, Changes, Mark, new_line
from lukasa.memory.sparse.dictionary.entries import Entries, packed
from lukasa.memory.sparse.dictionary.estimates import (
    equal_or_alike,
    inverse_distance,
    squared_distances,
    weighted_mean,
)
from lukasa.memory.sparse.dictionary.lifting import MORE
from lukasa.memory.sparse.dictionary.looking_up import Looked, LookedUp, summed
from lukasa.memory.sparse.dictionary.options import Options, check_update, fitting_index
from lukasa.memory.sparse.dictionary.updating import take_in
from lukasa.memory.sparse.layout import Layout
from lukasa.memory.sparse.usage import lazy_zeros

Kernel: TypeAlias = Literal["inverse", "mean"]
Rule: TypeAlias = Literal["average", "largest", "every"]
AT_ONCE = 256
"""Entries of an update that are looked up before any of them is written."""
CONTENTS = ("keys", "values", "used", "order")
"""What there is of a dictionary in a ``state_dict``."""


class NeuralDictionary(nn.Module):
    """Keys and values; a query is answered with the values of the keys nearest to it. One for each action, say.

    The dictionary grows: an update whose key is there already changes its value by a rule, any other is appended, in
    the slot that was least recently a neighbour of a query once all are taken. Gradients flow through a lookup to the
    query, and to the keys (and values) of its neighbours, which ``learn`` moves by them. It lives on the CPU in one
    dtype; queries may come from elsewhere.

    Args:
        key_size: W.
        slots: N.
        dictionaries: D, side by side, each with entries of its own.
        neighbours: P.
        delta: of the kernel 1 / (distance^2 + delta); more than 0.
        rate: alpha of the rule "average", Q <- Q + alpha (estimate - Q); from 0 to 1.
        tolerance: distance up to which a key counts as one that is there. Exactly equal inputs may give keys that
            differ in their last bits, as batches of other sizes are summed in another order.
        kernel: how neighbours are weighted: "inverse", or "mean" as in Blundell et al. 2016, where a query that is a
            key is answered with its value.
        rule: what an estimate does to the value that is there: "average", or "largest", which keeps the larger one;
            with "every" each estimate is an entry of its own, whether its key is there or not.
        unknown: value of one neighbour more, which every query has at ``unknown_distance``: what is far from all keys
            is worth about so much. None for no such neighbour.
        unknown_distance: where that is.
        dtype: float32 or float64.
        index: what finds neighbours, a key of ``INDEXES``: "auto" compares with all keys while they are few and looks
            into lists beyond; "faiss" as well.
        index_options: the index's own.

    Raises:
        ValueError: a number is out of its bounds, or so many slots do not fit into memory.

    Example:
        >>> dictionary = NeuralDictionary(key_size=2, slots=1000, neighbours=2)
        >>> keys = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        >>> dictionary.update(torch.tensor([0, 0]), keys, torch.tensor([3.0, 5.0]))
        tensor([0, 1])
        >>> round(dictionary(torch.tensor([0.5, 0.0])).item(), 3)
        4.0
    """

    def __init__(
        self,
        key_size: int,
        slots: int,
        *,
        dictionaries: int = 1,
        neighbours: int = 50,
        delta: float = 1e-3,
        rate: float = 0.1,
        tolerance: float = 1e-4,
        kernel: Kernel = "inverse",
        rule: Rule = "average",
        unknown: float | None = None,
        unknown_distance: float = 0.1,
        dtype: torch.dtype = torch.float32,
        index: str = "auto",
        index_options: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.options = Options(neighbours, delta, rate, tolerance, kernel, rule, unknown, unknown_distance)
        self.options.check(key_size, slots, dictionaries)
        options = dict(index_options) if index_options else None
        self._layout = Layout(
            dictionaries, slots, key_size + MORE, dtype, delta=0.5, index=fitting_index(index), index_options=options
        )
        self._begin()

    @property
    def key_size(self) -> int:
        """W."""
        return self.entries.key_size

    @property
    def slots(self) -> int:
        """N."""
        return self._layout.slots

    @property
    def dictionaries(self) -> int:
        """D."""
        return self._layout.batch_size

    @property
    def used(self) -> Tensor:
        """How many entries each dictionary holds, int64 [D]."""
        return self.entries.store.used

    @property
    def mark(self) -> Mark:
        """Where it stands; what ``changes`` is asked with later."""
        return self._log.mark

    def forward(self, queries: Tensor, which: Tensor | None = None, *, touch: bool = True) -> Tensor:
        """What every dictionary answers, or for each query one of them.

        Args:
            queries: [..., W].
            which: int64 [...], the dictionary that each query is for; all of them when None.
            touch: whether the neighbours count as used by this.

        Returns:
            [..., D], or [...] of one each; of the dictionary's dtype where the queries are, 0 from a dictionary that is
            empty.

        Raises:
            UnstorableError: a query is NaN, infinite or too large.
            ValueError: queries are of another width.
        """
        self._check_width("queries", queries)
        flat = queries.reshape(-1, self.key_size).to("cpu", self._layout.dtype)  # [M, W]
        if which is None:
            answers = self._answers(flat.unsqueeze(0).expand(self.dictionaries, *flat.shape), None, touch)
            return answers.mT.reshape(*queries.shape[:-1], self.dictionaries).to(queries.device)
        chosen = which.reshape(-1).to("cpu", torch.int64)
        check_update(chosen, flat, chosen, self.dictionaries)
        (wide,), where = packed(chosen, self.dictionaries, (flat, 0))  # [D, S, W]
        answers = self._answers(wide, where, touch).flatten()[where]
        return answers.view(which.shape).to(queries.device)

    def look_up(self, queries: Tensor, *, touch: bool = True) -> LookedUp:
        """The neighbours of queries [R, W] in every dictionary, the nearest first."""
        return self._look_up(queries.unsqueeze(0).expand(self.dictionaries, *queries.shape), None, touch)

    @torch.no_grad()
    def update(self, which: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Take in estimates, in their order: change the values of keys that are there, append the others.

        Entries are taken 256 at a time. First keys that are there get their values by the rule; then the others are
        appended, one entry for keys that are one.

        Args:
            which: int64 [M], the dictionary of each.
            keys: [M, W].
            values: [M].

        Returns:
            Where each went, int64 [M].

        Raises:
            UnstorableError: a number is NaN, infinite or too large; nothing was changed.
            ValueError: shapes differ, or there is no such dictionary.
        """
        which, keys, values = self._checked(which, keys, values)
        width = min(AT_ONCE, self.slots)
        parts = [part.split(width) for part in (which, keys, values)]
        return torch.cat([self._update(*one) for one in zip(*parts, strict=True)]) if len(which) else which

    @torch.no_grad()
    def learn(self, key_rate: float, value_rate: float = 0.0) -> int:
        """Move the neighbours of past lookups against the gradients that ``backward`` left, and forget these.

        Args:
            key_rate: of a step of gradient descent on the keys.
            value_rate: the same on the values.

        Returns:
            How many entries were moved. Those evicted since the lookup are left alone.
        """
        gradients, self._gradients[:] = list(self._gradients), []
        places, keys, values = summed(gradients, self._born, self.key_size)
        if not len(places) or not (key_rate or value_rate):
            return 0
        which, slots = places // self.slots, places % self.slots
        (packed_slots,), where = packed(which, self.dictionaries, (slots, -1))
        keys = self.entries.keys(packed_slots).flatten(0, 1)[where] - key_rate * keys
        self.entries.write(which, slots, keys, self.entries.values[which, slots] - value_rate * values)
        self._log.note(places)
        return len(places)

    @torch.no_grad()
    def set_values(self, which: Tensor, slots: Tensor, values: Tensor) -> None:
        """Give entries other values, int64 [M] each, and [M] numbers.

        Raises:
            UnstorableError: a value is NaN, infinite or too large; nothing was changed.
        """
        values = values.to("cpu", self._layout.dtype)
        self.entries.check(values.new_zeros(len(values), 1), values)
        changed = self.entries.values[which, slots] != values
        self.entries.values[which, slots] = values
        self._log.note((which * self.slots + slots)[changed])

    def forget_gradients(self) -> None:
        """Drop what ``backward`` left, without a step."""
        self._gradients.clear()

    def clear(self) -> None:
        """Forget all entries."""
        self._begin()

    def changes(self, since: Mark | None = None) -> Changes:
        """What a copy that stands at a mark lacks; all entries where that is not known any more, or without a mark."""
        places = self._log.since(since)
        base = since
        if places is None:
            base, used = None, self.used.unsqueeze(1)
            there = torch.arange(int(used.max())).expand(self.dictionaries, -1) < used
            places = (torch.arange(self.dictionaries).unsqueeze(1) * self.slots + torch.arange(there.shape[1]))[there]
        which, slots = places // self.slots, places % self.slots
        (packed_slots,), where = packed(which, self.dictionaries, (slots, -1))
        keys = self.entries.keys(packed_slots).flatten(0, 1)[where]
        return Changes(base, self.mark, which, slots, keys, self.entries.values[which, slots])

    @torch.no_grad()
    def apply_changes(self, changes: Changes) -> None:
        """Bring a copy up to date. Entries that are new to it count as used just now.

        Raises:
            ValueError: the changes follow another state than this copy is in.
        """
        if changes.since is None:
            self._begin()
        elif changes.since != self.mark:
            raise ValueError(
                f"changes since version {changes.since.version} do not follow version {self.mark.version} of this "
                "dictionary: ask for the changes since its own mark"
            )
        keys = changes.keys.to(self._layout.dtype)
        self.entries.write(changes.which, changes.slots, keys, changes.values.to(self._layout.dtype))
        if len(changes.which):
            self.entries.touch(packed(changes.which, self.dictionaries, (changes.slots, -1))[0][0])
        self._log = ChangeLog(changes.mark)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to a file, whole or not at all; ``load`` maps it into memory."""
        saving.save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str], **changes: Any) -> NeuralDictionary:
        """A dictionary out of a file, whose keys are mapped into memory and read when they are looked at.

        Args:
            path: what ``save`` wrote; it is never changed.
            **changes: arguments that are to differ; slots can only be more.

        Raises:
            ValueError: the file is none of a dictionary, cut short or altered, or the changes do not fit it.
        """
        return saving.load(cls, path, **changes)

    def extra_repr(self) -> str:
        """Sizes, for ``print``."""
        return f"key_size={self.key_size}, slots={self.slots}, dictionaries={self.dictionaries}, {self.options}"

    def hold(self, entries: Entries) -> None:
        """Hold these entries, of the same sizes, in place of its own."""
        self._layout = entries.layout
        self._begin(entries)

    def _begin(self, entries: Entries | None = None) -> None:
        """Hold these entries, or none, in a new line of states."""
        self.entries = entries or Entries(self._layout)
        self._born = lazy_zeros((self.dictionaries * self.slots,), torch.int64, self._layout.device)
        self._log = ChangeLog(Mark(new_line(), 0))
        self._gradients: list[Any] = []

    def _answers(self, queries: Tensor, meant: Tensor | None, touch: bool) -> Tensor:
        """Answers [D, R] to queries [D, R, W], of which those at the places ``meant`` are asked; all when None."""
        found = self._look_up(queries.detach(), meant, touch)
        keys, values = found.keys, found.values
        if torch.is_grad_enabled():
            keys, values = Looked.apply(torch.zeros((), requires_grad=True), self._gradients, found)  # type: ignore[misc]
        squared = squared_distances(queries, keys)  # [D, R, P]
        return weighted_mean(values, self._weights(squared), found.slots >= 0, self.options.prior)

    def _look_up(self, queries: Tensor, meant: Tensor | None, touch: bool) -> LookedUp:
        with torch.no_grad():
            slots, keys, squared = self.entries.nearest(queries, self.options.neighbours)
            if meant is not None:
                fills_a_gap = torch.ones(slots.shape[0] * slots.shape[1], dtype=torch.bool)
                fills_a_gap[meant] = False
                slots = slots.masked_fill(fills_a_gap.view(*slots.shape[:2], 1), -1)
            if touch:
                self.entries.touch(slots)
            return LookedUp(slots, keys, self.entries.values_of(slots), squared, self.mark.version)

    def _weights(self, squared: Tensor) -> Tensor:
        if self.options.kernel == "inverse":
            return inverse_distance(squared, self.options.delta)
        return equal_or_alike(squared.detach(), self.options.tolerance)

    def _update(self, which: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Fewer than ``AT_ONCE`` at once."""
        slots, changed, appended = take_in(self.entries, self.options, which, keys, values)
        for places in (changed, appended):
            if len(places):
                self._log.note(places)
        self._born[appended] = self.mark.version
        return slots

    def _checked(self, which: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self._check_width("keys", keys)
        check_update(which, keys, values, self.dictionaries)
        which = which.detach().to("cpu", torch.int64)
        keys, values = (part.detach().to("cpu", self._layout.dtype) for part in (keys, values))
        self.entries.check(keys, values)
        return which, keys, values

    def _check_width(self, name: str, numbers: Tensor) -> None:
        if not numbers.dim() or numbers.shape[-1] != self.key_size:
            raise ValueError(f"{name} {list(numbers.shape)} do not fit keys of {self.key_size} numbers")

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, part in zip(CONTENTS, self.entries.contents(), strict=True):
            destination[prefix + name] = part.clone()

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: Any,
        unexpected_keys: Any,
        error_msgs: Any,
    ) -> None:
        names = [prefix + name for name in CONTENTS]
        absent = [name for name in names if name not in state_dict]
        missing_keys.extend(absent)
        if not absent:
            try:
                self._begin(saving.entries_of(self._layout, *(state_dict[name] for name in names)))
            except ValueError as error:
                error_msgs.append(str(error))
