"""Text inside attachments: known by rules, cut into passages, found, and kept in step."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout import Vault
from haulout.vault.attachments import passagewriting
from haulout.vault.attachments.passages import (
    LEAST_BYTES,
    MOST_BYTES,
    PROBED_BYTES,
    TextMeasure,
    ends,
)


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault.ephemeral() as found:
        yield found


def measured(*pieces: bytes, known: int = 0) -> int:
    measure = TextMeasure(known)
    for piece in pieces:
        measure.feed(piece)
    return measure.text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", 0), (b"plain\n", 6), ("Ünïcode 猫\n".encode(), 14), (b"\xef\xbb\xbfwith mark", 12),
        (b"tab\tfeed\x0cesc\x1b[1m\x08\r\n", 19), (b"nul \x00", 0), (b"\x7fELF", 0),
        (b"%PDF-1.7\n", 0), (b"%!PS\n", 0), (b"{\\rtf1 words}", 0), (b"\xff\xfea\x00", 0),
        (b"latin \xe9 one", 0), (b"cut at its end \xc3", 15), (b"\x89PNG\r\n", 0),
        (b"a" * PROBED_BYTES + b"\x00after", PROBED_BYTES),
        (b"a" * PROBED_BYTES + b"ok\xff", PROBED_BYTES + 2),
        (b"a" * (PROBED_BYTES - 1) + b"\xff", 0),
        (b"a" * (PROBED_BYTES - 1) + "é".encode() + b"\x00", PROBED_BYTES + 1),
    ],
)  # fmt: skip
def test_text_is_known_by_its_content(content: bytes, text: int) -> None:
    assert measured(content) == text


@given(
    text=st.text(max_size=300),
    tail=st.sampled_from([b"", b"\xff", b"\x00", b"\xe7\x8c"]),
    at=st.lists(st.integers(0, 900), max_size=5),
)
def test_how_much_is_text_does_not_depend_on_the_pieces_it_comes_in(
    text: str, tail: bytes, at: list[int]
) -> None:
    content = text.replace("%", "").replace("{", "").encode() + tail
    cuts = sorted({0, len(content), *(place for place in at if place < len(content))})
    pieces = [content[a:b] for a, b in itertools.pairwise(cuts)]
    assert measured(*pieces) == measured(content)


def test_no_more_than_the_first_sixteen_mebibytes_are_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("haulout.vault.attachments.passages.SEARCHED_BYTES", 100)
    assert measured("é".encode() * 60) == 100
    assert measured(b"a" + "é".encode() * 60) == 99
    assert measured(b"more", known=99) == 100
    assert measured(b"more", known=100) == 100


words = st.lists(st.sampled_from(["walrus", "猫", "a" * 700, "x.", "\n", "\n\n", " ", "é" * 300]))


@given(words, st.integers(1, 3000))
def test_passages_cover_a_text_whole_and_do_not_depend_on_how_much_is_seen(
    parts: list[str], seen: int
) -> None:
    text = "".join(parts).encode()
    stops = list(ends(text, last=True))
    assert stops == sorted(set(stops))
    assert (stops[-1] if stops else 0) == len(text)
    for start, stop in zip([0, *stops], stops, strict=False):
        assert stop - start <= MOST_BYTES
        assert stop - start >= LEAST_BYTES or stop == len(text)
        text[start:stop].decode()
    assert list(ends(text[:seen], last=False)) == [
        stop for stop in stops if stop in set(ends(text[:seen], last=False))
    ]


def test_a_passage_ends_best_with_a_paragraph_then_a_line_a_sentence_a_word() -> None:
    for mark in (b"\n\n", b"\n", b". ", b" "):
        text = b"x" * 1200 + mark + b"y" * 300
        rest = {b"\n\n": b"\nzz. zz zz", b"\n": b". zz zz", b". ": b" zz zz", b" ": b""}[mark]
        text += rest + b"z" * 3000
        assert next(ends(text, last=True)) == 1200 + len(mark)
    assert next(ends("猫".encode() * 2000, last=True)) == 1998


def test_words_inside_a_file_are_recalled_with_where_they_stand(vault: Vault) -> None:
    filler = "".join(f"Line {n} tells of ice and floes.\n" for n in range(500))
    text = (filler + "The quavrux nests in Zorgel.\n" + filler).encode()
    memory = vault.remember(
        "notes", attach=text, attach_name="notes.txt", namespace="work", tags=["trip"]
    )
    assert memory.attachment.searchable == len(text)
    (found,) = [one.memory for one in vault.recall("quavrux", limit=5) if one.memory.passage]
    passage = found.passage
    assert (passage.of, found.kind, found.source) == (memory.id, "passage", "notes.txt")
    assert (found.namespace, found.tags) == ("work", ("trip",))
    assert text[passage.at : passage.at + passage.size].decode() == found.text
    with vault.attachment(memory.id) as stream:
        stream.seek(passage.at)
        assert b"quavrux" in stream.read(passage.size)
    assert [one.id for one in vault.list().memories] == [memory.id]
    stats = vault.stats()
    assert (stats.memories, stats.attachments, stats.attached_bytes) == (1, 1, len(text))
    assert stats.passages > len(text) // 2000
    only = vault.recall("quavrux", filter={"kind": "passage"})
    assert only[0].memory.id == found.id
    assert vault.recall("quavrux", namespace="home") == []


def covered(vault: Vault, memory: str) -> dict[int, str]:
    """The visible passages of a memory, by where they begin."""
    found = vault.recall(filter={"kind": "passage"}, limit=1000)
    return {
        one.memory.passage.at: one.memory.text for one in found if one.memory.passage.of == memory
    }


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_passages_are_those_of_the_whole_text_however_it_came(data: Any) -> None:
    draw = random.Random(data.draw(st.integers(0, 1000)))
    with Vault.ephemeral() as vault:
        carry, text, memory = b"", b"", vault.remember("log", attach=b"", attach_name="l.txt").id
        for _ in range(data.draw(st.integers(1, 8))):
            line = " ".join(draw.choices(["walrus", "ice", "猫", "é"], k=9)) + draw.choice(" \n.")
            come = carry + (line * draw.choice([1, 3, 40, 90])).encode()
            cut = data.draw(st.integers(1, len(come)))  # also inside a character
            piece, carry = come[:cut], come[cut : cut + 3]
            carry = carry[: next((n for n in range(len(carry)) if carry[n] & 0xC0 != 0x80), 3)]
            vault.append(memory, piece)
            text += piece
            if data.draw(st.booleans()) and len(piece) > 1:
                vault.undo(vault.append(memory, piece).op_id)
            valid = text.decode(errors="ignore").encode() if text else b""
            stops = list(ends(valid, last=True))
            wanted = {a: valid[a:b].decode() for a, b in zip([0, *stops], stops, strict=False)}
            assert covered(vault, memory) == {a: t for a, t in wanted.items() if t.strip()}
        assert vault.check().sound
        vault.forget(memory)
        assert vault.recall(filter={"kind": "passage"}) == []


def test_a_repetition_writes_the_passages_that_are_missing_and_none_twice(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"the walrus sleeps on the floe\n" * 2000
    real, calls = passagewriting._write, 0

    def write(*arguments: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(passagewriting, "_AT_ONCE", 10)
    monkeypatch.setattr(passagewriting, "_write", write)
    with pytest.raises(KeyboardInterrupt):
        vault.remember("x", attach=text, attach_name="w.txt", op_id="a")
    assert vault.stats().passages == 10
    memory = vault.remember("x", attach=text, attach_name="w.txt", op_id="a")
    assert not memory.created
    expected = len(list(ends(text, last=True)))
    assert vault.stats().passages == expected
    vault.remember("x", attach=text, attach_name="w.txt", op_id="a")
    assert vault.stats().passages == expected
    assert vault.check().sound


def test_who_finds_that_the_memory_went_on_leaves_the_passages_to_that_one(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = vault.remember("log", attach=b"", attach_name="l.txt").id
    real, calls = passagewriting._write, 0

    def write(*arguments: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            vault.append(memory, b"theirs\n")
        return real(*arguments)

    monkeypatch.setattr(passagewriting, "_write", write)
    vault.append(memory, b"mine\n")
    assert covered(vault, memory) == {0: "mine\ntheirs\n"}
    assert vault.stats().passages == 1
    assert vault.check().sound


def test_a_passage_that_was_forgotten_by_itself_stays_forgotten(vault: Vault) -> None:
    text = b"".join(b"word%d is here on line %d of it\n" % (n, n) for n in range(300))
    memory = vault.remember("x", attach=text, attach_name="w.txt", op_id="a")
    (found,) = [one.memory for one in vault.recall("word7", limit=1)]
    vault.forget(found.id)
    vault.remember("x", attach=text, attach_name="w.txt", op_id="a")
    assert "word7" not in "".join(covered(vault, memory.id).values()).split()
    assert vault.check().sound
    with vault.attachment(memory.id) as stream:
        assert stream.read() == text
