"""Flipped bytes: through every decoder, and through every file of a vault.

A byte is replaced by another one. Then either one of Haulout's errors comes, or exactly what
was written: never another value, never a foreign exception. For files the error must name the
file, and the answers compared are a recall, a list and the export's digest.

Controls, without MACs: the same payloads decoded bare, and the same texts in a plain SQLite
file. There many flips must come back as changed text with nobody noticing.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import apsw
from crash.processes import parts, scratch, spread
from crash.story import WORDS

from haulout import HauloutError, RecoveryKit, Vault
from haulout.crypto.envelope import EnvelopeContext, open_envelope, seal
from haulout.crypto.keyfile import decode_keyfile, encode_keyfile
from haulout.crypto.keys import DeviceKeys, SymmetricKey, wrap_to
from haulout.errors import DamagedError
from haulout.log import chain
from haulout.log.memory import checked_content, read_payload
from haulout.log.record import Header, Lane, RecordType, encode_header, payload_hash, record_hash

_MEMORIES = 40
Outcomes = Counter[str]
"""How often a flip was "refused", left the value "identical", or was a finding."""

HARMLESS = {"refused", "identical"}


def flipped(data: bytes, random: Random) -> bytes:
    """The data with one byte replaced by another."""
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ random.randint(1, 255)]) + data[place + 1 :]


# ---------------------------------------------------------------------- decoders


class Subject(NamedTuple):
    """Something to decode: its bytes, the decoder, and its share of the flips."""

    name: str
    data: bytes
    decode: Callable[[bytes], Any]
    share: float


def _entropy(seed: int) -> Callable[[int], bytes]:
    return Random(seed).randbytes


def _chain(entropy: Callable[[int], bytes], device: DeviceKeys, count: int) -> list[bytes]:
    """Headers of a chain whose payloads are their own sequence numbers."""
    headers, tip = [], chain.EMPTY
    for number in range(1, count + 1):
        payload = str(number).encode()
        header = Header(
            vault=bytes(16), lane=Lane.MEMORY, device=device.id, sequence=number,
            previous=tip.hash, id=entropy(16), clock=1_700_000_000_000_000 + number,
            type=RecordType.MEMORY, namespace=entropy(16), epoch=1, operation=entropy(16),
            payload_hash=payload_hash(payload),
        )  # fmt: skip
        headers.append(encode_header(header))
        tip = chain.Tip(number, record_hash(headers[-1]), header.clock)
    return headers


def subjects() -> list[Subject]:
    """Every decoder with something real to decode."""
    entropy = _entropy(1)
    device, kit = DeviceKeys(entropy(32)), RecoveryKit.generate(entropy)
    headers = _chain(entropy, device, 3)
    signature = chain.sign(headers[0], device.signing)
    key, wrapper, secret = entropy(32), SymmetricKey(entropy(32)), entropy(32)
    context = EnvelopeContext(bytes(16), bytes(16), 1, entropy(16), 1, device.id)
    content = checked_content("The walrus rests on ice.", tags=["a", "b"], metadata={"x": 1.5})
    payload = content.payload()
    wrapped = wrapper.wrap(secret, b"here", entropy)
    to_device = wrap_to(device.agreement.public, secret, b"here")
    locked = encode_keyfile(secret, bytes(16), passphrase="ice", entropy=entropy)

    def signed(data: bytes) -> object:
        header, _ = chain.follow(chain.EMPTY, data, b"1")
        if not chain.signature_matches(data, signature, device.signing.public):
            raise DamagedError("not signed")
        return header

    def signature_of(data: bytes) -> object:
        if not chain.signature_matches(headers[0], data, device.signing.public):
            raise DamagedError("not signed")
        return True

    def chained(data: bytes) -> object:  # no signature: the next record's hash must tell
        first, tip = chain.follow(chain.EMPTY, data, b"1")
        return first, chain.follow(tip, headers[1], b"2")

    def followed(data: bytes) -> object:
        chain.follow(chain.EMPTY, headers[0], data)
        return data

    def kept_words(data: bytes) -> object:  # as `restore` asks: is it this vault's kit?
        found = RecoveryKit.from_words(data.decode("latin-1"))
        if found.vault_id != kit.vault_id:
            raise DamagedError("another vault's kit")
        return found.words

    return [
        Subject("header, signed", headers[0], signed, 0.2),
        Subject("header, chained", headers[0], chained, 0.2),
        Subject("signature", signature, signature_of, 0.05),
        Subject("payload, chained", b"1", followed, 0.05),
        Subject(
            "envelope",
            seal(key, payload, context),
            lambda data: open_envelope(key, data, context),
            0.3,
        ),
        Subject("wrapped key", wrapped, lambda data: wrapper.unwrap(data, b"here"), 0.09),
        Subject(
            "key wrapped to a device",
            to_device,
            lambda data: device.agreement.unwrap(data, b"here"),
            0.01,
        ),
        Subject(
            "key file",
            encode_keyfile(secret, bytes(16), passphrase=None, entropy=entropy),
            lambda data: decode_keyfile(data, passphrase=None, name="device.key"),
            0.05,
        ),
        Subject(
            "key file under a passphrase",
            locked,
            lambda data: decode_keyfile(data, passphrase="ice", name="device.key"),
            0.048,
        ),
        Subject("kit words", kit.words.encode(), kept_words, 0.002),
    ]


def _outcome(subject: Subject, expected: object, data: bytes) -> str:
    try:
        value = subject.decode(data)
    except HauloutError:
        return "refused"
    except Exception as error:  # noqa: BLE001 - what is not ours is the finding
        return f"{subject.name}: {type(error).__name__}"
    return "identical" if value == expected else f"{subject.name}: silently another value"


def decoders(flips: int, seed: int) -> Outcomes:
    """Flip bytes of everything that is decoded."""
    random, outcomes = Random(seed), Outcomes()
    for subject in subjects():
        expected = subject.decode(subject.data)
        for _ in range(round(flips * subject.share)):
            outcomes[_outcome(subject, expected, flipped(subject.data, random))] += 1
    return outcomes


def bare_payloads(flips: int, seed: int) -> Outcomes:
    """The control of `decoders`: payloads decoded without envelope or hash."""
    random, outcomes = Random(seed), Outcomes()
    payload = checked_content("The walrus rests on ice.", tags=["a", "b"]).payload()
    subject = Subject("payload, bare", payload, read_payload, 1)
    expected = read_payload(payload)
    for _ in range(flips):
        outcomes[_outcome(subject, expected, flipped(payload, random))] += 1
    return outcomes


# ---------------------------------------------------------------------- files


class Specimen(NamedTuple):
    """A vault's files with content in the write-ahead log, a backup, and the right answers."""

    files: dict[str, bytes]
    backup: bytes
    kit: str
    answers: object


