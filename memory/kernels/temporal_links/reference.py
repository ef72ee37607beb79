"""The plain version: the paper's equations one after another.

Legend: B batch, R read heads, N slots.
"""

from __future__ import annotations

from torch import Tensor

from lukasa.memory import addressing


def follow_links(
    prev_links: Tensor, prev_precedence: Tensor, write_weights: Tensor, prev_read_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Update the links, then read along them; see ``fused.follow_links``."""
    links = addressing.temporal_links(prev_links, prev_precedence, write_weights)
    forward = addressing.forward_weights(links, prev_read_weights)
    return links, forward, addressing.backward_weights(links, prev_read_weights)
