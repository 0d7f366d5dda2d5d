"""Makes the vectors of docs/spec: the same bytes on every run.

    python tests/vectors/make.py            write record, chain, envelope and keys .json anew
    python tests/vectors/make.py --check    tell whether they are what this program makes

All randomness comes from `stream`, but for the HPKE wraps: the library draws theirs itself, so
three were made once and are kept in `wraps.json`. A vector that changes is a format that
changed: that takes a new version number, and never an edit here alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from haulout.crypto.envelope import EnvelopeContext, seal
from haulout.crypto.keyfile import encode_keyfile
from haulout.crypto.keys import DeviceKeys, SymmetricKey, derive, mac, wrap_to
from haulout.crypto.kit import RecoveryKit
from haulout.log.chain import sign
from haulout.log.keychain import Keychain, device_payload, record_context
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


MAKERS: dict[str, Callable[[], dict[str, Any]]] = {
    "record": record_vectors,
    "chain": chain_vectors,
    "envelope": envelope_vectors,
    "keys": keys_vectors,
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
