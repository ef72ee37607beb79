"""A step's circuit and its gradient, compiled; the plain way is ``lukasa.memory.neural_ram.machine.flow``.

Dimensions: K sources, I arguments, R registers, M integers and cells, N machines. The machines lie beside one another,
so that an operation on one entry of everybody's table is a few vector instructions; ``lo`` and ``hi`` bound those of a
call.
"""

from __future__ import annotations

from lukasa.memory.kernels.circuit.rows import fill, plus, plus_product, plus_products, product, put
from lukasa.memory.kernels.sequence.compiling import compiled

READ, NUMBER, INC, ADD, SUB, DEC, LT, LE, EQ, MIN, MAX, WRITE = range(12)


@compiled()
def mix(weights, place, values, count, out, at, lo, hi):
    """out[at] = Σ_k weights[place, k] · values[k], k < count."""
    for m in range(values.shape[1]):
        row = out[at, m, lo:hi]
        product(row, weights[place, 0, lo:hi], values[0, m, lo:hi])
        for k in range(1, count):
            plus_product(row, weights[place, k, lo:hi], values[k, m, lo:hi])


@compiled()
def unmix(weights, place, values, count, to_out, at, to_weights, to_values, lo, hi):
    """The gradient of ``mix``; that of the values is added to."""
    for k in range(count):
        weight, gradient = weights[place, k, lo:hi], to_weights[place, k, lo:hi]
        fill(gradient, 0)
        for m in range(values.shape[1]):
            arrived = to_out[at, m, lo:hi]
            plus_product(gradient, arrived, values[k, m, lo:hi])
            plus_product(to_values[k, m, lo:hi], weight, arrived)


@compiled()
def compare(code, arguments, place, values, at, scratch, lo, hi):
    """Truth values: P(yes) to 1, P(no) to 0; no more than sums of products, so that nothing becomes negative."""
    size = arguments.shape[1]
    sum_a, sum_b = scratch[0, lo:hi], scratch[1, lo:hi]
    less, same, more = scratch[2, lo:hi], scratch[3, lo:hi], scratch[4, lo:hi]
    for row in range(5):
        fill(scratch[row, lo:hi], 0)
    for m in range(size):
        a, b = arguments[place, m, lo:hi], arguments[place + 1, m, lo:hi]
        plus_product(less, sum_a, b)
        plus_product(same, a, b)
        plus_product(more, a, sum_b)
        plus(sum_a, a)
        plus(sum_b, b)
        fill(values[at, m, lo:hi], 0)
    plus(values[at, 0 if code == EQ else 1, lo:hi], less)
    plus(values[at, 0 if code == LT else 1, lo:hi], same)
    plus(values[at, 0, lo:hi], more)


@compiled()
def uncompare(code, arguments, place, to_values, at, to_arguments, scratch, lo, hi):
    """The gradient of ``compare``."""
    size = arguments.shape[1]
    sum_a, sum_b = scratch[0, lo:hi], scratch[1, lo:hi]
    less = to_values[at, 0 if code == EQ else 1, lo:hi]
    same = to_values[at, 0 if code == LT else 1, lo:hi]
    more = to_values[at, 0, lo:hi]
    for forth in range(2):  # upwards with the sums of what is less, then downwards with the others
        fill(sum_a, 0)
        fill(sum_b, 0)
        for step in range(size):
            m = step if forth == 0 else size - 1 - step
            a, b = arguments[place, m, lo:hi], arguments[place + 1, m, lo:hi]
            to_a, to_b = to_arguments[place, m, lo:hi], to_arguments[place + 1, m, lo:hi]
            if forth == 0:
                product(to_a, same, b)
                product(to_b, same, a)
            plus_product(to_a, more if forth == 0 else less, sum_b)
            plus_product(to_b, less if forth == 0 else more, sum_a)
            plus(sum_a, a)
            plus(sum_b, b)


@compiled()
def choose(code, arguments, place, values, at, scratch, lo, hi):
    """MIN and MAX: out[m] = a[m] · P(b no better than m, m among them) + b[m] · P(a worse than m)."""
    size = arguments.shape[1]
    sum_a, sum_b = scratch[0, lo:hi], scratch[1, lo:hi]
    fill(sum_a, 0)
    fill(sum_b, 0)
    for step in range(size):
        m = step if code == MAX else size - 1 - step
        a, b, out = arguments[place, m, lo:hi], arguments[place + 1, m, lo:hi], values[at, m, lo:hi]
        plus(sum_b, b)
        product(out, a, sum_b)
        plus_product(out, b, sum_a)
        plus(sum_a, a)


