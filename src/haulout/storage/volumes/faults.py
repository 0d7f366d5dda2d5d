"""What was found wrong, where: the words in which a set of volumes names a liar. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from haulout.errors import BlobMissingError, HauloutError, WrongBytesError
from haulout.redstuff import Metadata
from haulout.storage.volumes.shardfile import HEADER_BYTES, decode_header, prefix_size

Kind = Literal["missing", "wrong", "slow", "unavailable", "stale"]


class Fault(NamedTuple):
    """One thing that one volume did wrong.

    Attributes:
        volume: the volume's ID; ``shard``: which shard it was about, None for the whole volume.
        kind: "missing" (nothing stands there), "wrong" (bytes that their hash does not promise),
            "slow" (no answer by the time another was asked), "unavailable" (the place does not
            answer, refuses, or is another place), "stale" (a whole object, but of another blob
            or shard, or an older head).
        words: what happened, for a person.
    """

    volume: str
    shard: int | None
    kind: Kind
    words: str


def fault_of(volume: str, shard: int | None, error: HauloutError) -> Fault:
    """The fault that an error of a backend is."""
    if isinstance(error, BlobMissingError):
        return Fault(volume, shard, "missing", error.message)
    kind: Kind = "wrong" if isinstance(error, WrongBytesError) else "unavailable"
    return Fault(volume, shard, kind, error.message)


def fault_of_prefix(
    volume: str, shard: int, error: HauloutError, data: bytes, n_shards: int
) -> Fault:
    """The fault of an object whose first bytes were refused: stale where it is whole in itself."""
    found = fault_of(volume, shard, error)
    try:
        decode_header(data)
        Metadata.from_bcs_with_id(data[HEADER_BYTES : prefix_size(n_shards)])
    except WrongBytesError:
        return found
    return found._replace(kind="stale")


def told(faults: Iterable[Fault], most: int = 20) -> str:
    """Faults in one sentence each, at most ``most`` of them."""
    listed = list(faults)
    words = [
        f"shard {fault.shard} on volume {fault.volume} is {fault.kind}"
        if fault.shard is not None
        else f"volume {fault.volume} is {fault.kind} ({fault.words.rstrip('.')})"
        for fault in listed[:most]
    ]
    more = f"; and {len(listed) - most} more" if len(listed) > most else ""
    return "; ".join(words) + more
