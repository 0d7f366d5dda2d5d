"""The formats written out a second time, from the pages in docs/spec alone.

Nothing here imports the package: where these functions and the package agree on the vectors,
the pages tell enough to write a third implementation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import string
from collections.abc import Mapping
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

# --- canonical CBOR ------------------------------------------------------------------------


def _start(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    for size, mark in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if number < 1 << 8 * size:
            return bytes([kind << 5 | mark]) + number.to_bytes(size, "big")
    raise OverflowError(number)


def cbor(value: object) -> bytes:
    match value:
        case int():
            return _start(0, value) if value >= 0 else _start(1, -1 - value)
        case bytes():
            return _start(2, len(value)) + value
        case str():
            return _start(3, len(value.encode())) + value.encode()
        case list() | tuple():
            return _start(4, len(value)) + b"".join(map(cbor, value))
        case dict():
            pairs = sorted((cbor(k), cbor(v)) for k, v in value.items())
            return _start(5, len(pairs)) + b"".join(k + v for k, v in pairs)
        case _:
            raise TypeError(value)


# --- record, chain, envelope ---------------------------------------------------------------

HEADER = (
    "vault", "lane", "device", "sequence", "previous", "id", "clock", "type", "namespace",
    "epoch", "operation", "payload_hash",
)  # fmt: skip


def header_bytes(fields: Mapping[str, Any]) -> bytes:
    return cbor([1, *(fields[name] for name in HEADER)])


def record_hash(header: bytes) -> bytes:
    return hashlib.sha256(b"haulout/1/record\0" + header).digest()


def signed_message(header: bytes) -> bytes:
    return b"haulout/1/signature\0" + record_hash(header)


def id_text(record: bytes) -> str:
    return base64.b32hexencode(record).decode().rstrip("=").lower()


def signature_is_valid(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except Exception:  # noqa: BLE001
        return False
    return True


def envelope_aad(context: Mapping[str, Any]) -> bytes:
    return b"".join((
        b"haulout/1/envelope",
        context["vault"],
        context["namespace"],
        context["epoch"].to_bytes(4, "big"),
        context["record"],
        context["type"].to_bytes(2, "big"),
        context["writer"],
    ))  # fmt: skip


def open_envelope(key: bytes, envelope: bytes, context: Mapping[str, Any]) -> bytes:
    assert envelope[0] == 1
    return ChaCha20Poly1305(key).decrypt(bytes(12), envelope[1:], envelope_aad(context))


# --- keys ----------------------------------------------------------------------------------


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    found, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        found += block
    return found[:length]


def derive(secret: bytes, label: str, length: int = 32) -> bytes:
    return _expand(secret, b"haulout/1/" + label.encode(), length)


def identifier(public: bytes, label: str) -> bytes:
    return hashlib.sha256(b"haulout/1/" + label.encode() + b"\0" + public).digest()[:16]


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")[:16]


def signing_public(seed: bytes) -> bytes:
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _agreement(secret: bytes) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey]:
    material = derive(secret, "agreement", 96)
    return (
        mlkem.MLKEM768PrivateKey.from_seed_bytes(material[:64]),
        x25519.X25519PrivateKey.from_private_bytes(material[64:]),
    )


def agreement_public(secret: bytes) -> bytes:
    first, second = _agreement(secret)
    return first.public_key().public_bytes_raw() + second.public_key().public_bytes_raw()


def open_wrap(secret: bytes, wrap: bytes, context: bytes) -> bytes:
    """HPKE (RFC 9180), base mode: X-Wing 0x647a, HKDF-SHA256 0x0001, ChaCha20-Poly1305 0x0003."""
    first, second = _agreement(secret)
    encapsulated, sealed = wrap[:1120], wrap[1120:]
    theirs = encapsulated[1088:]
    shared = hashlib.sha3_256(
        first.decapsulate(encapsulated[:1088])
        + second.exchange(x25519.X25519PublicKey.from_public_bytes(theirs))
        + theirs
        + second.public_key().public_bytes_raw()
        + bytes.fromhex("5c2e2f2f5e5c")
    ).digest()
    suite = b"HPKE" + bytes.fromhex("647a00010003")

    def extract(salt: bytes, label: bytes, key: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + key, "sha256")

    def expand(key: bytes, label: bytes, info: bytes, length: int) -> bytes:
        return _expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)

    schedule = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", context)
    secret = extract(shared, b"secret", b"")
    key = expand(secret, b"key", schedule, 32)
    nonce = expand(secret, b"base_nonce", schedule, 12)
    return ChaCha20Poly1305(key).decrypt(nonce, sealed, b"")


def open_sealed(key: bytes, sealed: bytes, context: bytes) -> bytes:
    aead = ChaCha20Poly1305(derive(key, "wrap"))
    return aead.decrypt(sealed[:12], sealed[12:], context)


# --- what leaves the disk ------------------------------------------------------------------


def require(claim: object) -> None:
    if not claim:
        raise ValueError


def read(data: bytes) -> Any:
    """A value of numbers, bytes, texts, arrays and null, written as `cbor` writes it."""
    rest = memoryview(data)

    def take(count: int) -> bytes:
        nonlocal rest
        require(count <= len(rest))
        taken, rest = bytes(rest[:count]), rest[count:]
        return taken

    def item(depth: int) -> Any:
        kind, low = divmod(take(1)[0], 32)
        require(depth <= 8 and (kind in {0, 2, 3, 4} or (kind, low) == (7, 22)))
        number = low if low < 24 else int.from_bytes(take({24: 1, 25: 2, 26: 4, 27: 8}[low]), "big")
        match kind:
            case 0:
                return number
            case 2:
                return take(number)
            case 3:
                return take(number).decode("utf-8", "strict")
            case 4:
                require(depth < 8 and number <= len(rest))
                return [item(depth + 1) for _ in range(number)]
            case _:
                return None

    value = item(0)
    require(not rest and written(value) == data)
    return value


def written(value: Any) -> bytes:
    match value:
        case None:
            return b"\xf6"
        case list():
            return _start(4, len(value)) + b"".join(map(written, value))
        case _:
            return cbor(value)


def padded(length: int) -> int:
    """Padmé: round up so that only the exponent's own length of leading bits may be set."""
    if length <= 256:
        return 256
    exponent = math.floor(math.log2(length))
    kept = math.floor(math.log2(exponent)) + 1
    step = 2 ** (exponent - kept)
    return math.ceil(length / step) * step


