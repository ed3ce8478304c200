"""Bytes that arrive: counted while they come."""

from collections.abc import Callable, Iterable, Iterator


def counted(blocks: Iterable[bytes], check: Callable[[int, bytes], None]) -> Iterator[bytes]:
    """The blocks, each after `check` was told of all bytes so far and of the block; it raises to end them."""
    size = 0
    for block in blocks:
        size += len(block)
        check(size, block)
        yield block
