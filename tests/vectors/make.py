"""Makes the vectors of docs/spec: the same bytes on every run.

    python tests/vectors/make.py            write the files named in MAKERS anew
    python tests/vectors/make.py --check    tell whether they are what this program makes

All randomness comes from `stream`, but for the HPKE wraps: the library draws theirs itself, so
they were made once and are kept in `wraps.json`. A vector that changes is a format that
changed: that takes a new version number, and never an edit here alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from haulout.crypto.envelope import EnvelopeContext, seal
from haulout.crypto.keyfile import encode_keyfile
from haulout.crypto.keys import DeviceKeys, SymmetricKey, derive, mac, wrap_to
from haulout.crypto.kit import RecoveryKit
from haulout.crypto.section import Kind, padded, room, seal_section
from haulout.log.chain import sign
from haulout.log.head import Head, Ref, Run, Standing, Tip, digest, head_name, seal_head
from haulout.log.keychain import Keychain, device_payload, record_context
from haulout.log.locator import Locator, WalrusPlace, encode
from haulout.log.memory import checked_content
from haulout.log.record import (
    GENESIS,
    NO_NAMESPACE,
    Header,
    Lane,
    RecordType,
    canonical,
    encode_header,
    id_text,
    payload_hash,
    record_hash,
)
from haulout.log.segment import (
    Carried,
    encode_keys,
    encode_segment,
    encode_vectors,
    seal_codes,
)

HERE = Path(__file__).parent
NOON = 1_750_000_000_000_000  # microseconds; 2025-06-15 15:06:40 UTC
PASSPHRASE = "walruses haul out"


def stream(seed: str) -> Callable[[int], bytes]:
    """Bytes that look random and are the same each time: SHAKE-256 of a seed and a counter."""
    drawn = 0

    def entropy(count: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(f"haulout vectors/{seed}/{drawn}".encode()).digest(count)

    return entropy


def fixed(name: str, count: int = 16) -> bytes:
    """The one value of a name."""
    return stream(name)(count)


KIT = RecoveryKit(fixed("kit", 32))
DEVICE = DeviceKeys(fixed("device", 32))
OTHER_DEVICE = DeviceKeys(fixed("other device", 32))
VAULT = KIT.vault_id
USER_KEY = fixed("user key", 32)
SECOND_USER_KEY = fixed("second user key", 32)
BACKUP_KEY = fixed("backup key", 32)


def user_context(vault: bytes, generation: int) -> bytes:
    return b"haulout/1/user-key\0" + vault + generation.to_bytes(4, "big")


def make_wraps() -> dict[str, str]:
    """New wraps for `wraps.json`, should the form of wraps ever change."""
    context = user_context(VAULT, 1)
    wraps = {
        "user key to device": wrap_to(DEVICE.agreement.public, USER_KEY, context),
        "user key to kit": wrap_to(KIT.recovery.public, USER_KEY, context),
        "backup key to kit": wrap_to(
            KIT.recovery.public, BACKUP_KEY, b"haulout/1/backup\0" + VAULT
        ),
        "user key to kit, again": wrap_to(KIT.recovery.public, USER_KEY, context),
        "second user key to kit": wrap_to(
            KIT.recovery.public, SECOND_USER_KEY, user_context(VAULT, 2)
        ),
    }
    return {name: wrap.hex() for name, wrap in wraps.items()}


def wraps() -> dict[str, bytes]:
    return {n: bytes.fromhex(w) for n, w in json.loads((HERE / "wraps.json").read_text()).items()}


def hexed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v.hex() if isinstance(v, bytes) else v for n, v in values.items()}


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def header(**changed: Any) -> Header:
    fields: dict[str, Any] = {
        "vault": VAULT,
        "lane": int(Lane.MEMORY),
        "device": DEVICE.id,
        "sequence": 1,
        "previous": GENESIS,
        "id": fixed("record id"),
        "clock": NOON,
        "type": int(RecordType.MEMORY),
        "namespace": fixed("namespace id"),
        "epoch": 1,
        "operation": b"",
        "payload_hash": payload_hash(b"payload"),
    }
    return Header(**(fields | changed))


# ---------------------------------------------------------------------- record


def _accepted_header(name: str, given: Header) -> dict[str, Any]:
    data = encode_header(given)
    return {
        "name": name,
        "header": hexed(given._asdict()),
        "bytes": data.hex(),
        "hash": record_hash(data).hex(),
    }


def _rejected_headers() -> list[dict[str, Any]]:
    good = header()
    data = encode_header(good)
    values = [1, *good]

    def with_value(place: int, value: object) -> bytes:
        return canonical([*values[:place], value, *values[place + 1 :]])

    def case(name: str, reason: str, data: bytes, error: str = "damaged") -> dict[str, Any]:
        return {"name": name, "reason": reason, "error": error, "bytes": data.hex()}

    long_one = data.replace(bytes([0x8D, 0x01]), bytes([0x8D, 0x18, 0x01]), 1)
    return [
        case("nothing", "there is no value", b""),
        case("cut short", "the last field is incomplete", data[:-1]),
        case("a byte too many", "bytes follow the array", data + b"\0"),
        case("not an array", "the outermost value is a map", canonical({"v": 1})),
        case("an empty array", "the version is missing", canonical([])),
        case("a later version", "version 2 is not known", with_value(0, 2), "version"),
        case("version zero", "there never was a version 0", with_value(0, 0)),
        case("version as text", "the version is an integer", with_value(0, "1")),
        case("version true", "true is not 1", with_value(0, True)),  # noqa: FBT003
        case("twelve fields", "a field is missing", canonical(values[:-1])),
        case("fourteen fields", "a field is too many", canonical([*values, 0])),
        case("a short vault ID", "it has 15 bytes", with_value(1, bytes(15))),
        case("a vault ID of text", "IDs are byte strings", with_value(1, "a" * 16)),
        case("a negative lane", "numbers are not negative", with_value(2, -1)),
        case("a short device ID", "it has 15 bytes", with_value(3, bytes(15))),
        case("a sequence of text", "it is an integer", with_value(4, "1")),
        case("a sequence of 2^63", "numbers are below 2^63", with_value(4, 2**63)),
        case("a long previous hash", "it has 33 bytes", with_value(5, bytes(33))),
        case("a long record ID", "it has 17 bytes", with_value(6, bytes(17))),
        case("a clock with a fraction", "there are no floats", with_value(7, 1.5)),
        case("a clock of null", "it is an integer", with_value(7, None)),
        case("type 65536", "a type has 16 bits", with_value(8, 2**16)),
        case("a type that is false", "false is not 0", with_value(8, False)),  # noqa: FBT003
        case("an empty namespace ID", "it has 16 bytes always", with_value(9, b"")),
        case("epoch 2^32", "an epoch has 32 bits", with_value(10, 2**32)),
        case("a short operation MAC", "it has 16 bytes or none", with_value(11, bytes(8))),
        case("a short payload hash", "it has 31 bytes", with_value(12, bytes(31))),
        case("a long spelling of 1", "integers are written as short as can be", long_one),
        case(
            "an array without length",
            "lengths are definite",
            b"\x9f" + data[1:] + b"\xff",
        ),
        case(
            "a tagged number",
            "there are no tags",
            data[:1] + b"\xc1" + data[1:],
        ),
    ]


def _accepted_payloads() -> list[dict[str, Any]]:
    everything = checked_content(
        "Ana is allergic to walnuts.",
        kind="fact",
        speaker="Ana",
        session="s-1",
        occurred_at="2025-06-15T12:00:00+02:00",
        valid_from="2020-01-01T00:00:00Z",
        valid_until="2030-01-01T00:00:00.000001Z",
        tags=["health", "food"],
        metadata={"price": 1.5, "a": {"é": None}},
        source="chat.json",
        vector=[0.5, -1.0],
    )
    plain = checked_content("hello")
    target = fixed("target")
    return [
        {"name": "a memory of words alone", "type": "memory", "bytes": plain.payload().hex()},
        {"name": "a memory with everything", "type": "memory", "bytes": everything.payload().hex()},
        {
            "name": "an update of the text",
            "type": "update",
            "bytes": plain.payload(of=target, changes=["text"]).hex(),
        },
        {
            "name": "a forget",
            "type": "forget",
            "bytes": canonical({"targets": [target], "level": "destroyed"}).hex(),
        },
        {
            "name": "a forget by filter, repeatable",
            "type": "forget",
            "bytes": canonical(
                {"targets": [target], "level": "hidden", "request": fixed("request mac")}
            ).hex(),
        },
    ]


def _rejected_payloads() -> list[dict[str, Any]]:
    def case(name: str, reason: str, data: bytes) -> dict[str, Any]:
        return {"name": name, "reason": reason, "bytes": data.hex()}

    def fields(**given: Any) -> bytes:
        return canonical({"text": "hello"} | given)

    return [
        case("nothing", "there is no value", b""),
        case("cut short", "the text is incomplete", fields()[:-1]),
        case("a number", "a payload is a map", canonical(5)),
        case("a list", "a payload is a map", canonical(["hello"])),
        case("no text", "every memory has one", canonical({"kind": "fact"})),
        case("a text of bytes", "texts are text strings", fields(text=b"hello")),
        case("a text of null", "what is missing is left out", fields(text=None)),
        case("tags of one text", "tags are an array", fields(tags="health")),
        case("a tag of bytes", "tags are text strings", fields(tags=[b"x"])),
        case("a time with a fraction", "times are integers", fields(occurred_at=1.5)),
        case("metadata as a map", "metadata is JSON text", fields(metadata={"a": 1})),
        case("a vector of numbers", "a vector is a byte string", fields(vector=[1, 2])),
    ]


def record_vectors() -> dict[str, Any]:
    unsealed = {"namespace": NO_NAMESPACE, "epoch": 0, "type": int(RecordType.DEVICE)}
    largest = {"sequence": 2**63 - 1, "clock": 2**63 - 1, "lane": 3, "epoch": 2**32 - 1}
    ids = [bytes(16), b"\xff" * 16, fixed("record id")]
    return {
        "spec": "docs/spec/record.md",
        "header": {
            "accept": [
                _accepted_header("the first record of a chain, sealed", header()),
                _accepted_header("one that is not sealed", header(**unsealed)),
                _accepted_header("one with an operation ID", header(operation=fixed("mac"))),
                _accepted_header("one of an unknown type", header(type=2**16 - 1)),
                _accepted_header("the largest numbers", header(**largest)),
            ],
            "reject": _rejected_headers(),
        },
        "payload": {"accept": _accepted_payloads(), "reject": _rejected_payloads()},
        "id": {
            "accept": [{"id": one.hex(), "text": id_text(one)} for one in ids],
            "reject": [
                {"text": id_text(ids[2]).upper(), "reason": "letters are lower case"},
                {"text": id_text(ids[2])[:-1], "reason": "25 characters"},
                {"text": "0" * 25 + "1", "reason": "the last two bits are zero"},
                {"text": "w" * 26, "reason": "w to z are not in the alphabet"},
                {"text": id_text(ids[2]) + "======", "reason": "no padding is written"},
                {"text": "", "reason": "nothing"},
            ],
        },
    }


# ---------------------------------------------------------------------- chain


def _link(given: Header, payload: bytes | None, key: DeviceKeys = DEVICE) -> dict[str, Any]:
    data = encode_header(given)
    return {
        "header": data.hex(),
        "signature": sign(data, key.signing).hex(),
        "payload": None if payload is None else payload.hex(),
    }


def _headers(count: int = 3) -> list[Header]:
    made: list[Header] = []
    previous = GENESIS
    for number in range(1, count + 1):
        one = header(
            sequence=number,
            previous=previous,
            id=fixed(f"record {number}"),
            clock=NOON + number,
            payload_hash=payload_hash(b"payload %d" % number),
        )
        made.append(one)
        previous = record_hash(encode_header(one))
    return made


def chain_vectors() -> dict[str, Any]:
    first, second, third = _headers()
    payloads = [b"payload 1", b"payload 2", b"payload 3"]
    links = [_link(one, p) for one, p in zip((first, second, third), payloads, strict=True)]
    tips = [
        {"sequence": h.sequence, "hash": record_hash(encode_header(h)).hex(), "clock": h.clock}
        for h in (first, second, third)
    ]

    def case(name: str, reason: str, records: list[dict[str, Any]], at: int) -> dict[str, Any]:
        return {"name": name, "reason": reason, "fails_at": at, "records": records}

    def second_with(**changed: Any) -> dict[str, Any]:
        return _link(second._replace(**changed), payloads[1])

    unsigned = links[1] | {"signature": flipped(bytes.fromhex(links[1]["signature"]), 0).hex()}
    return {
        "spec": "docs/spec/chain.md",
        "device": DEVICE.signing.public.hex(),
        "accept": [
            {"name": "three records", "records": links, "tips": tips},
            {
                "name": "the second one's payload erased",
                "records": [links[0], links[1] | {"payload": None}, links[2]],
                "tips": tips,
            },
        ],
        "reject": [
            case("one is missing", "sequence 3 follows 1", [links[0], links[2]], 1),
            case("the first is missing", "a chain begins at 1", links[1:], 0),
            case("one comes twice", "sequence 1 follows 1", [links[0], links[0]], 1),
            case("two are swapped", "sequence 3 follows 1", [links[0], links[2], links[1]], 1),
            case(
                "another past",
                "the previous hash is not that of record 1",
                [links[0], second_with(previous=bytes(32))],
                1,
            ),
            case(
                "the clock stands still",
                "the clock grows strictly",
                [links[0], second_with(clock=first.clock)],
                1,
            ),
            case(
                "the clock goes back",
                "the clock grows strictly",
                [links[0], second_with(clock=first.clock - 1)],
                1,
            ),
            case(
                "another payload",
                "its hash is not the one in the header",
                [links[0], links[1] | {"payload": b"payload x".hex()}],
                1,
            ),
            case(
                "an empty payload is not an erased one",
                "the hash of no bytes is not the one in the header",
                [links[0], links[1] | {"payload": ""}],
                1,
            ),
            case("a flipped signature", "it does not verify", [links[0], unsigned], 1),
            case(
                "another device's signature",
                "it does not verify under this device's key",
                [links[0], _link(second, payloads[1], OTHER_DEVICE)],
                1,
            ),
            case(
                "a signature without its domain",
                "what is signed begins with the domain",
                [
                    links[0],
                    links[1]
                    | {"signature": DEVICE.signing.sign(record_hash(encode_header(second))).hex()},
                ],
                1,
            ),
        ],
        "clock": [
            {"newest": 0, "now": NOON, "next": NOON},
            {"newest": NOON, "now": NOON, "next": NOON + 1},
            {"newest": NOON + 5, "now": NOON, "next": NOON + 6},
            {"newest": NOON, "now": NOON + 1, "next": NOON + 1},
        ],
    }


# ---------------------------------------------------------------------- envelope


def envelope_vectors() -> dict[str, Any]:
    key = fixed("record key", 32)
    context = EnvelopeContext(
        vault=VAULT,
        namespace=fixed("namespace id"),
        epoch=1,
        record=fixed("record id"),
        type=int(RecordType.MEMORY),
        writer=DEVICE.id,
    )

    def accepted(name: str, payload: bytes, given: EnvelopeContext) -> dict[str, Any]:
        return {
            "name": name,
            "key": key.hex(),
            "context": hexed(given._asdict()),
            "aad": given.encode().hex(),
            "payload": payload.hex(),
            "envelope": seal(key, payload, given).hex(),
        }

    payload = b"Ana is allergic to walnuts."
    sealed = seal(key, payload, context)

    def rejected(name: str, reason: str, error: str = "damaged", **changed: Any) -> dict[str, Any]:
        place = {n: v for n, v in changed.items() if n in EnvelopeContext._fields}
        return {
            "name": name,
            "reason": reason,
            "error": error,
            "key": changed.get("key", key).hex(),
            "context": hexed(context._replace(**place)._asdict()),
            "envelope": changed.get("envelope", sealed).hex(),
        }

    return {
        "spec": "docs/spec/envelope.md",
        "accept": [
            accepted("a memory", payload, context),
            accepted("no bytes at all", b"", context),
            accepted(
                "the largest numbers", payload, context._replace(epoch=2**32 - 1, type=2**16 - 1)
            ),
        ],
        "reject": [
            rejected("nothing", "there is no version and no tag", envelope=b""),
            rejected("cut short", "fewer than 17 bytes", envelope=sealed[:16]),
            rejected("version 0", "it is not known", "version", envelope=b"\0" + sealed[1:]),
            rejected("version 2", "it is not known", "version", envelope=b"\2" + sealed[1:]),
            rejected("a changed letter", "the tag does not match", envelope=flipped(sealed, 1)),
            rejected("a changed tag", "the tag does not match", envelope=flipped(sealed, -1)),
            rejected("a lost byte", "the tag does not match", envelope=sealed[:-1]),
            rejected("a byte too many", "the tag does not match", envelope=sealed + b"\0"),
            rejected("another key", "the tag does not match", key=fixed("another key", 32)),
            rejected("another vault", "it is bound to its vault", vault=fixed("x")),
            rejected("another namespace", "it is bound to its namespace", namespace=fixed("x")),
            rejected("another epoch", "it is bound to its epoch", epoch=2),
            rejected("another record", "it is bound to its record", record=fixed("x")),
            rejected("another type", "it is bound to its type", type=2),
            rejected("another writer", "it is bound to its writer", writer=OTHER_DEVICE.id),
            rejected(
                "its plaintext",
                "there is no plaintext form",
                envelope=b"\1" + payload,
            ),
        ],
    }


# ---------------------------------------------------------------------- keys


def _words() -> dict[str, Any]:
    words = KIT.words.split()
    zeros = RecoveryKit(bytes(32))
    swapped = [words[1], words[0], *words[2:]]

    def kit(given: RecoveryKit) -> dict[str, Any]:
        return {
            "secret": given._secret.hex(),
            "words": given.words,
            "root": given.root.public.hex(),
            "vault": given.vault_id.hex(),
            "recovery": given.recovery.public.hex(),
        }

    def case(name: str, reason: str, given: list[str]) -> dict[str, Any]:
        return {"name": name, "reason": reason, "words": " ".join(given)}

    return {
        "accept": [kit(KIT), kit(zeros)],
        "reject": [
            case("nothing", "no words", []),
            case("23 words", "one is missing", words[:-1]),
            case("25 words", "one is too many", [*words, words[0]]),
            case("two words swapped", "the checksum does not match", swapped),
            case("a word that is none", "it is not in the list", [*words[:-1], "walrus"]),
            case("12 words of a smaller kit", "a kit has 24", ["abandon"] * 11 + ["about"]),
        ],
    }


def _devices() -> dict[str, Any]:
    payload = device_payload(VAULT, KIT.root, DEVICE)
    stranger = RecoveryKit(fixed("stranger", 32))
    public = DEVICE.signing.public + DEVICE.agreement.public
    fields = {
        "root": KIT.root.public,
        "signing": DEVICE.signing.public,
        "agreement": DEVICE.agreement.public,
        "signature": KIT.root.sign(b"haulout/1/device\0" + VAULT + public),
    }
    assert canonical(fields) == payload

    def case(name: str, reason: str, **changed: Any) -> dict[str, Any]:
        return {"name": name, "reason": reason, "bytes": canonical(fields | changed).hex()}

    return {
        "accept": [
            {
                "secret": DEVICE.secret.hex(),
                "vault": VAULT.hex(),
                "signing": DEVICE.signing.public.hex(),
                "agreement": DEVICE.agreement.public.hex(),
                "database": DEVICE.database.hex(),
                "id": DEVICE.id.hex(),
                "bytes": payload.hex(),
            }
        ],
        "reject": [
            case(
                "another root",
                "the vault's ID is not that root's",
                root=stranger.root.public,
                signature=stranger.root.sign(b"haulout/1/device\0" + VAULT + public),
            ),
            case(
                "another signing key",
                "the root did not sign it",
                signing=OTHER_DEVICE.signing.public,
            ),
            case(
                "another agreement key",
                "the root did not sign it",
                agreement=OTHER_DEVICE.agreement.public,
            ),
            case(
                "a signature for another vault",
                "the vault's ID is signed with the keys",
                signature=KIT.root.sign(b"haulout/1/device\0" + stranger.vault_id + public),
            ),
            case(
                "a signature without its domain",
                "what is signed begins with the domain",
                signature=KIT.root.sign(VAULT + public),
            ),
        ],
    }


def _user_keys(made: Mapping[str, bytes]) -> dict[str, Any]:
    context = user_context(VAULT, 1)
    to_device, to_kit = made["user key to device"], made["user key to kit"]
    payload = canonical(
        {
            "user": 1,
            "wraps": {DEVICE.id: to_device, b"kit": to_kit},
            "kit": KIT.recovery.public,
        }
    )
    device = {"holder": "device", "secret": DEVICE.secret.hex()}

    def case(name: str, reason: str, wrap: bytes, given: bytes) -> dict[str, Any]:
        return device | {"name": name, "reason": reason, "wrap": wrap.hex(), "context": given.hex()}

    return {
        "payload": payload.hex(),
        "accept": [
            device | {"wrap": to_device.hex(), "context": context.hex(), "opened": USER_KEY.hex()},
            {
                "holder": "kit",
                "secret": KIT._secret.hex(),
                "wrap": to_kit.hex(),
                "context": context.hex(),
                "opened": USER_KEY.hex(),
            },
            {
                "holder": "kit",
                "secret": KIT._secret.hex(),
                "wrap": made["backup key to kit"].hex(),
                "context": (b"haulout/1/backup\0" + VAULT).hex(),
                "opened": BACKUP_KEY.hex(),
            },
        ],
        "reject": [
            case("the kit's wrap", "it is for another key", to_kit, context),
            case("another generation", "bound to it", to_device, user_context(VAULT, 2)),
            case("another vault", "bound to it", to_device, user_context(bytes(16), 1)),
            case("a changed ML-KEM part", "it does not open", flipped(to_device, 0), context),
            case("a changed X25519 part", "it does not open", flipped(to_device, 1100), context),
            case("a changed tag", "it does not open", flipped(to_device, -1), context),
            case("cut short", "it does not open", to_device[:-1], context),
            case("nothing", "it does not open", b"", context),
        ],
    }


def _namespace_keys(made: Mapping[str, bytes]) -> dict[str, Any]:
    chain = Keychain(VAULT, DEVICE.id, DEVICE.agreement)
    user = canonical(
        {
            "user": 1,
            "wraps": {DEVICE.id: made["user key to device"]},
            "kit": KIT.recovery.public,
        }
    )
    chain.learn(1, header(type=int(RecordType.KEY_EPOCH)), user)
    payload = chain.new_namespace_payload("work/acme", stream("namespace"))
    key = chain.read_namespace_key(payload)
    record_key = fixed("record key", 32)

    def bound_to(**changed: Any) -> bytes:
        place = {"vault": VAULT, "namespace": key.id, "epoch": 1, "record": fixed("record id")}
        return record_context(**(place | changed))

    bound = bound_to()
    wrap = key.key.wrap(record_key, bound, stream("record wrap"))

    def case(name: str, reason: str, given: bytes, context: bytes) -> dict[str, Any]:
        return {"name": name, "reason": reason, "wrap": given.hex(), "context": context.hex()}

    return {
        "user_key": USER_KEY.hex(),
        "payload": payload.hex(),
        "namespace": key.id.hex(),
        "name": key.name,
        "key": key.key.secret.hex(),
        "record_key": {
            "accept": [{"wrap": wrap.hex(), "context": bound.hex(), "opened": record_key.hex()}],
            "reject": [
                case("another record", "bound to it", wrap, bound_to(record=fixed("x"))),
                case("another epoch", "bound to it", wrap, bound_to(epoch=2)),
                case("another namespace", "bound to it", wrap, bound_to(namespace=fixed("x"))),
                case("another vault", "bound to it", wrap, bound_to(vault=fixed("x"))),
                case("a changed nonce", "the tag does not match", flipped(wrap, 0), bound),
                case("a changed key", "the tag does not match", flipped(wrap, 12), bound),
                case("cut short", "the tag does not match", wrap[:-1], bound),
                case("nothing", "there is no nonce", b"", bound),
            ],
        },
    }


def _operations() -> dict[str, Any]:
    user = SymmetricKey(USER_KEY)
    names = ["order-42", "é", "x" * 255]
    request = b'{"filter": {"kind": "fact"}, "namespace": null}'
    return {
        "user_key": USER_KEY.hex(),
        "operation_ids": [
            {"op_id": name, "mac": mac(user.operations, name.encode()).hex()} for name in names
        ],
        "requests": [
            {
                "request": request.decode(),
                "mac": mac(user.requests, request).hex(),
            }
        ],
    }


def _keyfiles() -> dict[str, Any]:
    plain = encode_keyfile(DEVICE.secret, VAULT, passphrase=None, entropy=stream("key file"))
    locked = encode_keyfile(DEVICE.secret, VAULT, passphrase=PASSPHRASE, entropy=stream("key file"))
    magic = b"haulout device key\n"

    def sealed_with(**changed: Any) -> bytes:
        body = canonical({"v": 1, "vault": VAULT, "protection": "file", "secret": b""} | changed)
        return magic + hashlib.sha256(body).digest() + body

    def accept(name: str, data: bytes, passphrase: str | None) -> dict[str, Any]:
        return {
            "name": name,
            "bytes": data.hex(),
            "passphrase": passphrase,
            "secret": DEVICE.secret.hex(),
            "vault": VAULT.hex(),
        }

    def case(
        name: str, reason: str, data: bytes, error: str = "damaged", passphrase: str | None = None
    ) -> dict[str, Any]:
        return {
            "name": name,
            "reason": reason,
            "error": error,
            "bytes": data.hex(),
            "passphrase": passphrase,
        }

    greedy = {"protection": "passphrase", "salt": bytes(16), "t": 3, "sealed": bytes(48)}
    return {
        "accept": [
            accept("plain", plain, None),
            accept("a passphrase for a plain one is not used", plain, PASSPHRASE),
            accept("under a passphrase", locked, PASSPHRASE),
        ],
        "reject": [
            case("nothing", "no magic", b""),
            case("another magic", "it is no key file", b"H" + plain[1:]),
            case("a changed digest", "it does not match", flipped(plain, len(magic))),
            case("a changed body", "the digest does not match", flipped(plain, -1)),
            case("cut short", "the digest does not match", plain[:-1]),
            case("version 2", "it is not known", sealed_with(v=2), "version"),
            case("an unknown protection", "it is not known", sealed_with(protection="ring")),
            case("a secret of 16 bytes", "it has 32", sealed_with(secret=bytes(16))),
            case("no secret", "a field is missing", sealed_with(secret=None)),
            case("no passphrase", "one is needed", locked, "locked"),
            case("a wrong passphrase", "it does not open", locked, "locked", "walruses haul in"),
            case(
                "more memory than 1 GiB",
                "nobody's key file asks for that",
                sealed_with(m=2**21, **greedy),
                "damaged",
                PASSPHRASE,
            ),
            case(
                "more passes than 64",
                "nobody's key file asks for that",
                sealed_with(m=65536, **(greedy | {"t": 65})),
                "damaged",
                PASSPHRASE,
            ),
        ],
    }


def keys_vectors() -> dict[str, Any]:
    made = wraps()
    secret = fixed("a secret", 32)
    labels = ["owner-root", "recovery", "device-signing", "device-agreement", "database-pages"]
    labels += ["agreement", "wrap", "operation-ids", "requests"]
    return {
        "spec": "docs/spec/keys.md",
        "derive": {
            "secret": secret.hex(),
            "labels": {
                label: derive(secret, label, 96 if label == "agreement" else 32).hex()
                for label in labels
            },
        },
        "kit": _words(),
        "device": _devices(),
        "user_key": _user_keys(made),
        "namespace_key": _namespace_keys(made),
        "operation": _operations(),
        "key_file": _keyfiles(),
    }


# ---------------------------------------------------------------------- section


def _case(name: str, reason: str, error: str = "damaged", **fields: Any) -> dict[str, Any]:
    return {"name": name, "reason": reason, "error": error, **hexed(fields)}


def _raw_section(
    body: bytes,
    kind: int = int(Kind.SEGMENT),
    secret: bytes = USER_KEY,
    vault: bytes = VAULT,
    start: bytes = b"\1\0\0\0\1",
) -> bytes:
    """A section around any body, padded well or not."""
    salt = fixed("raw salt")
    key = derive(secret, f"section/{kind}/{salt.hex()}")
    aad = b"haulout/1/section\0" + start + salt + vault + bytes([kind])
    return start + salt + ChaCha20Poly1305(key).encrypt(bytes(12), body, aad)


def section_vectors() -> dict[str, Any]:
    secrets = {1: USER_KEY, 2: SECOND_USER_KEY}
    known = {str(generation): secret.hex() for generation, secret in secrets.items()}
    content = b"forty bytes of what a run of records is."

    def accepted(name: str, kind: Kind, content: bytes, newest: int = 1) -> dict[str, Any]:
        given = {n: s for n, s in secrets.items() if n <= newest}
        section = seal_section(given, kind, VAULT, content, stream(f"section {name}"))
        return {
            "name": name,
            "kind": int(kind),
            "vault": VAULT.hex(),
            "secrets": known,
            "content": content.hex(),
            "section": section.hex(),
        }

    good = bytes.fromhex(accepted("any", Kind.SEGMENT, content)["section"])

    def rejected(name: str, reason: str, error: str = "damaged", **changed: Any) -> dict[str, Any]:
        fields = {"kind": int(Kind.SEGMENT), "vault": VAULT, "secrets": known, "section": good}
        return _case(name, reason, error, **(fields | changed))

    def body(length: int, size: int, last: bytes = b"\0") -> bytes:
        whole = length.to_bytes(4, "big") + content
        return whole + bytes(size - 37 - len(whole) - 1) + last

    lengths = [0, 1, 255, 256, 257, 272, 273, 511, 512, 513, 1000, 4096, 65535, 65537, 10**6]
    lengths += [2**20, 2**20 + 1, 2**26 + 1, 2**28]
    return {
        "spec": "docs/spec/pack.md",
        "padded": [[length, padded(length)] for length in lengths],
        "room": [[length, room(length)] for length in lengths if length >= 256],
        "accept": [
            accepted("a segment", Kind.SEGMENT, content),
            accepted("no bytes at all", Kind.KEYS, b""),
            accepted("the most that 256 bytes hold", Kind.HEAD, bytes(215)),
            accepted("one byte more", Kind.VECTORS, bytes(216)),
            accepted("under the second user key", Kind.CHUNK_MAP, content, newest=2),
        ],
        "reject": [
            rejected("nothing", "there is no version", section=b""),
            rejected("cut to 255 bytes", "none is so short", section=good[:255]),
            rejected("version 0", "it is not known", "version", section=b"\0" + good[1:]),
            rejected("version 2", "it is not known", "version", section=b"\2" + good[1:]),
            rejected(
                "an unknown generation",
                "its user key is not known",
                "locked",
                section=good[:1] + b"\0\0\0\3" + good[5:],
            ),
            rejected(
                "another known generation",
                "another key was used",
                section=good[:1] + b"\0\0\0\2" + good[5:],
            ),
            rejected("a changed salt", "it gives another key", section=flipped(good, 5)),
            rejected("a changed byte", "the tag does not match", section=flipped(good, 30)),
            rejected("a changed tag", "the tag does not match", section=flipped(good, -1)),
            rejected("a byte too many", "the tag does not match", section=good + b"\0"),
            rejected("another kind", "it is bound to its kind", kind=int(Kind.KEYS)),
            rejected("another vault", "it is bound to its vault", vault=fixed("x")),
            rejected(
                "another user key",
                "the tag does not match",
                secrets={"1": fixed("x", 32).hex()},
            ),
            rejected(
                "a longer body than needed",
                "40 bytes fit into 256",
                section=_raw_section(body(len(content), 272)),
            ),
            rejected(
                "a shorter body than needed",
                "216 bytes need 272",
                section=_raw_section(body(216, 256)),
            ),
            rejected(
                "a padding that is not zero",
                "something hides there",
                section=_raw_section(body(len(content), 256, b"\1")),
            ),
            rejected(
                "a length of 2^32 - 1",
                "the body ends before it",
                section=_raw_section(body(2**32 - 1, 256)),
            ),
            rejected(
                "its plaintext",
                "there is no plaintext form",
                section=good[:21] + body(len(content), 256) + bytes(16),
            ),
        ],
    }


# ---------------------------------------------------------------------- segment


def _carried(
    name: str, device: DeviceKeys, tips: dict[bytes, tuple[int, bytes]], **changed: Any
) -> Carried:
    """A record that goes on with its device's chain."""
    payload: bytes | None = changed.pop("payload", f"the payload of {name}".encode())
    sequence, previous = tips.get(device.id, (0, GENESIS))
    fields = {
        "device": device.id,
        "sequence": sequence + 1,
        "previous": previous,
        "id": fixed(f"segment record {name}"),
        "clock": NOON + len(tips) + sequence,
        "payload_hash": payload_hash(b"what was erased" if payload is None else payload),
    }
    made = header(**(fields | changed))
    data = encode_header(made)
    tips[device.id] = (sequence + 1, record_hash(data))
    return Carried(made, data, sign(data, device.signing), payload)


