"""64 lanes of any element type as one LLVM vector, and the 64 bits that say which of them pass a test.

Each operation is an intrinsic, a line of LLVM's own assembler, which LLVM lowers to whatever registers the processor has. The element type comes from the
array that is loaded, so one kernel serves bytes, wider integers and floats.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

BLOCK = 64
WORDS = 8
_BIT, _WORD, _INDEX = ir.IntType(1), ir.IntType(64), ir.IntType(32)


class Block(types.Type):
    """A vector of `count` numbers of one type."""

    def __init__(self, element: Any, count: int) -> None:
        self.element, self.count = element, count
        super().__init__(name=f"block_{count}_x_{element}")

    @property
    def llvm(self) -> ir.VectorType:
        """Its type in LLVM."""
        if isinstance(self.element, types.Float):
            return ir.VectorType(ir.DoubleType() if self.element.bitwidth == 64 else ir.FloatType(), self.count)
        return ir.VectorType(ir.IntType(self.element.bitwidth), self.count)


@register_model(Block)
class _BlockModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Block) -> None:
        super().__init__(manager, kind, kind.llvm)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, kind: Block) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [index]), kind.llvm.as_pointer())


def spread(builder: Any, kind: Block, value: Any) -> Any:
    """LLVM code for a vector of equal lanes."""
    undefined = ir.Constant(kind.llvm, ir.Undefined)
    first = builder.insert_element(undefined, value, _INDEX(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INDEX, kind.count), [0] * kind.count))


def is_float(kind: Block) -> bool:
    """Whether its lanes are floats."""
    return isinstance(kind.element, types.Float)


def loader(count: int) -> Any:
    """The intrinsic that loads `count` elements of an array."""

    @intrinsic
    def load(context, array, index):
        """The vector that begins at array[index]; any alignment."""
        kind = Block(array.dtype, count)

        def generate(cg, builder, signature, args):
            out = builder.load(_pointer(cg, builder, signature.args[0], args[0], args[1], kind))
            out.align = 1
            return out

        return kind(array, index), generate

    return load


load_block, load_words = loader(BLOCK), loader(WORDS)


@intrinsic
def store(context, array, index, value):
    """Store a vector at array[index]."""

    def generate(cg, builder, signature, args):
        out = builder.store(args[2], _pointer(cg, builder, signature.args[0], args[0], args[1], value))
        out.align = 1
        return cg.get_dummy_value()

    return types.void(array, index, value), generate


@intrinsic
def add_row(context, fields, row, factor):
    """fields + factor * row, the row widened first; integers wrap."""

    def generate(cg, builder, signature, args):
        total, row_value, scalar = args
        if row.element != fields.element:
            widen = builder.fpext if is_float(row) else builder.sext
            row_value = widen(row_value, fields.llvm)
        times = spread(builder, fields, scalar)
        if is_float(fields):
            return builder.fadd(total, builder.fmul(row_value, times))
        return builder.add(total, builder.mul(row_value, times))

    return fields(fields, row, fields.element), generate


@intrinsic
def add_scalar(context, fields, value):
    """fields + value; integers, which wrap."""

    def generate(cg, builder, signature, args):
        return builder.add(args[0], spread(builder, fields, args[1]))

    return fields(fields, fields.element), generate


@intrinsic
def add_where(context, fields, word, value):
    """fields + value in the lanes whose bit of the word is set; integers, which wrap."""

    def generate(cg, builder, signature, args):
        total, mask, scalar = args
        lanes = builder.bitcast(mask, ir.VectorType(_BIT, BLOCK))
        zero = ir.Constant(fields.llvm, [0] * BLOCK)
        return builder.add(total, builder.select(lanes, spread(builder, fields, scalar), zero))

    return fields(fields, types.uint64, fields.element), generate


@intrinsic
def passing(context, fields, up, bounds):
    """A word whose bit l is set where s_l fields_l >= bounds_l, with s_l = +1 where bit l of `up` is set and -1 elsewhere."""

    def generate(cg, builder, signature, args):
        values, word, least = args
        lanes = builder.bitcast(word, ir.VectorType(_BIT, BLOCK))
        if is_float(fields):
            gains = builder.select(lanes, values, builder.fneg(values))
            passes = builder.fcmp_ordered(">=", gains, least)
        else:
            gains = builder.select(lanes, values, builder.sub(ir.Constant(fields.llvm, [0] * BLOCK), values))
            passes = builder.icmp_signed(">=", gains, least)
        return builder.bitcast(passes, _WORD)

    return types.uint64(fields, types.uint64, fields), generate


@intrinsic
def lowest_bit(context, word):
    """The number of the lowest bit set, of a word that is not 0."""

    def generate(cg, builder, signature, args):
        return builder.cttz(args[0], _BIT(1))

    return types.uint64(types.uint64), generate


@intrinsic
def count_ones(context, word):
    """How many bits of a word are set."""

    def generate(cg, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@intrinsic
def flipped_words(context, words, mask):
    """words ^ mask, for a scalar mask."""

    def generate(cg, builder, signature, args):
        return builder.xor(args[0], spread(builder, words, args[1]))

    return words(words, types.uint64), generate


def _logic(count: int, build: Any) -> Any:
    if count == 2:

        @intrinsic
        def two(context, a, b):
            return a(a, a), lambda cg, builder, signature, args: build(builder, *args)

        return two

    @intrinsic
    def three(context, a, b, c):
        return a(a, a, a), lambda cg, builder, signature, args: build(builder, *args)

    return three


# Half and full adders, for every bit of two or three vectors of words: the sum and the carry.
sum2 = _logic(2, lambda builder, a, b: builder.xor(a, b))
carry2 = _logic(2, lambda builder, a, b: builder.and_(a, b))
sum3 = _logic(3, lambda builder, a, b, c: builder.xor(builder.xor(a, b), c))
carry3 = _logic(3, lambda builder, a, b, c: builder.or_(builder.and_(a, b), builder.and_(c, builder.or_(a, b))))
