"""A whole access of SAM to its sparse memory: write, search, read."""

from lukasa.memory.kernels.sparse_access.fused import access
from lukasa.memory.kernels.sparse_access.interface import Access
from lukasa.memory.kernels.sparse_access.reference import access as access_reference

__all__ = ["Access", "access", "access_reference"]
