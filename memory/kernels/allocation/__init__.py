"""Usage and allocation."""

from lukasa.memory.kernels.allocation.fused import allocate
from lukasa.memory.kernels.allocation.reference import allocate as allocate_reference

__all__ = ["allocate", "allocate_reference"]