def open_section(secrets: Mapping[int, bytes], kind: int, vault: bytes, section: bytes) -> bytes:
    require(section[0] == 1 and 256 <= len(section) <= 2**28)
    salt = section[5:21]
    key = derive(secrets[int.from_bytes(section[1:5], "big")], f"section/{kind}/" + salt.hex(), 32)
    aad = b"haulout/1/section\0" + section[:21] + vault + bytes([kind])
    body = ChaCha20Poly1305(key).decrypt(bytes(12), section[21:], aad)
    length = int.from_bytes(body[:4], "big")
    content, zeros = body[4 : 4 + length], body[4 + length :]
    require(len(content) == length and len(section) == padded(length + 41) and not any(zeros))
    return content


def segment(content: bytes, vault: bytes) -> list[tuple[bytes, bytes, bytes | None]]:
    """Header, signature and payload of each record."""
    version, lane, begins, namespaces, rows = read(content)
    require(version == 1 and rows)
    ends = [[device, sequence, previous] for device, sequence, previous in begins]
    found, devices, spaces = [], [], []
    for row in rows:
        number, record, clock, kind, space, epoch, operation, signature, payload = row[:9]
        require(len(row) == (10 if payload is None else 9) and len(signature) == 64)
        device, sequence, previous = ends[number]
        devices += [] if device in devices else [device]
        namespace = namespaces[space - 1] if space else bytes(16)
        spaces += [] if not space or namespace in spaces else [namespace]
        require(not space or any(namespace))
        fields = dict(zip(HEADER, (
            vault, lane, device, sequence, previous, record, clock, kind, namespace, epoch,
            operation, row[9] if payload is None else hashlib.sha256(payload).digest(),
        ), strict=True))  # fmt: skip
        _require_header(fields)
        header = header_bytes(fields)
        ends[number] = [device, sequence + 1, record_hash(header)]
        found.append((header, signature, payload))
    require(devices == [begin[0] for begin in begins] and spaces == namespaces)
    return found


def _require_header(fields: Mapping[str, Any]) -> None:
    for name, length in (("vault", 16), ("device", 16), ("id", 16), ("namespace", 16)):
        require(len(fields[name]) == length)
    require(len(fields["previous"]) == len(fields["payload_hash"]) == 32)
    require(len(fields["operation"]) in {0, 16})
    for name, bits in (("lane", 63), ("sequence", 63), ("clock", 63), ("type", 16), ("epoch", 32)):
        require(fields[name] < 1 << bits)


def pairs(content: bytes, *, named: bool = False) -> tuple[str, dict[bytes, bytes]]:
    """The name and the pairs of a vector section, or the pairs of a key chunk."""
    version, *name, rows = read(content)
    require(version == 1 and len(name) == named and all(isinstance(one, str) for one in name))
    ids = [row[0] for row in rows]
    require(ids == sorted(set(ids)) and all(len(one) == 16 for one in ids))
    require(all(len(row) == 2 and isinstance(row[1], bytes) for row in rows))
    return "".join(name), {row[0]: row[1] for row in rows}


def open_codes(key: bytes, record: bytes, model: str, sealed: bytes) -> list[bytes]:
    both = derive(key, f"vectors/{model}", 64)
    body = ChaCha20Poly1305(both[:32]).decrypt(sealed[:12], sealed[12:], record)
    require(sealed[:12] == hmac.digest(both[32:], record + body, "sha256")[:12])
    count, numbers = int.from_bytes(body[:2], "big"), body[2:]
    require(count and numbers and len(numbers) % count == 0)
    size = len(numbers) // count
    return [numbers[at : at + size] for at in range(0, len(numbers), size)]


