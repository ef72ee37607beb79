"""The plain version: the paper's equations one after another.

Legend: B batch, R read heads, N slots.
"""

from __future__ import annotations

from torch import Tensor

from lukasa.memory import addressing


def allocate(
    prev_usage: Tensor, prev_write_weights: Tensor, prev_read_weights: Tensor, free_gates: Tensor
) -> tuple[Tensor, Tensor]:
    """Usage, then the allocation weighting that follows from it; see ``fused.allocate``."""
    usage = addressing.usage(prev_usage, prev_write_weights, prev_read_weights, free_gates)
    return usage, addressing.allocation(usage)
