"""Every vector of the network's own code, every field of it, by every engine there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from redstuff.samples import blob_of, lines, sample, sha256

from haulout import redstuff
from haulout.redstuff import acceleration, merkle
from haulout.redstuff.compiled import CompiledEngine
from haulout.redstuff.engine import Engine
from haulout.redstuff.plain import PlainEngine
from haulout.redstuff.reedsolomon import Code

BLOBS = lines("walrus_vectors.jsonl")
CODES = lines("walrus_rs_vectors.jsonl")
PROOFS = lines("walrus_proof_vectors.jsonl")


def name(vector: dict[str, Any]) -> str:
    return f"{vector['n_shards']}-{vector['unencoded_length']}-{vector['data']['kind']}"


@pytest.mark.parametrize("engine", [PlainEngine(), CompiledEngine()], ids=["numpy", "numba"])
@pytest.mark.parametrize("vector", CODES, ids=lambda v: v["seed"].partition("/")[2])
def test_recovery_symbols_are_those_of_the_vectors(vector: dict[str, Any], engine: Engine) -> None:
    count, size = vector["original_count"], vector["shard_bytes"]
    code = Code.of(count, vector["recovery_count"])
    assert ("low" if code.low else "high") == vector["rate"]
    symbols = np.frombuffer(sample(vector["seed"], count * size), np.uint8).reshape(count, size)
    found = engine.symbols_of(engine.recoveries(code, engine.words_of(symbols), count))
    assert sha256(found.tobytes()) == vector["recovery_sha256"]
    if "recovery_hex" in vector:
        assert [row.tobytes().hex() for row in found] == vector["recovery_hex"]


def quick(vector: dict[str, Any]) -> bool:
    """Over 1,000 shards NumPy takes a second: three of those stand for the others."""
    return vector["n_shards"] < 1000 or vector["unencoded_length"] in {1, 445_557, 1_048_576}


CASES = [
    pytest.param(vector, choice, id=f"{name(vector)}-{choice}", marks=marks)
    for vector in BLOBS
    for choice, marks in (("numba", ()), ("numpy", () if quick(vector) else pytest.mark.full))
]


@pytest.mark.parametrize(("vector", "choice"), CASES)
def test_a_blob_is_encoded_as_in_the_vectors(
    vector: dict[str, Any], choice: acceleration.Choice
) -> None:
    blob, n = blob_of(vector["data"]), vector["n_shards"]
    assert (len(blob), sha256(blob)) == (vector["unencoded_length"], vector["data_sha256"])
    counts = redstuff.parameters(n)
    assert (counts.primary, counts.secondary) == (vector["n_rows"], vector["n_cols"])
    with acceleration.using(choice):
        encoded = redstuff.encode(blob, n)
    assert (encoded.size, encoded.n_shards) == (len(blob), n)
    assert encoded.symbol_size == vector["symbol_size"]
    assert redstuff.symbol_size(len(blob), n) == vector["symbol_size"]
    check_metadata(encoded, vector)
    check_slivers(encoded, vector)


def check_metadata(encoded: redstuff.Encoded, vector: dict[str, Any]) -> None:
    metadata, n = encoded.metadata, encoded.n_shards
    assert encoded.blob_id_text == vector["blob_id"]
    assert encoded.blob_id.hex() == vector["blob_id_hex"]
    assert redstuff.blob_id_bytes(vector["blob_id"]) == encoded.blob_id
    assert encoded.root_hash.hex() == vector["root_hash"]
    assert redstuff.shard_of_pair(0, encoded.blob_id, n) == vector["rotation"]
    joined = b"".join(first + second for first, second in metadata.hashes)
    assert sha256(joined) == vector["all_pair_hashes_sha256"]
    written = metadata.to_bcs_with_id()
    assert len(written) == vector["metadata_bcs_len"]
    assert sha256(written) == vector["metadata_bcs_sha256"]
    assert redstuff.Metadata.from_bcs_with_id(written) == metadata
    assert vector["encoding_type"] == "RS2"


def check_slivers(encoded: redstuff.Encoded, vector: dict[str, Any]) -> None:
    pairs = [encoded.pair(index) for index in range(encoded.n_shards)]
    assert {len(primary.data) for primary, _ in pairs} == {vector["primary_sliver_len"]}
    assert {len(secondary.data) for _, secondary in pairs} == {vector["secondary_sliver_len"]}
    assert sha256(b"".join(p.data for p, _ in pairs)) == vector["all_primary_sha256"]
    assert sha256(b"".join(s.data for _, s in pairs)) == vector["all_secondary_sha256"]
    for index, promised in enumerate(vector.get("pairs", ())):
        primary, secondary = pairs[index]
        hashes = encoded.metadata.hashes[index]
        assert [digest.hex() for digest in hashes] == [
            promised["primary_hash"],
            promised["secondary_hash"],
        ]
        assert sha256(primary.data) == promised["primary_sha256"]
        assert sha256(secondary.data) == promised["secondary_sha256"]
    if "primary_hex" in vector:
        assert [p.data.hex() for p, _ in pairs] == vector["primary_hex"]
        assert [s.data.hex() for _, s in pairs] == vector["secondary_hex"]


@pytest.mark.parametrize("number", range(len(PROOFS)))
def test_a_symbol_is_proved_as_in_the_vectors(number: int) -> None:
    vector = PROOFS[number]
    n, axis = vector["n_shards"], vector["source_axis"]
    encoded = redstuff.encode(blob_of(vector["data"]), n)
    assert encoded.blob_id_text == vector["blob_id"]
    source = vector[f"{axis}_sliver_index"]
    target = vector["secondary_sliver_index" if axis == "primary" else "primary_sliver_index"]
    assert target == vector["leaf_index"]
    assert redstuff.pair_place(axis, source, n) == vector["source_pair_index"]
    sliver = encoded.primary(source) if axis == "primary" else encoded.secondary(source)
    proved = redstuff.prove(sliver, target, n)
    assert proved.symbol.hex() == vector["symbol_hex"]
    assert [sibling.hex() for sibling in proved.path] == vector["path"]
    assert encoded.metadata.sliver_hash(axis, source).hex() == vector["source_root"]
    redstuff.verify_symbol(encoded.metadata, proved)
    root = merkle.path_root(proved.symbol, target, proved.path)
    assert root is not None
    assert root.hex() == vector["source_root"]
