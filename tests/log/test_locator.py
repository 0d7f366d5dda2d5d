"""Locators as properties; single texts are held by tests/vectors."""

from __future__ import annotations

import random
import re
import string
import textwrap
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log import hostile
from vectors import make

from haulout.errors import InputError, LimitError
from haulout.log.head import Ref
from haulout.log.locator import (
    LINE,
    MOST_CHARACTERS,
    MOST_URLS,
    Locator,
    WalrusPlace,
    checked_url,
    decode,
    encode,
)
from haulout.log.record import id_text

counts = st.integers(0, 2**63 - 1)
hosts = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?(:[0-9]{1,5})?", fullmatch=True)
paths = st.from_regex(r"(/[A-Za-z0-9._~%+=@&,;!'()*-]{1,20}){0,3}/?", fullmatch=True)
urls = st.builds(lambda scheme, host, path: f"{scheme}://{host}{path}",
                 st.sampled_from(["http", "https", "s3", "gs", "az"]), hosts, paths)  # fmt: skip
lists = st.lists(urls, max_size=5).map(tuple)
hashes = st.binary(min_size=32, max_size=32)
refs = st.builds(Ref, hashes, counts, st.integers(1, 2**63 - 1), hashes)
places = st.builds(
    WalrusPlace,
    publishers=lists,
    aggregators=lists,
    nodes=lists,
    n_shards=st.integers(4, 65535),
    head=st.none() | refs,
    states=st.none() | refs,
)
locators = st.builds(
    Locator,
    vault=st.binary(min_size=16, max_size=16),
    clock=counts,
    volumes=st.none() | st.binary(max_size=600).filter(lambda data: b"@" not in data),
    walrus=st.none() | places,
)

PLACE = WalrusPlace(("https://p.example",), ("https://a.example",), (), 1000, None)
A_LOCATOR = Locator(b"v" * 16, 1_750_000_000_000_000, b'{"url":"file:///mnt/a"}', PLACE)
TEXT = encode(A_LOCATOR)
PLAIN = "".join(TEXT.split())


@settings(max_examples=60)
@given(locator=locators)
def test_a_locator_is_read_back_from_lines_that_a_person_can_copy(locator: Locator) -> None:
    text = encode(locator)
    assert decode(text) == locator
    lines = text.split("\n")
    assert max(map(len, lines)) <= LINE == max([LINE, *map(len, lines[:-1])])
    assert re.fullmatch(r"haulout:1:[A-Za-z0-9_-]+", "".join(lines))


@settings(max_examples=60)
@given(locator=locators, dice=st.randoms())
def test_spaces_and_line_breaks_anywhere_do_not_matter(
    locator: Locator, dice: random.Random
) -> None:
    text = "".join(
        letter + dice.choice(["", "", "", " ", "\n", "\r\n", "\t", "\u00a0", "\u2028"])
        for letter in encode(locator)
    )
    assert decode(text) == locator


def test_every_wrong_letter_is_noticed() -> None:
    letters = string.ascii_letters + string.digits + "-_ +/=.,:"
    for place in range(len(PLAIN)):
        for letter in letters:
            if letter != PLAIN[place]:
                with pytest.raises(InputError):
                    decode(PLAIN[:place] + letter + PLAIN[place + 1 :])


def test_every_lost_doubled_and_swapped_letter_is_noticed() -> None:
    for place in range(len(PLAIN)):
        for wrong in (
            PLAIN[:place],
            PLAIN[:place] + PLAIN[place + 1 :],
            PLAIN[: place + 1] + PLAIN[place:],
            PLAIN[:place] + PLAIN[place + 1 : place + 2] + PLAIN[place] + PLAIN[place + 2 :],
        ):
            if wrong != PLAIN:
                with pytest.raises(InputError):
                    decode(wrong)


def test_lost_and_swapped_lines_are_noticed() -> None:
    lines = TEXT.split("\n")
    for place in range(len(lines)):
        with pytest.raises(InputError):
            decode("\n".join(lines[:place] + lines[place + 1 :]))
        turned = lines[:place] + lines[place : place + 2][::-1] + lines[place + 2 :]
        if turned != lines:
            with pytest.raises(InputError):
                decode("\n".join(turned))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not a locator"),
        (id_text(b"v" * 16), "not a locator"),
        ("https://a.example", "not a locator"),
        (PLAIN.replace("haulout:1:", "haulout:2:"), "version 2"),
        (PLAIN[:-1], "mistyped"),
        (PLAIN[:40] + PLAIN[44:], "checksum"),
        (PLAIN[:30] + "." + PLAIN[31:], "'.'"),
    ],
)
def test_the_error_names_what_is_wrong(text: str, word: str) -> None:
    with pytest.raises(InputError) as raised:
        decode(text)
    assert word in raised.value.message
    assert raised.value.hint


# --- URLs ----------------------------------------------------------------------------------

