"""Attachments: bytes in, the same bytes out, held against a dict through all that befalls them."""

from __future__ import annotations

import io
import os
import random
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault.making import Clock, entropy_of, new_vault

from haulout import Vault
from haulout.crypto import chunk as crypto_chunk
from haulout.errors import (
    BlobMissingError,
    ConflictError,
    DamagedError,
    ErasedError,
    InputError,
    LimitError,
    NotFoundError,
    OperationReusedError,
    StorageError,
)
from haulout.log import attachment as formats
from haulout.log import chunktable
from haulout.testing.pages import vault_pages
from haulout.vault import backup
from haulout.vault.attachments import appending, chunks, cutting
from haulout.vault.opening import World

FULL = 64
"""What a full chunk has in most of these tests: files of thousands of chunks in no time."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 64 bytes, lists of 4, merging below 16."""
    small_chunks(monkeypatch)


def small_chunks(patch: pytest.MonkeyPatch) -> None:
    for module in (crypto_chunk, cutting, formats):
        patch.setattr(module, "FULL_BYTES", FULL)
    for module in (cutting, formats):
        patch.setattr(module, "FANOUT", 4)
    for module in (chunktable, formats):
        patch.setattr(module, "LIST_BYTES", 4 * 48)
    patch.setattr(crypto_chunk, "FULL_BYTES", 4 * 48)
    patch.setattr(cutting, "MERGED_BYTES", 16)
    patch.setattr(formats, "MOST_LEVEL", 20)


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault.ephemeral() as found:
        yield found


def files(vault: Vault) -> dict[str, bytes]:
    """Every file below a vault's folder of attachments."""
    assert vault.path
    found = (vault.path / "attachments").rglob("*")
    return {path.name: path.read_bytes() for path in found if path.is_file()}


def rows(vault: Vault, sql: str) -> list[tuple[Any, ...]]:
    with vault._database.read() as connection:
        return connection.execute(sql).fetchall()


def whole(vault: Vault, memory: str) -> bytes:
    with vault.attachment(memory) as stream:
        return stream.read()


