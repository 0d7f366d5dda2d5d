"""Nothing that a person said or an agent did can be read from what a store was given.

Sizes are padded, so that they tell little.
"""

from __future__ import annotations

import base64
import bz2
import lzma
import secrets
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from vault.onwalrus import Calendar, row_of, with_walrus
from vault.publishing import store_of, with_volumes

from haulout import Vault
from haulout.crypto.section import padded
from haulout.redstuff import blob_id_bytes, blob_id_text
from haulout.state.events import encode_event
from haulout.storage.memory import MemoryBackend
from haulout.testing.walrus.network import LoopbackNetwork
from haulout.vault.stores.walrusstore import WalrusStore

CANARIES = {
    "text": "zebrafinch canaries sing at dawn",
    "tag": "tagcanaryquokka",
    "speaker": "Speakercanary Wombat",
    "namespace": "secretcanary/ibexplace",
    "session": "sessioncanarymarmot",
    "source": "sourcecanarypangolin",
    "metadata": "metacanarycapybara",
    "kind": "kindcanaryaxolotl",
    "update": "updatedcanary okapi text",
}
STATE_CANARIES = {
    "state": "botscanarylynx/btcibis",
    "document": "plancanaryweasel",
    "value": "valuecanary otter 42195.77",
    "old value": "firstcanary heron 31337",
    "journal": "fillscanarypuffin",
    "note": "notecanary stoat",
    "key": "signalcanarymarten",
    "action": "ordercanarybadger",
    "target": "deskcanary/BTC-EUR-gannet",
    "unit": "eurcanarygoshawk",
    "amount": "918273.645",
    "limit": "8877665.5",
    "payload": "payloadcanaryfulmar",
    "ref": "refcanarydipper-77",
    "result": "resultcanarysiskin",
    "why": "whycanary merganser",
    "filled": "0.12345987",
    "spent": "271828.18",
    "holder": "holdercanarysandpiper",
    "halt": "haltcanary curlew",
}
"""Of names, symbols, sizes and amounts: what an edge and an account are made of."""
VECTOR = np.linspace(0.1, 0.9, 48, dtype=np.float32)
_MAGIC = {b"\x78\x01": zlib, b"\x78\x9c": zlib, b"\x78\xda": zlib, b"BZh": bz2, b"\xfd7zXZ": lzma}


def forms(words: str) -> Iterator[bytes]:
    """The ways in which words could stand in bytes."""
    raw = words.encode()
    yield from {raw, raw.upper(), words.title().encode()}
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield words.encode("utf-16-le")
    yield words.encode("utf-16-be")
    for shift in range(3):  # the three ways in which base64 can fall on them, without their edges
        packed = base64.b64encode(b"\0" * shift + raw)
        yield packed[4:-4]
    yield raw[::-1]


def vector_forms(vector: np.ndarray) -> Iterator[bytes]:
    """The ways in which a part of a vector could stand in bytes."""
    part = vector[:16]
    for kind in ("<f4", ">f4", "<f2", "<f8"):
        yield part.astype(kind).tobytes()
    codes = np.rint(vector * (127 / vector.max())).astype(np.int8)
    yield codes[:16].tobytes()


def unpacked(data: bytes) -> Iterator[bytes]:
    """What comes out where something compressed seems to begin."""
    for magic, library in _MAGIC.items():
        at = data.find(magic)
        while at >= 0:
            with suppress(Exception):
                yield library.decompress(data[at:])
            at = data.find(magic, at + 1)


def everything(vault: Vault) -> Iterator[tuple[str, bytes]]:
    """Every name and every byte that the volumes hold, and every blob put together again."""
    store = store_of(vault)
    try:
        for volume in store.volumes.layout.volumes:
            backend = MemoryBackend.named(volume.url.partition(":")[2])
            for found in backend.list():
                yield found.name, backend.get(found.name)
        for one in store.volumes.blobs():
            yield f"blob {one.blob_id}", store.volumes.get(one.blob_id)
    finally:
        store.close()


def hits(found: Iterable[tuple[str, bytes]], wanted: dict[str, list[bytes]]) -> set[str]:
    """Which canaries stand anywhere."""
    seen: set[str] = set()
    for name, data in found:
        for piece in (name.encode(), data, *unpacked(data)):
            seen |= {what for what, needles in wanted.items() if any(n in piece for n in needles)}
    return seen


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault, _ = with_volumes(tmp_path / "a")
    with vault:
        for number in range(12):
            memory = vault.remember(
                f"{CANARIES['text']} {number}",
                namespace=CANARIES["namespace"],
                kind=CANARIES["kind"],
                speaker=CANARIES["speaker"],
                session=CANARIES["session"],
                source=CANARIES["source"],
                tags=[CANARIES["tag"]],
                metadata={"animal": CANARIES["metadata"]},
                vector=VECTOR,
                op_id=f"operationcanarytapir{number}",
            )
            if number % 5 == 0:
                vault.sync()
        vault.update(memory.id, CANARIES["update"])
        trade(vault)
        vault.sync()
        yield vault


