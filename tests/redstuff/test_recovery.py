"""Slivers from single symbols, and the proof against a writer who lied."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redstuff.samples import sample

from haulout.errors import (
    InconsistentBlobError,
    InputError,
    TooFewSliversError,
    WrongBytesError,
)
from haulout.redstuff import (
    Encoded,
    InconsistencyProof,
    Metadata,
    RecoverySymbol,
    Sliver,
    encode,
    inconsistency_proof,
    parameters,
    proofs,
    prove,
    proves_inconsistency,
    recover_sliver,
    verify_symbol,
)
from haulout.redstuff.parameters import Axis
from haulout.redstuff.slivertree import sliver_root

AXES: tuple[Axis, ...] = ("primary", "secondary")
BOTH = pytest.mark.parametrize("axis", AXES)


def sliver(encoded: Encoded, axis: Axis, index: int) -> Sliver:
    return encoded.primary(index) if axis == "primary" else encoded.secondary(index)


def crossing(axis: Axis) -> Axis:
    return "secondary" if axis == "primary" else "primary"


def symbols_for(
    encoded: Encoded, axis: Axis, index: int, sources: list[int]
) -> list[RecoverySymbol]:
    n = encoded.n_shards
    return [prove(sliver(encoded, crossing(axis), source), index, n) for source in sources]


@BOTH
@settings(deadline=None, max_examples=25)
@given(st.integers(4, 34), st.integers(0, 2_000), st.integers(0, 2**32))
def test_a_sliver_is_rebuilt_from_symbols_of_any_others(
    axis: Axis, n: int, size: int, seed: int
) -> None:
    chance = random.Random(seed)
    encoded = encode(sample(str(seed), size), n)
    index = chance.randrange(n)
    sources = chance.sample(range(n), parameters(n).sliver_symbols(axis))
    symbols = symbols_for(encoded, axis, index, sources)
    for verified in (False, True):
        found = recover_sliver(encoded.metadata, axis, index, symbols, verified=verified)
        assert found == sliver(encoded, axis, index)
    assert inconsistency_proof(encoded.metadata, axis, index, symbols) is None


@BOTH
def test_symbols_are_proved_together_as_they_are_alone(axis: Axis) -> None:
    encoded = encode(sample("together", 3_000), 10)
    source = sliver(encoded, axis, 9)
    assert proofs(source, range(10), 10) == [prove(source, target, 10) for target in range(10)]
    for proved in proofs(source, range(10), 10):
        verify_symbol(encoded.metadata, proved)
        assert RecoverySymbol.from_bcs(proved.to_bcs()) == proved
        crossed = sliver(encoded, crossing(axis), proved.target)
        if source.index < len(crossed.data) // crossed.symbol_size:
            assert proved.symbol == crossed.symbol(source.index)


def test_a_symbol_has_the_networks_form() -> None:
    path = (bytes(range(32)), bytes(32))
    symbol = RecoverySymbol("secondary", 0x0102, 0x0304, b"ab", path)
    assert symbol.to_bcs().hex() == ("00020102616204030201" + bytes(range(32)).hex() + "00")
    proof = InconsistencyProof("primary", 0x0304, (symbol,))
    assert proof.to_bcs().hex() == ("0004030102010261620201" + bytes(range(32)).hex() + "00")
    assert InconsistencyProof.from_bcs(proof.to_bcs()) == proof


@BOTH
def test_a_symbol_is_right_only_whole_and_in_its_place(axis: Axis) -> None:
    encoded = encode(sample("symbol", 3_000), 10)
    right = prove(sliver(encoded, axis, 6), 3, 10)
    verify_symbol(encoded.metadata, right)
    flipped = bytes([right.path[0][0] ^ 1]) + right.path[0][1:]
    wrong = [
        replace(right, symbol=right.symbol[::-1]), replace(right, symbol=right.symbol[:-2]),
        replace(right, symbol=b""), replace(right, source=5), replace(right, target=2),
        replace(right, target=3 + 16), replace(right, target=-1), replace(right, source=10),
        replace(right, source=-1), replace(right, path=right.path[:-1]),
        replace(right, path=()), replace(right, path=(*right.path, bytes(32))),
        replace(right, path=(flipped, *right.path[1:])), replace(right, axis=crossing(axis)),
    ]  # fmt: skip
    for case in wrong:
        with pytest.raises(WrongBytesError, match=r"sliver -?\d+ at place"):
            verify_symbol(encoded.metadata, case)


@BOTH
def test_a_wrong_symbol_ends_a_recovery_and_is_named(axis: Axis) -> None:
    encoded = encode(sample("wrong", 3_000), 10)
    symbols = symbols_for(encoded, axis, 2, list(range(8)))
    broken = [*symbols[:2], replace(symbols[2], symbol=bytes(len(symbols[2].symbol)))]
    with pytest.raises(WrongBytesError, match=f"{crossing(axis)} sliver 2 at place 2"):
        recover_sliver(encoded.metadata, axis, 2, [*broken, *symbols[3:]])
    with pytest.raises(WrongBytesError, match="cannot rebuild"):
        recover_sliver(encoded.metadata, axis, 3, symbols)
    with pytest.raises(WrongBytesError, match="cannot rebuild"):
        recover_sliver(encoded.metadata, crossing(axis), 2, symbols)
    with pytest.raises(InconsistentBlobError, match="rebuilt from"):
        recover_sliver(encoded.metadata, axis, 2, [*broken, *symbols[3:]], verified=True)
    with pytest.raises(InputError, match="from 0 to 9"):
        recover_sliver(encoded.metadata, axis, 10, symbols)


@BOTH
def test_too_few_symbols_are_not_enough_and_one_twice_is_one(axis: Axis) -> None:
    encoded = encode(sample("few", 3_000), 10)
    needed = parameters(10).sliver_symbols(axis)
    symbols = symbols_for(encoded, axis, 9, list(range(needed)))
    with pytest.raises(TooFewSliversError, match=f"{needed - 1} symbols"):
        recover_sliver(encoded.metadata, axis, 9, [*symbols[1:], *symbols[1:]])
    found = recover_sliver(encoded.metadata, axis, 9, [*symbols[1:], *symbols])
    assert found == encoded.primary(9) if axis == "primary" else encoded.secondary(9)


def liar(axis: Axis, index: int) -> tuple[Metadata, Encoded]:
    """A blob whose metadata promise another sliver ``index`` of ``axis`` than its symbols make."""
    encoded = encode(sample("liar", 3_000), 10)
    right = sliver(encoded, axis, index)
    other = sliver_root(replace(right, data=right.data[::-1]), 10)
    hashes = [list(pair) for pair in encoded.metadata.hashes]
    hashes[index if axis == "primary" else 9 - index][AXES.index(axis)] = other
    return replace(encoded.metadata, hashes=tuple((a, b) for a, b in hashes)), encoded


@BOTH
@pytest.mark.parametrize("index", [0, 5, 9])
def test_a_writer_who_lied_is_proved_to_have(axis: Axis, index: int) -> None:
    metadata, encoded = liar(axis, index)
    symbols = symbols_for(encoded, axis, index, list(range(9, -1, -1)))
    with pytest.raises(InconsistentBlobError):
        recover_sliver(metadata, axis, index, symbols)
    proof = inconsistency_proof(metadata, axis, index, symbols)
    assert proof is not None
    assert proves_inconsistency(metadata, proof)
    assert InconsistencyProof.from_bcs(proof.to_bcs()) == proof
    assert not proves_inconsistency(encoded.metadata, proof)


@BOTH
def test_a_proof_that_is_short_padded_or_forged_proves_nothing(axis: Axis) -> None:
    metadata, encoded = liar(axis, 5)
    symbols = symbols_for(encoded, axis, 5, list(range(10)))
    proof = inconsistency_proof(metadata, axis, 5, symbols)
    assert proof is not None
    first, *rest = proof.symbols
    forged = [
        (), tuple(rest), (first, *proof.symbols), (rest[0], *rest), (*proof.symbols, symbols[9]),
        (replace(first, symbol=bytes(len(first.symbol))), *rest),
        (replace(first, target=4), *rest), (replace(first, axis=axis), *rest),
        (replace(first, path=first.path[1:]), *rest), (replace(first, source=99), *rest),
    ]  # fmt: skip
    for case in forged:
        assert not proves_inconsistency(metadata, replace(proof, symbols=case))
    for index in (4, 10, -1, 65_535):
        assert not proves_inconsistency(metadata, replace(proof, index=index))
    assert not proves_inconsistency(metadata, replace(proof, axis=crossing(axis)))


def test_symbols_that_are_wrong_prove_nothing_against_the_writer() -> None:
    encoded = encode(sample("innocent", 3_000), 10)
    symbols = symbols_for(encoded, "primary", 5, list(range(7)))
    symbols[3] = replace(symbols[3], symbol=bytes(len(symbols[3].symbol)))
    with pytest.raises(WrongBytesError, match="secondary sliver 3"):
        inconsistency_proof(encoded.metadata, "primary", 5, symbols)


@pytest.mark.parametrize("target", [-1, 10])
def test_a_symbol_that_is_not_there_cannot_be_proved(target: int) -> None:
    with pytest.raises(InputError, match="from 0 to 9"):
        prove(encode(b"a blob", 10).primary(0), target, 10)


def test_a_sliver_of_another_length_cannot_prove_anything() -> None:
    right = encode(b"a blob", 10).primary(0)
    for wrong in (replace(right, data=right.data[2:]), replace(right, symbol_size=3)):
        with pytest.raises(InputError):
            prove(wrong, 0, 10)
