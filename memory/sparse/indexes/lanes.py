"""Vector arithmetic that Numba's own loops do not reach: vectors of LLVM, of which every processor gets its own.

Importing this needs Numba. Integers wrap and are the same everywhere; sums of floats are taken in one fixed order.

Legend: W word size, L lanes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

LANES = 64
"""Words of a block, whose numbers lie dimension by dimension: [W, L]."""
GROUP = 8
"""Numbers of a block's word are padded with zeros to a multiple of this."""
FLOATS = 8
KEYS = 8

intrinsic: Any = extending.intrinsic  # what it makes has one argument less than it is given
_INT64 = ir.IntType(64)


@intrinsic
def block_scores(
    typing: Any, words: Any, begin: Any, ahead: Any, width: Any, query: Any, scores: Any, least: Any
) -> Any:
    """Products of a query and the words of a block; bits say which are at least ``least``.

    Args of the compiled function: words int8 [...], where the block begins, where the one that will be asked for next
    does, W padded; query int16 [W]; scores int16 [L], overwritten; least int16. The products must fit int16, parts of
    them need not.
    """
    signature = types.uint64(words, types.int64, types.int64, types.int64, query, scores, types.int16)
    narrow, wide = ir.VectorType(ir.IntType(8), LANES), ir.VectorType(ir.IntType(16), LANES)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words, begin, ahead, width, query, scores, least = args
        kinds = signature.args
        block, following = (builder.gep(_data(context, builder, kinds[0], words), [one]) for one in (begin, ahead))
        numbers = _data(context, builder, kinds[4], query)

        def body(start: Any, total: Any) -> Any:
            for step in range(GROUP):
                dimension = builder.add(start, _INT64(step))
                line = builder.mul(dimension, _INT64(LANES))
                place = builder.gep(block, [line])
                _prefetch(builder, builder.gep(following, [line]))
                lanes = builder.load(builder.bitcast(place, narrow.as_pointer()), align=1)
                number = _splat(builder, builder.load(builder.gep(numbers, [dimension])), wide)
                total = builder.add(total, builder.mul(builder.sext(lanes, wide), number))
            return total

        total = _loop(builder, width, GROUP, ir.Constant(wide, [0] * LANES), body)
        into = builder.bitcast(_data(context, builder, kinds[5], scores), wide.as_pointer())
        builder.store(total, into, align=2)
        return builder.bitcast(builder.icmp_signed(">=", total, _splat(builder, least, wide)), _INT64)

    return signature, generate


@intrinsic
def dot(typing: Any, left: Any, left_at: Any, right: Any, right_at: Any, width: Any) -> Any:
    """The inner product of W numbers of two flat arrays of one float dtype, each from some place on."""
    signature = left.dtype(left, types.int64, right, types.int64, types.int64)
    number = ir.FloatType() if left.dtype == types.float32 else ir.DoubleType()
    vector, size = ir.VectorType(number, FLOATS), 4 if left.dtype == types.float32 else 8

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left, left_at, right, right_at, width = args
        kinds = signature.args
        one = builder.gep(_data(context, builder, kinds[0], left), [left_at])
        other = builder.gep(_data(context, builder, kinds[2], right), [right_at])
        kind = ir.FunctionType(vector, [vector] * 3)
        name = f"llvm.fmuladd.v{FLOATS}f{8 * size}"
        fused = cgutils.get_or_insert_function(builder.module, kind, name)
        whole = builder.and_(width, _INT64(-FLOATS))

        def whole_vectors(start: Any, total: Any) -> Any:
            parts = [builder.bitcast(builder.gep(p, [start]), vector.as_pointer()) for p in (one, other)]
            return builder.call(fused, [*(builder.load(part, align=size) for part in parts), total])

        def rest(start: Any, total: Any) -> Any:
            place = builder.add(whole, start)
            product = builder.fmul(*(builder.load(builder.gep(p, [place])) for p in (one, other)))
            return builder.fadd(total, product)

        total = _loop(builder, whole, FLOATS, ir.Constant(vector, [0.0] * FLOATS), whole_vectors)
        return _loop(builder, builder.sub(width, whole), 1, _halved(builder, total), rest)

    return signature, generate


@intrinsic
def insert(typing: Any, keys: Any, most: Any, key: Any) -> Any:
    """Keep the ``most`` highest keys, highest first, behind one that is above all: int64 [1 + most].

    ``most`` is a multiple of KEYS. It takes as long wherever the key belongs, and nothing depends on a branch.
    """
    vector, flags = ir.VectorType(_INT64, KEYS), ir.VectorType(ir.IntType(1), KEYS)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        keys, most, key = args
        first = _data(context, builder, signature.args[0], keys)
        key = _splat(builder, key, vector)

        def body(place: Any, carried: Any) -> Any:
            end = builder.sub(most, place)
            above = builder.bitcast(builder.gep(first, [builder.sub(end, _INT64(KEYS))]), vector.as_pointer())
            here = builder.bitcast(builder.gep(first, [builder.sub(end, _INT64(KEYS - 1))]), vector.as_pointer())
            before, now = (builder.load(one, align=8) for one in (above, here))
            moved = builder.select(builder.icmp_signed(">", before, key), key, before)
            builder.store(builder.select(builder.icmp_signed(">", now, key), now, moved), here, align=8)
            return carried

        _loop(builder, most, KEYS, ir.Constant(flags, [0] * KEYS), body)
        return context.get_dummy_value()

    return types.void(keys, types.int64, types.int64), generate


@intrinsic
def lowest_bit(typing: Any, bits: Any) -> Any:
    """The position of the lowest bit that is set in a uint64 that has one."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.uint64), generate


def _halved(builder: Any, vector: Any) -> Any:
    """The sum of all lanes, by halves."""
    lanes = FLOATS
    while lanes > 1:
        lanes //= 2
        kind = ir.VectorType(ir.IntType(32), lanes)
        low, high = (ir.Constant(kind, [first + lane for lane in range(lanes)]) for first in (0, lanes))
        vector = builder.fadd(*(builder.shuffle_vector(vector, vector, part) for part in (low, high)))
    return builder.extract_element(vector, ir.IntType(32)(0))


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _splat(builder: Any, number: Any, vector: Any) -> Any:
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, nothing, zeros)


def _prefetch(builder: Any, place: Any) -> None:
    """Ask for a line that will be read soon."""
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [place, number(0), number(3), number(1)])


def _loop(builder: Any, end: Any, step: int, start: Any, body: Any) -> Any:
    """``for i in range(0, end, step): start = body(i, start)``, and ``start`` after it."""
    before = builder.block
    head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    place, carried = builder.phi(_INT64), builder.phi(start.type)
    builder.cbranch(builder.icmp_signed("<", place, end), inside, after)
    builder.position_at_end(inside)
    result, following = body(place, carried), builder.add(place, _INT64(step))
    place.add_incoming(_INT64(0), before)
    carried.add_incoming(start, before)
    place.add_incoming(following, builder.block)
    carried.add_incoming(result, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return carried
