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


@compiled()
def _sum_taps(inputs, window, weight, starts, b, t, first, out):
    """What the taps of the channels from ``first`` on see at a step."""
    taps, width = weight.shape[0], out.shape[0]
    reach = _reach(starts, b, t, taps)
    here, newest = inputs[b, t, first : first + width], weight[taps - 1, first : first + width]
    if reach == 3 and t >= 3:  # of four taps, as most have: one pass
        back1, back2, back3 = inputs[b, t - 1], inputs[b, t - 2], inputs[b, t - 3]
        back1, back2, back3 = (
            back1[first : first + width],
            back2[first : first + width],
            back3[first : first + width],
        )
        tap1, tap2, tap3 = weight[taps - 2], weight[taps - 3], weight[taps - 4]
        tap1, tap2, tap3 = tap1[first : first + width], tap2[first : first + width], tap3[first : first + width]
        for c in range(width):
            out[c] = ((newest[c] * here[c] + tap1[c] * back1[c]) + tap2[c] * back2[c]) + tap3[c] * back3[c]
        return
    for c in range(width):
        out[c] = newest[c] * here[c]
    for back in range(1, reach + 1):
        earlier = inputs[b, t - back] if t >= back else window[b, taps - 1 + t - back]
        earlier, tap = earlier[first : first + width], weight[taps - 1 - back, first : first + width]
        for c in range(width):
            out[c] += tap[c] * earlier[c]


@compiled(entry=True)
def convolution_forward(begin, end, inputs, window, weight, starts, first, out):
    """Of the rows from ``begin`` to ``end`` and the channels from ``first`` on: x σ(x) of the sums x over the taps.

    Args:
        begin: the first row.
        end: the last row plus one.
        inputs: [B, T, C].
        window: [B, W - 1, C], the inputs before; the newest is last.
        weight: [W, C]; the newest tap is last.
        starts: bool [B, T], or [0, 0].
        first: the first channel.
        out: [B, T, c], receives them.
    """
    for b in range(begin, end):
        for t in range(inputs.shape[1]):
            here = out[b, t]
            _sum_taps(inputs, window, weight, starts, b, t, first, here)
            for c in range(here.shape[0]):
                here[c] = here[c] * sigmoid(here[c])


@compiled(entry=True)
def silu_backward(begin, end, inputs, window, weight, starts, first, to_out, to_sums):
    """The way back to the sums over the taps, which are made once more.

    Args:
        begin: the first row.
        end: the last row plus one.
        inputs: as in ``convolution_forward``, and so are ``window``, ``weight``, ``starts`` and ``first``.
        window: ...
        weight: ...
        starts: ...
        first: ...
        to_out: [B, T, c].
        to_sums: [B, T, C], receives the gradient of these channels.
    """
    width = to_out.shape[2]
    one = inputs.dtype.type(1)
    for b in range(begin, end):
        for t in range(inputs.shape[1]):
            row, slope = to_sums[b, t, first : first + width], to_out[b, t]
            _sum_taps(inputs, window, weight, starts, b, t, first, row)
            for c in range(width):
                gate = sigmoid(row[c])
                row[c] = slope[c] * (gate + row[c] * gate * (one - gate))


@compiled()
def _to_input(to_sums, weight, starts, b, t, into):
    """What the steps that saw an input tell it."""
    taps, steps = weight.shape[0], to_sums.shape[1]
    told, newest = to_sums[b, t], weight[taps - 1]
    later = 0  # how many steps after it saw it
    for back in range(1, min(taps, steps - t)):
        if starts.shape[0] and starts[b, t + back]:
            break
        later = back
    if later == 3:
        told1, told2, told3 = to_sums[b, t + 1], to_sums[b, t + 2], to_sums[b, t + 3]
        tap1, tap2, tap3 = weight[taps - 2], weight[taps - 3], weight[taps - 4]
        for c in range(into.shape[0]):
            into[c] = ((told[c] * newest[c] + told1[c] * tap1[c]) + told2[c] * tap2[c]) + told3[c] * tap3[c]
        return
    for c in range(into.shape[0]):
        into[c] = told[c] * newest[c]
    for back in range(1, later + 1):
        then, tap = to_sums[b, t + back], weight[taps - 1 - back]
        for c in range(into.shape[0]):
            into[c] += then[c] * tap[c]


@compiled(entry=True)
def convolution_backward(begin, end, inputs, window, weight, starts, to_sums, to_inputs, to_window, to_weight):
    """The way back from the sums.

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
            _to_input(to_sums, weight, starts, b, t, to_inputs[b, t])
            told = to_sums[b, t]
            for back in range(_reach(starts, b, t, taps) + 1):
                to_tap = to_weight[b, taps - 1 - back]
                earlier = inputs[b, t - back] if t >= back else window[b, taps - 1 + t - back]
                for c in range(told.shape[0]):
                    to_tap[c] += told[c] * earlier[c]
                if t < back:
                    to_earlier, tap = to_window[b, taps - 1 + t - back], weight[taps - 1 - back]
                    for c in range(told.shape[0]):
                        to_earlier[c] += told[c] * tap[c]
