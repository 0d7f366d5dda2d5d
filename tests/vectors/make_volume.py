"""Makes the vectors of docs/spec/volume.md: the same bytes on every run.

    python tests/vectors/make_volume.py            write volume.json anew
    python tests/vectors/make_volume.py --check    tell whether it is what this program makes

A shard object is told by the blob it is of, as `expanded` reads it, with its SHA-256 beside it,
and its bytes where these are few. A vector that changes is a format that changed: that takes a new
version number, and never an edit here alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from haulout.redstuff import encode, pair_of_shard
from haulout.storage.volumes.headstate import NO_BALLOT, Ballot, HeadState, encode_state
from haulout.storage.volumes.layout import Place, encode_layout, plan
from haulout.storage.volumes.marker import Marker, encode_marker
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.shardfile import encode_object, prefix_size

PATH = Path(__file__).with_name("volume.json")
SET_ID = hashlib.shake_256(b"haulout vectors/volume/set").hexdigest(16)
MOST_HEX = 2048


def content(size: int) -> bytes:
    """The bytes of the blob of a size: SHAKE-256 of a fixed text."""
    return hashlib.shake_256(b"haulout vectors/volume/blob").digest(size)


def shard_object(size: int, n: int, shard: int) -> bytes:
    encoded = encode(content(size), n)
    pair = pair_of_shard(shard, encoded.blob_id, n)
    return encode_object(encoded.metadata, shard, *encoded.pair(pair))


def expanded(case: dict[str, Any]) -> bytes:
    """The bytes of an object vector."""
    if "bytes" in case:
        return bytes.fromhex(case["bytes"])
    data = shard_object(case["content"], case["n"], case["shard"])
    assert hashlib.sha256(data).hexdigest() == case["sha256"]
    return data


def object_case(name: str, size: int, n: int, shard: int) -> dict[str, Any]:
    data = shard_object(size, n, shard)
    case: dict[str, Any] = {
        "name": name, "blob": encode(content(size), n).blob_id_text, "content": size, "n": n,
        "shard": shard, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
    if 2 * len(data) <= MOST_HEX:
        case["bytes"] = data.hex()
    return case


def object_vectors() -> dict[str, Any]:
    accept = [
        object_case("an empty blob", 0, 10, 0),
        object_case("one byte", 1, 10, 9),
        object_case("four shards", 50, 4, 2),
        object_case("symbols of more than 64 bytes", 1900, 10, 5),
        object_case("the count of hashes in one byte", 10, 127, 100),
        object_case("the count of hashes in two bytes", 10, 128, 127),
    ]
    right = shard_object(50, 10, 3)
    start = prefix_size(10)
    blob = encode(content(50), 10).blob_id_text

    def case(
        name: str, reason: str, data: bytes, shard: int = 3, blob: str = blob
    ) -> dict[str, Any]:
        return {
            "name": name, "reason": reason, "blob": blob, "n": 10, "shard": shard,
            "bytes": data.hex(),
        }  # fmt: skip

    def changed(place: int, value: int) -> bytes:
        return right[:place] + bytes([value]) + right[place + 1 :]

    swapped = right[:start] + right[start + 14 :] + right[start : start + 14]
    empty_hash = right[: start - 66] + b"\x00" + right[start - 65 :]
    return {
        "accept": accept,
        "reject": [
            case("no bytes", "there is no header", b""),
            case("half a header", "a header has 13 bytes", right[:12]),
            case("version 0", "the version is 1", changed(0, 0)),
            case("version 2", "the version is 1", changed(0, 2)),
            case("eleven shards", "the set has ten", changed(1, 11)),
            case("three shards", "no blob has fewer than four", changed(1, 3)),
            case("shard 10", "shards go from 0 to 9", changed(3, 10)),
            case("shard 4 told", "shard 3 was asked for", changed(3, 4)),
            case("another shard's object", "it is of shard 4", shard_object(50, 10, 4)),
            case("another blob's object", "it is of another blob", shard_object(51, 10, 3)),
            case("another size", "the metadata tell another", changed(5, 51)),
            case("a size that no blob has", "ten shards hold 1,834,952 bytes", changed(11, 1)),
            case("another blob ID", "the metadata hash to another ID", changed(13, right[13] ^ 1)),
            case("RaptorQ", "encoding 0 is retired", changed(46, 0)),
            case("nine hashes told", "there are ten pairs", changed(55, 9)),
            case("an empty hash", "the metadata hash to another ID", empty_hash),
            case("ends in the metadata", "it is cut short", right[: start - 1]),
            case("ends in the primary sliver", "it is cut short", right[: start + 3]),
            case("ends in the secondary sliver", "it is cut short", right[:-1]),
            case("a byte more", "an object has exactly its size", right + b"\0"),
            case("a flipped primary bit", "its hash is another", changed(start, right[start] ^ 1)),
            case(
                "a flipped secondary bit",
                "its hash is another",
                changed(len(right) - 1, right[-1] ^ 128),
            ),
            case("slivers swapped", "their hashes are others", swapped),
        ],
    }  # fmt: skip


def text_vectors(accept: list[Any], reject: list[Any]) -> dict[str, Any]:
    return {
        "accept": [{"name": name, "bytes": data.hex()} for name, data in accept],
        "reject": [
            {"name": n, "reason": reason, "bytes": data.hex()} for n, reason, data in reject
        ],
    }


def layout_vectors() -> dict[str, Any]:
    places = [Place("disk", "file:///mnt/disk"), Place("home", "file:///home/me/v"),
              Place("bucket", "s3://mine/vault")]  # fmt: skip
    first = plan(10, places, set_id=SET_ID)
    second = plan(10, [*places, Place("nas", "file:///mnt/nas")], first)
    data = encode_layout(first)
    reject = [
        ("no bytes", "nothing is told", b""),
        ("a list", "a layout is an object", b"[]"),
        ("a space", "there is one form", data.replace(b":1,", b": 1,", 1)),
        ("a line end", "there is one form", data + b"\n"),
        ("an unknown field", "fields are known or the format is another", data[:-1] + b',"z":0}'),
        ("format 2", "it is not known", data.replace(b'"format":1', b'"format":2')),
        ("generation 0", "the first is 1", data.replace(b'"generation":1', b'"generation":0')),
        ("three shards", "four is the least", data.replace(b'"n_shards":10', b'"n_shards":3')),
        ("a shard nowhere", "each is on one volume", data.replace(b",9]", b"]", 1)),
        ("a shard twice", "each is on one volume", data.replace(b"[0,", b"[0,1,", 1)),
        ("shards out of order", "they ascend", data.replace(b"[0,3,6,9]", b"[0,6,3,9]", 1)),
        ("a volume twice", "each is named once", data.replace(b'"id":"disk"', b'"id":"home"')),
        ("an ID in capitals", "lower case", data.replace(b'"disk"', b'"DISK"')),
        ("no URL", "a volume has a place", data.replace(b"file:///mnt/disk", b"")),
        ("a URL twice", "two volumes are two places",
         data.replace(b"file:///mnt/disk", b"file:///home/me/v")),
        ("a short set ID", "it has 32 digits", data.replace(SET_ID.encode(), SET_ID[1:].encode())),
    ]  # fmt: skip
    return text_vectors(
        [("three volumes", data), ("a fourth added", encode_layout(second))], reject
    )


def marker_vectors() -> dict[str, Any]:
    data = encode_marker(Marker(1, SET_ID, "disk", 1))
    reject = [
        ("no bytes", "nothing is told", b""),
        ("half of it", "it is cut short", data[:20]),
        ("a byte more", "there is one form", data + b" "),
        ("format 2", "it is not known", data.replace(b'"format":1', b'"format":2')),
        ("no volume", "every field is told", data.replace(b',"volume":"disk"', b"")),
        ("an unknown field", "fields are known or the format is another", data[:-1] + b',"z":0}'),
        ("fields in another order", "there is one form",
         b'{"set_id":"%s","format":1,"generation":1,"volume":"disk"}' % SET_ID.encode()),
        ("longer than any", "1,024 bytes are the most", data.replace(b"disk", b"d" * 1024)),
    ]  # fmt: skip
    newer = encode_marker(Marker(1, SET_ID, "disk", 7))
    return text_vectors([("generation 1", data), ("generation 7", newer)], reject)


def head_vectors() -> dict[str, Any]:
    low, high = Ballot(1, 7, b"publish1"), Ballot(1, 8, b"publish2")
    data = encode_state(HeadState(high, low, b"a head"))
    far = b"\x00\x00\x00\x01" + b"\x80" + bytes(7) + b"publish1"
    accept = [
        ("nothing accepted, nothing promised", encode_state(HeadState())),
        ("a promise alone", encode_state(HeadState(low))),
        ("accepted under the ballot promised", encode_state(HeadState(low, low, b"a head"))),
        ("accepted before a later promise", data),
        ("an empty head", encode_state(HeadState(low, low, b""))),
    ]
    reject = [
        ("no bytes", "41 bytes are the least", b""),
        ("40 bytes", "41 bytes are the least", data[:40]),
        ("version 0", "the version is 1", b"\0" + data[1:]),
        ("version 2", "the version is 1", b"\2" + data[1:]),
        ("accepted above the promise", "a volume accepts what it promised",
         data[:1] + data[21:41] + data[1:21] + data[41:]),
        ("bytes that were not accepted", "they have a ballot",
         encode_state(HeadState(low, NO_BALLOT, b"")) + b"a head"),
        ("a number of 2^63", "no honest counter gets there", b"\1" + far + bytes(20)),
    ]  # fmt: skip
    return text_vectors(accept, reject)


def name_vectors() -> dict[str, Any]:
    blob = encode(content(50), 10).blob_id_text
    right = shard_name(blob, 7)
    folder, digits = right.split("/")[1:3]
    reject = [
        ("shard 10 of ten", "shards go from 0 to 9", f"blobs/{folder}/{digits}/10"),
        ("07", "numbers are written as short as can be", f"blobs/{folder}/{digits}/07"),
        ("capitals", "lower case", f"blobs/{folder}/{digits.upper()}/7"),
        ("another folder", "it is the first two digits", f"blobs/00/{digits}/7"),
        ("a digit less", "there are 64", f"blobs/{folder}/{digits[:-1]}/7"),
        ("no shard", "there is a shard", f"blobs/{folder}/{digits}"),
        ("something behind", "nothing follows", f"{right}/0"),
        ("a head", "it is no shard object", f"heads/{digits}"),
    ]
    return {
        "accept": [
            {"name": "shard 7 of ten", "n": 10, "text": right, "blob": blob, "shard": 7},
            {"name": "shard 999", "n": 1000, "text": shard_name(blob, 999), "blob": blob,
             "shard": 999},
        ],
        "reject": [{"name": n, "reason": r, "n": 10, "text": text} for n, r, text in reject],
    }  # fmt: skip


MAKERS: dict[str, Callable[[], dict[str, Any]]] = {
    "object": object_vectors,
    "layout": layout_vectors,
    "marker": marker_vectors,
    "head": head_vectors,
    "name": name_vectors,
}


def text() -> str:
    """The file's text as this program makes it."""
    made = {name: make() for name, make in MAKERS.items()}
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write or compare the file; return the exit status."""
    if arguments == ["--check"]:
        if PATH.exists() and PATH.read_text("utf-8") == text():
            return 0
        sys.stdout.write("volume.json is not what this program makes\n")
        return 1
    PATH.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
