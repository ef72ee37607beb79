"""A whole access of SAM to its sparse memory: write, search, read."""

from memory.kernels.sparse_access.fused import access
from memory.kernels.sparse_access.interface import Access, Heads, parse, widths
from memory.kernels.sparse_access.reference import access as access_reference
from memory.kernels.sparse_access.reference import sparse_content_weights

__all__ = ["Access", "Heads", "access", "access_reference", "parse", "sparse_content_weights", "widths"]
