"""The gates of an mLSTM and a decaying sum of vectors, compiled, forward and backward; see README.md.

Legend: B batch, T time, H heads, K key size.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.arithmetic import exponential
from lukasa.memory.kernels.sequence.compiling import compiled


@compiled(entry=True)
def stabilise_forward(begin, end, log_forget, log_input, starts, first, forget, enter, largest):
    """Of the pairs of a row and a head from ``begin`` to ``end``: m, f' and i' of every step.

    Args:
        begin: the first pair.
        end: the last pair plus one.
        log_forget: [B, T, H].
        log_input: [B, T, H].
        starts: bool [B, T], or [0, 0] where nothing is reset.
        first: [B, H], m before the first step.
        forget: [B, T, H], receives f'.
        enter: [B, T, H], receives i'.
        largest: [B, T, H], receives m.
    """
    heads = first.shape[1]
    for pair in range(begin, end):
        b, h = pair // heads, pair % heads
        before = first[b, h]
        for t in range(log_forget.shape[1]):
            if starts.shape[0] and starts[b, t]:
                before = first.dtype.type(0)
            kept, new = log_forget[b, t, h] + before, log_input[b, t, h]
            # a NaN comes through, as it does where one is compared in the equations
            largest[b, t, h] = new if new > kept else kept
            forget[b, t, h] = exponential(kept - largest[b, t, h])
            enter[b, t, h] = exponential(new - largest[b, t, h])
            before = largest[b, t, h]


@compiled(entry=True)
def stabilise_backward(begin, end, log_forget, log_input, starts, results, slopes, to_forget, to_input, to_first):
    """The way back.

    Args:
        begin: the first pair.
        end: the last pair plus one.
        log_forget: as before, and so are ``log_input`` and ``starts``.
        log_input: ...
        starts: ...
        results: forget, enter, largest, and m before the first step.
        slopes: of forget, enter and largest.
        to_forget: [B, T, H], receives the gradient of ``log_forget``.
        to_input: likewise.
        to_first: [B, H], likewise.
    """
    forget, enter, largest, first = results
    of_forget, of_enter, of_largest = slopes
    heads = first.shape[1]
    zero = first.dtype.type(0)
    for pair in range(begin, end):
        b, h = pair // heads, pair % heads
        carried = zero
        for t in range(log_forget.shape[1] - 1, -1, -1):
            fresh = starts.shape[0] and starts[b, t]
            before = zero if fresh else (largest[b, t - 1, h] if t else first[b, h])
            to_kept = of_forget[b, t, h] * forget[b, t, h]
            to_new = of_enter[b, t, h] * enter[b, t, h]
            to_largest = of_largest[b, t, h] + carried - to_kept - to_new
            if log_input[b, t, h] > log_forget[b, t, h] + before:
                to_new += to_largest
            else:
                to_kept += to_largest
            to_forget[b, t, h] = to_kept
            to_input[b, t, h] = to_new
            carried = zero if fresh else to_kept
        to_first[b, h] = carried


@compiled(entry=True)
def trace_forward(begin, end, vectors, decay, strength, starts, first, sums):
    """Of the pairs from ``begin`` to ``end``: n = a n + b k at every step.

    Args:
        begin: the first pair.
        end: the last pair plus one.
        vectors: [B, T, H, K].
        decay: [B, T, H].
        strength: [B, T, H].
        starts: bool [B, T], or [0, 0].
        first: [B, H, K], before the first step.
        sums: [B, T, H, K], receives n.
    """
    heads = first.shape[1]
    for pair in range(begin, end):
        b, h = pair // heads, pair % heads
        for t in range(vectors.shape[1]):
            key, here, weight, kept = vectors[b, t, h], sums[b, t, h], strength[b, t, h], decay[b, t, h]
            before = sums[b, t - 1, h] if t else first[b, h]
            if starts.shape[0] and starts[b, t]:
                for i in range(key.shape[0]):
                    here[i] = weight * key[i]
            else:
                for i in range(key.shape[0]):
                    here[i] = kept * before[i] + weight * key[i]


@compiled("reassoc", entry=True)
def trace_backward(begin, end, given, starts, first, sums, to_sums, to_given, to_first):
    """The way back.

    Args:
        begin: the first pair.
        end: the last pair plus one.
        given: vectors, decay, strength.
        starts: bool [B, T], or [0, 0].
        first: [B, H, K].
        sums: as ``trace_forward`` left them.
        to_sums: [B, T, H, K].
        to_given: receives the gradients of ``given``.
        to_first: [B, H, K], receives that of ``first``; zeros at first.
    """
    vectors, decay, strength = given
    to_vectors, to_decay, to_strength = to_given
    heads = first.shape[1]
    zero = first.dtype.type(0)
    for pair in range(begin, end):
        b, h = pair // heads, pair % heads
        carried = to_first[b, h]
        for t in range(vectors.shape[1] - 1, -1, -1):
            key, slope, told = vectors[b, t, h], to_sums[b, t, h], to_vectors[b, t, h]
            before = sums[b, t - 1, h] if t else first[b, h]
            fresh = starts.shape[0] and starts[b, t]
            weight, kept = strength[b, t, h], decay[b, t, h]
            for i in range(key.shape[0]):
                carried[i] += slope[i]
            of_weight = of_kept = zero
            for i in range(key.shape[0]):
                of_weight += carried[i] * key[i]
            if not fresh:
                for i in range(key.shape[0]):
                    of_kept += carried[i] * before[i]
            for i in range(key.shape[0]):
                told[i] = weight * carried[i]
            for i in range(key.shape[0]):
                carried[i] = zero if fresh else kept * carried[i]
            to_strength[b, t, h] = of_weight
            to_decay[b, t, h] = of_kept