def _run_of_records() -> list[Carried]:
    tips = {DEVICE.id: (41, fixed("record 41", 32))}
    other = fixed("second namespace")
    unsealed = {"namespace": NO_NAMESPACE, "epoch": 0, "type": int(RecordType.FORGET)}
    return [
        _carried("one", DEVICE, tips, namespace=other, operation=fixed("operation")),
        _carried("two", OTHER_DEVICE, tips),
        _carried("three", DEVICE, tips, payload=None),
        _carried("four", DEVICE, tips, **unsealed),
        _carried("five", OTHER_DEVICE, tips, payload=b"", namespace=other, epoch=2),
    ]


def _told(records: list[Carried]) -> list[dict[str, Any]]:
    return [
        {
            "header": one.header_bytes.hex(),
            "signature": one.signature.hex(),
            "payload": None if one.payload is None else one.payload.hex(),
        }
        for one in records
    ]


def _segments() -> dict[str, Any]:
    records = _run_of_records()
    single = [_carried("alone", DEVICE, {}, type=2**16 - 1)]
    one, two = ([r.header.device, r.header.sequence, r.header.previous] for r in records[:2])
    spaces = [records[0].header.namespace, records[1].header.namespace]

    def row(record: Carried, device: int, space: int, /, **changed: Any) -> list[Any]:
        h, payload = record.header, changed.get("payload", record.payload)
        values = {
            "device": device,
            "id": h.id,
            "clock": h.clock,
            "type": h.type,
            "space": space,
            "epoch": h.epoch,
            "operation": h.operation,
            "signature": record.signature,
            "payload": payload,
        }
        values |= {n: v for n, v in changed.items() if n in values}
        return [*values.values(), *([h.payload_hash] if payload is None else [])]

    first, second = row(records[0], 0, 1), row(records[1], 1, 2)

    def with_rows(*rows: object) -> bytes:
        return canonical([1, 1, [one, two], spaces, list(rows)])

    def with_first(**changed: Any) -> bytes:
        return with_rows(row(records[0], 0, 1, **changed), second)

    good = with_rows(first, second)
    assert good == encode_segment(1, records[:2])

    def case(name: str, reason: str, content: bytes, error: str = "damaged") -> dict[str, Any]:
        return _case(name, reason, error, content=content)

    return {
        "accept": [
            {
                "name": name,
                "lane": 1,
                "vault": VAULT.hex(),
                "records": _told(given),
                "content": encode_segment(1, given).hex(),
            }
            for name, given in (
                ("two devices, two namespaces, one record erased", records),
                ("one record of an unknown type", single),
            )
        ],
        "reject": [
            case("nothing", "there is no value", b""),
            case("cut short", "the last row is incomplete", good[:-1]),
            case("a byte too many", "bytes follow the array", good + b"\0"),
            case("a map", "the outermost value is an array", canonical({"v": 1})),
            case("a later version", "version 2 is not known", b"\x82\2\xa0", "version"),
            case("version 0", "there never was one", b"\x85\0" + good[2:]),
            case("four elements", "a field is missing", canonical([1, 1, [one], []])),
            case("six elements", "a field is too many", b"\x86" + good[1:] + b"\0"),
            case("a long spelling of 1", "numbers are short", b"\x85\x18\1" + good[2:]),
            case("an array without length", "lengths are definite", b"\x9f" + good[1:] + b"\xff"),
            case("a tag", "there are no tags", b"\x85\1\xc1" + good[2:]),
            case("an array of 2^62", "so many are not there", b"\x9b\x40" + bytes(7)),
            case("bytes of 2^62", "so many are not there", b"\x85\1\1\x5b\x40" + bytes(7)),
            case("nine arrays deep", "none is so deep", b"\x81" * 9 + b"\1"),
            case("a lane of text", "it is a number", b"\x85\1\x611" + good[3:]),
            case("no records", "a run has one at least", canonical([1, 1, [], [], []])),
            case(
                "a device without a record",
                "devices are those of the records",
                canonical([1, 1, [one, two], spaces[:1], [first]]),
            ),
            case(
                "a namespace without a record",
                "namespaces are those of the records",
                canonical([1, 1, [one], spaces, [first]]),
            ),
            case(
                "devices in another order",
                "they come as the records do",
                canonical(
                    [
                        1,
                        1,
                        [two, one],
                        spaces,
                        [row(records[0], 1, 1), row(records[1], 0, 2)],
                    ]
                ),
            ),
            case(
                "a device that comes twice",
                "one part of it would do",
                canonical([1, 1, [one, one], spaces, [first, second]]),
            ),
            case(
                "a namespace that comes twice",
                "one of them would do",
                canonical([1, 1, [one, two], [spaces[0]] * 2, [first, second]]),
            ),
            case(
                "the namespace of no namespace",
                "that is written as 0",
                canonical([1, 1, [one], [NO_NAMESPACE], [first]]),
            ),
            case("a row of eight", "a field is missing", with_rows(first[:8], second)),
            case("a payload and a hash", "one of them", with_rows([*first, bytes(32)], second)),
            case("neither payload nor hash", "one of them", with_rows([*first[:8], None], second)),
            case("a payload of text", "it is bytes", with_first(payload="x")),
            case("a short signature", "it has 63 bytes", with_first(signature=bytes(63))),
            case("a short record ID", "it has 15 bytes", with_first(id=bytes(15))),
            case("a clock of 2^63", "numbers are below 2^63", with_first(clock=2**63)),
            case("type 65536", "a type has 16 bits", with_first(type=2**16)),
            case("epoch 2^32", "an epoch has 32 bits", with_first(epoch=2**32)),
            case("a short operation MAC", "16 bytes or none", with_first(operation=bytes(8))),
            case("a device that is not there", "there are two", with_first(device=2)),
            case("a namespace that is not there", "there are two", with_first(space=3)),
        ],
    }


