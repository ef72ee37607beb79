"""Compiled functions of one number that become vector instructions where they are called in a loop.

The libraries' exponential takes one number at a time; these are plain arithmetic, which the compiler does for eight or
sixteen at once. They are right to about the last bit, and at infinities, at NaN and below the smallest normal number.
"""

# pyright: reportArgumentType=false, reportCallIssue=false
from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

PLAIN: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}


class _Format(NamedTuple):
    """A kind of floating-point number."""

    real: Any
    whole: Any
    fraction: int  # bits of the fraction
    bias: int  # of the exponent
    ln2_high: float  # of so few bits that its multiples are exact
    ln2_low: float
    lowest: float  # e to the power of less is 0
    highest: float  # of more is infinite


SINGLE = _Format(np.float32, np.int32, 23, 127, 0.693359375, -2.12194440e-4, -104.0, 89.0)
DOUBLE = _Format(np.float64, np.int64, 52, 1023, 6.93145751953125e-1, 1.42860682030941723212e-6, -746.0, 710.0)


def _format(number: Any) -> _Format:
    return SINGLE if number == types.float32 else DOUBLE


@intrinsic
def _bits(_context: Any, number: Any) -> Any:
    """The bits of a number, as a whole number."""
    to = types.int32 if number == types.float32 else types.int64
    return to(number), lambda context, builder, _, args: builder.bitcast(args[0], context.get_value_type(to))


@intrinsic
def _from_bits(_context: Any, bits: Any) -> Any:
    """The number that has these bits."""
    to = types.float32 if bits == types.int32 else types.float64
    return to(bits), lambda context, builder, _, args: builder.bitcast(args[0], context.get_value_type(to))


def _series(r: Any) -> Any:
    """e^r − 1 for |r| ≤ ln 2 / 2: the Taylor series, up to what changes the last bit."""
    raise NotImplementedError


@overload(_series, jit_options=PLAIN)
def _(r: Any) -> Any:
    real = _format(r).real
    one, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13 = (real(1 / math.factorial(n)) for n in range(1, 14))

    def single(r: Any) -> Any:
        return r * (one + r * (c2 + r * (c3 + r * (c4 + r * (c5 + r * (c6 + r * c7))))))

    def double(r: Any) -> Any:
        rest = c7 + r * (c8 + r * (c9 + r * (c10 + r * (c11 + r * (c12 + r * c13)))))
        return r * (one + r * (c2 + r * (c3 + r * (c4 + r * (c5 + r * (c6 + r * rest))))))

    return single if real is np.float32 else double


def _halves(x: Any) -> Any:
    """e^x as (1 + p) · s · s'; p near 0, s and s' powers of two."""
    raise NotImplementedError


@overload(_halves, jit_options=PLAIN)
def _(x: Any) -> Any:
    kind = _format(x)
    real, whole = kind.real, kind.whole
    log2_e, high, low = real(1 / math.log(2)), real(kind.ln2_high), real(kind.ln2_low)
    lowest, highest = real(kind.lowest), real(kind.highest)
    rounder = real(1.5 * 2.0**kind.fraction)  # added and taken away again, it rounds to a whole number
    rounder_bits = rounder.view(whole)
    bias, fraction, one = whole(kind.bias), whole(kind.fraction), whole(1)

    def halves(x: Any) -> Any:
        x = lowest if x < lowest else x
        x = highest if x > highest else x
        shifted = x * log2_e + rounder
        exponent = whole(_bits(shifted) - rounder_bits)
        count = shifted - rounder
        p = _series((x - count * high) - count * low)
        first = exponent >> one
        second = exponent - first
        return p, _from_bits(whole((first + bias) << fraction)), _from_bits(whole((second + bias) << fraction))

    return halves


def exponential(x: Any) -> Any:
    """e^x."""
    raise NotImplementedError


@overload(exponential, jit_options=PLAIN)
def _(x: Any) -> Any:
    one = _format(x).real(1)

    def exponential(x: Any) -> Any:
        p, first, second = _halves(x)
        return (one + p) * first * second

    return exponential


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^−x)."""
    raise NotImplementedError


@overload(sigmoid, jit_options=PLAIN)
def _(x: Any) -> Any:
    one = _format(x).real(1)

    def sigmoid(x: Any) -> Any:
        return one / (one + exponential(-x))

    return sigmoid


def hyperbolic_tangent(x: Any) -> Any:
    """The tanh of x: (e^2x − 1) / (e^2x + 1), by a difference that is exact near 0."""
    raise NotImplementedError


@overload(hyperbolic_tangent, jit_options=PLAIN)
def _(x: Any) -> Any:
    real = _format(x).real
    one, two, end = real(1), real(2), real(30)

    def hyperbolic_tangent(x: Any) -> Any:
        x = -end if x < -end else x
        x = end if x > end else x
        p, first, second = _halves(two * x)
        scale = first * second
        less_one = scale * p + (scale - one)
        return less_one / (less_one + two)

    return hyperbolic_tangent


def _odd_series(z: Any) -> Any:
    """1/3 z + 1/5 z² + 1/7 z³ + … for z ≤ 0.03."""
    raise NotImplementedError


@overload(_odd_series, jit_options=PLAIN)
def _(z: Any) -> Any:
    real = _format(z).real
    c3, c5, c7, c9, c11, c13, c15, c17, c19, c21 = (real(1 / n) for n in range(3, 22, 2))

    def single(z: Any) -> Any:
        return z * (c3 + z * (c5 + z * (c7 + z * c9)))

    def double(z: Any) -> Any:
        rest = c13 + z * (c15 + z * (c17 + z * (c19 + z * c21)))
        return z * (c3 + z * (c5 + z * (c7 + z * (c9 + z * (c11 + z * rest)))))

    return single if real is np.float32 else double


def logarithm(x: Any) -> Any:
    """The natural logarithm of x > 0; of 0 some number far below 0."""
    raise NotImplementedError


@overload(logarithm, jit_options=PLAIN)
def _(x: Any) -> Any:
    kind = _format(x)
    real, whole = kind.real, kind.whole
    smallest, lift, lifted = real(np.finfo(real).tiny), real(2.0**kind.fraction), real(kind.fraction)
    fraction, root_bits = whole(kind.fraction), real(math.sqrt(0.5)).view(whole)
    high, low, zero, one, two = real(kind.ln2_high), real(kind.ln2_low), real(0), real(1), real(2)

    def logarithm(x: Any) -> Any:
        # x = m 2^e with m in [√½, √2); ln m = 2 artanh s with s = (m − 1) / (m + 1).
        down = lifted if x < smallest else zero
        bits = _bits(x * lift if x < smallest else x)
        exponent = whole((bits - root_bits) >> fraction)
        m = _from_bits(whole(bits - (exponent << fraction)))
        s = (m - one) / (m + one)
        e = real(exponent) - down
        found = e * high + (two * s + (two * s * _odd_series(s * s) + e * low))
        return found if x == x else x  # a NaN has bits of its own

    return logarithm
