"""The plain version: the paper's equations one after another.

Legend: B batch, R read heads, N slots, W word size.
"""

from __future__ import annotations

from torch import Tensor

from lukasa.memory import addressing
from lukasa.memory.kernels.dnc_access.interface import Access, Interface


def access(
    memory: Tensor,
    usage: Tensor,
    links: Tensor,
    precedence: Tensor,
    read_weights: Tensor,
    write_weights: Tensor,
    interface: Interface,
) -> Access:
    """One access; see ``fused.access``."""
    usage = addressing.usage(usage, write_weights, read_weights, interface.free_gates)
    allocation = addressing.allocation(usage)
    content = addressing.content_weights(memory, interface.write_key, interface.write_strength).squeeze(1)
    write_weights = addressing.write_weights(content, allocation, interface.allocation_gate, interface.write_gate)
    memory = addressing.erase_and_add(memory, write_weights.unsqueeze(1), interface.erase, interface.add)

    links = addressing.temporal_links(links, precedence, write_weights)
    precedence = addressing.precedence(precedence, write_weights)
    read_weights = addressing.read_weights(
        addressing.backward_weights(links, read_weights),
        addressing.content_weights(memory, interface.read_keys, interface.read_strengths),
        addressing.forward_weights(links, read_weights),
        interface.read_modes,
    )
    reads = addressing.read(memory, read_weights)
    return Access(memory, usage, links, precedence, read_weights, write_weights, reads, allocation.detach())