def _pairs_of(begin: list[Any], what: str) -> tuple[list[Any], list[dict[str, Any]]]:
    """Two pairs, and what a reader refuses wherever pairs stand."""
    low, high = sorted((fixed("pair one"), fixed("pair two")))
    wrap = fixed("a value", 60)
    pairs = [[low, wrap], [high, fixed("another value", 60)]]

    def case(name: str, reason: str, content: bytes, error: str = "damaged") -> dict[str, Any]:
        return _case(name, reason, error, content=content)

    def rows(given: object) -> bytes:
        return canonical([1, *begin, given])

    return pairs, [
        case("nothing", "there is no value", b""),
        case("cut short", "the last value is incomplete", rows(pairs)[:-1]),
        case("a later version", f"{what} 2 is not known", b"\x82\2\xa0", "version"),
        case("version 0", "there never was one", canonical([0, *begin, pairs])),
        case("a field too many", "the array is longer", canonical([1, *begin, pairs, 0])),
        case("another order", "IDs ascend", rows(pairs[::-1])),
        case("an ID twice", "IDs ascend", rows([pairs[0], pairs[0]])),
        case("a short ID", "it has 15 bytes", rows([[low[1:], wrap]])),
        case("a value of text", "it is bytes", rows([[low, "x"]])),
        case("no value", "a pair has two", rows([[low]])),
        case("no pairs", "there is null in their place", rows(None)),
    ]


