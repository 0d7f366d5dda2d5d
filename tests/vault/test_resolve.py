"""IDs by their beginning."""

from __future__ import annotations

import secrets

import pytest

from haulout import Vault
from haulout.errors import ConflictError, InputError, NotFoundError
from haulout.log.record import id_bytes, id_range, id_text
from haulout.vault.opening import World


def alike(size: int) -> bytes:
    """Random bytes, but for IDs, whose first half is always the same."""
    return bytes(8) + secrets.token_bytes(8) if size == 16 else secrets.token_bytes(size)


def test_six_characters_name_a_memory_and_all_of_them_still_do():
    with Vault.ephemeral() as vault:
        memory = vault.remember("Ana is allergic to walnuts.")
        assert vault.resolve(memory.id[:6]) == memory.id
        assert vault.resolve(memory.id) == memory.id


def test_a_beginning_that_several_share_names_them():
    with Vault.ephemeral(world=World(entropy=alike)) as vault:
        both = sorted(vault.remember(text).id for text in ("one", "two"))
        with pytest.raises(ConflictError, match=both[0]) as raised:
            vault.resolve(both[0][:8])
        assert both[1] in raised.value.message


def test_an_erased_memory_is_named_by_its_beginning_too():
    with Vault.ephemeral() as vault:
        memory = vault.remember("gone soon")
        vault.forget(memory.id)
        assert vault.resolve(memory.id[:8]) == memory.id


def test_a_memorys_beginning_does_not_name_an_update_but_an_operations_does():
    with Vault.ephemeral() as vault:
        memory = vault.remember("old words")
        update = vault.update(memory.id, "new words")
        with pytest.raises(NotFoundError):
            vault.resolve(update.op_id[:10])
        assert vault.resolve(update.op_id[:10], of="operation") == update.op_id


@pytest.mark.parametrize("prefix", ["", "abc", "zzzzzz", "ABCDEF", "a" * 27, "a%0000", "é" * 6])
def test_what_no_id_begins_with_is_refused(prefix):
    with Vault.ephemeral() as vault, pytest.raises((InputError, NotFoundError)):
        vault.resolve(prefix)


@pytest.mark.parametrize("length", range(1, 27))
def test_a_range_holds_exactly_the_ids_that_begin_so(length):
    raw = secrets.token_bytes(16)
    low, high = id_range(id_text(raw)[:length])
    assert low <= raw <= high
    assert id_text(low)[:length] == id_text(high)[:length] == id_text(raw)[:length]
    assert id_bytes(id_text(low)) == low
    before = (int.from_bytes(low, "big") - 1) % (1 << 128)
    assert id_text(before.to_bytes(16, "big"))[:length] != id_text(raw)[:length]
