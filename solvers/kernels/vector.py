"""64 lanes as one LLVM vector inside Numba kernels: types, loads, stores and the few operations that the lanes kernel needs.

LLVM lowers <64 x i8> to one AVX-512 register, two of AVX2 or four of NEON, so one source serves all. Each operation is an intrinsic: a line
of LLVM's own assembler, typed here.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 64
_INDEX = ir.IntType(32)


class Vector(types.Type):
    """A vector of `count` integers of `bits` bits."""

    def __init__(self, bits: int, count: int) -> None:
        self.bits, self.count = bits, count
        super().__init__(name=f"vector_{count}_x_i{bits}")

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(ir.IntType(self.bits), self.count)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)


I8, I16, U16, U32 = Vector(8, LANES), Vector(16, LANES), Vector(16, LANES), Vector(32, LANES // 2)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, kind: Vector) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [index]), kind.llvm.as_pointer())


def _splat(builder: Any, kind: Vector, value: Any) -> Any:
    undefined = ir.Constant(kind.llvm, ir.Undefined)
    first = builder.insert_element(undefined, value, _INDEX(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INDEX, kind.count), [0] * kind.count))


def _zeros(kind: Vector) -> Any:
    return ir.Constant(kind.llvm, [0] * kind.count)


def _loader(kind: Vector) -> Any:
    @intrinsic
    def load(context, array, index):
        """The vector that begins at array[index]; any alignment."""

        def generate(cg, builder, signature, args):
            out = builder.load(_pointer(cg, builder, signature.args[0], args[0], args[1], kind))
            out.align = 1
            return out

        return kind(array, index), generate

    return load


def _binary(kind: Vector, name: str) -> Any:
    @intrinsic
    def operation(context, x, y):
        def generate(cg, builder, signature, args):
            return getattr(builder, name)(args[0], args[1])

        return kind(kind, kind), generate

    return operation


def _with_constant(kind: Vector, name: str, constant: int) -> Any:
    @intrinsic
    def operation(context, x):
        def generate(cg, builder, signature, args):
            return getattr(builder, name)(args[0], ir.Constant(kind.llvm, [constant] * kind.count))

        return kind(kind), generate

    return operation


load8, load16, load32 = _loader(I8), _loader(U16), _loader(U32)
add8, sub8 = _binary(I8, "add"), _binary(I8, "sub")
add16, sub16 = _binary(I16, "add"), _binary(I16, "sub")
add32, xor32 = _binary(U32, "add"), _binary(U32, "xor")


def shift_right32(bits: int) -> Any:
    """x >> bits of each 32-bit lane."""
    return _with_constant(U32, "lshr", bits)


def multiply32(factor: int) -> Any:
    """x * factor mod 2**32 of each 32-bit lane."""
    return _with_constant(U32, "mul", factor)


@intrinsic
def store8(context, array, index, value):
    """Store a vector of bytes at array[index]."""

    def generate(cg, builder, signature, args):
        out = builder.store(args[2], _pointer(cg, builder, signature.args[0], args[0], args[1], I8))
        out.align = 1
        return cg.get_dummy_value()

    return types.void(array, index, I8), generate


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


def _splatter(kind: Vector, scalar: Any) -> Any:
    @intrinsic
    def splat(context, value):
        def generate(cg, builder, signature, args):
            return _splat(builder, kind, args[0])

        return kind(scalar), generate

    return splat


splat8, splat16 = _splatter(I8, types.int8), _splatter(I16, types.int16)


@intrinsic
def widen(context, x):
    """64 signed bytes as 64 signed 16-bit integers."""

    def generate(cg, builder, signature, args):
        return builder.sext(args[0], I16.llvm)

    return I16(I8), generate


def _counter(kind: Vector) -> Any:
    @intrinsic
    def count_below(context, count, draws, thresholds):
        """count + 1 in the lanes whose draw is below the lane's threshold."""

        def generate(cg, builder, signature, args):
            below = builder.icmp_unsigned("<", args[1], args[2])
            return builder.sub(args[0], builder.sext(below, kind.llvm))

        return kind(kind, U16, U16), generate

    return count_below


count_below8, count_below16 = _counter(I8), _counter(I16)


def _flipper(kind: Vector) -> Any:
    @intrinsic
    def flip(context, spins, sums, noise):
        """Spins (bytes) after the test: negated where spin * sum >= -noise."""

        def generate(cg, builder, signature, args):
            spins, sums, noise = args
            down = builder.icmp_signed("<", spins, _zeros(I8))
            gain = builder.select(down, builder.neg(sums), sums)
            passes = builder.icmp_signed(">=", gain, builder.neg(noise))
            return builder.select(passes, builder.neg(spins), spins)

        return I8(I8, kind, kind), generate

    return flip


flip8, flip16 = _flipper(I8), _flipper(I16)


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
    """spin * sum of each lane."""

    def generate(cg, builder, signature, args):
        down = builder.icmp_signed("<", args[0], _zeros(I8))
        return builder.select(down, builder.neg(args[1]), args[1])

    return I16(I8, I16), generate


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