def _answers(vault: Vault, place: Path) -> object:
    found = [
        [(one.memory.id, one.score) for one in vault.recall(query, limit=50)]
        for query in ("walrus on the north shore", "tusk", "note 7")
    ]
    return found, vault.list(limit=1000), vault.export(place / "export.jsonl").digest


def specimen() -> Specimen:
    """Make the vault to damage."""
    random = Random(7)
    with scratch() as place:
        folder = place / "vault"
        vault, kit = Vault.create(folder, embedder="none")

        def fill(numbers: range) -> None:
            for number in numbers:
                text = f"note {number}: {' '.join(random.choices(WORDS, k=random.randint(5, 60)))}"
                vault.remember(text, tags=["x"], speaker="ann", session=f"s{number % 5}")

        fill(range(_MEMORIES * 3 // 4))
        vault.close()  # so much lies in the file, and the rest in its write-ahead log
        vault = Vault.open(folder, embedder="none")
        fill(range(_MEMORIES * 3 // 4, _MEMORIES))
        files = {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.endswith("-shm")}
        assert len(files["memory.db-wal"]) > 100_000
        vault.backup(place / "a.backup")
        answers = _answers(vault, place)
        vault.close()
        return Specimen(files, (place / "a.backup").read_bytes(), kit.words, answers)


_SHARES = {
    "memory.db": 0.48, "memory.db-wal": 0.27, "a.backup": 0.1,
    "device.key": 0.08, "vault.json": 0.05, "memory.lock": 0.02,
}  # fmt: skip


def _read(place: Path, subject: Specimen, name: str, data: bytes) -> str:
    folder = place / "vault"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        if name == "a.backup":
            (place / name).write_bytes(data)
            vault = Vault.restore(place / name, folder, kit=subject.kit, embedder="none")
        else:
            folder.mkdir()
            for file, content in (subject.files | {name: data}).items():
                (folder / file).write_bytes(content)
            vault = Vault.open(folder, embedder="none")
        with vault:
            report = vault.check()
            answers = _answers(vault, place)
            if not report.sound:
                return _named(name, " ".join(report.problems))
            return "identical" if answers == subject.answers else f"{name}: other answers"
    except HauloutError as error:
        return _named(name, str(error))
    except Exception as error:  # noqa: BLE001 - what is not ours is the finding
        return f"{name}: {type(error).__name__}: {error}"


def _named(name: str, message: str) -> str:
    return "refused" if name.removesuffix("-wal") in message else f"{name} is not named: {message}"


def files(flips: int, seed: int, subject: Specimen | None = None) -> Outcomes:
    """Flip bytes of the files of a vault, and open, check and read it."""
    random, outcomes, subject = Random(seed), Outcomes(), subject or specimen()
    names = random.choices(list(_SHARES), list(_SHARES.values()), k=flips)
    with scratch() as place:
        for name in names:
            data = subject.backup if name == "a.backup" else subject.files[name]
            outcomes[_read(place, subject, name, flipped(data, random))] += 1
    return outcomes


def plain_sqlite(flips: int, seed: int) -> Outcomes:
    """The control of `files`: the same number of texts in a SQLite file without cipher."""
    random, outcomes = Random(seed), Outcomes()
    with scratch() as place:
        file = place / "plain.db"
        connection = apsw.Connection(str(file))
        connection.execute("CREATE TABLE memory (text TEXT)")
        texts = [(" ".join(random.choices(WORDS, k=40)),) for _ in range(_MEMORIES)]
        connection.executemany("INSERT INTO memory VALUES (?)", texts)
        connection.close()
        data = file.read_bytes()
        for _ in range(flips):
            file.write_bytes(flipped(data, random))
            connection = apsw.Connection(str(file))
            try:
                connection.set_busy_timeout(0)
                sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                found = connection.execute("SELECT text FROM memory").fetchall()
                if not sound:
                    outcomes["refused"] += 1
                else:
                    outcomes["identical" if found == texts else "silently other texts"] += 1
            except (apsw.Error, UnicodeDecodeError):
                outcomes["refused"] += 1
            finally:
                connection.close()
    return outcomes


def findings(outcomes: Outcomes) -> dict[str, int]:
    """Everything that must not be."""
    return {what: count for what, count in outcomes.items() if what not in HARMLESS}


def run(*, decoded: int, opened: int, jobs: int = 1) -> dict[str, Outcomes]:
    """Both suites, spread over cores, and their controls."""
    through_decoders, through_files = Outcomes(), Outcomes()
    for part in spread(decoders, [(n, s) for s, n in enumerate(parts(decoded, 50_000))], jobs):
        through_decoders += part
    for part in spread(files, [(n, s) for s, n in enumerate(parts(opened, 500))], jobs):
        through_files += part
    return {
        "decoders": through_decoders,
        "files": through_files,
        "control: bare payloads": bare_payloads(2_000, 1),
        "control: plain SQLite": plain_sqlite(1_000, 1),
    }
