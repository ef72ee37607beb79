"""The recurrence and its gradient, compiled, for some rows of a batch and some of their channels.

Channels lie beside one another, so that a step of a row is a few vector instructions. Work is cut into items: an item
is ``width`` channels of one row, and channels need nothing of one another, so the numbers are the same however it is
cut.

Legend: B batch, T time, C channels, of which the first half holds real and the second imaginary parts where numbers are
complex. What is constant over rows or time has a length of 1 there.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.algebra import clear
from lukasa.memory.kernels.sequence.compiling import compiled


@compiled(entry=True)
def forward(begin, end, width, a, b, first, fresh, starts, states):
    """Run the items from ``begin`` to ``end`` over all steps.

    Args:
        begin: the first item.
        end: the last item plus one.
        width: channels of an item.
        a: [B or 1, T or 1, C].
        b: [B, T, C].
        first: [B, C], before the first step.
        fresh: [B, C], what a state is replaced by.
        starts: bool [B, T], or [0, 0] where nothing is reset.
        states: [B, T, C], receives the states.
    """
    channels = b.shape[2]
    parts = (channels + width - 1) // width
    for item in range(begin, end):
        row, low = item // parts, item % parts * width
        high = min(low + width, channels)
        before = first[row, low:high]
        for time in range(b.shape[1]):
            if starts.shape[0] and starts[row, time]:
                before = fresh[row, low:high]
            factor, added, state = (
                a[row % a.shape[0], time % a.shape[1], low:high],
                b[row, time, low:high],
                states[row, time, low:high],
            )
            for c in range(state.shape[0]):
                state[c] = factor[c] * before[c] + added[c]
            before = state


@compiled(entry=True)
def complex_forward(begin, end, width, a, b, first, fresh, starts, states):
    """Likewise, of complex numbers; a width is one of real parts, and the imaginary parts go with them."""
    half = b.shape[2] // 2
    parts = (half + width - 1) // width
    for item in range(begin, end):
        row, low = item // parts, item % parts * width
        high = min(low + width, half)
        real, imaginary = first[row, low:high], first[row, half + low : half + high]
        for time in range(b.shape[1]):
            if starts.shape[0] and starts[row, time]:
                real, imaginary = fresh[row, low:high], fresh[row, half + low : half + high]
            a_real, a_imaginary = (
                a[row % a.shape[0], time % a.shape[1], low:high],
                a[row % a.shape[0], time % a.shape[1], half + low : half + high],
            )
            b_real, b_imaginary = b[row, time, low:high], b[row, time, half + low : half + high]
            new_real, new_imaginary = states[row, time, low:high], states[row, time, half + low : half + high]
            for c in range(new_real.shape[0]):
                new_real[c] = a_real[c] * real[c] - a_imaginary[c] * imaginary[c] + b_real[c]
            for c in range(new_real.shape[0]):
                new_imaginary[c] = a_real[c] * imaginary[c] + a_imaginary[c] * real[c] + b_imaginary[c]
            real, imaginary = new_real, new_imaginary


@compiled()
def _to_factor(to_a, told, before, constant):
    """Gradient of a: of this step alone, or added up where a is the same at every step."""
    if constant:
        for c in range(told.shape[0]):
            to_a[c] += told[c] * before[c]
    else:
        for c in range(told.shape[0]):
            to_a[c] = told[c] * before[c]


@compiled(entry=True)
def backward(begin, end, width, a, first, fresh, starts, states, to_states, to_a, to_b, to_first, to_fresh):
    """From the gradients of the states to those of all that made them.

    Args:
        begin: the first item.
        end: the last item plus one.
        width: channels of an item.
        a: as in ``forward``, and so are ``first``, ``fresh`` and ``starts``.
        first: [B, C].
        fresh: [B, C].
        starts: bool [B, T].
        states: [B, T, C], as ``forward`` left them.
        to_states: [B, T, C], what arrives from outside.
        to_a: [B, T or 1, C], receives the gradient of a; zeros where it is added up.
        to_b: [B, T, C], receives that of b.
        to_first: [B, C], the gradient of the last state, which becomes that of the first.
        to_fresh: [B, C], zeros, to which that of ``fresh`` is added.
    """
    channels = to_states.shape[2]
    parts = (channels + width - 1) // width
    constant = to_a.shape[1] == 1
    for item in range(begin, end):
        row, low = item // parts, item % parts * width
        high = min(low + width, channels)
        carried, to_new = to_first[row, low:high], to_fresh[row, low:high]
        for time in range(to_states.shape[1] - 1, -1, -1):
            fresh_here = starts.shape[0] and starts[row, time]
            before = states[row, time - 1, low:high] if time else first[row, low:high]
            if fresh_here:
                before = fresh[row, low:high]
            arrived, told = to_states[row, time, low:high], to_b[row, time, low:high]
            factor = a[row % a.shape[0], time % a.shape[1], low:high]
            for c in range(told.shape[0]):
                told[c] = carried[c] + arrived[c]
            _to_factor(to_a[row % to_a.shape[0], time % to_a.shape[1], low:high], told, before, constant)
            for c in range(told.shape[0]):
                carried[c] = factor[c] * told[c]
            if fresh_here:
                for c in range(told.shape[0]):
                    to_new[c] += carried[c]
                clear(carried)


@compiled()
def _to_complex_factor(to_real, to_imaginary, told_real, told_imaginary, real, imaginary, constant):
    """Likewise, of complex numbers: the gradient times the conjugate of the state."""
    if constant:
        for c in range(real.shape[0]):
            to_real[c] += told_real[c] * real[c] + told_imaginary[c] * imaginary[c]
        for c in range(real.shape[0]):
            to_imaginary[c] += told_imaginary[c] * real[c] - told_real[c] * imaginary[c]
    else:
        for c in range(real.shape[0]):
            to_real[c] = told_real[c] * real[c] + told_imaginary[c] * imaginary[c]
        for c in range(real.shape[0]):
            to_imaginary[c] = told_imaginary[c] * real[c] - told_real[c] * imaginary[c]


@compiled(entry=True)
def complex_backward(begin, end, width, a, first, fresh, starts, states, to_states, to_a, to_b, to_first, to_fresh):
    """Likewise, of complex numbers."""
    half = to_states.shape[2] // 2
    parts = (half + width - 1) // width
    constant = to_a.shape[1] == 1
    for item in range(begin, end):
        row, low = item // parts, item % parts * width
        high = min(low + width, half)
        re, im = slice(low, high), slice(half + low, half + high)
        carried_real, carried_imaginary = to_first[row, re], to_first[row, im]
        for time in range(to_states.shape[1] - 1, -1, -1):
            fresh_here = starts.shape[0] and starts[row, time]
            real = states[row, time - 1, re] if time else first[row, re]
            imaginary = states[row, time - 1, im] if time else first[row, im]
            if fresh_here:
                real, imaginary = fresh[row, re], fresh[row, im]
            told_real, told_imaginary = to_b[row, time, re], to_b[row, time, im]
            _sum(carried_real, to_states[row, time, re], told_real)
            _sum(carried_imaginary, to_states[row, time, im], told_imaginary)
            to_factors = (
                to_a[row % to_a.shape[0], time % to_a.shape[1], low:high],
                to_a[row % to_a.shape[0], time % to_a.shape[1], half + low : half + high],
            )
            _to_complex_factor(to_factors[0], to_factors[1], told_real, told_imaginary, real, imaginary, constant)
            a_real, a_imaginary = (
                a[row % a.shape[0], time % a.shape[1], low:high],
                a[row % a.shape[0], time % a.shape[1], half + low : half + high],
            )
            for c in range(told_real.shape[0]):
                carried_real[c] = a_real[c] * told_real[c] + a_imaginary[c] * told_imaginary[c]
            for c in range(told_real.shape[0]):
                carried_imaginary[c] = a_real[c] * told_imaginary[c] - a_imaginary[c] * told_real[c]
            if fresh_here:
                _sum(to_fresh[row, re], carried_real, to_fresh[row, re])
                _sum(to_fresh[row, im], carried_imaginary, to_fresh[row, im])
                clear(carried_real)
                clear(carried_imaginary)


@compiled()
def _sum(one, other, out):
    for c in range(out.shape[0]):
        out[c] = one[c] + other[c]