@compiled()
def unchoose(code, arguments, place, to_values, at, to_arguments, scratch, lo, hi):
    """The gradient of ``choose``."""
    size = arguments.shape[1]
    sum_a, sum_b = scratch[0, lo:hi], scratch[1, lo:hi]
    fill(sum_a, 0)
    fill(sum_b, 0)
    for step in range(size):
        m = step if code == MAX else size - 1 - step
        arrived = to_values[at, m, lo:hi]
        plus(sum_b, arguments[place + 1, m, lo:hi])
        product(to_arguments[place, m, lo:hi], arrived, sum_b)
        product(to_arguments[place + 1, m, lo:hi], arrived, sum_a)
        plus(sum_a, arguments[place, m, lo:hi])
    fill(sum_a, 0)
    fill(sum_b, 0)
    for step in range(size):
        m = size - 1 - step if code == MAX else step
        arrived = to_values[at, m, lo:hi]
        plus(to_arguments[place, m, lo:hi], sum_b)
        plus_product(sum_b, arrived, arguments[place + 1, m, lo:hi])
        plus_product(sum_a, arrived, arguments[place, m, lo:hi])
        plus(to_arguments[place + 1, m, lo:hi], sum_a)


@compiled()
def compute(code, arguments, place, values, at, lo, hi):
    """INC, DEC, ADD and SUB."""
    size = arguments.shape[1]
    if code in (INC, DEC):
        shift = 1 if code == INC else size - 1
        for m in range(size):
            put(values[at, (m + shift) % size, lo:hi], arguments[place, m, lo:hi])
        return
    for m in range(size):
        fill(values[at, m, lo:hi], 0)
    for i in range(size):
        a = arguments[place, i, lo:hi]
        for j in range(size):
            m = (i + j) % size if code == ADD else (i - j + size) % size
            plus_product(values[at, m, lo:hi], a, arguments[place + 1, j, lo:hi])


@compiled()
def uncompute(code, arguments, place, to_values, at, to_arguments, lo, hi):
    """The gradient of ``compute``."""
    size = arguments.shape[1]
    if code in (INC, DEC):
        shift = 1 if code == INC else size - 1
        for m in range(size):
            put(to_arguments[place, m, lo:hi], to_values[at, (m + shift) % size, lo:hi])
        return
    for m in range(size):
        fill(to_arguments[place, m, lo:hi], 0)
        fill(to_arguments[place + 1, m, lo:hi], 0)
    for i in range(size):
        a, to_a = arguments[place, i, lo:hi], to_arguments[place, i, lo:hi]
        for j in range(size):
            m = (i + j) % size if code == ADD else (i - j + size) % size
            arrived = to_values[at, m, lo:hi]
            plus_product(to_a, arrived, arguments[place + 1, j, lo:hi])
            plus_product(to_arguments[place + 1, j, lo:hi], arrived, a)


@compiled()
def read(memory, arguments, place, values, at, lo, hi):
    """READ."""
    size = arguments.shape[1]
    for m in range(size):
        row = values[at, m, lo:hi]
        fill(row, 0)
        for i in range(size):
            plus_product(row, arguments[place, i, lo:hi], memory[i, m, lo:hi])


@compiled()
def unread(memory, arguments, place, to_values, at, to_arguments, to_memory, lo, hi):
    """The gradient of ``read``; that of the memory is added to."""
    size = arguments.shape[1]
    for i in range(size):
        pointer, to_pointer = arguments[place, i, lo:hi], to_arguments[place, i, lo:hi]
        fill(to_pointer, 0)
        for m in range(size):
            arrived = to_values[at, m, lo:hi]
            plus_product(to_pointer, arrived, memory[i, m, lo:hi])
            plus_product(to_memory[i, m, lo:hi], pointer, arrived)


@compiled()
def write(memory, arguments, place, written, lo, hi):
    """WRITE."""
    size = arguments.shape[1]
    for i in range(size):
        pointer = arguments[place, i, lo:hi]
        for m in range(size):
            before, value, after = memory[i, m, lo:hi], arguments[place + 1, m, lo:hi], written[i, m, lo:hi]
            for n in range(after.shape[0]):
                after[n] = before[n] + pointer[n] * (value[n] - before[n])


