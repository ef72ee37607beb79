"""A whole access of the DNC to its memory: allocate, write, link, read."""

from lukasa.memory.kernels.dnc_access.fused import access
from lukasa.memory.kernels.dnc_access.interface import Access, Interface
from lukasa.memory.kernels.dnc_access.reference import access as access_reference

__all__ = ["Access", "Interface", "access", "access_reference"]
