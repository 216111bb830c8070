"""A set of numbers in little memory: one bit for each, where there are many close to each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator

#: Up to so many numbers a plain set is small enough, and faster.
_FEW = 250_000
#: Numbers of a block: bits of its lower half. With more than so many a block of bits takes less than a set.
_BITS, _DENSE = 16, 128
_LOW = (1 << _BITS) - 1


class NumberSet:
    """The numbers of a list that were seen.

    A plain set takes about 65 bytes a number, of ten million 600 MiB. The mobile numbers of a country lie
    close together: beyond a quarter of a million they are kept by blocks of 65,536, and a block that holds
    more than a few of them as bits. Ten million of three operators take 50 MiB.
    """

    __slots__ = ("_blocks", "_few")

    def __init__(self) -> None:
        self._few: set[int] | None = set()
        self._blocks: dict[int, set[int] | bytearray] = {}

    def add(self, number: int) -> bool:
        """Add a number; return whether it was not there yet."""
        few = self._few
        if few is None:
            return self._add_to_block(number)
        if number in few:
            return False
        few.add(number)
        if len(few) > _FEW:
            self._few = None
            for each in few:
                self._add_to_block(each)
        return True

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        if self._few is not None:
            return number in self._few
        block, low = self._blocks.get(number >> _BITS), number & _LOW
        if isinstance(block, bytearray):
            return bool(block[low >> 3] & (1 << (low & 7)))
        return block is not None and low in block

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers, in no order that says anything."""
        if self._few is not None:
            yield from self._few
            return
        for key, block in self._blocks.items():
            lows = block if isinstance(block, set) else _from_bits(block)
            for low in lows:
                yield key << _BITS | low

    def discard(self, number: int) -> None:
        """Remove a number, if it is there."""
        if self._few is not None:
            self._few.discard(number)
            return
        block, low = self._blocks.get(number >> _BITS), number & _LOW
        if isinstance(block, set):
            block.discard(low)
        elif block is not None:
            block[low >> 3] &= ~(1 << (low & 7)) & 0xFF

    def _add_to_block(self, number: int) -> bool:
        key, low = number >> _BITS, number & _LOW
        block = self._blocks.get(key)
        if block is None:
            self._blocks[key] = {low}
            return True
        if isinstance(block, bytearray):
            place, bit = low >> 3, 1 << (low & 7)
            if block[place] & bit:
                return False
            block[place] |= bit
            return True
        if low in block:
            return False
        block.add(low)
        if len(block) > _DENSE:
            self._blocks[key] = _to_bits(block)
        return True


def _to_bits(numbers: set[int]) -> bytearray:
    bits = bytearray((_LOW + 1) // 8)
    for low in numbers:
        bits[low >> 3] |= 1 << (low & 7)
    return bits


def _from_bits(bits: bytearray) -> Iterator[int]:
    for place, byte in enumerate(bits):
        for bit in range(8) if byte else ():
            if byte >> bit & 1:
                yield place << 3 | bit
