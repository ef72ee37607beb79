"""Usage and allocation."""

from memory.kernels.allocation.fused import allocate
from memory.kernels.allocation.reference import allocate as allocate_reference

__all__ = ["allocate", "allocate_reference"]
