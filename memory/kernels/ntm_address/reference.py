"""The plain version: the paper's equations one after another.

Legend: B batch, H heads, N slots, W word size, S shifts.
"""

from __future__ import annotations

from torch import Tensor

from lukasa.memory import addressing


def address(
    memory: Tensor,
    prev_weights: Tensor,
    keys: Tensor,
    strengths: Tensor,
    gates: Tensor,
    shifts: Tensor,
    sharpness: Tensor,
) -> Tensor:
    """Figure 2 of Graves et al. 2014; see ``fused.address``."""
    content = addressing.content_weights(memory, keys, strengths)
    blended = addressing.interpolate(prev_weights, content, gates)
    return addressing.sharpen(addressing.shift(blended, shifts), sharpness)