@compiled()
def unwrite(memory, arguments, place, to_written, to_arguments, to_memory, lo, hi):
    """The gradient of ``write``; that of the memory is set."""
    size = arguments.shape[1]
    for m in range(size):
        fill(to_arguments[place + 1, m, lo:hi], 0)
    for i in range(size):
        pointer, to_pointer = arguments[place, i, lo:hi], to_arguments[place, i, lo:hi]
        fill(to_pointer, 0)
        for m in range(size):
            arrived, before, value = to_written[i, m, lo:hi], memory[i, m, lo:hi], arguments[place + 1, m, lo:hi]
            plus_products(to_pointer, arrived, value, before)
            plus_product(to_arguments[place + 1, m, lo:hi], arrived, pointer)
            gradient = to_memory[i, m, lo:hi]
            for n in range(gradient.shape[0]):
                gradient[n] = arrived[n] * (1 - pointer[n])


@compiled(entry=True)
def forward(codes, numbers, places, weights, registers, memory, arguments, values, new, written, scratch, lo, hi):
    """Run a circuit.

    codes, numbers, places: int64 [Q], of each module; weights [I + R, K, N]; registers and new [R, M, N]; memory and
    written [M, M, N]; arguments [I, M, N] and values [K, M, N] are filled, for the gradient; scratch [5, N].
    """
    first, size = registers.shape[0], registers.shape[1]
    for k in range(first):
        for m in range(size):
            put(values[k, m, lo:hi], registers[k, m, lo:hi])
    for q in range(len(codes)):
        code, at, place = codes[q], first + q, places[q]
        if code in (NUMBER, WRITE):  # WRITE gives 0
            for m in range(size):
                fill(values[at, m, lo:hi], 1 if m == numbers[q] else 0)
        end = places[q + 1] if q + 1 < len(codes) else arguments.shape[0]
        for one in range(place, end):
            mix(weights, one, values, at, arguments, one, lo, hi)
        if code == READ:
            read(memory, arguments, place, values, at, lo, hi)
        elif code == WRITE:
            write(memory, arguments, place, written, lo, hi)
        elif code in (LT, LE, EQ):
            compare(code, arguments, place, values, at, scratch, lo, hi)
        elif code in (MIN, MAX):
            choose(code, arguments, place, values, at, scratch, lo, hi)
        elif code != NUMBER:
            compute(code, arguments, place, values, at, lo, hi)
    for r in range(first):
        mix(weights, arguments.shape[0] + r, values, values.shape[0], new, r, lo, hi)


@compiled(entry=True)
def backward(
    codes, places, weights, memory, arguments, values, to_new, to_written,
    to_weights, to_values, to_arguments, to_memory, scratch, lo, hi,
):  # fmt: skip
    """The gradient of ``forward``: of the weights, of the memory, and of the registers, the first of the values."""
    first, size = to_new.shape[0], to_new.shape[1]
    for k in range(values.shape[0]):
        for m in range(size):
            fill(to_values[k, m, lo:hi], 0)
    for r in range(first):
        row = arguments.shape[0] + r
        unmix(weights, row, values, values.shape[0], to_new, r, to_weights, to_values, lo, hi)
    for back in range(len(codes)):
        q = len(codes) - 1 - back
        code, at, place = codes[q], first + q, places[q]
        if code == READ:
            unread(memory, arguments, place, to_values, at, to_arguments, to_memory, lo, hi)
        elif code == WRITE:
            unwrite(memory, arguments, place, to_written, to_arguments, to_memory, lo, hi)
        elif code in (LT, LE, EQ):
            uncompare(code, arguments, place, to_values, at, to_arguments, scratch, lo, hi)
        elif code in (MIN, MAX):
            unchoose(code, arguments, place, to_values, at, to_arguments, scratch, lo, hi)
        elif code != NUMBER:
            uncompute(code, arguments, place, to_values, at, to_arguments, lo, hi)
        end = places[q + 1] if q + 1 < len(codes) else arguments.shape[0]
        for one in range(place, end):
            unmix(weights, one, values, at, to_arguments, one, to_weights, to_values, lo, hi)
