"""What a volume keeps of a head: its bytes, and who may change them. Pure.

docs/spec/volume.md, "Head object":

    version u8 = 1 | promised ballot, 20 bytes | accepted ballot, 20 bytes | the head's bytes

A ballot is (generation u32, number u64, nonce 8 bytes), big-endian, so that ballots compare as
their bytes do. All zeros is no ballot: nothing accepted, and then no bytes follow.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from haulout.errors import WrongBytesError

VERSION: Final = 1
NONCE_BYTES: Final = 8
BALLOT_BYTES: Final = 20
MOST_HEAD_BYTES: Final = 1024 * 1024
MOST_NUMBER: Final = 2**63  # no honest counter gets there; a volume that tells more is not heeded
_STATE_BYTES: Final = 1 + 2 * BALLOT_BYTES


class Ballot(NamedTuple):
    """Who may change a head, in order: the higher wins.

    Attributes:
        generation: of the layout, so that a rearranged set fences off those who know the old one.
        number: counts attempts; ``nonce``: random, tells two publishers with one number apart.
    """

    generation: int
    number: int
    nonce: bytes


NO_BALLOT: Final = Ballot(0, 0, bytes(NONCE_BYTES))


class HeadState(NamedTuple):
    """What a volume keeps of a head.

    Attributes:
        promised: no ballot below this one will be accepted.
        accepted: the ballot under which ``data`` were accepted; `NO_BALLOT` where none were.
        data: the head's bytes; None where none were accepted.
    """

    promised: Ballot = NO_BALLOT
    accepted: Ballot = NO_BALLOT
    data: bytes | None = None


def encode_ballot(ballot: Ballot) -> bytes:
    """The 20 bytes of a ballot."""
    return ballot.generation.to_bytes(4, "big") + ballot.number.to_bytes(8, "big") + ballot.nonce


def encode_state(state: HeadState) -> bytes:
    """The bytes that stand in a volume under a head's name."""
    ballots = encode_ballot(state.promised) + encode_ballot(state.accepted)
    return bytes([VERSION]) + ballots + (state.data or b"")


def decode_state(data: bytes) -> HeadState:
    """Read what a volume keeps of a head. Whether its bytes are genuine, their signature tells.

    Raises:
        WrongBytesError: no volume that keeps the rules has these bytes.
    """
    if not _STATE_BYTES <= len(data) <= _STATE_BYTES + MOST_HEAD_BYTES or data[0] != VERSION:
        raise WrongBytesError("A head is of a form or a length that is not known here.")
    promised = _ballot(data[1 : 1 + BALLOT_BYTES])
    accepted = _ballot(data[1 + BALLOT_BYTES : _STATE_BYTES])
    held = data[_STATE_BYTES:]
    if accepted > promised or max(promised.number, accepted.number) >= MOST_NUMBER:
        raise WrongBytesError("A head was accepted under a ballot that cannot be.")
    if accepted == NO_BALLOT:
        if held:
            raise WrongBytesError("A head has bytes that were never accepted.")
        return HeadState(promised)
    return HeadState(promised, accepted, held)


def _ballot(data: bytes) -> Ballot:
    return Ballot(int.from_bytes(data[:4], "big"), int.from_bytes(data[4:12], "big"), data[12:])
