"""Where an agent is, for a core that writes at its position: from the observation to the end of the core's input.

Legend: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.ground.spaces import kind, named

POSITION = "position"
"""Part of a Dict observation that holds it, and the option of a core that asks for it."""
ASKED, PERHAPS = "input", "auto"
"""Values of that option: the last two numbers of every input, or these where there is a position."""


def core_reads_position(core: str, options: Mapping[str, Any], space: Any) -> bool:
    """Whether a core is to have the position at the end of its inputs.

    Args:
        core: its name.
        options: its own options.
        space: of the observations.

    Raises:
        ValueError: the core asks for one, and observations have none.
    """
    known = memory.core_options(core)
    if POSITION not in known:
        return False
    asked = options.get(POSITION, known[POSITION].default)
    part = position_part(space)
    if asked == ASKED and part is None:
        raise ValueError(
            f"core {core!r} is to read its position from the input, and observation space {named(space)} has no part "
            f"{POSITION!r} of two bounded numbers: use an environment that shows one (envs.AddPosition wraps others), "
            "or position 'predicted'"
        )
    return part is not None and asked in (ASKED, PERHAPS)


def position_part(space: Any) -> Any:
    """The part of a Dict space that is a position, two numbers between bounds; None where there is none."""
    part = dict(space.items()).get(POSITION) if kind(space) == "Dict" else None
    if part is None or kind(part) not in ("Box", "MultiDiscrete") or tuple(part.shape) != (2,):
        return None
    return part if kind(part) == "MultiDiscrete" or part.is_bounded() else None


class PositionPart(nn.Module):
    """The position in observations [B, T, ...] of a Dict space: [B, T, 2], from 0 at its lower bounds to 1.

    A whole number lies in the middle of its share, so that rounding never moves it to its neighbour's.

    Args:
        space: that has a ``position_part``.
    """

    lowest: Tensor
    width: Tensor

    def __init__(self, space: Any):
        super().__init__()
        part = position_part(space)
        if kind(part) == "MultiDiscrete":
            low, most, whole = np.asarray(part.start), np.asarray(part.start) + part.nvec - 1, True
        else:
            low, most, whole = np.asarray(part.low), np.asarray(part.high), np.issubdtype(part.dtype, np.integer)
        low, most = np.asarray(low, np.float64), np.asarray(most, np.float64)
        width = np.maximum(most - low + whole, 1e-9)  # of a position that never changes
        for name, numbers in (("lowest", low - 0.5 * whole), ("width", width)):
            self.register_buffer(name, torch.as_tensor(numbers, dtype=torch.float32), persistent=False)

    def forward(self, observations: Any) -> Tensor:
        """As they come, before anything scales them."""
        return ((observations[POSITION].float() - self.lowest) / self.width).clamp(0, 1)
