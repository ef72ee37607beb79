"""What is done to one entry of the tables of many machines at a time, compiled; every argument is [N]."""

from __future__ import annotations

from lukasa.memory.kernels.sequence.compiling import compiled


@compiled()
def fill(out, number):
    """Out = number, which is one for all."""
    for n in range(out.shape[0]):
        out[n] = number


@compiled()
def put(out, a):
    """Out = a."""
    for n in range(out.shape[0]):
        out[n] = a[n]


@compiled()
def plus(out, a):
    """Out += a."""
    for n in range(out.shape[0]):
        out[n] += a[n]


@compiled()
def product(out, a, b):
    """Out = a · b."""
    for n in range(out.shape[0]):
        out[n] = a[n] * b[n]


@compiled()
def plus_product(out, a, b):
    """Out += a · b."""
    for n in range(out.shape[0]):
        out[n] += a[n] * b[n]


@compiled()
def plus_products(out, a, b, c):
    """Out += a · (b − c)."""
    for n in range(out.shape[0]):
        out[n] += a[n] * (b[n] - c[n])
