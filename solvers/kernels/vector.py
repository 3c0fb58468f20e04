"""What the 64-lane kernels need beyond `blocks`: operations on vectors of bytes and of 16- and 32-bit integers.

LLVM lowers <64 x i8> to one AVX-512 register, two of AVX2 or four of NEON, so one source serves all.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .blocks import BLOCK, Block, is_float, loader, spread

LANES = BLOCK
I8, I16, U16 = (Block(t, LANES) for t in (types.int8, types.int16, types.uint16))
U32 = Block(types.uint32, LANES // 2)
load_half = loader(LANES // 2)
_INDEX = ir.IntType(32)


def _zeros(kind: Block) -> Any:
    return ir.Constant(kind.llvm, [0] * kind.count)


def _gains(builder: Any, spins: Any, kind: Block, sums: Any) -> Any:
    """LLVM code for spin * sum of each lane."""
    down = builder.icmp_signed("<", spins, _zeros(I8))
    return builder.select(down, builder.fneg(sums) if is_float(kind) else builder.neg(sums), sums)


def _binary(name: str) -> Any:
    @intrinsic
    def operation(context, x, y):
        """x with lanes y, widened as signed ones where x is wider; wraps."""

        def generate(cg, builder, signature, args):
            right = args[1] if x == y else builder.sext(args[1], x.llvm)
            return getattr(builder, name)(args[0], right)

        return x(x, y), generate

    return operation


add, sub, xor = _binary("add"), _binary("sub"), _binary("xor")


def _with_constant(name: str, constant: int) -> Any:
    @intrinsic
    def operation(context, x):
        def generate(cg, builder, signature, args):
            return getattr(builder, name)(args[0], ir.Constant(x.llvm, [constant] * x.count))

        return x(x), generate

    return operation


def shift_right(bits: int) -> Any:
    """x >> bits of each unsigned lane."""
    return _with_constant("lshr", bits)


def multiply(factor: int) -> Any:
    """x * factor of each lane, which wraps."""
    return _with_constant("mul", factor)


@intrinsic
def splat(context, value):
    """All lanes the same, of the value's type."""
    kind = Block(value, LANES)

    def generate(cg, builder, signature, args):
        return spread(builder, kind, args[0])

    return kind(value), generate


@intrinsic
def repeat32(context, w0, w1, w2, w3):
    """w0 w1 w2 w3 w0 w1 ...: 32-bit lane l holds w[l % 4]."""

    def generate(cg, builder, signature, args):
        four = ir.Constant(ir.VectorType(_INDEX, 4), ir.Undefined)
        for k, word in enumerate(args):
            four = builder.insert_element(four, word, _INDEX(k))
        mask = ir.Constant(ir.VectorType(_INDEX, LANES // 2), [k % 4 for k in range(LANES // 2)])
        return builder.shuffle_vector(four, ir.Constant(four.type, ir.Undefined), mask)

    return U32(types.uint32, types.uint32, types.uint32, types.uint32), generate


@intrinsic
def halves16(context, x):
    """32 lanes of 32 bits as 64 lanes of 16 bits."""

    def generate(cg, builder, signature, args):
        return builder.bitcast(args[0], U16.llvm)

    return U16(U32), generate


@intrinsic
def count_below(context, count, draws, thresholds):
    """count + 1 in the lanes whose draw is below the lane's threshold."""

    def generate(cg, builder, signature, args):
        below = builder.icmp_unsigned("<", args[1], args[2])
        return builder.sub(args[0], builder.sext(below, count.llvm))

    return count(count, U16, U16), generate


@intrinsic
def flip(context, spins, sums, noise):
    """Spins (bytes) after the test: negated where spin * sum >= -noise."""

    def generate(cg, builder, signature, args):
        before, gain, least = args[0], _gains(builder, args[0], sums, args[1]), args[2]
        if is_float(sums):
            passes = builder.fcmp_ordered(">=", gain, builder.fneg(least))
        else:
            passes = builder.icmp_signed(">=", gain, builder.neg(least))
        return builder.select(passes, builder.neg(before), before)

    return I8(I8, sums, sums), generate


@intrinsic
def count_changes(context, before, after):
    """In how many lanes two vectors of bytes differ."""

    def generate(cg, builder, signature, args):
        mask = builder.icmp_unsigned("!=", args[0], args[1])
        return builder.ctpop(builder.bitcast(mask, ir.IntType(LANES)))

    return types.int64(I8, I8), generate


@intrinsic
def negate8(context, x):
    """-x of each byte."""

    def generate(cg, builder, signature, args):
        return builder.neg(args[0])

    return I8(I8), generate


@intrinsic
def gains16(context, spins, sums):
    """spin * sum of each lane, in 16 bits."""

    def generate(cg, builder, signature, args):
        wide = args[1] if sums == I16 else builder.sext(args[1], I16.llvm)
        return _gains(builder, args[0], I16, wide)

    return I16(I8, sums), generate


@intrinsic
def flip_gaining(context, spins, gains):
    """Spins negated where their gain is positive."""

    def generate(cg, builder, signature, args):
        spins, gains = args
        return builder.select(builder.icmp_signed(">", gains, _zeros(I16)), builder.neg(spins), spins)

    return I8(I8, I16), generate


@intrinsic
def plus_gain(context, total, gains):
    """total + max(gain, 0), saturating at 2**15 - 1."""

    def generate(cg, builder, signature, args):
        total, gains = args
        gained = builder.select(builder.icmp_signed(">", gains, _zeros(I16)), gains, _zeros(I16))
        adder = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(I16.llvm, [I16.llvm, I16.llvm]), f"llvm.sadd.sat.v{LANES}i16"
        )
        return builder.call(adder, [total, gained])

    return I16(I16, I16), generate


@intrinsic
def keep_risen(context, change, after, before):
    """after where the change is positive, else before."""

    def generate(cg, builder, signature, args):
        return builder.select(builder.icmp_signed(">", args[0], _zeros(I16)), args[1], args[2])

    return I8(I16, I8, I8), generate


@intrinsic
def times(context, x, y):
    """x * y of each lane, floats."""

    def generate(cg, builder, signature, args):
        return builder.fmul(args[0], args[1])

    return x(x, x), generate


@intrinsic
def subtract_where_down(context, total, spins, value):
    """total - value in the lanes whose spin (a byte) is -1; floats."""

    def generate(cg, builder, signature, args):
        total_value, spins, scalar = args
        down = builder.icmp_signed("<", spins, _zeros(I8))
        return builder.select(down, builder.fsub(total_value, spread(builder, total, scalar)), total_value)

    return total(total, I8, total.element), generate