def drawn(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


class Pipe(io.RawIOBase):
    """A stream that cannot be sought in, and gives what it has in pieces."""

    def __init__(self, *pieces: bytes, then: Callable[[], bytes] = lambda: b"") -> None:
        super().__init__()
        self.pieces, self.then, self.asked = list(pieces), then, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self.asked += 1
        if not self.pieces:
            return self.then()
        piece = self.pieces.pop(0)
        if size >= 0 and len(piece) > size:
            self.pieces.insert(0, piece[size:])
        return piece[:size] if size >= 0 else piece


# --- what goes in comes out ------------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_sequence_of_attach_append_read_and_forget_is_that_of_a_dict(data: Any) -> None:
    sizes = st.one_of(
        st.integers(0, 40), st.integers(0, 400), st.sampled_from([64, 128, 256, 1024, 1040])
    )
    contents: dict[str, bytes] = {}
    world = World(now=Clock(), entropy=entropy_of(1))
    with Vault.ephemeral(world=world) as vault:
        for number in range(data.draw(st.integers(1, 12))):
            # Few values, so that equal chunks occur within a file and between files.
            piece = bytes([data.draw(st.integers(0, 2)) + 128]) * data.draw(sizes)
            piece += drawn(data.draw(st.integers(0, 2)), data.draw(sizes))
            ids = sorted(contents)
            verb = data.draw(st.sampled_from(["attach", "append", "append", "forget", "undo"]))
            if verb == "attach" or not ids:
                contents[vault.remember("x", attach=piece).id] = piece
                continue
            one = data.draw(st.sampled_from(ids))
            if verb == "append":
                vault.append(one, piece, op_id=f"op-{number}")
                contents[one] += piece
            elif verb == "undo":
                if piece:
                    vault.undo(vault.append(one, piece).op_id)
            else:
                vault.forget(one)
                del contents[one]
            for memory, content in contents.items():
                assert vault.get(memory).attachment.size == len(content)
                with vault.attachment(memory) as stream:
                    place = data.draw(st.integers(0, len(content) + 3))
                    stream.seek(place)
                    assert stream.read(70) == content[place : place + 70]
                    stream.seek(0)
                    assert stream.read() == content
        assert vault.check().problems == ()
        before = rows(vault, "SELECT count(*) FROM chunk"), rows(vault, "SELECT * FROM chunk_gone")
        vault.rebuild()
        assert vault.check().problems == ()
        assert (rows(vault, "SELECT count(*) FROM chunk"), []) == before
        for memory, content in contents.items():
            assert whole(vault, memory) == content
        assert len(list(vault._parts.files.all())) == before[0][0][0]


@pytest.mark.parametrize("size", [0, 1, 1_048_558, 1_048_559, 1_048_560, 2_097_118, 3_000_001])
def test_sizes_about_a_chunk_come_back_as_they_were(tmp_path: Path, size: int) -> None:
    content = drawn(size, size)
    (tmp_path / "a file.bin").write_bytes(content)
    with new_vault(tmp_path / "v")[0] as vault:
        memory = vault.remember("a file", attach=tmp_path / "a file.bin")
        assert memory.attachment.name == "a file.bin"
        assert memory.attachment.size == size
        assert whole(vault, memory.id) == content
        assert all(len(sealed) <= 2**20 for sealed in files(vault).values())
        assert len(files(vault)) == -(-size // 1_048_559)
    with Vault.open(tmp_path / "v", embedder="none") as vault:
        assert whole(vault, memory.id) == content
        assert vault.check().chunks == -(-size // 1_048_559)


@pytest.mark.parametrize("kind", ["path", "text path", "bytes", "file", "pipe"])
def test_a_source_is_a_path_bytes_or_a_binary_stream(
    vault: Vault, tmp_path: Path, kind: str
) -> None:
    content = b"line one\nline two\n"
    path = tmp_path / "notes.csv"
    path.write_bytes(content)
    with path.open("rb") as file:
        source: Any = {
            "path": path, "text path": str(path), "bytes": content, "file": file,
            "pipe": Pipe(content[:5], content[5:]),
        }[kind]  # fmt: skip
        memory = vault.remember("notes", attach=source)
    assert whole(vault, memory.id) == content
    named = kind in {"path", "text path", "file"}
    assert memory.attachment.name == ("notes.csv" if named else "attachment")
    assert memory.attachment.media_type == ("text/csv" if named else "text/plain")
    assert memory.attachment.searchable == len(content)


def test_a_stream_is_read_from_where_it_stands_and_stays_open(vault: Vault) -> None:
    stream = io.BytesIO(b"head and body")
    stream.seek(9)
    memory = vault.remember("x", attach=stream, attach_name="body.txt")
    assert whole(vault, memory.id) == b"body"
    assert not stream.closed


@pytest.mark.parametrize(
    ("attach", "name", "error"),
    [
        ("/nowhere/at/all", None, InputError),
        ("/", None, InputError),
        ("a\0b", None, InputError),
        (io.StringIO("text"), None, InputError),
        (5, None, InputError),
        (b"x", "a/b", InputError),
        (b"x", "", InputError),
        (b"x", "a\nb", InputError),
        (b"x", "\ud800", InputError),
        (b"x", "n" * 256, LimitError),
        (None, "name", InputError),
    ],
)
def test_what_cannot_be_attached_is_refused_and_nothing_is_kept(
    vault: Vault, attach: Any, name: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        vault.remember("x", attach=attach, attach_name=name)
    assert vault.stats().records == 2
    assert rows(vault, "SELECT * FROM attach") == []


def test_an_attachment_may_not_be_larger_than_its_limit(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulout.vault.attachments.sources.SIZE_BYTES", 10)
    monkeypatch.setattr("haulout.vault.attachments.cutting.SIZE_BYTES", 10)
    monkeypatch.setattr("haulout.vault.attachments.appending.SIZE_BYTES", 10)
    memory = vault.remember("x", attach=b"x" * 10)
    for call in (
        lambda: vault.remember("x", attach=b"x" * 11),
        lambda: vault.remember("x", attach=Pipe(b"x" * 6, b"x" * 5)),
        lambda: vault.append(memory.id, b"x"),
    ):
        with pytest.raises(LimitError, match="10"):
            call()
    assert whole(vault, memory.id) == b"x" * 10
    assert rows(vault, "SELECT * FROM attach") == []


def test_a_memory_without_attachment_has_none_to_read_or_append_to(vault: Vault) -> None:
    memory = vault.remember("words")
    with pytest.raises(InputError, match="no attachment"):
        vault.attachment(memory.id)
    with pytest.raises(InputError, match="no attachment"):
        vault.append(memory.id, b"x")
    with pytest.raises(NotFoundError):
        vault.attachment("0" * 26)
    with pytest.raises(LimitError, match="every"):
        vault.append(memory.id, b"x", every=0)


def test_other_fields_change_and_the_attachment_stays(vault: Vault) -> None:
    memory = vault.remember("the contract", attach=b"signed", attach_name="c.txt", tags=["a"])
    changed = vault.update(memory.id, "the contract with Acme", tags=["b"])
    assert changed.attachment == memory.attachment
    assert whole(vault, memory.id) == b"signed"
    with pytest.raises(InputError):
        vault.update(memory.id, attachment=b"x")
    with pytest.raises(InputError):
        vault.remember_many([{"text": "x", "attachment": b"x"}])


# --- once, and no more -----------------------------------------------------------------------


def test_the_same_bytes_stand_once_in_a_namespace_and_apart_in_another(tmp_path: Path) -> None:
    content = drawn(1, 2_500_000)
    with new_vault(tmp_path / "v")[0] as vault:
        vault.remember("one", attach=content)
        before = files(vault)
        vault.remember("two", attach=content)
        assert files(vault) == before
        vault.remember("three", attach=content, namespace="work")
        after = files(vault)
        assert len(after) == 2 * len(before) == 6
        assert len(set(after.values())) == 6, "the same bytes are not the same ciphertext"
    with new_vault(tmp_path / "w")[0] as other:
        other.remember("one", attach=content)
        assert not files(other).keys() & after.keys()


def test_a_repeated_attach_reads_again_and_writes_nothing(tmp_path: Path) -> None:
    content = drawn(2, 2_500_000)
    with new_vault(tmp_path / "v")[0] as vault:
        told: list[tuple[int, int | None]] = []
        first = vault.remember("one", attach=content, op_id="a")
        stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "v/attachments").rglob("*")}
        again = vault.remember(
            "one", attach=io.BytesIO(content), op_id="a", progress=lambda *step: told.append(step)
        )
        assert (again.id, again.created, first.created) == (first.id, False, True)
        assert stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "v/attachments").rglob("*")}
        assert told[-1] == (2_500_000, 2_500_000)
        vault.append(first.id, b"more")
        assert not vault.remember("one", attach=content, op_id="a").created


@pytest.mark.parametrize(
    "other",
    [
        {"attach": b"other bytes"}, {"attach": b"byte"}, {"attach_name": "b.txt"}, {"text": "y"},
        {"tags": ["t"]}, {"namespace": "work"}, {"attach": None},
    ],
)  # fmt: skip
def test_another_attach_under_the_same_operation_id_is_refused(
    vault: Vault, other: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"text": "x", "attach": b"bytes", "attach_name": "a.txt", "op_id": "a"}
    first = vault.remember(**asked)
    if "attach" in other and other["attach"] is None:
        asked.pop("attach_name")
    with pytest.raises(OperationReusedError):
        vault.remember(**asked | other)
    assert whole(vault, first.id) == b"bytes"
    assert vault.stats().memories == 1
    assert vault.check().sound


def test_what_was_erased_is_not_attached_again_under_its_operation_id(vault: Vault) -> None:
    memory = vault.remember("x", attach=b"bytes", op_id="a")
    vault.append(memory.id, b"more", op_id="b")
    vault.forget(memory.id)
    with pytest.raises(ErasedError):
        vault.remember("x", attach=b"bytes", op_id="a")
    for call in (lambda: vault.attachment(memory.id), lambda: vault.append(memory.id, b"z")):
        with pytest.raises(ErasedError):
            call()
    assert list(vault._parts.files.all()) == []


class Breaking(io.BytesIO):
    """A file whose disk fails after some bytes."""

    def __init__(self, content: bytes, at: int) -> None:
        super().__init__(content)
        self.at = at

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= self.at:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_an_attach_that_broke_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    content = drawn(3, 12_000_000)
    clock = Clock(step=0)
    with new_vault(tmp_path / "v", world=World(now=clock))[0] as vault:
        with pytest.raises(StorageError, match="could not be read"):
            vault.remember("x", attach=Breaking(content, 9_000_000), op_id="a")
        assert vault.stats().records == 3, "a namespace, and no memory"
        kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "v/attachments").glob("*/*")}
        assert len(kept) == 8
        assert vault.check().cleared == ()
        memory = vault.remember("x", attach=content, op_id="a")
        assert whole(vault, memory.id) == content
        now = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "v/attachments").glob("*/*")}
        assert now | kept == now
        with pytest.raises(StorageError):
            vault.remember("y", attach=Breaking(drawn(4, 9_000_000), 5_000_000))
        assert len(files(vault)) == 12 + 4
        clock.us += 3_700_000_000
        report = vault.check()
        assert (report.problems, len(files(vault))) == ((), 12)
        assert any("broken off" in one for one in report.cleared)
        assert whole(vault, memory.id) == content


