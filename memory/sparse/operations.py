"""Reading, writing and emptying a store as autograd operations that cost what they touch.

Every operation takes the token of the one before and gives the next, so that backward meets them in exactly the
reverse order. The gradient G of the memory's contents is kept only for rows that some operation of the tape touches: a
read adds to G what flows into the rows it copied; a write takes from G what flows into its words, then clears G where
it erased. The memory itself is not needed for that, and need not be reverted: what was read was copied.

Legend: B batch, S slots of one operation, L of all operations, U distinct ones, W word size.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.derivatives import refuse_second_derivatives
from lukasa.memory.sparse.row_store import RowStore


class Tape:
    """The slots of every operation since the memory's gradient was last cut, and the gradient of a backward pass."""

    def __init__(self) -> None:
        self.slots: list[Tensor] = []  # int64 [B, S] each, -1 for nothing
        self.gradient = torch.empty(0)  # [1 + U, W]; row 0 belongs to no slot and stays zero
        self._ids: tuple[Tensor, ...] = ()
        self._bounds: list[int] = []
        self._all = torch.empty(0, 0, dtype=torch.int64)
        self._firsts: list[int] = []

    def append(self, slots: Tensor) -> int:
        """Note an operation; its position."""
        self.slots.append(slots)
        return len(self.slots) - 1

    def begin_pass(self, like: Tensor, word_size: int) -> None:
        """Begin a backward pass: no gradient has reached the memory yet."""
        if len(self._ids) != len(self.slots):
            self._number_touched_rows()
        self.gradient = like.new_zeros(self._bounds[-1], word_size)

    def add(self, position: int, rows: Tensor) -> None:
        """Gradient [B, S, W] flows into the rows of an operation."""
        self.gradient.index_add_(0, self._ids[position].flatten(), rows.reshape(-1, rows.shape[-1]))
        self.gradient[0] = 0

    def take(self, position: int) -> Tensor:
        """The gradient [B, S, W] of the rows of an operation."""
        ids = self._ids[position]
        return self.gradient.index_select(0, ids.flatten()).view(*ids.shape, self.gradient.shape[1])

    def clear(self, position: int, mask: Tensor) -> None:
        """No gradient passes where the mask [B, S] is set."""
        self.gradient.index_fill_(0, self._ids[position].masked_fill(~mask, 0).flatten(), 0)

    def numbered(self, positions: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
        """The numbers [B, L] of all slots touched, 0 for none, and where those of some operations begin."""
        return self._all, tuple(self._firsts[position] for position in positions)

    def bounds(self) -> list[int]:
        """Where in the gradient the touched slots of each batch row begin, and where the last ones end: B + 1."""
        return self._bounds

    def mark(self) -> Tensor:
        """The gradient of a token: a zero that says to the operation before that a pass is under way."""
        return self.gradient.new_zeros(())

    def clear_rows(self, rows: list[int]) -> None:
        """No gradient passes in whole batch rows."""
        for row in rows:
            self.gradient[self._bounds[row] : self._bounds[row + 1]] = 0

    def norms(self) -> Tensor:
        """The norm of the whole gradient in each batch row, [B]."""
        rows = zip(self._bounds[:-1], self._bounds[1:], strict=True)
        return torch.stack([self.gradient[first:end].norm() for first, end in rows])

    def _number_touched_rows(self) -> None:
        """Number the touched slots from 1, batch row by batch row."""
        slots = torch.cat(self.slots, 1)  # [B, L]
        stride = int(slots.max()) + 1 if slots.numel() else 1
        firsts = torch.arange(len(slots) + 1, device=slots.device).unsqueeze(1) * stride
        keys = torch.where(slots < 0, -1, slots + firsts[:-1]).flatten()
        touched, ids = torch.cat([keys.new_tensor([-1]), keys]).unique(return_inverse=True)
        self._bounds = torch.searchsorted(touched, firsts.flatten()).tolist()
        self._all, widths = ids[1:].view(slots.shape), [part.shape[1] for part in self.slots]
        self._ids, self._firsts = self._all.split(widths, 1), [0, *itertools.accumulate(widths)]


class Gather(torch.autograd.Function):
    """Copy rows; gradients add up where a row is copied more than once.

    Only a read gives what a loss can depend on. So the first operation that a backward pass meets is a read, and it is
    known by its token, to which no later operation has sent a gradient.
    """

    @staticmethod
    def forward(ctx: Any, token: Tensor, store: RowStore, tape: Tape, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Slots [B, S] to rows [B, S, W], and the next token."""
        ctx.set_materialize_grads(False)
        ctx.tape, ctx.position, ctx.word_size = tape, tape.append(slots), store.layout.word_size
        return store.gather(slots), torch.empty_like(token)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradient of the rows into G."""
        refuse_second_derivatives()
        rows, later = gradients
        if rows is None and later is None:  # no gradient at all, which is not yet a pass
            return None, None, None, None
        if later is None:
            ctx.tape.begin_pass(rows, ctx.word_size)
        if rows is not None:
            ctx.tape.add(ctx.position, rows)
        return _earlier(ctx), None, None, None


class Update(torch.autograd.Function):
    """Erase rows that are not kept, then add words."""

    @staticmethod
    def forward(
        ctx: Any, token: Tensor, store: RowStore, tape: Tape, slots: Tensor, keep: Tensor, words: Tensor
    ) -> Tensor:
        """The next token, after the change."""
        ctx.set_materialize_grads(False)
        ctx.tape, ctx.position, ctx.keep = tape, len(tape.slots), keep
        store.write(slots, keep, words)
        tape.append(slots)
        return torch.empty_like(token)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradient of the words from G; erased rows pass none to what they held before."""
        refuse_second_derivatives()
        if gradients[0] is None:
            return None, None, None, None, None, None
        words = ctx.tape.take(ctx.position) if ctx.needs_input_grad[5] else None
        ctx.tape.clear(ctx.position, ~ctx.keep)
        return _earlier(ctx), None, None, None, None, words


class Reset(torch.autograd.Function):
    """Empty batch rows."""

    @staticmethod
    def forward(ctx: Any, token: Tensor, store: RowStore, tape: Tape, rows: list[int]) -> Tensor:
        """The next token, after the change."""
        ctx.set_materialize_grads(False)
        ctx.tape, ctx.rows = tape, rows
        tape.append(store.used.new_empty(len(store.used), 0))
        store.reset(rows)
        return torch.empty_like(token)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """No gradient passes in those rows."""
        refuse_second_derivatives()
        if gradients[0] is None:
            return None, None, None, None
        ctx.tape.clear_rows(ctx.rows)
        return _earlier(ctx), None, None, None


class Witness(torch.autograd.Function):
    """Change nothing, and tell in backward how much gradient flows into the contents as they are here."""

    @staticmethod
    def forward(ctx: Any, token: Tensor, tape: Tape, witness: Tensor) -> Tensor:
        """The next token; the gradient of ``witness`` [B, 1] will be the norm of G in each batch row."""
        ctx.set_materialize_grads(False)
        ctx.tape = tape
        return torch.empty_like(token)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Every later operation has passed, no earlier one has: G is the gradient of these very contents."""
        refuse_second_derivatives()
        if gradients[0] is None:
            return None, None, None
        return _earlier(ctx), None, ctx.tape.norms().unsqueeze(1)


def _earlier(ctx: Any) -> Tensor | None:
    return ctx.tape.mark() if ctx.needs_input_grad[0] else None
