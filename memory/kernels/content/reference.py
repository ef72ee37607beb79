"""The plain version: the paper's equation, differentiated by autograd."""

from lukasa.memory.addressing import content_weights

__all__ = ["content_weights"]
