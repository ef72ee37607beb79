"""Sequences of different lengths in one batch, as ``torch.nn.utils.rnn`` packs them.

Legend: B batch, T time, D input width, K output width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lukasa.memory.core import Core, State
from lukasa.memory.states import state_from_dict, state_to_dict

Run = Callable[[Tensor, State, Tensor | None], tuple[Tensor, State]]
"""Inputs [B, T, D], a state and starts [B, T] to outputs [B, T, K] and the last state."""


def unroll_packed(
    run: Run, core: Core, packed: PackedSequence, state: State | None, starts: Tensor | None
) -> tuple[PackedSequence, State]:
    """Run a core over sequences that end at different steps.

    Rows that have ended leave the batch, so that nothing is computed for padding.

    Args:
        run: runs the core over a batch of one length.
        core: any core.
        packed: B sequences, in whatever order they were packed.
        state: before the first input, with B rows in the order in which they were given to be packed.
        starts: bool [B, T]; what it says behind the end of a row does not matter.

    Returns:
        Outputs, packed in the same way, and the state in which each row is after its own last step.
    """
    inputs, lengths = pad_packed_sequence(packed, batch_first=True)
    ends = lengths.unique().tolist()
    state = core.initial_state(len(lengths)) if state is None else state
    rows, begin = torch.arange(len(lengths), device=inputs.device), 0
    parts, ended = [], []
    for end in ends:
        here = None if starts is None else starts[rows, begin:end]
        outputs, state = run(inputs[rows, begin:end], state, here)
        parts.append(inputs.new_zeros(len(lengths), end - begin, core.output_size).to(outputs.dtype))
        parts[-1] = parts[-1].index_copy(0, rows, outputs)
        goes_on = (lengths.to(rows.device)[rows] > end).nonzero().flatten()
        if len(ends) > 1:
            flat, stays = state_to_dict(state), (lengths.to(rows.device)[rows] == end).nonzero().flatten()
            ended.append((rows[stays], {name: part[stays.to(part.device)] for name, part in flat.items()}))
            if len(goes_on):
                state = state_from_dict(core, {name: part[goes_on.to(part.device)] for name, part in flat.items()})
        rows, begin = rows[goes_on], end
    if ended:
        order = torch.cat([some for some, _ in ended]).argsort()
        state = state_from_dict(core, _joined([flat for _, flat in ended], order))
    return pack_padded_sequence(torch.cat(parts, 1), lengths, batch_first=True, enforce_sorted=False), state


def _joined(flats: Sequence[dict[str, Tensor]], order: Tensor) -> dict[str, Tensor]:
    """The rows of several flat states in one, in some order."""
    return {name: _stacked([flat[name] for flat in flats], name)[order.to(flats[0][name].device)] for name in flats[0]}


def _stacked(parts: Sequence[Tensor], name: str) -> Tensor:
    """Parts [b, U, ...] one below another; of a sparse memory each is as long as its fullest row."""
    if parts[0].dim() > 1:
        longest, fill = max(part.shape[1] for part in parts), -1 if name.endswith(".order") else 0
        behind = (0, 0) * (parts[0].dim() - 2)
        parts = [pad(part, (*behind, 0, longest - part.shape[1]), value=fill) for part in parts]
    return torch.cat(list(parts))
