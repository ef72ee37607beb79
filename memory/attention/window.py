"""The last steps as a state: which of them a step sees, and what a sequence leaves of them.

Legend: B batch, T time, L steps kept of the past, P of them in use, N layers, C size of a layer's input, D input width,
K output width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.core import State
from lukasa.memory.states import reset_rows, state_leaves


class WindowState(NamedTuple):
    """What each layer was given at the last steps: the newest step is last, the oldest is pushed out."""

    past: Tensor  # [B, N, L, C]; zero where there was no step
    filled: Tensor  # bool [B, L], where there was a step


class Sight(NamedTuple):
    """What new steps may attend to: the steps kept, and themselves."""

    visible: Tensor  # bool [B, T, P + T]
    distance: Tensor  # int64 [1, T, P + T], steps back, within what can be visible
    filled: Tensor  # bool [B, P + T], of the episode that the last step is in


def empty_window(weight: Tensor, batch_size: int, layers: int, length: int, size: int) -> WindowState:
    """No past, on the device and in the dtype of a weight."""
    past = weight.new_zeros(batch_size, layers, length, size)
    return WindowState(past, torch.zeros(batch_size, length, dtype=torch.bool, device=weight.device))


def sight(filled: Tensor, steps: int, length: int, starts: Tensor | None) -> Sight:
    """A step sees itself and those of its episode up to ``length`` before it.

    Args:
        filled: bool [B, P].
        steps: T.
        length: L.
        starts: bool [B, T], where an episode begins; nowhere when None.
    """
    rows, past = filled.shape
    place = torch.arange(past + steps, device=filled.device)
    ago = place[past:, None] - place
    visible = (ago >= 0) & (ago <= length)
    filled = torch.cat([filled, filled.new_ones(rows, steps)], 1)
    if starts is None:
        return Sight(visible & filled.unsqueeze(1), ago.clamp(0, length).unsqueeze(0), filled)
    episode = F.pad(starts.long().cumsum(1), (past, 0))
    same = episode[:, past:, None] == episode[:, None]
    return Sight(visible & filled[:, None] & same, ago.clamp(0, length).unsqueeze(0), filled & same[:, -1])


def next_window(state: WindowState, inputs: list[Tensor], filled: Tensor, length: int) -> WindowState:
    """The window after new steps.

    Args:
        state: with the last P steps.
        inputs: what each layer was given, N tensors [B, T, C].
        filled: bool [B, P + T], of ``sight``.
        length: L.
    """
    past, filled = torch.cat([state.past, torch.stack(inputs, 1)], 2)[:, :, -length:], filled[:, -length:]
    missing = length - filled.shape[1]
    past = torch.where(filled[:, None, :, None], past, 0)
    if not missing:
        return WindowState(past, filled)
    return WindowState(F.pad(past, (0, 0, missing, 0)), F.pad(filled, (missing, 0)))


def is_finite(outputs: Tensor, state: State) -> bool:
    """Whether nothing that a sequence came to is NaN or infinite."""
    parts = [part for _, part in state_leaves(state) if isinstance(part, Tensor) and part.is_floating_point()]
    return all(bool(part.isfinite().all()) for part in (outputs, *parts))


def in_pieces(
    run: Callable[[Tensor, Any], tuple[Tensor, Any]], inputs: Tensor, state: State, starts: Tensor, fresh: State
) -> tuple[Tensor, State]:
    """A sequence cut wherever a row is reset, where masks do not serve: of what is NaN, a weight of 0 is NaN.

    Args:
        run: from inputs [B, some steps, D] and a state to outputs [B, some steps, K] and the state after them.
        inputs: [B, T, D].
        state: before the first step.
        starts: bool [B, T].
        fresh: the initial state.
    """
    cuts, outputs = starts.any(0).nonzero().flatten().tolist(), []
    ends = [*cuts, inputs.shape[1]]
    if ends[0] > 0:
        piece, state = run(inputs[:, : ends[0]], state)
        outputs.append(piece)
    for begin, end in zip(cuts, ends[1:], strict=True):
        piece, state = run(inputs[:, begin:end], reset_rows(state, fresh, starts[:, begin]))
        outputs.append(piece)
    return torch.cat(outputs, 1), state