SECRETS = ["https://me:secret@a.example", "https://secret@a/b", "https://a/b?token=secret",
           "s3://key:secret@bucket", "https://a/#secret", "memory:secret@x", "ftp://a@secret/b",
           "secret@a", "https://a/b?secret", "http:/\\me:secret@a"]  # fmt: skip


@pytest.mark.parametrize("url", SECRETS)
def test_what_may_be_a_secret_is_neither_kept_nor_shown(url: str) -> None:
    with pytest.raises(InputError) as raised:
        encode(A_LOCATOR._replace(walrus=PLACE._replace(publishers=(url,))))
    error: BaseException | None = raised.value
    while error is not None:
        assert "secret" not in str(error)
        error = error.__cause__


def test_a_layout_with_a_password_in_it_is_refused() -> None:
    for layout in (b'{"url":"s3://key:pw@bucket"}', b"https://me@a"):
        with pytest.raises(InputError):
            encode(A_LOCATOR._replace(volumes=layout))
    fine = b'{"url":"file:///home/a@b.c/x","more":"https://a/b@c","mail":"me@example.org"}'
    assert decode(encode(A_LOCATOR._replace(volumes=fine))).volumes == fine


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9000", "https://a.example/v1/x%20y", "file:///mnt/a", "file:/mnt/a",
     "file:///C:/a", "s3://bucket", "s3://bucket/a/b", "gs://b", "az://c/d", "memory:x",
     "https://[::1]:8000/a", "https://a/b@c"],
)  # fmt: skip
def test_a_url_of_a_place_is_taken_as_it_is(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url",
    ["", "a", "ftp://a", "HTTP://a", "http:", "http://", "http:///a", "http:a", "file:", "file:///",
     "memory:", "memory:/", "s3:///k", "javascript:x", "http://a b", "http://a\n", "http://é",
     "http://a\x00", "http://a\\b", "https://" + "a" * 1000],
)  # fmt: skip
def test_anything_else_is_no_url_for_a_locator(url: str) -> None:
    with pytest.raises(InputError):
        checked_url(url)


# --- what is not written, and hostile input ------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"vault": b"v"}, {"vault": None}, {"clock": -1}, {"clock": 1.5}, {"clock": 2**63},
        {"volumes": "text"}, {"volumes": 3}, {"walrus": ()}, {"walrus": 7},
        {"walrus": PLACE._replace(n_shards=3)}, {"walrus": PLACE._replace(nodes="http://a")},
        {"walrus": PLACE._replace(head=Ref(b"", 0, 1, bytes(32)))},
        {"walrus": PLACE._replace(head=Ref(bytes(32), 0, 0, bytes(32)))},
        {"walrus": PLACE._replace(states=Ref(b"", 0, 1, bytes(32)))},
        {"walrus": PLACE._replace(nodes=("http://a",) * (MOST_URLS + 1))}, {"volumes": object()},
    ],
)  # fmt: skip
def test_what_could_not_be_read_back_is_not_written(wrong: dict) -> None:
    with pytest.raises(InputError):
        encode(A_LOCATOR._replace(**wrong))


def test_a_locator_has_a_largest_size() -> None:
    for read in (
        lambda: encode(A_LOCATOR._replace(volumes=bytes(MOST_CHARACTERS))),
        lambda: decode("a" * (MOST_CHARACTERS + 1)),
        lambda: decode(" " * (MOST_CHARACTERS + 1) + TEXT),
    ):
        with pytest.raises(LimitError):
            read()
    big = A_LOCATOR._replace(volumes=bytes(150_000))
    assert decode(encode(big)) == big


def unpacked(body: bytes) -> None:
    text = make._locator_of(body)
    assert "".join(encode(decode(text)).split()) == text


def as_text(data: bytes) -> None:
    decode(data.decode("latin-1"))


def bodies() -> list[bytes]:
    texts = [
        encode(A_LOCATOR),
        encode(Locator(b"v" * 16, 5)),
        encode(A_LOCATOR._replace(volumes=None)),
    ]
    letters = ["".join(text.split())[10:] for text in texts]
    return [urlsafe_b64decode(one + "=" * (-len(one) % 4))[:-4] for one in letters]


READERS = {"text": (as_text, [TEXT.encode(), PLAIN.encode()]), "body": (unpacked, bodies())}


@pytest.mark.parametrize("name", READERS)
def test_whatever_comes_is_refused_or_has_one_encoding(name: str) -> None:
    read, seeds = READERS[name]
    taken = hostile.fuzz(read, seeds, 20_000, (InputError,))
    assert taken if name == "body" else True


@pytest.mark.full
@pytest.mark.parametrize("name", READERS)
def test_whatever_comes_is_refused_in_full(name: str) -> None:
    hostile.fuzz(*READERS[name], 1_000_000, (InputError,))


@settings(max_examples=300)
@given(st.text(max_size=300))
def test_random_words_are_no_locator(text: str) -> None:
    for given_text in (text, "haulout:1:" + text, textwrap.fill(PLAIN + text)):
        if "".join(given_text.split()) != PLAIN:
            with pytest.raises(InputError):
                decode(given_text)
