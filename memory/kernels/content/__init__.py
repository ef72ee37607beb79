"""Content addressing."""

from lukasa.memory.kernels.content.fused import content_weights
from lukasa.memory.kernels.content.reference import content_weights as content_weights_reference

__all__ = ["content_weights", "content_weights_reference"]
