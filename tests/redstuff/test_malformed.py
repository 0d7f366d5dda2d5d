"""Whatever bytes come in, an error of ours comes out, or a value that is written the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redstuff.samples import sample

from haulout.errors import HauloutError, WrongBytesError
from haulout.redstuff import (
    InconsistencyProof,
    Metadata,
    RecoverySymbol,
    Sliver,
    decode,
    encode,
    inconsistency_proof,
    parameters,
    prove,
    proves_inconsistency,
    recover_sliver,
    verify_sliver,
    verify_symbol,
)

ENCODED = encode(sample("malformed", 500), 7)
METADATA = ENCODED.metadata
SYMBOL = prove(ENCODED.secondary(3), 2, 7)
PROOF = InconsistencyProof(
    "primary", 2, tuple(prove(ENCODED.secondary(source), 2, 7) for source in range(5))
)
FORMS: list[tuple[bytes, Callable[[bytes], Any]]] = [
    (METADATA.to_bcs(), Metadata.from_bcs),
    (METADATA.to_bcs_with_id(), Metadata.from_bcs_with_id),
    (ENCODED.primary(4).to_bcs(), lambda data: Sliver.from_bcs(data, "primary")),
    (ENCODED.secondary(4).to_bcs(), lambda data: Sliver.from_bcs(data, "secondary")),
    (SYMBOL.to_bcs(), RecoverySymbol.from_bcs),
    (PROOF.to_bcs(), InconsistencyProof.from_bcs),
]
EACH = pytest.mark.parametrize(
    ("written", "read"), FORMS, ids=lambda form: getattr(form, "__qualname__", "")
)


def use(value: Any) -> None:
    """Do with a value what a reader would: it must end, and in an error of ours or none."""
    try:
        match value:
            case Sliver():
                verify_sliver(METADATA, value)
            case RecoverySymbol():
                verify_symbol(METADATA, value)
                recover_sliver(METADATA, "primary", value.target, [value] * 9)
            case InconsistencyProof():
                assert not proves_inconsistency(METADATA, value)
                inconsistency_proof(METADATA, value.axis, value.index, value.symbols)
            case _:
                assert isinstance(value, Metadata)
    except HauloutError:
        pass


def written_again(value: Any, before: bytes) -> bytes:
    if isinstance(value, Metadata) and len(before) == len(value.to_bcs_with_id()):
        return value.to_bcs_with_id()
    return value.to_bcs()


@EACH
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_changed_bytes_are_refused_or_read_as_what_they_say(
    written: bytes, read: Callable[[bytes], Any], data: st.DataObject
) -> None:
    changed = bytearray(written)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                changed[at] = data.draw(st.integers(0, 255))
            case 1:
                del changed[at : at + data.draw(st.integers(1, 40))]
            case _:
                changed[at:at] = data.draw(st.binary(max_size=40))
        if not changed:
            break
    try:
        value = read(bytes(changed))
    except WrongBytesError:
        return
    assert written_again(value, bytes(changed)) == changed
    use(value)


@EACH
@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read_as_what_they_say(
    written: bytes, read: Callable[[bytes], Any], data: bytes
) -> None:
    for tried in (data, written[:9] + data, written[:40] + data):
        try:
            value = read(tried)
        except WrongBytesError:
            continue
        assert written_again(value, tried) == tried
        use(value)


@EACH
def test_every_cut_is_refused(written: bytes, read: Callable[[bytes], Any]) -> None:
    assert written_again(read(written), written) == written
    for end in range(len(written)):
        with pytest.raises(WrongBytesError):
            read(written[:end])
    with pytest.raises(WrongBytesError, match="left over"):
        read(written + b"\0")


@pytest.mark.parametrize(
    "written", ["0002000000", "02abcd00000000", "02abcd01000000", "03abcdef02000000"]
)
def test_a_sliver_that_is_no_whole_number_of_symbols_is_refused(written: str) -> None:
    with pytest.raises(WrongBytesError, match="bytes"):
        Sliver.from_bcs(bytes.fromhex(written), "primary")


def test_a_path_that_is_longer_than_any_is_refused() -> None:
    long = RecoverySymbol("primary", 0, 0, b"ab", (bytes(32),) * 11)
    with pytest.raises(WrongBytesError, match="too long"):
        RecoverySymbol.from_bcs(long.to_bcs())


PARTS = st.tuples(st.booleans(), st.integers(-2, 40), st.integers(-2, 70), st.binary(max_size=90))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(4, 30),
    st.integers(0, 2_000),
    st.integers(0, 2**64 - 1),
    st.lists(PARTS, max_size=20),
)
def test_slivers_of_nonsense_never_crash(
    n: int, size: int, seed: int, parts: list[tuple[bool, int, int, bytes]]
) -> None:
    metadata = Metadata(n, size, ((bytes(32), seed.to_bytes(32, "big")),) * n)
    nonsense = [
        Sliver("primary" if first else "secondary", index, symbol, data)
        for first, index, symbol, data in parts
    ]
    for sliver in nonsense:
        with pytest.raises(WrongBytesError):
            verify_sliver(metadata, sliver)
    with pytest.raises(HauloutError):
        decode(metadata, nonsense)


@settings(deadline=None, max_examples=30)
@given(st.integers(4, 20), st.integers(0, 1_500), st.integers(0, 2**32))
def test_slivers_of_no_blob_decode_to_something_or_to_an_error(
    n: int, size: int, seed: int
) -> None:
    metadata = encode(sample(f"{seed}", size), n).metadata
    _, _, p, s = parameters(n)
    z = metadata.symbol_size
    random_rows = [
        Sliver("primary", n - 1 - index, z, sample(f"{seed}/{index}", s * z)) for index in range(p)
    ]
    assert len(decode(metadata, random_rows, check="skip")) == size
    if size:
        with pytest.raises(HauloutError):
            decode(metadata, random_rows)
