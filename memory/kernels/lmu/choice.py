"""Which way the sequence of a Legendre Memory Unit takes: compiled loops, or plain operations step by step.

Legend: B batch, T time, H hidden units, M memories, d order of the memory.
"""

from __future__ import annotations

from torch import Tensor

from lukasa.memory.core import whole, whole_precision
from lukasa.memory.kernels.lmu.reference import Given, by_steps
from lukasa.memory.kernels.scan.choice import is_native


def run(given: Given, transition: Tensor, entry: Tensor, starts: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """A whole sequence; see ``reference.advance`` for a step.

    Args:
        given: inputs, weights and first state. Halves are computed in float32.
        transition: [d, d], Ā; no gradient flows into it, nor into ``entry``.
        entry: [d], B̄.
        starts: bool [B, T], where a row is reset to zeros before the step; None where nothing is.

    Returns:
        Hidden vectors [B, T, H] and memories [B, T, M d] after every step, in the dtypes of those before the first.
    """
    dtypes = given.hidden.dtype, given.memory.dtype
    with whole_precision(given.encoded.device):
        given = Given(*map(whole, given))
        transition, entry = whole(transition), whole(entry)
        if given.encoded.shape[1] > 1 and is_native(given.encoded, (*given, transition, entry)):
            from lukasa.memory.kernels.lmu import native

            found = native.run(starts, transition, entry, given)
        else:
            found = by_steps(starts, transition, entry, given)
        return found[0].to(dtypes[0]), found[1].to(dtypes[1])
