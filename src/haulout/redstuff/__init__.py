"""Red Stuff (RS2): the Walrus network's code, bit for bit.

`encode` makes of a blob n primary and n secondary slivers, any p or any s of which give it back
(`decode`), and the metadata that name the blob and tell a right sliver from a wrong one. A lost
sliver is rebuilt from single symbols of others (`prove`, `recover_sliver`), and a writer who
encoded wrongly is shown to have (`inconsistency_proof`). docs/spec/redstuff.md is the format.
"""

from __future__ import annotations

from haulout.redstuff.decoding import Check, decode
from haulout.redstuff.encoding import Encoded, blob_id, encode
from haulout.redstuff.inconsistency import (
    InconsistencyProof,
    inconsistency_proof,
    proves_inconsistency,
)
from haulout.redstuff.metadata import Metadata, blob_id_bytes, blob_id_text
from haulout.redstuff.parameters import (
    Axis,
    Parameters,
    encoded_length,
    most_bytes,
    pair_of_shard,
    pair_place,
    parameters,
    shard_of_pair,
    symbol_size,
)
from haulout.redstuff.recovery import (
    RecoverySymbol,
    proofs,
    prove,
    recover_sliver,
    verify_symbol,
)
from haulout.redstuff.sliver import Sliver
from haulout.redstuff.slivertree import verify_sliver

__all__ = [
    "Axis",
    "Check",
    "Encoded",
    "InconsistencyProof",
    "Metadata",
    "Parameters",
    "RecoverySymbol",
    "Sliver",
    "blob_id",
    "blob_id_bytes",
    "blob_id_text",
    "decode",
    "encode",
    "encoded_length",
    "inconsistency_proof",
    "most_bytes",
    "pair_of_shard",
    "pair_place",
    "parameters",
    "proofs",
    "prove",
    "proves_inconsistency",
    "recover_sliver",
    "shard_of_pair",
    "symbol_size",
    "verify_sliver",
    "verify_symbol",
]
