"""Every vector of tests/vectors, run through the package and through `plainly`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from vectors import make, plainly

from haulout.crypto.envelope import EnvelopeContext, open_envelope, seal
from haulout.crypto.keyfile import decode_keyfile
from haulout.crypto.keys import DeviceKeys, SymmetricKey, derive
from haulout.crypto.kit import RecoveryKit
from haulout.crypto.section import Kind, open_section, padded, room
from haulout.errors import (
    DamagedError,
    HauloutError,
    InputError,
    VaultLockedError,
    VaultVersionError,
)
from haulout.log.chain import EMPTY, Tip, follow, signature_matches
from haulout.log.clock import tick
from haulout.log.head import head_name, kit_secrets, open_head, standing
from haulout.log.keychain import Keychain
from haulout.log.locator import Locator, decode, encode
from haulout.log.memory import read_payload
from haulout.log.record import (
    Header,
    RecordType,
    canonical,
    decode_header,
    encode_header,
    id_bytes,
    id_text,
    record_hash,
)
from haulout.log.segment import (
    Carried,
    decode_keys,
    decode_segment,
    decode_vectors,
    encode_keys,
    encode_segment,
    encode_vectors,
    open_codes,
    seal_codes,
)

HERE = Path(__file__).parent
ERRORS = {"damaged": DamagedError, "version": VaultVersionError, "locked": VaultLockedError}


def load(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text("utf-8"))


RECORD, CHAIN, ENVELOPE, KEYS = map(load, ("record", "chain", "envelope", "keys"))
SECTION, SEGMENT, HEAD, LOCATOR = map(load, ("section", "segment", "head", "locator"))
raw = bytes.fromhex


def cases(found: list[dict[str, Any]]) -> Any:
    names = [str(case.get("name", number)) for number, case in enumerate(found)]
    return pytest.mark.parametrize("case", found, ids=names)


def unhexed(fields: dict[str, Any]) -> dict[str, Any]:
    return {n: raw(v) if isinstance(v, str) else v for n, v in fields.items()}


@pytest.mark.parametrize("name", make.MAKERS)
def test_the_files_are_what_make_py_makes(name: str) -> None:
    assert (HERE / f"{name}.json").read_text("utf-8") == make.text_of(name)


def test_make_py_tells_of_a_file_that_it_would_not_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wraps.json").write_text((HERE / "wraps.json").read_text())
    monkeypatch.setattr(make, "HERE", tmp_path)
    assert make.main([]) == 0
    assert make.main(["--check"]) == 0
    (tmp_path / "chain.json").write_text("{}")
    assert make.main(["--check"]) == 1
    assert capsys.readouterr().out == "chain.json is not what this program makes\n"


REASONED = [RECORD["header"], RECORD["payload"], ENVELOPE, CHAIN, SECTION, HEAD, LOCATOR]
REASONED += [SEGMENT[part] for part in ("segment", "keys", "vectors", "codes")]


@pytest.mark.parametrize("found", REASONED)
def test_every_rejected_vector_says_why(found: dict[str, Any]) -> None:
    assert all(case["reason"] for case in found["reject"])
    assert len({case["name"] for case in found["reject"]}) == len(found["reject"])


# --- record --------------------------------------------------------------------------------


@cases(RECORD["header"]["accept"])
def test_a_header_has_one_form(case: dict[str, Any]) -> None:
    fields, data = unhexed(case["header"]), raw(case["bytes"])
    assert decode_header(data) == Header(**fields)
    assert encode_header(Header(**fields)) == data == plainly.header_bytes(fields)
    assert record_hash(data) == raw(case["hash"]) == plainly.record_hash(data)


@cases(RECORD["header"]["reject"])
def test_anything_else_is_no_header(case: dict[str, Any]) -> None:
    with pytest.raises(ERRORS[case["error"]]):
        decode_header(raw(case["bytes"]))


@cases(RECORD["payload"]["accept"])
def test_a_payload_is_canonical_and_read_back(case: dict[str, Any]) -> None:
    data = raw(case["bytes"])
    fields = cbor2.loads(data)
    assert canonical(fields) == data == plainly.cbor(fields)
    if case["type"] != "forget":
        content, beside = read_payload(data)
        assert content.payload(**beside) == data


@cases(RECORD["payload"]["reject"])
def test_anything_else_is_no_memory(case: dict[str, Any]) -> None:
    with pytest.raises(DamagedError):
        read_payload(raw(case["bytes"]))


@cases(RECORD["id"]["accept"])
def test_an_id_has_one_text(case: dict[str, Any]) -> None:
    assert id_text(raw(case["id"])) == case["text"] == plainly.id_text(raw(case["id"]))
    assert id_bytes(case["text"]) == raw(case["id"])


@cases(RECORD["id"]["reject"])
def test_any_other_text_is_no_id(case: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        id_bytes(case["text"])


# --- chain ---------------------------------------------------------------------------------


def followed(records: list[dict[str, Any]]) -> list[Tip]:
    """The tips of a chain, each link and signature verified; raises where one is not valid."""
    public, tip, tips = raw(CHAIN["device"]), EMPTY, []
    for number, record in enumerate(records):
        header = raw(record["header"])
        payload = None if record["payload"] is None else raw(record["payload"])
        try:
            _, tip = follow(tip, header, payload)
        except DamagedError as error:
            raise DamagedError(str(number)) from error
        if not signature_matches(header, raw(record["signature"]), public):
            raise DamagedError(str(number))
        tips.append(tip)
    return tips


@cases(CHAIN["accept"])
def test_a_chain_is_followed_to_its_tip(case: dict[str, Any]) -> None:
    assert [
        Tip(tip["sequence"], raw(tip["hash"]), tip["clock"]) for tip in case["tips"]
    ] == followed(case["records"])
    for record in case["records"]:
        message = plainly.signed_message(raw(record["header"]))
        signature = raw(record["signature"])
        assert plainly.signature_is_valid(raw(CHAIN["device"]), signature, message)


@cases(CHAIN["reject"])
def test_a_broken_chain_fails_at_its_break(case: dict[str, Any]) -> None:
    with pytest.raises(DamagedError) as raised:
        followed(case["records"])
    assert raised.value.message == str(case["fails_at"])


@cases(CHAIN["clock"])
def test_the_clock_goes_past_the_newest_seen(case: dict[str, Any]) -> None:
    assert tick(case["newest"], case["now"]) == case["next"]


# --- envelope ------------------------------------------------------------------------------


@cases(ENVELOPE["accept"])
def test_an_envelope_opens_where_it_belongs(case: dict[str, Any]) -> None:
    fields = unhexed(case["context"])
    context, key = EnvelopeContext(**fields), raw(case["key"])
    assert context.encode() == raw(case["aad"]) == plainly.envelope_aad(fields)
    assert open_envelope(key, raw(case["envelope"]), context) == raw(case["payload"])
    assert plainly.open_envelope(key, raw(case["envelope"]), fields) == raw(case["payload"])
    assert seal(key, raw(case["payload"]), context) == raw(case["envelope"])


@cases(ENVELOPE["reject"])
def test_an_envelope_opens_nowhere_else(case: dict[str, Any]) -> None:
    context = EnvelopeContext(**unhexed(case["context"]))
    with pytest.raises(ERRORS[case["error"]]):
        open_envelope(raw(case["key"]), raw(case["envelope"]), context)


# --- keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize("label", KEYS["derive"]["labels"])
def test_each_label_derives_its_own_key(label: str) -> None:
    secret, expected = raw(KEYS["derive"]["secret"]), raw(KEYS["derive"]["labels"][label])
    assert derive(secret, label, len(expected)) == expected
    assert plainly.derive(secret, label, len(expected)) == expected


@cases(KEYS["kit"]["accept"])
def test_a_kit_gives_root_vault_and_recovery_key(case: dict[str, Any]) -> None:
    kit = RecoveryKit.from_words(case["words"])
    assert kit.words == case["words"]
    assert kit.root.public == raw(case["root"])
    assert kit.vault_id == raw(case["vault"])
    assert kit.recovery.public == raw(case["recovery"])
    secret = raw(case["secret"])
    assert plainly.signing_public(plainly.derive(secret, "owner-root")) == raw(case["root"])
    assert plainly.identifier(raw(case["root"]), "vault") == raw(case["vault"])
    recovery = plainly.derive(secret, "recovery")
    assert plainly.agreement_public(recovery) == raw(case["recovery"])


@cases(KEYS["kit"]["reject"])
def test_other_words_are_no_kit(case: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        RecoveryKit.from_words(case["words"])


@cases(KEYS["device"]["accept"])
def test_a_device_derives_its_keys_and_is_vouched_for(case: dict[str, Any]) -> None:
    keys, secret = DeviceKeys(raw(case["secret"])), raw(case["secret"])
    assert keys.signing.public == raw(case["signing"])
    assert keys.agreement.public == raw(case["agreement"])
    assert keys.database == raw(case["database"]) == plainly.derive(secret, "database-pages")
    assert keys.id == raw(case["id"]) == plainly.identifier(raw(case["signing"]), "device")
    agreement = plainly.derive(secret, "device-agreement")
    assert plainly.agreement_public(agreement) == raw(case["agreement"])
    chain = learned(RecordType.DEVICE, raw(case["vault"]), raw(case["bytes"]))
    assert chain.devices == {raw(case["id"]): (raw(case["signing"]), raw(case["agreement"]))}
    fields = cbor2.loads(raw(case["bytes"]))
    statement = b"haulout/1/device\0" + raw(case["vault"]) + keys.signing.public
    statement += keys.agreement.public
    assert plainly.signature_is_valid(fields["root"], fields["signature"], statement)


@cases(KEYS["device"]["reject"])
def test_a_device_that_the_root_did_not_sign_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(DamagedError):
        learned(RecordType.DEVICE, raw(KEYS["device"]["accept"][0]["vault"]), raw(case["bytes"]))


def learned(record_type: RecordType, vault: bytes, payload: bytes) -> Keychain:
    chain = Keychain(vault, make.DEVICE.id, make.DEVICE.agreement)
    chain.learn(1, make.header(type=int(record_type)), payload)
    return chain


def holder(case: dict[str, Any]) -> tuple[Any, bytes]:
    secret = raw(case["secret"])
    if case["holder"] == "kit":
        return RecoveryKit(secret).recovery, plainly.derive(secret, "recovery")
    return DeviceKeys(secret).agreement, plainly.derive(secret, "device-agreement")


@cases(KEYS["user_key"]["accept"])
def test_a_wrap_opens_for_its_holder(case: dict[str, Any]) -> None:
    key, secret = holder(case)
    wrap, context = raw(case["wrap"]), raw(case["context"])
    assert key.unwrap(wrap, context) == raw(case["opened"])
    assert plainly.open_wrap(secret, wrap, context) == raw(case["opened"])


@cases(KEYS["user_key"]["reject"])
def test_a_wrap_opens_for_nobody_else(case: dict[str, Any]) -> None:
    key, _ = holder(case)
    with pytest.raises(VaultLockedError):
        key.unwrap(raw(case["wrap"]), raw(case["context"]))


def test_a_user_key_payload_is_learned() -> None:
    chain = learned(RecordType.KEY_EPOCH, make.VAULT, raw(KEYS["user_key"]["payload"]))
    assert chain.user_secrets() == {1: raw(KEYS["user_key"]["accept"][0]["opened"])}
    assert chain.kit_public == raw(KEYS["kit"]["accept"][0]["recovery"])


def test_a_namespace_key_payload_is_learned() -> None:
    case = KEYS["namespace_key"]
    chain = learned(RecordType.KEY_EPOCH, make.VAULT, raw(KEYS["user_key"]["payload"]))
    key = chain.read_namespace_key(raw(case["payload"]))
    assert (key.id, key.name, key.epoch) == (raw(case["namespace"]), case["name"], 1)
    assert key.key.secret == raw(case["key"])
    fields = cbor2.loads(raw(case["payload"]))
    context = b"haulout/1/namespace-key\0" + make.VAULT + fields["namespace"]
    context += (1).to_bytes(4, "big") + (1).to_bytes(4, "big")
    inner = plainly.open_sealed(raw(case["user_key"]), fields["sealed"], context)
    assert inner == plainly.cbor({"name": case["name"], "key": raw(case["key"])})


@cases(KEYS["namespace_key"]["record_key"]["accept"])
def test_a_record_key_opens_in_its_place(case: dict[str, Any]) -> None:
    key = raw(KEYS["namespace_key"]["key"])
    wrap, context = raw(case["wrap"]), raw(case["context"])
    assert SymmetricKey(key).unwrap(wrap, context) == raw(case["opened"])
    assert plainly.open_sealed(key, wrap, context) == raw(case["opened"])


@cases(KEYS["namespace_key"]["record_key"]["reject"])
def test_a_record_key_opens_in_no_other_place(case: dict[str, Any]) -> None:
    key = SymmetricKey(raw(KEYS["namespace_key"]["key"]))
    with pytest.raises(DamagedError):
        key.unwrap(raw(case["wrap"]), raw(case["context"]))


@cases(KEYS["operation"]["operation_ids"])
def test_an_operation_id_is_kept_as_its_mac(case: dict[str, Any]) -> None:
    chain = learned(RecordType.KEY_EPOCH, make.VAULT, raw(KEYS["user_key"]["payload"]))
    assert chain.operation_mac(case["op_id"]) == raw(case["mac"])
    key = plainly.derive(raw(KEYS["operation"]["user_key"]), "operation-ids")
    assert plainly.mac(key, case["op_id"].encode()) == raw(case["mac"])


@cases(KEYS["operation"]["requests"])
def test_a_request_is_kept_as_its_mac(case: dict[str, Any]) -> None:
    chain = learned(RecordType.KEY_EPOCH, make.VAULT, raw(KEYS["user_key"]["payload"]))
    assert chain.request_mac(case["request"].encode()) == raw(case["mac"])
    key = plainly.derive(raw(KEYS["operation"]["user_key"]), "requests")
    assert plainly.mac(key, case["request"].encode()) == raw(case["mac"])


@cases(KEYS["key_file"]["accept"])
def test_a_key_file_gives_secret_and_vault(case: dict[str, Any]) -> None:
    found = decode_keyfile(raw(case["bytes"]), passphrase=case["passphrase"], name="device.key")
    assert found == (raw(case["secret"]), raw(case["vault"]))


@cases(KEYS["key_file"]["reject"])
def test_another_key_file_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ERRORS[case["error"]]) as raised:
        decode_keyfile(raw(case["bytes"]), passphrase=case["passphrase"], name="device.key")
    assert isinstance(raised.value, HauloutError)


# --- section -------------------------------------------------------------------------------


def numbered(secrets: dict[str, str]) -> dict[int, bytes]:
    return {int(generation): raw(secret) for generation, secret in secrets.items()}


@pytest.mark.parametrize(("length", "size"), SECTION["padded"])
def test_a_length_is_padded_as_the_paper_says(length: int, size: int) -> None:
    assert padded(length) == size == plainly.padded(length)


@pytest.mark.parametrize(("section", "content"), SECTION["room"])
def test_a_section_has_room_for_so_much_and_no_more(section: int, content: int) -> None:
    assert room(section) == content
    assert plainly.padded(content + 41) <= section < plainly.padded(content + 42)


@cases(SECTION["accept"])
def test_a_section_opens_where_it_belongs(case: dict[str, Any]) -> None:
    given = (numbered(case["secrets"]), case["kind"], raw(case["vault"]), raw(case["section"]))
    assert plainly.open_section(*given) == raw(case["content"])
    assert open_section(given[0], Kind(given[1]), *given[2:]) == raw(case["content"])


@cases(SECTION["reject"])
def test_a_section_opens_nowhere_else(case: dict[str, Any]) -> None:
    given = (numbered(case["secrets"]), Kind(case["kind"]), raw(case["vault"]))
    with pytest.raises(ERRORS[case["error"]]):
        open_section(*given, raw(case["section"]))
    assert refused(plainly.open_section, *given, raw(case["section"]))


def refused(read: Callable[..., object], *given: object, **named: Any) -> bool:
    try:
        read(*given, **named)
    except Exception:  # noqa: BLE001 whatever the plain reader trips over, it does not accept
        return True
    return False


# --- segment -------------------------------------------------------------------------------


@cases(SEGMENT["segment"]["accept"])
def test_a_segment_gives_its_records_back(case: dict[str, Any]) -> None:
    content, vault = raw(case["content"]), raw(case["vault"])
    expected = [
        (raw(one["header"]), raw(one["signature"]), one["payload"] and raw(one["payload"]))
        for one in case["records"]
    ]
    expected = [(h, s, b"" if p == "" else p) for h, s, p in expected]
    assert plainly.segment(content, vault) == expected
    records = decode_segment(content, vault)
    assert records == [Carried(decode_header(h), h, s, p) for h, s, p in expected]
    assert encode_segment(case["lane"], records) == content


@cases(SEGMENT["segment"]["reject"])
def test_anything_else_is_no_segment(case: dict[str, Any]) -> None:
    with pytest.raises(ERRORS[case["error"]]):
        decode_segment(raw(case["content"]), make.VAULT)
    assert refused(plainly.segment, raw(case["content"]), make.VAULT)


def unhexed_pairs(case: dict[str, Any]) -> dict[bytes, bytes]:
    return {raw(name): raw(value) for name, value in case["pairs"].items()}


@cases(SEGMENT["keys"]["accept"])
def test_a_key_chunk_gives_its_wraps_back(case: dict[str, Any]) -> None:
    content, expected = raw(case["content"]), unhexed_pairs(case)
    assert decode_keys(content) == expected == plainly.pairs(content)[1]
    assert encode_keys(reversed(expected.items())) == content


@cases(SEGMENT["keys"]["reject"])
def test_anything_else_is_no_key_chunk(case: dict[str, Any]) -> None:
    with pytest.raises(ERRORS[case["error"]]):
        decode_keys(raw(case["content"]))
    assert refused(plainly.pairs, raw(case["content"]))


@cases(SEGMENT["vectors"]["accept"])
def test_a_vector_section_gives_its_vectors_back(case: dict[str, Any]) -> None:
    content, expected = raw(case["content"]), (case["model"], unhexed_pairs(case))
    assert decode_vectors(content) == expected == plainly.pairs(content, named=True)
    assert encode_vectors(case["model"], expected[1].items()) == content


@cases(SEGMENT["vectors"]["reject"])
def test_anything_else_is_no_vector_section(case: dict[str, Any]) -> None:
    with pytest.raises(ERRORS[case["error"]]):
        decode_vectors(raw(case["content"]))
    assert refused(plainly.pairs, raw(case["content"]), named=True)


def codes(case: dict[str, Any]) -> tuple[bytes, bytes, str]:
    return raw(case["key"]), raw(case["record"]), case["model"]


@cases(SEGMENT["codes"]["accept"])
def test_vectors_open_with_their_record(case: dict[str, Any]) -> None:
    parts, sealed = [raw(part) for part in case["parts"]], raw(case["sealed"])
    assert open_codes(*codes(case), sealed) == parts == plainly.open_codes(*codes(case), sealed)
    assert seal_codes(*codes(case), parts) == sealed


@cases(SEGMENT["codes"]["reject"])
def test_vectors_open_with_no_other_record(case: dict[str, Any]) -> None:
    with pytest.raises(DamagedError):
        open_codes(*codes(case), raw(case["sealed"]))
    assert refused(plainly.open_codes, *codes(case), raw(case["sealed"]))


# --- head ----------------------------------------------------------------------------------

HEAD_VAULT, HEAD_KIT = raw(HEAD["vault"]), raw(HEAD["kit"])


@cases(HEAD["accept"])
def test_the_kit_alone_opens_a_head(case: dict[str, Any]) -> None:
    data, name = raw(case["bytes"]), case["stored_as"]
    secrets = kit_secrets(data, HEAD_VAULT, RecoveryKit(HEAD_KIT).recovery)
    assert secrets == numbered(case["secrets"])
    head = open_head(data, HEAD_VAULT, secrets, name)
    assert (head.number, head.lane) == (case["number"], case["lane"])
    assert plainly.written(plainly.read(raw(case["body"]))) == raw(case["body"])
    assert plainly.head(data, HEAD_VAULT, secrets) == raw(case["body"]) == canonical([1, *head])
    assert plainly.head_name(HEAD_VAULT, raw(HEAD["device"]), head.lane) == name
    _, wraps, _ = plainly.head_parts(data)
    recovery = plainly.derive(HEAD_KIT, "recovery")
    for generation, wrap in wraps.items():
        context = b"haulout/1/user-key\0" + HEAD_VAULT + generation.to_bytes(4, "big")
        assert plainly.open_wrap(recovery, wrap, context) == secrets[generation]


@cases(HEAD["reject"])
def test_a_head_is_believed_for_no_other_reason(case: dict[str, Any]) -> None:
    secrets = numbered(HEAD["secrets"])
    with pytest.raises(ERRORS[case["error"]]):
        open_head(raw(case["bytes"]), HEAD_VAULT, secrets)
    assert refused(plainly.head, raw(case["bytes"]), HEAD_VAULT, secrets)


@cases(HEAD["not_for_this_kit"])
def test_another_kit_gets_no_key_from_a_head(case: dict[str, Any]) -> None:
    with pytest.raises(VaultLockedError):
        kit_secrets(raw(case["bytes"]), HEAD_VAULT, RecoveryKit(HEAD_KIT).recovery)


def test_a_head_under_the_name_of_another_is_refused() -> None:
    data, secrets = raw(HEAD["accept"][0]["bytes"]), numbered(HEAD["secrets"])
    for device, lane in ((raw(HEAD["device"]), 2), (make.OTHER_DEVICE.id, 1)):
        with pytest.raises(DamagedError):
            open_head(data, HEAD_VAULT, secrets, head_name(HEAD_VAULT, device, lane))


@cases(HEAD["standing"])
def test_two_heads_tell_how_they_stand_to_each_other(case: dict[str, Any]) -> None:
    secrets = numbered(HEAD["secrets"])
    known, found = (open_head(raw(case[n]), HEAD_VAULT, secrets) for n in ("known", "found"))
    told = standing(raw(case["known"]), known, raw(case["found"]), found)
    assert told.value == case["standing"]


# --- locator -------------------------------------------------------------------------------


def told_locator(locator: Locator) -> dict[str, Any]:
    fields = make.hexed(locator._asdict())
    if locator.walrus is not None:
        place = locator.walrus._asdict()
        services = {name: list(place[name]) for name in ("publishers", "aggregators", "nodes")}
        refs = {n: place[n] and make.hexed(place[n]._asdict()) for n in ("head", "states")}
        fields["walrus"] = place | services | refs
    return fields


@cases(LOCATOR["accept"])
def test_a_locator_is_read_from_its_text(case: dict[str, Any]) -> None:
    locator = decode(case["text"])
    assert told_locator(locator) == case["locator"]
    assert encode(locator) == case["text"]
    body = [*locator]
    if locator.walrus is not None and locator.walrus.states is None:
        body[3] = locator.walrus[:-1]  # what a vault without states says of them
    assert plainly.written(plainly.locator(case["text"])) == canonical(body)
    assert max(map(len, case["text"].split("\n"))) <= 64


@pytest.mark.parametrize("text", LOCATOR["same"])
def test_spaces_and_line_breaks_do_not_matter_to_a_locator(text: str) -> None:
    assert decode(text) == decode(LOCATOR["accept"][0]["text"])


@cases(LOCATOR["reject"])
def test_anything_else_is_no_locator(case: dict[str, Any]) -> None:
    with pytest.raises(InputError) as raised:
        decode(case["text"])
    assert raised.value.hint
    assert refused(plainly.locator, case["text"])
