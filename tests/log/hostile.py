"""Mutated bytes for readers, and the one way in which a reader may refuse them."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Sequence

from haulout.errors import DamagedError, HauloutError, VaultLockedError, VaultVersionError

REFUSALS = (DamagedError, VaultVersionError, VaultLockedError)
ODD = (
    b"\x5b\x40" + bytes(7),
    b"\x9b\x7f" + b"\xff" * 7,
    b"\x9a\xff\xff\xff\xff",
    b"\x7b" + b"\xff" * 8,
    b"\x81" * 500,
    b"\xc1" * 500,
    b"\xbb" + b"\xff" * 8,
    b"\xd8\x1c\x81\xd8\x1d\0",
    b"\xc2\x59\x20\0" + b"\xff" * 8192,
    b"\xd8\x23\x63(a+",
    b"\xfb\x7f\xf0" + bytes(6),
    b"\x9f\xff",
    b"\xf5",
    b"\xf6",
    b"\xff",
    b"\x1b" + b"\xff" * 8,
    b"\x80" * 300,
)


def mutated(dice: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with one to four pieces changed, cut, doubled, swapped or replaced."""
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice((1, 1, 2, 8, 40)))
        match dice.randrange(8):
            case 0 | 1:
                data[at:end] = dice.randbytes(end - at)
            case 2:
                data[at:at] = dice.randbytes(end - at)
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[at:end]
            case 5:
                data[at:end] = dice.choice(ODD)
            case 6:
                other = dice.choice(seeds)
                start = dice.randrange(len(other) + 1)
                data[at:end] = other[start : start + 60]
            case _:
                data[at:] = b""
    return bytes(data)


def fuzz(
    read: Callable[[bytes], object],
    seeds: Sequence[bytes],
    count: int,
    refusals: tuple[type[HauloutError], ...] = REFUSALS,
) -> int:
    """Read ``count`` mutated inputs; each is taken or refused. How many others than seeds were."""
    dice, taken = random.Random(count), 0
    for number in range(count):
        data = mutated(dice, seeds)
        try:
            read(data)
            taken += data not in seeds
        except refusals:
            pass
        except Exception as error:
            message = f"input {number} came out as {error!r}: {data[:200].hex()}"
            raise AssertionError(message) from error
    return taken


def peak_bytes(read: Callable[[], object]) -> int:
    """How much memory a call that refuses its input takes at its highest."""
    tracemalloc.start()
    try:
        read()
    except HauloutError:
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = "nothing was refused"
    raise AssertionError(message)