def _codes() -> dict[str, Any]:
    key, record, model = fixed("record key", 32), fixed("record id"), "minilm"
    parts = [fixed("part one", 8), fixed("part two", 8)]
    sealed = seal_codes(key, record, model, parts)
    both = derive(key, f"vectors/{model}", 64)

    def raw(body: bytes, nonce: bytes | None = None) -> bytes:
        nonce = mac(both[32:], record + body)[:12] if nonce is None else nonce
        return nonce + ChaCha20Poly1305(both[:32]).encrypt(nonce, body, record)

    def accepted(name: str, parts: list[bytes]) -> dict[str, Any]:
        return {
            "name": name,
            "key": key.hex(),
            "record": record.hex(),
            "model": model,
            "parts": [part.hex() for part in parts],
            "sealed": seal_codes(key, record, model, parts).hex(),
        }

    def case(name: str, reason: str, **changed: Any) -> dict[str, Any]:
        fields = {"key": key, "record": record, "model": model, "sealed": sealed}
        return _case(name, reason, **(fields | changed))

    return {
        "accept": [accepted("two passages", parts), accepted("one number", [b"\x80"])],
        "reject": [
            case("nothing", "there is no nonce", sealed=b""),
            case("cut short", "the tag does not match", sealed=sealed[:-1]),
            case("a changed nonce", "the tag does not match", sealed=flipped(sealed, 0)),
            case("a changed number", "the tag does not match", sealed=flipped(sealed, 14)),
            case("another record", "bound to it", record=fixed("x")),
            case("another model", "bound to it", model="minilm2"),
            case("another key", "it does not open", key=fixed("x", 32)),
            case("no passages", "there is one at least", sealed=raw(bytes(2))),
            case("empty passages", "each has a number at least", sealed=raw(b"\0\2")),
            case("passages of two lengths", "they share one", sealed=raw(b"\0\2abc")),
            case(
                "another nonce",
                "it is the MAC of what is sealed",
                sealed=raw(b"\0\1abcd", bytes(12)),
            ),
        ],
    }