# --- appending -------------------------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
def test_an_append_rewrites_only_the_end_and_writes_each_byte_about_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Vault.ephemeral() as vault:
        written = 0
        real = vault._parts.files.write

        def write(chunk: bytes, sealed: bytes) -> None:
            nonlocal written
            written += len(sealed) - 17
            real(chunk, sealed)

        monkeypatch.setattr(vault._parts.files, "write", write)
        memory = vault.remember("log", attach=b"")
        for number in range(200):
            vault.append(memory.id, drawn(number, 20))
        assert whole(vault, memory.id) == b"".join(drawn(number, 20) for number in range(200))
        lists = 4000 // 64 // 3 * 192
        assert written < 2.2 * 4000 + lists
        payload = rows(vault, "SELECT max(length(payload)) FROM record WHERE type = 2")[0][0]
        assert payload < 2000
        # Of the tails that were rewritten only the last two are there.
        assert len(list(vault._parts.files.all())) < 4000 // 64 * 4 / 3 + 8 + 16
        assert vault.check().sound


def test_an_append_is_safe_to_repeat_and_another_under_its_id_is_refused(vault: Vault) -> None:
    memory = vault.remember("log", attach=b"one ")
    first = vault.append(memory.id, b"two ", op_id="a")
    vault.append(memory.id, b"three ")
    again = vault.append(memory.id, io.BytesIO(b"two "), op_id="a")
    assert (again.created, again.version, first.version) == (False, 2, 2)
    other = vault.remember("log", attach=b"")
    for call in (
        lambda: vault.append(memory.id, b"tow ", op_id="a"),
        lambda: vault.append(memory.id, b"two", op_id="a"),
        lambda: vault.append(memory.id, b"", op_id="a"),
        lambda: vault.append(other.id, b"two ", op_id="a"),
        lambda: vault.append(memory.id, Pipe(b"two "), op_id="a"),
        lambda: vault.remember("x", attach=b"two ", op_id="a"),
        lambda: vault.update(memory.id, "x", op_id="a"),
    ):
        with pytest.raises(OperationReusedError):
            call()
    assert whole(vault, memory.id) == b"one two three "
    assert vault.append(memory.id, b"").version == 3
    assert vault.check().sound


