"""A short causal convolution of every channel with itself, before keys, queries and values are made.

Legend: B batch, T time, C channels, W taps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.controllers import NoState
from lukasa.memory.kernels import matrix_memory


class ShortConvolution(nn.Module):
    """A convolution over the last W steps of an episode and SiLU, as in Mamba (Gu & Dao 2023); of one tap, SiLU alone.

    Args:
        widths: channels of each part that the result is cut into; C together.
        taps: W.
    """

    def __init__(self, widths: Sequence[int], taps: int):
        super().__init__()
        self.widths, self.taps = tuple(widths), taps
        if taps > 1:
            self.weight = nn.Parameter(torch.empty(taps, sum(widths)).uniform_(-1, 1) / math.sqrt(taps))

    def initial_window(self, batch_size: int, like: Tensor) -> Tensor | NoState:
        """What came before the first step: zeros [B, W - 1, C]; nothing where there is one tap."""
        return like.new_zeros(batch_size, self.taps - 1, sum(self.widths)) if self.taps > 1 else NoState()

    def forward(
        self, inputs: Tensor, window: Tensor | NoState, starts: Tensor | None
    ) -> tuple[tuple[Tensor, ...], Tensor | NoState]:
        """Inputs [B, T, C] and the window before them to the parts of [B, T, C] and the window after them."""
        if not isinstance(window, Tensor):
            return F.silu(inputs).split(self.widths, -1), window
        weight = self.weight.to(inputs.dtype)
        parts = matrix_memory.convolution(starts, inputs, window, weight, widths=self.widths)
        return parts, _window_after(inputs, window, starts)


def _window_after(inputs: Tensor, window: Tensor, starts: Tensor | None) -> Tensor:
    """The last inputs, zeros before the episode that they are of."""
    length = window.shape[1]
    after = torch.cat([window, inputs[:, -length:]], 1)[:, -length:]
    if starts is None:
        return after
    begun = F.pad(starts[:, -length:].flip(1).cumsum(1), (1, 0))  # how many of the last 0, 1, 2, ... steps began anew
    ago = torch.arange(length - 1, -1, -1, device=starts.device).clamp_max(begun.shape[1] - 1)
    return after.masked_fill((begun[:, ago] > 0).unsqueeze(-1), 0)