def segment_vectors() -> dict[str, Any]:
    keys, refused_keys = _pairs_of([], "a key chunk")
    vectors, refused_vectors = _pairs_of(["minilm"], "a vector section")
    nameless = canonical([1, b"minilm", vectors])
    refused_vectors.append(_case("a model of bytes", "a name is text", content=nameless))
    return {
        "spec": "docs/spec/segment.md",
        "segment": _segments(),
        "keys": {
            "accept": [
                {
                    "name": "two wraps",
                    "pairs": {name.hex(): value.hex() for name, value in keys},
                    "content": encode_keys(keys).hex(),
                },
                {"name": "none", "pairs": {}, "content": encode_keys([]).hex()},
            ],
            "reject": refused_keys,
        },
        "vectors": {
            "accept": [
                {
                    "name": "of two records",
                    "model": "minilm",
                    "pairs": {name.hex(): value.hex() for name, value in vectors},
                    "content": encode_vectors("minilm", vectors).hex(),
                }
            ],
            "reject": refused_vectors,
        },
        "codes": _codes(),
    }


# ---------------------------------------------------------------------- head


def _ref(name: str, length: int = 4096, blob: bytes | None = None) -> Ref:
    blob = fixed(f"blob {name}", 32) if blob is None else blob
    return Ref(blob, 512, length, fixed(f"digest {name}", 32))