def test_appends_of_two_at_once_are_both_kept(tmp_path: Path) -> None:
    with (
        new_vault(tmp_path / "v")[0] as vault,
        Vault.open(tmp_path / "v", embedder="none") as other,
    ):
        memory = vault.remember("log", attach=b"start ")

        class Meddling(io.BytesIO):
            """While it is read, somebody else appends."""

            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() == 0 and not done:
                    done.append(other.append(memory.id, b"theirs "))
                return super().read(size)

        done: list[Any] = []
        vault.append(memory.id, Meddling(b"mine "))
        assert whole(vault, memory.id) == whole(other, memory.id) == b"start theirs mine "
        assert vault.check().sound


def test_undo_takes_an_append_back_with_its_passages(vault: Vault) -> None:
    memory = vault.remember("log", attach=b"the walrus sleeps\n", attach_name="log.txt")
    vault.append(memory.id, b"a clam opens\n" * 3)
    longer = vault.append(memory.id, b"then narwhals came\n" * 200)
    assert vault.recall("narwhals")
    vault.undo(longer.op_id)
    assert whole(vault, memory.id) == b"the walrus sleeps\n" + b"a clam opens\n" * 3
    assert not [one for one in vault.recall("narwhals") if "narwhal" in one.memory.text]
    assert [one for one in vault.recall("clam") if one.memory.passage]
    with pytest.raises(ConflictError):
        vault.undo(memory.op_id)
    assert vault.check().sound
    vault.append(memory.id, b"narwhals again\n")
    assert [one.memory.passage.of for one in vault.recall("narwhals again", limit=1)] == [memory.id]
    assert vault.check().sound


def test_a_stream_is_kept_while_it_grows(tmp_path: Path) -> None:
    clock = Clock()  # a second for each look at it
    with new_vault(tmp_path / "v", world=World(now=clock))[0] as vault:
        memory = vault.remember("log", attach=b"", attach_name="log.txt")
        seen: list[bytes] = []

        def then() -> bytes:
            """Nothing more comes until what had come is readable."""
            while not seen or not seen[-1]:
                with Vault.open(tmp_path / "v", embedder="none") as other:
                    seen.append(whole(other, memory.id))
            return b""

        kept = vault.append(memory.id, Pipe(b"first ", b"second ", then=then), every=2)
        assert seen[-1]
        assert whole(vault, memory.id) == b"first second "
        assert vault.get(memory.id).version == kept.version > 1


