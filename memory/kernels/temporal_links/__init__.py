"""One step of the temporal links and the two readings along them."""

from lukasa.memory.kernels.temporal_links.fused import follow_links
from lukasa.memory.kernels.temporal_links.reference import follow_links as follow_links_reference

__all__ = ["follow_links", "follow_links_reference"]
