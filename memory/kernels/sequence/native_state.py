"""States of a core as lists of tensors in the layout of the compiled functions, and back.

A native state is what the access makes of the memory's fields, then hidden vectors, cell vectors and reads.

Legend: B batch, L controller layers, H hidden units, F read numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lukasa.memory.kernels.sequence.carrying import Inside
from lukasa.memory.kernels.sequence.packing import FIELDS, Shape, inside_tensors, numbers


def to_native(shape: Shape, access: Any, fields: Sequence[Tensor]) -> list[Tensor]:
    """The fields of a state: those of the memory, the reads, those of the controller.

    Args:
        shape: of the controller.
        access: of the memory.
        fields: of B rows.

    Returns:
        Contiguous tensors; some may be those that were given.
    """
    end = len(fields) - FIELDS[shape.kind]
    parts = [*access.to_native(fields[: end - 1]), *inside_tensors(shape, fields[end - 1], fields[end:])]
    return [part.contiguous() for part in parts]


def from_native(shape: Shape, access: Any, native: Sequence[Tensor]) -> list[Tensor]:
    """The reverse."""
    *memory, hidden, cell, reads = native
    controller = [hidden, cell][: FIELDS[shape.kind]]
    return [*access.from_native(memory), reads.unflatten(1, (-1, access.word)), *controller]


def as_arrays(access: Any, native: Sequence[Tensor]) -> tuple[Any, Any]:
    """A native state as the compiled functions take it: the controller's part, then the memory's."""
    *memory, hidden, cell, reads = map(numbers, native)
    return Inside(hidden, cell, reads), access.compiled.State(*memory)
