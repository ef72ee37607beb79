"""The addressing of the NTM's heads: content, interpolation, shift, sharpening."""

from lukasa.memory.kernels.ntm_address.fused import address
from lukasa.memory.kernels.ntm_address.reference import address as address_reference

__all__ = ["address", "address_reference"]
