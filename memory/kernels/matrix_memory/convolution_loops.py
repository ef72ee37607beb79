"""A short causal convolution of every channel with itself, and SiLU, compiled; see README.md.

Legend: B batch, T time, C channels, W taps.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.arithmetic import sigmoid
from lukasa.memory.kernels.sequence.compiling import compiled


@compiled()
def _reach(starts, b, t, taps):
    """How many steps back an episode goes that is at step t, at most so many as there are taps less one."""
    reach = taps - 1
    if starts.shape[0]:
        for back in range(min(reach, t + 1)):
            if starts[b, t - back]:
                return back
    return reach


@compiled(entry=True)
def convolution_forward(begin, end, inputs, window, weight, starts, sums):
    """Of the rows from ``begin`` to ``end``: the sums over the taps.

    Args:
        begin: the first row.
        end: the last row plus one.
        inputs: [B, T, C].
        window: [B, W - 1, C], the inputs before; the newest is last.
        weight: [W, C]; the newest tap is last.
        starts: bool [B, T], or [0, 0].
        sums: [B, T, C], receives them.
    """
    taps = weight.shape[0]
    for b in range(begin, end):
        for t in range(inputs.shape[1]):
            out, here, newest = sums[b, t], inputs[b, t], weight[taps - 1]
            for c in range(out.shape[0]):
                out[c] = newest[c] * here[c]
            for back in range(1, _reach(starts, b, t, taps) + 1):
                earlier = inputs[b, t - back] if t >= back else window[b, taps - 1 + t - back]
                tap = weight[taps - 1 - back]
                for c in range(out.shape[0]):
                    out[c] += tap[c] * earlier[c]


@compiled(entry=True)
def silu_forward(begin, end, sums, first, out):
    """Of the rows from ``begin`` to ``end``: x σ(x) of the channels from ``first`` on; [B, T, C] to [B, T, c]."""
    width = out.shape[2]
    for b in range(begin, end):
        for t in range(sums.shape[1]):
            row, here = sums[b, t, first : first + width], out[b, t]
            for c in range(width):
                here[c] = row[c] * sigmoid(row[c])


@compiled(entry=True)
def silu_backward(begin, end, sums, first, to_out):
    """The way back, in the place of the sums."""
    width = to_out.shape[2]
    one = sums.dtype.type(1)
    for b in range(begin, end):
        for t in range(sums.shape[1]):
            row, slope = sums[b, t, first : first + width], to_out[b, t]
            for c in range(width):
                gate = sigmoid(row[c])
                row[c] = slope[c] * (gate + row[c] * gate * (one - gate))


@compiled(entry=True)
def convolution_backward(begin, end, inputs, window, weight, starts, to_sums, to_inputs, to_window, to_weight):
    """The way back.

    Args:
        begin: the first row.
        end: the last row plus one.
        inputs: as in ``convolution_forward``, and so are ``window``, ``weight`` and ``starts``.
        window: ...
        weight: ...
        starts: ...
        to_sums: [B, T, C].
        to_inputs: [B, T, C], receives their gradient.
        to_window: [B, W - 1, C], likewise; zeros at first.
        to_weight: [B, W, C], likewise, of each row; zeros at first.
    """
    taps = weight.shape[0]
    for b in range(begin, end):
        for t in range(inputs.shape[1]):
            told, here, into = to_sums[b, t], inputs[b, t], to_inputs[b, t]
            newest, of_newest = weight[taps - 1], to_weight[b, taps - 1]
            for c in range(told.shape[0]):
                into[c] = told[c] * newest[c]
            for c in range(told.shape[0]):
                of_newest[c] += told[c] * here[c]
            for back in range(1, _reach(starts, b, t, taps) + 1):
                tap, to_tap = weight[taps - 1 - back], to_weight[b, taps - 1 - back]
                earlier = inputs[b, t - back] if t >= back else window[b, taps - 1 + t - back]
                to_earlier = to_inputs[b, t - back] if t >= back else to_window[b, taps - 1 + t - back]
                for c in range(told.shape[0]):
                    to_earlier[c] += told[c] * tap[c]
                for c in range(told.shape[0]):
                    to_tap[c] += told[c] * earlier[c]