def _a_head(**changed: Any) -> Head:
    ends = sorted([DEVICE.id, OTHER_DEVICE.id])
    fields: dict[str, Any] = {
        "vault": VAULT,
        "lane": int(Lane.MEMORY),
        "device": DEVICE.id,
        "number": 7,
        "clock": NOON,
        "previous": fixed("head 6", 32),
        "certificate": device_payload(VAULT, KIT.root, DEVICE),
        "tips": tuple(Tip(end, 3 + n, fixed(f"tip {n}", 32)) for n, end in enumerate(ends)),
        "runs": (
            Run(40, _ref("segment"), _ref("keys"), (_ref("vectors"),)),
            Run(2, _ref("here", blob=b""), None, ()),
        ),
        "chunks": (_ref("chunks"),),
        "stores": b"{}",
        "store": fixed("store"),
    }
    return Head(**(fields | changed))


def _outer(entries: list[tuple[int, bytes]], version: int = 1) -> bytes:
    return bytes([version, len(entries)]) + b"".join(
        generation.to_bytes(4, "big") + len(wrap).to_bytes(2, "big") + wrap
        for generation, wrap in entries
    )


def _raw_head(outer: bytes, body: bytes, **changed: Any) -> bytes:
    """A head around any body, signed well or not."""
    signed = b"haulout/1/head\0" + hashlib.sha256(outer).digest() + hashlib.sha256(body).digest()
    signer: DeviceKeys = changed.get("signer", DEVICE)
    content = changed.get(
        "content", canonical([body, signer.signing.sign(changed.get("signed", signed))])
    )
    length = len(content)
    inner = length.to_bytes(4, "big") + content + bytes(padded(length + 41) - 41 - length)
    kind = changed.get("kind", int(Kind.HEAD))
    return outer + _raw_section(inner, kind, vault=changed.get("vault", VAULT))