def test_a_stream_that_broke_off_goes_on_under_its_operation_id(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulout.vault.attachments.appending.FOLLOWED_BYTES", 10)
    memory = vault.remember("log", attach=b"")

    def breaks() -> bytes:
        raise OSError(5, "Input/output error")

    with pytest.raises(StorageError):
        vault.append(memory.id, Pipe(b"0123456789", b"abcdefghij", b"xy", then=breaks), op_id="s")
    kept = whole(vault, memory.id)
    assert kept == b"0123456789abcdefghij"
    for wrong in (b"0123456789abcdefghiX", b"0123"):
        with pytest.raises(OperationReusedError):
            vault.append(memory.id, Pipe(wrong), op_id="s")
    again = vault.append(memory.id, Pipe(b"0123", b"456789abcdefghijxyz, and more"), op_id="s")
    assert whole(vault, memory.id) == b"0123456789abcdefghijxyz, and more"
    repeated = vault.append(memory.id, Pipe(b"0123456789abcdefghijxyz, and more"), op_id="s")
    assert (repeated.version, repeated.created) == (again.version, False)
    assert vault.check().sound


def test_an_interruption_keeps_what_has_come(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haulout.vault.attachments.appending.FOLLOWED_BYTES", 4)
    memory = vault.remember("log", attach=b"")
    real, calls = vault._database.write, 0

    def write(job: Any) -> Any:
        nonlocal calls
        result = real(job)
        calls += 1
        if calls == 4:  # a record was just committed, and nobody was told
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(vault._database, "write", write)
    with pytest.raises(KeyboardInterrupt):
        vault.append(memory.id, Pipe(b"0123", b"abcd", b"xy"))
    assert whole(vault, memory.id) in {b"0123", b"0123abcd", b"0123abcdxy"}
    assert vault.check().sound


@pytest.mark.parametrize("place", ["_told", "sweep_when_many", "bring_up_to_date", "_step"])
def test_an_interruption_anywhere_appends_nothing_twice(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("haulout.vault.attachments.appending.FOLLOWED_BYTES", 4)
    memory = vault.remember("log", attach=b"")
    home: Any = {
        "sweep_when_many": chunks, "bring_up_to_date": appending.passagewriting,
    }.get(place, appending.Appending)  # fmt: skip
    real, calls = getattr(home, place), 0

    def interrupted(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(home, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        vault.append(memory.id, Pipe(b"0123", b"abcd"), op_id="s")
    assert whole(vault, memory.id) == b"0123abcd"
    vault.append(memory.id, Pipe(b"0123abcdxy"), op_id="s")
    assert whole(vault, memory.id) == b"0123abcdxy"


def test_a_file_that_grows_while_it_is_appended_counts_as_it_was(vault: Vault) -> None:
    class Growing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            at = self.tell()
            self.seek(0, io.SEEK_END)
            self.write(b" and more" * 200_000)
            self.seek(at)
            return super().read(size)

    memory = vault.remember("log", attach=b"x" * 70_000)
    vault.append(memory.id, Growing(b"counted"))
    assert whole(vault, memory.id) == b"x" * 70_000 + b"counted"
    assert vault.check().sound


# --- forgetting ------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["id", "filter"])
def test_a_forget_leaves_no_chunk_key_or_word_in_any_file(tmp_path: Path, by: str) -> None:
    secret = b"the quavrux of Zorgel is hidden under the floor\n"
    shared = drawn(5, 1_048_559)
    content = shared + secret * 60_000
    with new_vault(tmp_path / "v")[0] as vault:
        text = vault.remember("told", attach=secret * 100, attach_name="quavrux.txt", tags=["t"])
        big = vault.remember("big", attach=content, attach_name="quavrux.bin", tags=["t"])
        vault.append(text.id, secret * 50)
        vault.append(text.id, secret * 50)
        other = vault.remember("other", attach=shared)
        keys = rows(vault, "SELECT key FROM chunk WHERE level = 0") + rows(
            vault, "SELECT id FROM chunk"
        )
        names = set(files(vault))
        kept = rows(
            vault,
            "SELECT lower(hex(id)), key, id FROM chunk WHERE chunk IN (SELECT chunk FROM chunk_use"
            " WHERE kind = 0 AND holder = (SELECT max(num) FROM version WHERE text = 'other'))",
        )
        target: Any = [text.id, big.id] if by == "id" else {"tags": {"contains": "t"}}
        receipt = vault.forget(target)
        assert receipt.pending == ()
        assert set(receipt.memories) == {text.id, big.id}
        assert set(files(vault)) == {kept[0][0]} < names
        assert whole(vault, other.id) == shared
        assert vault.check().sound
        assert vault.recall("quavrux") == []
        with pytest.raises(ErasedError):
            vault.attachment(big.id)
    traces = [key for (key,) in keys if key not in kept[0][1:]] + [b"quavrux", b"quavrux".upper()]
    for page in vault_pages(tmp_path / "v"):
        assert not [trace for trace in traces if trace in page.plain]


@pytest.mark.usefixtures("tiny")
def test_with_the_last_use_of_a_list_all_that_it_names_goes(vault: Vault) -> None:
    content = drawn(13, 64 * 40)
    one, other = vault.remember("one", attach=content), vault.remember("two", attach=content + b"x")
    vault.forget(other.id)
    assert whole(vault, one.id) == content
    vault.forget(one.id)
    assert rows(vault, "SELECT * FROM chunk") == rows(vault, "SELECT * FROM chunk_use") == []
    assert list(vault._parts.files.all()) == []


def test_of_a_growing_content_two_versions_back_are_let_go_if_both_later_ones_are_appends(
    vault: Vault,
) -> None:
    def held() -> int:
        return len(rows(vault, "SELECT * FROM chunk"))

    memory = vault.remember("log", attach=b"a")
    second = vault.append(memory.id, b"b")
    assert held() == 2
    vault.undo(second.op_id)
    vault.append(memory.id, b"c")
    assert held() == 3, "what was undone can be told from the log alone to be used"
    vault.append(memory.id, b"d")
    vault.append(memory.id, b"e")
    assert held() == 4
    assert vault.check().sound


def test_hiding_keeps_chunks_and_hides_passages(vault: Vault) -> None:
    memory = vault.remember("told", attach=b"the walrus sleeps\n" * 300, attach_name="w.txt")
    hidden = vault.forget(memory.id, level="hidden")
    assert vault.recall("walrus") == []
    with pytest.raises(NotFoundError):
        vault.attachment(memory.id)
    assert vault.check().sound
    vault.rebuild()
    assert vault.recall("walrus") == []
    vault.undo(hidden.op_id)
    assert vault.recall("walrus")
    assert whole(vault, memory.id) == b"the walrus sleeps\n" * 300
    undone = vault.undo(memory.op_id)
    assert vault.recall("walrus") == []
    assert undone.level == "hidden"
    assert vault.check().sound


def test_a_forget_beside_an_attach_of_the_same_bytes_takes_nothing_from_it(tmp_path: Path) -> None:
    content = drawn(6, 9_000_000)
    with new_vault(tmp_path / "v")[0] as vault:
        memory = vault.remember("one", attach=content)

        class Forgetting(io.BytesIO):
            """When most of it was read, the memory with the same bytes is forgotten."""

            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() > 8_000_000 and not receipts:
                    receipts.append(vault.forget(memory.id))
                return super().read(size)

        receipts: list[Any] = []
        again = vault.remember("two", attach=Forgetting(content))
        assert any("attach under way" in one for one in receipts[0].pending)
        assert whole(vault, again.id) == content
        assert vault.check().sound


def test_a_stream_that_is_open_outlives_appends_and_tells_of_a_forget(tmp_path: Path) -> None:
    with new_vault(tmp_path / "v")[0] as vault:
        memory = vault.remember("log", attach=b"beginning")
        stream, late = vault.attachment(memory.id), vault.attachment(memory.id)
        for _ in range(4):
            vault.append(memory.id, b" more")
        chunks.sweep(vault._parts)
        assert stream.read() == b"beginning"
        vault.forget(memory.id)
        with pytest.raises(ErasedError):
            late.read()
        stream.close()
        late.close()


# --- damage ----------------------------------------------------------------------------------


def damaged(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
        return
    data[{"version": 0, "flipped": len(data) // 2, "tag": -1}.get(how, 0)] ^= 4
    path.write_bytes(bytes(data[:-1]) if how == "short" else bytes(data))


@pytest.mark.parametrize("how", ["missing", "flipped", "tag", "short", "version"])
@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("level", [0, 1])
def test_damage_is_told_by_check_and_by_reading_and_attaching_again_heals_it(
    tmp_path: Path, how: str, level: int
) -> None:
    content = drawn(7, 700)
    with new_vault(tmp_path / "v")[0] as vault:
        memory = vault.remember("x", attach=content, attach_name="a.bin")
        ((name,), *_) = rows(vault, f"SELECT lower(hex(id)) FROM chunk WHERE level = {level}")
        path = tmp_path / "v" / "attachments" / name[:2] / name
        damaged(path, how)
        report = vault.check()
        assert not report.sound
        assert any(name in problem and "a.bin" in problem for problem in report.problems)
        expected = BlobMissingError if how == "missing" else (DamagedError, Exception)
        with pytest.raises(expected), vault.attachment(memory.id) as stream:
            stream.read()
        vault.rebuild()
        assert rows(vault, "SELECT count(*) FROM chunk") == [(11 + 2,)]
        vault.remember("again", attach=content)
        assert vault.check().sound
        assert whole(vault, memory.id) == content


def test_files_that_belong_to_nothing_are_cleared(tmp_path: Path) -> None:
    with new_vault(tmp_path / "v")[0] as vault:
        memory = vault.remember("x", attach=b"bytes")
        root = tmp_path / "v" / "attachments"
        stray = root / "ab" / ("ab" + "0" * 30)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"stray")
        for name, age in ((".ab.tmp-1", 4000), (".ab.tmp-2", 0)):
            (root / name).write_bytes(b"x")
            os.utime(root / name, (root.stat().st_mtime - age,) * 2)
        report = vault.check()
        assert any("2 stray files" in one for one in report.cleared)
        assert not stray.exists()
        assert (root / ".ab.tmp-2").exists(), "it may be being written"
        assert whole(vault, memory.id) == b"bytes"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE chunk SET key = zeroblob(32) WHERE level = 0",
        "DELETE FROM chunk_use WHERE kind = 0",
        "DELETE FROM chunk_use WHERE kind = 1",
        "INSERT INTO chunk VALUES (99, 1, 1, zeroblob(16), 0, 5, zeroblob(32))",
        "UPDATE version SET attachment = NULL",
        "UPDATE version SET passage_at = 7 WHERE passage_of IS NOT NULL",
    ],
)
@pytest.mark.usefixtures("tiny")
def test_tables_that_differ_from_the_log_are_told(vault: Vault, sql: str) -> None:
    vault.remember("x", attach=b"walrus " * 200, attach_name="w.txt")
    assert vault.check().sound
    vault._database.write(lambda connection: connection.execute(sql).fetchall())
    assert not vault.check().sound
    if "version" in sql or "chunk_use" in sql:
        vault.rebuild()
        assert vault.check().sound


# --- out and back in -------------------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
def test_chunks_go_out_through_the_seam_and_come_back(tmp_path: Path) -> None:
    content = drawn(8, 3000)
    with new_vault(tmp_path / "v")[0] as vault:
        memory = vault.remember("x", attach=content)
        vault.append(memory.id, b"more")
        parts = vault._parts
        away = {kept.id: chunks.read_sealed(parts, kept.id) for kept in chunks.in_use(parts)}
        assert {kept.id: kept.sealed for kept in chunks.in_use(parts)} == {
            name: len(data) for name, data in away.items()
        }
        parts.files.remove(away)
        # As on a machine that has only the log: what lists name is not known.
        vault._database.write(lambda c: c.execute("DELETE FROM chunk WHERE level = 0").fetchall())
        vault._database.write(lambda c: c.execute("DELETE FROM chunk_use").fetchall())
        vault.rebuild()
        rounds = 0
        while wanted := chunks.missing(parts):
            for kept in wanted:
                with pytest.raises(DamagedError):
                    chunks.put_sealed(
                        parts, kept.id, away[kept.id][:-1] + bytes([away[kept.id][-1] ^ 1])
                    )
                chunks.put_sealed(parts, kept.id, away[kept.id])
            rounds += 1
        chunks.settle(parts)
        assert rounds > 1
        assert whole(vault, memory.id) == content + b"more"
        assert vault.check().sound
        with pytest.raises(NotFoundError):
            chunks.put_sealed(parts, bytes(16), b"x" * 40)


def test_a_backup_holds_the_attachments(tmp_path: Path) -> None:
    content, text = drawn(9, 3_000_000), b"the walrus sleeps\n" * 500
    vault, kit = new_vault(tmp_path / "v")
    with vault:
        memory = vault.remember("x", attach=content)
        told = vault.remember("y", attach=text, attach_name="w.txt")
        vault.append(told.id, b"and wakes\n")
        done = vault.backup(tmp_path / "b")
        assert (done.chunks, done.missing) == (len(files(vault)), 0)
        assert rows(vault, "SELECT * FROM attach") == []
        digest = vault.export(tmp_path / "e").digest
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restored = Vault.restore(tmp_path / "b", tmp_path / "w", kit=kit, embedder="none")
    with restored as vault:
        assert whole(vault, memory.id) == content
        assert whole(vault, told.id) == text + b"and wakes\n"
        assert vault.check().sound
        assert vault.export(tmp_path / "f").digest == digest
        assert vault.recall("walrus")[0].memory.passage.of == told.id
        vault.forget([memory.id, told.id])
        assert files(vault) == {}


@pytest.mark.parametrize("how", ["missing", "flipped", "cut short"])
def test_what_a_backup_lacks_is_counted_when_it_is_restored(tmp_path: Path, how: str) -> None:
    content = drawn(10, 3_000_000)
    vault, kit = new_vault(tmp_path / "v")
    with vault:
        memory = vault.remember("x", attach=content)
        if how == "missing":
            next((tmp_path / "v/attachments").glob("*/*")).unlink()
        done = vault.backup(tmp_path / "b")
        assert done.missing == (how == "missing")
    data = bytearray((tmp_path / "b").read_bytes())
    if how == "flipped":
        data[-1000] ^= 1
    (tmp_path / "b").write_bytes(data[:-500_000] if how == "cut short" else data)
    with pytest.warns(backup.AttachmentsMissingWarning, match="2 of 3 chunks"):
        restored = Vault.restore(tmp_path / "b", tmp_path / "w", kit=kit, embedder="none")
    with restored as vault:
        assert len(vault.check().problems) == 1
        vault.remember("x", attach=content)
        assert whole(vault, memory.id) == content


def test_a_forget_during_a_backup_leaves_the_files_until_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = drawn(11, 2_000_000)
    vault, kit = new_vault(tmp_path / "v")
    with vault:
        kept = drawn(12, 5000)
        memory, other = vault.remember("x", attach=content), vault.remember("y", attach=kept)
        again: list[Any] = []
        real, receipts = backup._write_chunks, []

        def write_chunks(*arguments: Any) -> Any:
            receipts.append(vault.forget(memory.id))
            receipts.append(vault.forget(other.id))
            again.append(vault.remember("again", attach=kept))
            return real(*arguments)

        monkeypatch.setattr(backup, "_write_chunks", write_chunks)
        assert vault.backup(tmp_path / "b").missing == 0
        assert any("backup" in one for one in receipts[0].pending)
        assert len(files(vault)) == 1
        assert whole(vault, again[0].id) == kept, "what was attached anew while it was to go stays"
        assert vault.check().sound
    # The bytes that were erased and attached anew meanwhile have another key than in the backup.
    with pytest.warns(backup.AttachmentsMissingWarning, match="2 of 3"):
        restored = Vault.restore(tmp_path / "b", tmp_path / "w", kit=kit, embedder="none")
    with restored:
        assert whole(restored, memory.id) == content


def test_an_export_names_attachments_with_size_and_digest(vault: Vault, tmp_path: Path) -> None:
    import hashlib
    import json

    memory = vault.remember("x", attach=b"walrus text\n", attach_name="w.txt")
    vault.append(memory.id, b"more\n")
    done = vault.export(tmp_path / "e")
    (line, _last) = (tmp_path / "e").read_bytes().splitlines()
    assert done.memories == 1, "passages are not exported"
    assert json.loads(line)["attachment"] == {
        "name": "w.txt", "media_type": "text/plain", "size": 17, "searchable": 17,
        "sha256": hashlib.sha256(b"walrus text\nmore\n").hexdigest(),
    }  # fmt: skip


# --- never wholly in memory ------------------------------------------------------------------


def rounds(folder: Path, mib: int) -> int:
    """Attach and read a file of so many MiB; the most memory it took, in bytes."""
    piece = drawn(12, 1 << 20)
    with (folder / "file").open("wb") as file:
        for number in range(mib):
            file.write(number.to_bytes(8, "big") + piece[8:])
    with new_vault(folder / "v")[0] as vault:
        tracemalloc.start()
        try:
            memory = vault.remember("x", attach=folder / "file")
            with vault.attachment(memory.id) as stream:
                read = 0
                while got := stream.read(1 << 20):
                    read += len(got)
            vault.append(memory.id, folder / "file")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_sixty_four_mebibytes_take_sixteen(tmp_path: Path) -> None:
    assert rounds(tmp_path, 64) <= 16 << 20


@pytest.mark.full
def test_a_gibibyte_takes_sixteen(tmp_path: Path) -> None:
    assert rounds(tmp_path, 1024) <= 16 << 20