def trade(vault: Vault) -> None:
    """Let an agent keep every kind of event, with a canary in each of its fields."""
    told = STATE_CANARIES
    state = vault.state(told["state"])
    state.document(told["document"]).set({"x": told["old value"]})
    state.document(told["document"]).set({"x": told["value"]})
    state.journal(told["journal"], lambda _total, note: note, "", every=2).note(told["note"])
    state.journal(told["journal"], lambda _total, note: note, "", every=2).note(told["note"])
    state.limit(f"{told['unit']}/day", told["limit"])
    state.limit(f"{told['unit']}/held", told["limit"], by_owner=True)
    state.charge(told["unit"], told["amount"], told["why"])
    state.lease(told["holder"], 60)
    reserved = state.reserve(
        told["action"], {"note": told["payload"]}, key=told["key"], target=told["target"],
        cost={told["unit"]: told["amount"]}, holds=[told["unit"]],
    )  # fmt: skip
    vault.sync()
    state.settle(reserved.intent, "accepted", ref=told["ref"], filled=told["filled"])
    state.settle(
        reserved.intent, "done", spent={told["unit"]: told["spent"]}, why=told["why"],
        result={"is": told["result"]},
    )  # fmt: skip
    state.pause(told["halt"])


def test_no_canary_stands_in_anything_that_a_volume_holds(vault: Vault) -> None:
    wanted = {name: list(forms(words)) for name, words in CANARIES.items()}
    wanted["operation"] = list(forms("operationcanarytapir"))
    wanted["vector"] = list(vector_forms(VECTOR))
    assert hits(everything(vault), wanted) == set()


def test_no_canary_of_an_agents_states_stands_in_anything_that_a_volume_holds(
    vault: Vault,
) -> None:
    wanted = {name: list(forms(words)) for name, words in STATE_CANARIES.items()}
    state = vault.state(STATE_CANARIES["state"])
    ids = [one.event.body["id"] for one in state.events() if "id" in one.event.body]
    for number, secret in enumerate({*ids, state.tag()}):  # by them a venue's orders are known
        wanted[f"ID {number}"] = [secret, secret.hex().encode(), secret[::-1]]
    assert len(ids) == 3
    found = list(everything(vault))
    row = vault._remote.row("volumes")
    assert row is not None
    assert row.state.states is not None
    named = {f"blob {blob_id_text(one)}" for one in row.state.states.named_here()}
    assert named <= {name for name, _ in found}  # what states are in was looked through
    assert hits(found, wanted) == set()


def test_control_every_canary_of_states_stands_in_the_events_themselves(vault: Vault) -> None:
    """What is looked for was said: unsealed, each event's bytes show it."""
    state = vault.state(STATE_CANARIES["state"])
    plain = [("event", encode_event(one.event)) for one in state.events()]
    plain.append(("name", state.name.encode()))
    wanted = {name: list(forms(words)) for name, words in STATE_CANARIES.items()}
    assert hits(plain, wanted) == STATE_CANARIES.keys()


def test_a_walrus_network_sees_no_canary_of_states_either(tmp_path: Path) -> None:
    with LoopbackNetwork(nodes=4, n_shards=10, signatures=False) as network:
        vault, _ = with_walrus(tmp_path / "a", network, Calendar(network))
        with vault:
            vault.remember(CANARIES["text"])
            trade(vault)
            vault.sync()
            store = WalrusStore.open(row_of(vault).settings, {})
            try:
                names = {one.blob_id for one in network.ledger.payments}
                found = [(name, store.whole(blob_id_bytes(name), 0)) for name in names]
            finally:
                store.close()
            locator = (tmp_path / "a" / "locator.txt").read_bytes()
    words = STATE_CANARIES | {"text": CANARIES["text"]}
    wanted = {name: list(forms(text)) for name, text in words.items()}
    assert len(found) > 1
    assert hits([*found, ("locator", locator)], wanted) == set()
    assert all(len(data) == padded(len(data)) for _, data in found)


def test_control_a_canary_that_a_store_was_given_is_found(vault: Vault) -> None:
    """The search finds each form in which a careless program could have written one."""
    row = vault._remote.row("volumes")
    assert row is not None
    store = store_of(vault)
    name = store.volumes.layout.volumes[0].url.partition(":")[2]
    store.close()
    backend = MemoryBackend.named(name)
    words = CANARIES["text"]
    for number, planted in enumerate((*forms(words), zlib.compress(words.encode()))):
        backend.put(f"planted/{number}", secrets.token_bytes(100) + planted + b"tail")
        wanted = {"text": list(forms(words))}
        assert hits([("x", backend.get(f"planted/{number}"))], wanted) == {"text"}


def test_blobs_have_padded_sizes_only_and_padding_costs_an_eighth_at_most(vault: Vault) -> None:
    for number in range(3):
        vault.remember_many([{"text": f"{n} " + "word " * (n % 60)} for n in range(400)])
        vault.remember(f"one {number}")
        state = vault.state("bots/other")
        for n in range(10 + 90 * number):
            state.reserve("order", {"n": "x" * n}, target=f"t/{n}", role="exit")
        vault.sync()
    row = vault._remote.row("volumes")
    assert row is not None
    store = store_of(vault)
    try:
        sizes = {one.blob_id: len(store.volumes.get(one.blob_id)) for one in store.volumes.blobs()}
        assert all(size == padded(size) for size in sizes.values())
        named: dict[bytes, int] = {}
        assert row.state.states is not None
        for run in (*row.state.runs, *row.state.states.runs):
            refs = [run.run.segment, *run.run.vectors, *([run.run.keys] if run.run.keys else [])]
            for ref in refs:
                named[ref.blob] = named.get(ref.blob, 0) + ref.length
        whole = sum(sizes[blob] for blob in sizes if blob_id_bytes(blob) in named)
        assert whole <= sum(named.values()) * 1.12
    finally:
        store.close()
