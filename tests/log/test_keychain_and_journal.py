"""The key chain and the journal over a real database in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cbor2
import pytest
from vault.making import NOON, entropy_of

from haulout.crypto.keys import AgreementKey, DeviceKeys
from haulout.crypto.kit import RecoveryKit
from haulout.database.database import Database
from haulout.database.transaction import Transaction
from haulout.errors import DamagedError, ErasedError, VaultLockedError
from haulout.log.chain import EMPTY, follow, signature_matches
from haulout.log.journal import Journal
from haulout.log.keychain import Keychain, device_keys, device_payload, user_key_payload
from haulout.log.record import GENESIS, Header, Lane, RecordType, canonical, payload_hash
from haulout.log.schema import LOG_TABLES, NEWEST_RECORD

KIT = RecoveryKit(bytes(range(32)))
VAULT = KIT.vault_id
FIRST, SECOND = DeviceKeys(b"\1" * 32), DeviceKeys(b"\2" * 32)


class Times:
    """A wall clock that shows what it is set to."""

    def __init__(self) -> None:
        self.us = NOON

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def database() -> Iterator[Database]:
    found = Database(None, bytes(32), schema=(LOG_TABLES,), newest=NEWEST_RECORD, create=True)
    yield found
    found.close()


@pytest.fixture
def times() -> Times:
    return Times()


def journal_of(device: DeviceKeys, now: Callable[[], int], seed: int) -> Journal:
    keychain = Keychain(VAULT, device.id, device.agreement)
    entropy = entropy_of(seed)
    return Journal(1, VAULT, Lane.MEMORY, device, keychain, now=now, entropy=entropy)


@pytest.fixture
def journal(database: Database, times: Times) -> Journal:
    made = journal_of(FIRST, times, 1)

    def found(connection: Transaction) -> None:
        connection.execute("INSERT INTO vault VALUES (1, ?)", (VAULT,))
        enrol(connection, made, FIRST, 1)

    database.write(found)
    return made


def enrol(connection: Transaction, journal: Journal, device: DeviceKeys, generation: int) -> None:
    secret = bytes([generation]) * 32
    holders = {device.id: device.agreement.public}
    journal.append(connection, RecordType.DEVICE, device_payload(VAULT, KIT.root, device))
    payload = user_key_payload(VAULT, generation, secret, holders, KIT.recovery.public)
    journal.append(connection, RecordType.KEY_EPOCH, payload)
    journal.refresh_keys(connection)


def remember(connection: Transaction, journal: Journal, name: str, payload: bytes) -> int:
    _, key = journal.ensure_namespace(connection, name)
    return journal.append(connection, RecordType.MEMORY, payload, namespace=key).num


# --- keychain ------------------------------------------------------------------------------


def header(record_type: RecordType) -> Header:
    return Header(
        VAULT, 1, FIRST.id, 1, GENESIS, bytes(16), NOON, record_type, bytes(16), 0, b"",
        payload_hash(b""),
    )  # fmt: skip


def user_key(generation: int, *devices: DeviceKeys) -> bytes:
    holders = {device.id: device.agreement.public for device in devices}
    secret = bytes([generation]) * 32
    return user_key_payload(VAULT, generation, secret, holders, KIT.recovery.public)


def learn(keychain: Keychain, *payloads: bytes) -> Keychain:
    for num, payload in enumerate(payloads, 1):
        keychain.learn(num, header(RecordType.KEY_EPOCH), payload)
    return keychain


def test_the_kit_opens_every_user_key() -> None:
    keychain = Keychain(VAULT, None, KIT.recovery)
    learn(keychain, user_key(1, FIRST), user_key(2, SECOND))
    assert keychain.user_secrets() == {1: b"\1" * 32, 2: b"\2" * 32}
    assert keychain.generation == 2


def test_a_device_opens_only_what_is_wrapped_to_it() -> None:
    keychain = learn(
        Keychain(VAULT, FIRST.id, FIRST.agreement), user_key(1, FIRST), user_key(2, SECOND)
    )
    assert keychain.user_secrets() == {1: b"\1" * 32}


def test_a_device_without_any_user_key_is_told_so() -> None:
    keychain = learn(Keychain(VAULT, SECOND.id, SECOND.agreement), user_key(1, FIRST))
    with pytest.raises(VaultLockedError, match="wrapped to this device"):
        keychain.require_user_key()


def test_a_stolen_wrap_does_not_open() -> None:
    keychain = Keychain(VAULT, FIRST.id, AgreementKey(b"\3" * 32))
    with pytest.raises(VaultLockedError):
        learn(keychain, user_key(1, FIRST))


def test_namespace_keys_wait_for_the_user_key_of_their_own_generation() -> None:
    owner = learn(Keychain(VAULT, FIRST.id, FIRST.agreement), user_key(1, FIRST))
    old = owner.new_namespace_payload("old", entropy_of(1))
    learn(owner, user_key(2, FIRST))
    new = owner.new_namespace_payload("new", entropy_of(2))
    newcomer = Keychain(VAULT, SECOND.id, SECOND.agreement)
    learn(newcomer, old, new)
    assert newcomer.newest(owner.read_namespace_key(old).id) is None
    learn(newcomer, user_key(1, SECOND))
    assert newcomer.newest(owner.read_namespace_key(old).id) is not None
    assert newcomer.newest(owner.read_namespace_key(new).id) is None
    learn(newcomer, user_key(2, SECOND))
    found = newcomer.newest(owner.read_namespace_key(new).id)
    assert found is not None
    assert found.name == "new"


def test_operation_ids_keep_their_mac_across_generations() -> None:
    keychain = learn(Keychain(VAULT, FIRST.id, FIRST.agreement), user_key(1, FIRST))
    before = keychain.operation_mac("order-42")
    assert learn(keychain, user_key(2, FIRST)).operation_mac("order-42") == before


def test_the_newest_epoch_is_used_and_older_ones_are_kept() -> None:
    keychain = learn(Keychain(VAULT, FIRST.id, FIRST.agreement), user_key(1, FIRST))
    payload = keychain.new_namespace_payload("a", entropy_of(1))
    first = keychain.read_namespace_key(payload)
    context = b"haulout/1/namespace-key\0" + VAULT + first.id
    context += (2).to_bytes(4, "big") + (1).to_bytes(4, "big")
    inner = canonical({"name": "a", "key": b"\5" * 32})
    sealed = keychain._users[1].wrap(inner, context, entropy_of(3))
    second = canonical({"namespace": first.id, "epoch": 2, "generation": 1, "sealed": sealed})
    learn(keychain, second, payload)
    newest, oldest = keychain.newest(first.id), keychain.namespace_key(first.id, 1)
    assert newest is not None
    assert oldest is not None
    assert (newest.epoch, newest.key.secret) == (2, b"\5" * 32)
    assert oldest.key.secret == first.key.secret
    assert keychain.namespace_key(first.id, 3) is None


# --- journal -------------------------------------------------------------------------------


def test_what_is_appended_is_sealed_chained_signed_and_read_back(
    database: Database, journal: Journal
) -> None:
    nums = [
        database.write(lambda c, n=n: remember(c, journal, "work", b"payload %d" % n))
        for n in range(3)
    ]
    tip = EMPTY
    with database.read() as connection:
        for stored in journal.records(connection):
            assert stored.payload is not None
            assert b"payload" not in stored.payload
            assert b"work" not in stored.payload + stored.header_bytes
            _, tip = follow(tip, stored.header_bytes, stored.payload)
            assert signature_matches(stored.header_bytes, stored.signature, FIRST.signing.public)
        opened = [journal.open_payload(connection, journal.stored(connection, n)) for n in nums]
    assert opened == [b"payload 0", b"payload 1", b"payload 2"]
    assert tip.sequence == 6  # device, user key, namespace, three memories


def test_every_record_has_its_own_id_and_key(database: Database, journal: Journal) -> None:
    database.write(lambda c: [remember(c, journal, "work", b"same") for _ in range(9)])
    with database.read() as connection:
        ids = [stored.header.id for stored in journal.records(connection)]
        wraps = [row[0] for row in connection.execute("SELECT wrap FROM record_key")]
        bodies = [r[0] for r in connection.execute("SELECT payload FROM record WHERE type = 1")]
    assert len(set(ids)) == len(ids)
    assert len(set(wraps)) == 9
    assert len(set(bodies)) == 9


def test_a_payload_moved_to_another_record_does_not_open(
    database: Database, journal: Journal
) -> None:
    one = database.write(lambda c: remember(c, journal, "work", b"one"))
    two = database.write(lambda c: remember(c, journal, "work", b"two"))
    with database.read() as connection:
        first, second = journal.stored(connection, one), journal.stored(connection, two)
        with pytest.raises(DamagedError):
            journal.open_payload(connection, first._replace(payload=second.payload))
        with pytest.raises(DamagedError):
            journal.open_payload(connection, first._replace(header=second.header))


def test_a_key_moved_to_another_record_does_not_open(database: Database, journal: Journal) -> None:
    one = database.write(lambda c: remember(c, journal, "work", b"one"))
    two = database.write(lambda c: remember(c, journal, "work", b"two"))
    database.write(
        lambda c: c.execute(
            "UPDATE record_key SET wrap = (SELECT wrap FROM record_key WHERE num = ?)"
            " WHERE num = ?", (two, one),
        )
    )  # fmt: skip
    with database.read() as connection, pytest.raises(DamagedError):
        journal.open_payload(connection, journal.stored(connection, one))


def test_destroying_takes_key_and_payload_and_leaves_the_chain(
    database: Database, journal: Journal
) -> None:
    one = database.write(lambda c: remember(c, journal, "work", b"one"))
    database.write(lambda c: remember(c, journal, "work", b"two"))
    database.write(lambda c: journal.destroy(c, one))
    tip = EMPTY
    with database.read() as connection:
        for stored in journal.records(connection):
            _, tip = follow(tip, stored.header_bytes, stored.payload)
        with pytest.raises(ErasedError):
            journal.open_payload(connection, journal.stored(connection, one))
        assert connection.execute("SELECT num FROM record_key").fetchall() == [(one + 1,)]
    assert tip.sequence == 5


def test_a_namespace_keeps_its_key_for_good(database: Database, journal: Journal) -> None:
    first = database.write(lambda c: journal.ensure_namespace(c, "work"))
    again = database.write(lambda c: journal.ensure_namespace(c, "work"))
    other = database.write(lambda c: journal.ensure_namespace(c, "home"))
    assert (first[0], first[1].id) == (again[0], again[1].id)
    assert first[1].key.secret == again[1].key.secret
    assert other[1].id != first[1].id
    assert other[1].key.secret != first[1].key.secret


def test_a_namespace_of_a_job_that_failed_is_made_anew(
    database: Database, journal: Journal
) -> None:
    class StopError(Exception):
        pass

    def failing(connection: Transaction) -> None:
        remember(connection, journal, "work", b"one")
        remember(connection, journal, "work", b"two")  # has learned the key by now
        raise StopError

    with pytest.raises(StopError):
        database.write(failing)
    num = database.write(lambda c: remember(c, journal, "work", b"three"))
    with database.read() as connection:
        assert journal.open_payload(connection, journal.stored(connection, num)) == b"three"


def test_another_process_learns_the_keys_it_needs(
    database: Database, journal: Journal, times: Times
) -> None:
    other = journal_of(FIRST, times, 2)
    num = database.write(lambda c: remember(c, journal, "work", b"one"))
    with database.read() as connection:
        assert other.keychain.learned == 0
        assert other.open_payload(connection, other.stored(connection, num)) == b"one"


def test_a_second_device_writes_its_own_chain_and_reads_the_first_ones(
    database: Database, journal: Journal, times: Times
) -> None:
    num = database.write(lambda c: remember(c, journal, "work", b"one"))
    newcomer = journal_of(SECOND, times, 3)
    database.write(lambda c: enrol(c, newcomer, SECOND, 1))
    mine = database.write(lambda c: remember(c, newcomer, "work", b"two"))
    with database.read() as connection:
        assert newcomer.open_payload(connection, newcomer.stored(connection, num)) == b"one"
        assert journal.open_payload(connection, journal.stored(connection, mine)) == b"two"
        sequences = [(s.header.device, s.header.sequence) for s in journal.records(connection)]
    assert [s for d, s in sequences if d == FIRST.id] == [1, 2, 3, 4]
    assert [s for d, s in sequences if d == SECOND.id] == [1, 2, 3]


def test_a_wall_clock_that_goes_back_does_not_turn_the_log_around(
    database: Database, journal: Journal, times: Times
) -> None:
    database.write(lambda c: remember(c, journal, "work", b"one"))
    times.us = NOON - 10**12
    database.write(lambda c: remember(c, journal, "work", b"two"))
    newcomer = journal_of(SECOND, times, 3)
    database.write(lambda c: enrol(c, newcomer, SECOND, 1))
    database.write(lambda c: remember(c, newcomer, "work", b"three"))
    with database.read() as connection:
        clocks = [stored.header.clock for stored in journal.records(connection)]
    assert clocks == sorted(set(clocks))


def test_unknown_records_and_operations_are_told_from_known_ones(
    database: Database, journal: Journal
) -> None:
    def job(connection: Transaction) -> Any:
        return journal.append(connection, RecordType.FORGET, b"p", operation=b"\7" * 16)

    entry = database.write(job)
    with database.read() as connection:
        assert journal.find(connection, entry.id) == entry.num
        assert journal.find(connection, bytes(16)) is None
        assert journal.operation(connection, b"\7" * 16) == entry.num
        assert journal.operation(connection, b"\6" * 16) is None
        with pytest.raises(DamagedError, match="999"):
            journal.stored(connection, 999)


def test_records_of_unknown_types_are_kept_and_verified(
    database: Database, journal: Journal
) -> None:
    entry = database.write(lambda c: journal.append(c, 4242, b"from the future"))  # type: ignore[arg-type]
    with database.read() as connection:
        stored = journal.stored(connection, entry.num)
    assert (stored.header.type, stored.payload) == (4242, b"from the future")


def test_a_missing_namespace_key_is_told_as_damage(database: Database, journal: Journal) -> None:
    with database.read() as connection, pytest.raises(DamagedError, match="no key"):
        journal.namespace_key(connection, bytes(16), 1)


@pytest.mark.parametrize("moved", [-1, 1])
def test_the_border_between_a_devices_two_keys_cannot_be_moved(moved: int) -> None:
    kit, device = RecoveryKit(bytes(range(32))), DeviceKeys(bytes(32))
    fields = cbor2.loads(device_payload(kit.vault_id, kit.root, device))
    whole = fields["signing"] + fields["agreement"]
    fields |= {"signing": whole[: 32 + moved], "agreement": whole[32 + moved :]}
    with pytest.raises(DamagedError, match="vouched"):
        device_keys(kit.vault_id, canonical(fields))