def head_parts(data: bytes) -> tuple[bytes, dict[int, bytes], bytes]:
    """The outer part of a head, its wraps by generation, and its section."""
    require(data[0] == 1 and data[1])
    entries = [data[at : at + 1174] for at in range(2, 2 + 1174 * data[1], 1174)]
    require(all(entry[4:6] == (1168).to_bytes(2, "big") for entry in entries))
    wraps = {int.from_bytes(entry[:4], "big"): entry[6:] for entry in entries}
    require(list(wraps) == sorted(wraps) and 0 not in wraps and len(wraps) == len(entries))
    end = 2 + 1174 * len(entries)
    return data[:end], wraps, data[end:]


def head(data: bytes, vault: bytes, secrets: Mapping[int, bytes]) -> bytes:
    """The body of a head, everything about it verified."""
    outer, _, section = head_parts(data)
    body, signature = read(open_section(secrets, 4, vault, section))
    _, theirs, lane, device, number, clock, previous, certificate, tips, runs, chunks, _, store = (
        _head_fields(body)
    )
    refs = [ref for run in runs for ref in _run_refs(run)] + chunks
    for blob, offset, length, digest in refs:
        require(len(blob) in {0, 32} and len(digest) == 32 and 0 < length < 2**63 > offset)
    require(theirs == vault and len(device) == len(store) == 16 and len(previous) == 32)
    require(max(lane, number, clock) < 2**63 and number)
    require((number == 1) == (previous == bytes(32)))
    ends = [tip[0] for tip in tips]
    require(ends == sorted(set(ends)) and all(0 < tip[1] < 2**63 for tip in tips))
    require(all(len(tip[0]) == 16 and len(tip[2]) == 32 and len(tip) == 3 for tip in tips))
    keys = _certified(certificate, vault)
    signed = b"haulout/1/head\0" + hashlib.sha256(outer).digest() + hashlib.sha256(body).digest()
    require(identifier(keys, "device") == device and signature_is_valid(keys, signature, signed))
    return body


def _head_fields(body: bytes) -> list[Any]:
    fields = read(body)
    require(fields[0] == 1 and len(fields) == 13)
    require(isinstance(fields[11], bytes))
    require(all(isinstance(fields[place], list) for place in (8, 9, 10)))
    return fields


def _run_refs(run: list[Any]) -> list[Any]:
    records, segment, keys, vectors = run
    require(0 < records < 2**63)
    return [segment, *vectors, *([] if keys is None else [keys])]


def _certified(certificate: bytes, vault: bytes) -> bytes:
    """The signing key in a device record's payload, vouched for by the root."""
    fields = cbor2.loads(certificate)
    root, signing = fields["root"], fields["signing"]
    require(identifier(root, "vault") == vault)
    statement = b"haulout/1/device\0" + vault + signing + fields["agreement"]
    require(signature_is_valid(root, fields["signature"], statement))
    return signing


def head_name(vault: bytes, device: bytes, lane: int) -> str:
    named = b"haulout/1/head-name\0" + vault + device + lane.to_bytes(8, "big")
    return hashlib.sha256(named).hexdigest()[:32]


def locator(text: str) -> list[Any]:
    """The fields of a locator."""
    word, version, letters = "".join(text.split()).split(":")
    require((word, version) == ("haulout", "1"))
    require(not set(letters) - set(string.ascii_letters + string.digits + "-_"))
    data = base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))
    require(base64.urlsafe_b64encode(data).decode().rstrip("=") == letters)
    body, checksum = data[:-4], data[-4:]
    require(checksum == hashlib.sha256(b"haulout/1/locator\0" + body).digest()[:4])
    fields = read(body)
    vault, clock, volumes, walrus = fields
    require(len(vault) == 16 and clock < 2**63 and isinstance(volumes, bytes | None))
    require(not volumes or not re.search(rb'://[^/?#\s"]*@', volumes))
    if walrus is not None:
        services, (shards, head, *states) = walrus[:3], walrus[3:]
        require(len(states) <= 1 and None not in states)
        require(len(services) == 3 and all(isinstance(urls, list) for urls in services))
        require(4 <= shards < 2**16)
        for url in (url for urls in services for url in urls):
            require(re.fullmatch(r"https?://[a-z0-9.:-]+(/[!-~]*)?", url) and len(url) <= 1000)
            require(not set(url) & set("@?#\\"))
        for ref in [*states, *([] if head is None else [head])]:
            require_ref(ref)
    return fields


def require_ref(ref: list[Any]) -> None:
    """Where a head stands in a blob."""
    blob, offset, length, digest = ref
    require(len(blob) == len(digest) == 32 and 0 < length < 2**63 > offset)