def _rejected_heads(made: Mapping[str, bytes]) -> list[dict[str, Any]]:
    wrap, second = made["user key to kit"], made["second user key to kit"]
    head, outer = _a_head(), _outer([(1, wrap)])
    body = canonical([1, *head])
    good = _raw_head(outer, body)
    stranger = RecoveryKit(fixed("stranger", 32))

    def case(name: str, reason: str, data: bytes, error: str = "damaged") -> dict[str, Any]:
        return _case(name, reason, error, bytes=data)

    def fields(name: str, reason: str, **changed: Any) -> dict[str, Any]:
        return case(name, reason, _raw_head(outer, canonical([1, *_a_head(**changed)])))

    def about(name: str, reason: str, ref: Ref) -> dict[str, Any]:
        return fields(name, reason, runs=(Run(1, ref, None, ()),))

    def signed(name: str, reason: str, **changed: Any) -> dict[str, Any]:
        return case(name, reason, _raw_head(outer, body, **changed))

    def wrapped(name: str, reason: str, given: bytes) -> dict[str, Any]:
        return case(name, reason, _raw_head(given, body))

    end = len(outer)
    spelled = body[:1] + b"\x18\1" + body[2:]
    return [
        case("nothing", "there is no version", b""),
        case("cut within the wraps", "a wrap is incomplete", good[: end - 1]),
        case("cut within the section", "the tag does not match", good[:-1]),
        case("a byte too many", "the tag does not match", good + b"\0"),
        case("version 2", "it is not known", b"\2" + good[1:], "version"),
        wrapped("no wraps", "the kit could not open it", _outer([])),
        wrapped("generation 0", "they count from 1", _outer([(0, wrap)])),
        wrapped("generations that descend", "they ascend", _outer([(2, second), (1, wrap)])),
        wrapped("a generation twice", "they ascend", _outer([(1, wrap), (1, wrap)])),
        wrapped("a short wrap", "a wrap has 1168 bytes", _outer([(1, wrap[1:])])),
        case("a changed wrap", "wraps are signed", flipped(outer, 100) + good[end:]),
        case(
            "another wrap of the same key",
            "wraps are signed",
            _outer([(1, made["user key to kit, again"])]) + good[end:],
        ),
        case(
            "a wrap too many",
            "wraps are signed",
            _outer([(1, wrap), (2, second)]) + good[end:],
        ),
        case(
            "an unknown generation",
            "its user key is not known",
            good[: end + 1] + b"\0\0\0\3" + good[end + 5 :],
            "locked",
        ),
        signed("sealed as a segment", "it is of another kind", kind=int(Kind.SEGMENT)),
        signed("sealed for another vault", "it belongs there", vault=stranger.vault_id),
        signed("another device's signature", "the head names who signs", signer=OTHER_DEVICE),
        signed(
            "a signature without the wraps",
            "the hash of the wraps is signed",
            signed=b"haulout/1/head\0" + hashlib.sha256(body).digest(),
        ),
        signed(
            "a signature without its domain",
            "what is signed begins with the domain",
            signed=hashlib.sha256(outer).digest() + hashlib.sha256(body).digest(),
        ),
        signed("three elements", "there are two", content=canonical([body, bytes(64), 0])),
        signed("a signature of text", "it is bytes", content=canonical([body, "x" * 64])),
        signed("a body of text", "it is bytes", content=canonical(["x", bytes(64)])),
        signed("a content of null", "it is an array", content=b"\xf6"),
        case("a later body", "version 2 is not known", _raw_head(outer, b"\x81\2"), "version"),
        case("a body that is a map", "it is an array", _raw_head(outer, b"\xa0")),
        case("a body of 12", "a field is missing", _raw_head(outer, canonical([1, *head[:-1]]))),
        case("a long spelling", "one value, one spelling", _raw_head(outer, spelled)),
        fields("another vault in the body", "it is signed for it", vault=stranger.vault_id),
        fields("another device in the body", "it did not sign", device=OTHER_DEVICE.id),
        fields(
            "a certificate of another root",
            "the vault's ID is not that root's",
            certificate=device_payload(VAULT, stranger.root, DEVICE),
        ),
        fields(
            "a certificate of another device",
            "its key did not sign",
            certificate=device_payload(VAULT, KIT.root, OTHER_DEVICE),
        ),
        fields("no certificate", "nobody vouches for it", certificate=b""),
        fields("number 0", "they count from 1", number=0),
        fields("the first after another", "nothing is before it", number=1),
        fields("the seventh after nothing", "one is before it", previous=GENESIS),
        fields("a clock of 2^63", "numbers are below 2^63", clock=2**63),
        fields("tips in another order", "devices ascend", tips=head.tips[::-1]),
        fields("a tip twice", "devices ascend", tips=head.tips[:1] * 2),
        fields("a tip at 0", "chains begin at 1", tips=(Tip(DEVICE.id, 0, GENESIS),)),
        fields("a run of nothing", "a run has a record", runs=(head.runs[0]._replace(records=0),)),
        fields("runs of text", "they are an array", runs="ab"),
        fields("a store of 15 bytes", "it has 16", store=bytes(15)),
        about("a short blob ID", "32 bytes or none", _ref("x", blob=bytes(16))),
        about("a section of no bytes", "none is so short", _ref("x", length=0)),
        about("an offset of 2^63", "numbers are below 2^63", _ref("x")._replace(offset=2**63)),
        about("a short digest", "it has 31 bytes", _ref("x")._replace(digest=bytes(31))),
    ]


def _standings(made: Mapping[str, bytes]) -> list[dict[str, Any]]:
    def sealed(number: int, previous: bytes, sequence: int = 3, seed: str = "") -> bytes:
        tips = (Tip(DEVICE.id, sequence, fixed(f"end {sequence}{seed}", 32)),)
        head = _a_head(number=number, previous=previous, tips=tips)
        entropy = stream(f"standing {number} {sequence} {seed}")
        return seal_head(head, DEVICE, {1: USER_KEY}, {1: made["user key to kit"]}, entropy)

    first = sealed(1, GENESIS)
    second = sealed(2, digest(first), 4)
    third = sealed(3, digest(second), 5)
    pairs = [
        ("the same", first, first, Standing.SAME),
        ("the next one", first, second, Standing.NEWER),
        ("two later", first, third, Standing.NEWER),
        ("rolled back", third, first, Standing.OLDER),
        ("the one before", second, first, Standing.OLDER),
        ("another of the same number", second, sealed(2, digest(first), 4, "b"), Standing.FORKED),
        ("it follows another", first, sealed(2, digest(third), 4), Standing.FORKED),
        ("its chain went back", second, sealed(5, digest(third), 3), Standing.FORKED),
        ("its chain is another", third, sealed(5, digest(first), 5, "b"), Standing.FORKED),
    ]
    return [
        {"name": name, "known": a.hex(), "found": b.hex(), "standing": how.value}
        for name, a, b, how in pairs
    ]


