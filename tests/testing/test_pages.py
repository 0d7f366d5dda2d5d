from pathlib import Path

import pytest

from haulout import Vault
from haulout.testing.pages import (
    database_key,
    decrypted_log_pages,
    decrypted_pages,
    vault_pages,
)

WORD = b"zorgelbluff"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A vault whose file and write-ahead log both have content."""
    folder = tmp_path / "vault"
    with Vault.create(folder, embedder="none")[0] as vault:
        for number in range(20):
            vault.remember(f"note {number} of the zorgelbluff")
    return folder


def test_every_page_of_the_file_is_read_without_sqlite(folder: Path) -> None:
    pages = list(decrypted_pages(folder / "memory.db", database_key(folder)))
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert all(page.authentic for page in pages)
    assert {len(page.plain) for page in pages} == {4096 - 32}
    assert sum(page.plain.count(WORD) for page in pages) >= 20
    assert WORD not in (folder / "memory.db").read_bytes()


def test_every_frame_of_the_write_ahead_log_is_read_stale_ones_too(folder: Path) -> None:
    with Vault.open(folder, embedder="none") as vault:
        kept = vault.remember("note 20 of the zorgelbluff")
        vault.update(kept.id, "note 20, corrected")
        pages = list(decrypted_log_pages(folder / "memory.db", database_key(folder)))
        assert all(page.authentic for page in pages)
        assert any(b"note 20, corrected" in page.plain for page in pages)
        numbers = [page.number for page in pages]
        assert len(set(numbers)) < len(numbers), "several versions of a page"
        both = {page.file for page in vault_pages(folder)}
        assert both == {"memory.db", "memory.db-wal"}
    assert not list(decrypted_log_pages(folder / "memory.db", database_key(folder)))


def test_a_changed_byte_and_another_key_are_told(folder: Path) -> None:
    file, key = folder / "memory.db", database_key(folder)
    data = bytearray(file.read_bytes())
    data[3 * 4096 + 77] ^= 1
    file.write_bytes(data)
    assert [page.number for page in decrypted_pages(file, key) if not page.authentic] == [4]
    assert not any(page.authentic for page in decrypted_pages(file, bytes(32)))


def test_a_key_file_under_a_passphrase_is_opened(tmp_path: Path) -> None:
    Vault.create(tmp_path / "vault", passphrase="tusk", embedder="none")[0].close()
    pages = list(vault_pages(tmp_path / "vault", passphrase="tusk"))
    assert pages
    assert all(page.authentic for page in pages)
