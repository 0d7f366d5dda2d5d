"""Splitting a large array: bounded, and going on past what is broken."""

import io
import json
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.errors import ImportFormatError
from haulout.interchange import jsonstream
from haulout.interchange.jsonstream import ArrayReader, decode

RESTART = re.compile(rb'\{"n":')


class Trickle(io.BytesIO):
    """Gives at most `size` bytes a read, so that every boundary falls inside something."""

    def __init__(self, content: bytes, size: int = 1 << 30) -> None:
        super().__init__(content)
        self.size = size

    def read(self, size: int = -1, /) -> bytes:
        return super().read(min(size, self.size))


def elements(content: bytes, size: int = 1 << 30, **options: object) -> list:
    return list(ArrayReader(Trickle(content, size), **options))  # type: ignore[arg-type]


def told(content: bytes, **options: object) -> list:
    return [found.error or found.value for found in elements(content, **options)]


def test_a_nesting_past_all_use_is_refused_in_a_program_that_recurses_deep():
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(ImportFormatError, match="broken JSON"):
            decode(b"[" * 100_000)
        assert sys.getrecursionlimit() == 100_000
    finally:
        sys.setrecursionlimit(usual)


@settings(max_examples=80)
@given(
    values=st.lists(
        st.dictionaries(
            st.text(max_size=8),
            st.text(max_size=8) | st.lists(st.text('"\\[]{},x', max_size=6), max_size=3),
            max_size=3,
        ),
        max_size=4,
    ),
    size=st.integers(1, 40),
    ascii_only=st.booleans(),
)
def test_any_array_comes_apart_as_json_reads_it(values, size, ascii_only):
    content = json.dumps(values, ensure_ascii=ascii_only, indent=1).encode("utf-8", "replace")
    found = elements(content, size)
    assert [element.value for element in found] == json.loads(content)
    assert [element.index for element in found] == list(range(len(values)))
    for element in found:
        assert content[element.offset : element.offset + 1] == b"{"


def test_an_object_alone_is_one_element_and_a_byte_order_mark_is_passed_over():
    assert told(b'\xef\xbb\xbf {"n": [1, "]"]}') == [{"n": [1, "]"]}]


@pytest.mark.parametrize("content", [b"", b"  ", b"null", b'"text"', b"PK\x03\x04", b"}"])
def test_anything_else_is_refused(content):
    with pytest.raises(ImportFormatError):
        elements(content)


def test_a_broken_element_is_lost_alone():
    found = elements(b'[{"n": 1}, {"n": tru}, {"n": 3}]')
    assert [element.value for element in found] == [{"n": 1}, None, {"n": 3}]
    assert (found[1].index, found[1].offset) == (1, 11)
    assert "broken JSON" in found[1].error


def test_elements_that_are_no_containers_are_told():
    assert told(b'[1, "a\\"]", {"n": 1}, null, {"n": 2}]') == [
        "not an object",
        "not an object",
        {"n": 1},
        "not an object",
        {"n": 2},
    ]


@pytest.mark.parametrize("broken", [b'{"n": [1, 2}', b'{"n": {"x": 1}', b'{"n": "no end}'])
def test_after_an_element_without_an_end_the_next_start_is_found(broken):
    found = told(b'[{"n": 0}, ' + broken + b', {"n": 2}, {"n": 3}]', restart=RESTART)
    assert found[0] == {"n": 0}
    assert isinstance(found[1], str)
    assert found[-1] == {"n": 3}


def test_a_file_cut_short_gives_all_that_is_whole():
    found = told(b'[{"n": 0}, {"n": 1}, {"n": "hal')
    assert found[:2] == [{"n": 0}, {"n": 1}]
    assert "ends inside" in found[2]
    assert told(b'[{"n": 0}, ') == [{"n": 0}, "the file ends before its array does"]


@pytest.mark.parametrize("inner", [b'"' + b"x" * 5000 + b'"', b"[" + b'["y"],' * 900 + b"1]"])
def test_an_element_over_the_limit_is_passed_over_without_being_kept(inner):
    content = b'[{"n": 0}, {"n": ' + inner + b'}, {"n": 2}]'
    reader = ArrayReader(Trickle(content, 100), element_bytes_max=1000)
    kept = []
    for element in reader:
        kept.append(element.error or element.value)
        assert len(reader._data) < 1500
    assert kept == [{"n": 0}, "larger than 1000 bytes", {"n": 2}]


def test_nesting_is_bounded():
    deep = b'{"n": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert told(b"[" + deep + b', {"n": 1}]', restart=RESTART) == [
        "nested deeper than 1000",
        {"n": 1},
    ]


def test_restarts_are_bounded(monkeypatch):
    monkeypatch.setattr(jsonstream, "RESTARTS_MAX", 3)
    assert len(elements(b"[" + b'{"n": [' * 50, restart=RESTART)) == 5


def test_elements_are_bounded(monkeypatch):
    monkeypatch.setattr(jsonstream, "ELEMENTS_MAX", 3)
    assert len(elements(b"[1,2,3,4,5]")) == 4


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'"a\nb"', "a\nb"),
        (b'"\\ud83d"', "\ud83d"),
        (b'{"n": NaN}', {"n": None}),
        (b'"caf\xe9"', "caf\ufffd"),
    ],
)
def test_what_exporters_get_wrong_is_mended(raw, value):
    assert decode(raw) == value


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 100_000, b"1" * 5000 + b"x", b"\xff"])
def test_what_is_no_json_is_refused_in_our_own_words(raw):
    with pytest.raises(ImportFormatError, match="broken JSON"):
        decode(raw)


@settings(max_examples=80)
@given(
    before=st.dictionaries(
        st.text('a"\\[]{},', max_size=6),
        st.none() | st.integers() | st.text('"\\[]{}:,x', max_size=9) | st.just([{"wanted": [1]}]),
        max_size=3,
    ),
    values=st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), max_size=3),
    size=st.integers(1, 40),
)
def test_an_array_under_a_name_is_found_wherever_it_stands_in_its_object(before, values, size):
    content = json.dumps(before | {"wanted": values, "after": {"wanted": [0]}}).encode()
    found = elements(content, size, under="wanted")
    assert [element.value for element in found] == values
    assert [content[element.offset : element.offset + 1] for element in found] == [b"{"] * len(
        found
    )


@pytest.mark.parametrize(
    "content", [b"{}", b'{"a": 1}', b'{"a": [1], "wanted": 2}', b'{"a', b'{"a": [', b'{"wanted"']
)
def test_an_object_without_the_array_under_that_name_is_no_array(content):
    with pytest.raises(ImportFormatError):
        elements(content, under="wanted")