def head_vectors() -> dict[str, Any]:
    made = wraps()
    one = {1: made["user key to kit"]}
    two = one | {2: made["second user key to kit"]}
    secrets = {1: USER_KEY, 2: SECOND_USER_KEY}
    first = _a_head(number=1, previous=GENESIS, runs=(), tips=(), chunks=(), stores=b"")
    given = [
        ("one of two runs", _a_head(), one),
        ("the first, of nothing", first._replace(store=bytes(16)), one),
        ("under the second user key", _a_head(lane=2), two),
    ]
    accept = [
        {
            "name": name,
            "number": head.number,
            "lane": head.lane,
            "body": canonical([1, *head]).hex(),
            "secrets": {str(n): secrets[n].hex() for n in wrapped},
            "bytes": seal_head(
                head, DEVICE, {n: secrets[n] for n in wrapped}, wrapped, stream(name)
            ).hex(),
            "stored_as": head_name(VAULT, DEVICE.id, head.lane),
        }
        for name, head, wrapped in given
    ]
    locked = _raw_head(_outer([(1, made["user key to device"])]), canonical([1, *_a_head()]))
    return {
        "spec": "docs/spec/head.md",
        "vault": VAULT.hex(),
        "kit": KIT._secret.hex(),
        "device": DEVICE.id.hex(),
        "secrets": {"1": USER_KEY.hex(), "2": SECOND_USER_KEY.hex()},
        "accept": accept,
        "reject": _rejected_heads(made),
        "not_for_this_kit": [
            {"name": "wrapped to a device", "bytes": locked.hex()},
        ],
        "standing": _standings(made),
    }


# ---------------------------------------------------------------------- locator


def _locator_of(body: bytes, version: str = "1") -> str:
    checksum = hashlib.sha256(b"haulout/1/locator\0" + body).digest()[:4]
    packed = base64.urlsafe_b64encode(body + checksum).rstrip(b"=").decode()
    return f"haulout:{version}:{packed}"


def locator_vectors() -> dict[str, Any]:
    layout = b'{"n_shards":10,"volumes":[{"url":"file:///mnt/a"},{"url":"s3://b/c"}]}'
    place = WalrusPlace(
        publishers=("https://publisher.example:9001",),
        aggregators=("https://aggregator.example/v1", "http://127.0.0.1:9000"),
        nodes=(),
        n_shards=1000,
        head=_ref("head"),
    )
    both = Locator(VAULT, NOON, layout, place)
    text = encode(both)
    plain = "".join(text.split())
    bare = [VAULT, NOON, None, None]

    def case(name: str, reason: str, text: str) -> dict[str, Any]:
        return {"name": name, "reason": reason, "text": text}

    def body(name: str, reason: str, fields: object) -> dict[str, Any]:
        return case(name, reason, _locator_of(canonical(fields)))

    def walrus(name: str, reason: str, **changed: Any) -> dict[str, Any]:
        written = [*place._replace(**changed)]
        return body(name, reason, [*both[:3], written if "states" in changed else written[:-1]])

    def url(name: str, reason: str, given: str) -> dict[str, Any]:
        return walrus(name, reason, aggregators=(given,))

    def told(locator: Locator) -> dict[str, Any]:
        fields: dict[str, Any] = hexed(locator._asdict())
        if locator.walrus is not None:
            fields["walrus"] = locator.walrus._asdict()
            for name in ("head", "states"):
                ref = fields["walrus"][name]
                fields["walrus"][name] = ref and hexed(ref._asdict())
        return fields

    accept = [
        ("volumes and Walrus", both),
        ("volumes", both._replace(walrus=None)),
        ("Walrus with states", both._replace(walrus=place._replace(states=_ref("states")))),
        ("Walrus without a head", Locator(VAULT, 0, None, place._replace(head=None))),
        ("nowhere", Locator(VAULT, NOON)),
    ]
    other = "B" if plain[40] == "A" else "A"
    return {
        "spec": "docs/spec/head.md",
        "accept": [{"name": n, "text": encode(x), "locator": told(x)} for n, x in accept],
        "same": [plain, "  " + "\r\n\t".join(text), text.replace("\n", " ") + "\n"],
        "reject": [
            case("nothing", "it does not begin as one", ""),
            case("words", "it does not begin as one", KIT.words),
            case("capitals", "it does not begin as one", plain.upper()),
            case("version 2", "it is not known", "haulout:2:" + plain[10:]),
            case("version 01", "1 is written as 1", "haulout:01:" + plain[10:]),
            case("no letters", "there is no checksum", "haulout:1:"),
            case("a letter changed", "the checksum", plain[:40] + other + plain[41:]),
            case("a letter lost", "the checksum", plain[:40] + plain[41:]),
            case("two letters swapped", "the checksum", plain[:12] + "QABAF" + plain[17:]),
            case("the end lost", "the checksum", plain[:-8]),
            case("a line lost", "the checksum", "\n".join(text.split("\n")[:-2])),
            case("padding", "none is written", plain + "="),
            case("a strange letter", "no locator has it", plain[:40] + "+" + plain[41:]),
            case(
                "bits too many",
                "the last letter has two forms",
                _spare_bits([VAULT, 1, None, None]),
            ),
            case("a map", "it is an array", _locator_of(b"\xa0")),
            case("a long spelling", "one spelling", _locator_of(b"\x98\4" + canonical(bare)[1:])),
            body("three fields", "one is missing", bare[:3]),
            body("a short vault ID", "it has 15 bytes", [VAULT[1:], *bare[1:]]),
            body("a clock of 2^63", "numbers are below 2^63", [VAULT, 2**63, None, None]),
            body("a layout of text", "it is bytes", [VAULT, NOON, "{}", None]),
            body(
                "a layout with a password",
                "a locator is read by others",
                [VAULT, NOON, b'{"url":"s3://key:secret@bucket/x"}', None],
            ),
            walrus("three shards", "no network has so few", n_shards=3),
            walrus("65536 shards", "a number of shards has 16 bits", n_shards=2**16),
            walrus("states that are null", "they are left out", states=None),
            walrus("states without a blob", "they stand in one", states=_ref("x", blob=b"")),
            walrus("a head without a blob", "it stands in one", head=_ref("x", blob=b"")),
            walrus("URLs of text", "they are an array", nodes="http://a"),
            walrus("a URL of bytes", "it is text", nodes=(b"http://a",)),
            url("another scheme", "it is not known", "ftp://a/b"),
            url("a name and password", "a locator is read by others", "https://me:pw@a/b"),
            url("a name", "a locator is read by others", "https://me@a/b"),
            url("a token", "a locator is read by others", "https://a/b?token=x"),
            url("a fragment", "a locator is read by others", "https://a/b#x"),
            url("no host", "it names no place", "https:///b"),
            url("a space", "no URL has one", "https://a/b c"),
            url("a letter outside ASCII", "no URL has one", "https://é.example"),
            url("a backslash", "programs differ about it", "https://a\\@b"),
            url("1001 characters", "the most is 1000", "https://a/" + "b" * 991),
        ],
    }


def _spare_bits(fields: object) -> str:
    """A locator whose last letter has bits set that stand for nothing."""
    text = _locator_of(canonical(fields))
    assert len(text.rpartition(":")[2]) % 4 in {2, 3}
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) + 1]


MAKERS: dict[str, Callable[[], dict[str, Any]]] = {
    "record": record_vectors,
    "chain": chain_vectors,
    "envelope": envelope_vectors,
    "keys": keys_vectors,
    "section": section_vectors,
    "segment": segment_vectors,
    "head": head_vectors,
    "locator": locator_vectors,
}


def text_of(name: str) -> str:
    """A vector file's text as this program makes it."""
    return json.dumps(MAKERS[name](), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write or compare the files; return the exit status."""
    if arguments == ["--new-wraps"]:
        (HERE / "wraps.json").write_text(json.dumps(make_wraps(), indent=1) + "\n")
        return 0
    stale = []
    for name in MAKERS:
        path, text = HERE / f"{name}.json", text_of(name)
        if arguments == ["--check"]:
            if not path.exists() or path.read_text("utf-8") != text:
                stale.append(path.name)
        else:
            path.write_text(text, "utf-8")
    sys.stdout.write("".join(f"{name} is not what this program makes\n" for name in stale))
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
