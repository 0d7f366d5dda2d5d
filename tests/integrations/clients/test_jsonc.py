"""JSON with comments: read by a second reader, changed in one place, on documents of all kinds."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.errors import InputError
from haulout.integrations.clients import change, jsonc
from haulout.integrations.clients.table import CLIENTS

CLIENT = CLIENTS["cursor"]
PATH = ("mcpServers", "haulout")
FIELDS: jsonc.Fields = {"command": "/opt/haulout", "args": ["mcp", "--app", "cursor"]}
TOKEN = re.compile(
    r"""(?P<comment>//[^\r\n]*|/\*.*?\*/)|(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<mark>[{}\[\]:,])|(?P<word>[-+.\w]+)|\s+|\ufeff""",
    re.DOTALL | re.VERBOSE,
)


def tokens(text: str) -> list[tuple[str, str]]:
    """The second reader: comments, texts, marks and words, without the space between them."""
    return [(found.lastgroup, found[0]) for found in TOKEN.finditer(text) if found.lastgroup]


def plain(text: str) -> Any:
    """What a document says, by way of the standard library."""
    kept = [token for kind, token in tokens(text) if kind != "comment"]
    for n in range(len(kept) - 1):
        if kept[n] == "," and kept[n + 1] in "}]":
            kept[n] = ""
    return json.loads(" ".join(kept) or "{}")


def outside(text: str) -> Any:
    """The same without our entry, and without a table of servers that is empty."""
    said = plain(text)
    servers = said.pop("mcpServers", {})
    servers.pop("haulout", None)
    return said, servers


def is_within(few: list[Any], many: list[Any]) -> bool:
    """Whether the one list is the other with some left out."""
    rest = iter(many)
    return all(one in rest for one in few)


# --- documents ------------------------------------------------------------------------------

NAMES = st.text(max_size=4) | st.sampled_from(["mcpServers", "haulout", "a", "//", "/*", "}", '"'])
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | NAMES
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
ENTRIES = (
    st.just({**FIELDS, "env": {"A": "b"}})
    | st.just({"command": "/old", "args": ["mcp", "--app", "cursor"], "x": [1]})
    | st.dictionaries(st.sampled_from(["command", "args", "url", "é"]), LEAVES, max_size=3)
    | LEAVES.filter(lambda leaf: leaf is not None)
)
SERVERS = st.dictionaries(NAMES.filter(lambda name: name != "haulout"), VALUES, max_size=3)


@st.composite
def said(draw) -> dict[str, Any]:
    """What a configuration says: with servers or without, with an entry of ours or without."""
    names = st.dictionaries(NAMES.filter(lambda name: name != "mcpServers"), VALUES, max_size=3)
    made = list(draw(names).items())
    if draw(st.booleans()):
        servers = list(draw(SERVERS).items())
        if draw(st.booleans()):
            servers.insert(draw(st.integers(0, len(servers))), ("haulout", draw(ENTRIES)))
        made.insert(draw(st.integers(0, len(made))), ("mcpServers", dict(servers)))
    return dict(made)


@st.composite
def documents(draw) -> str:
    """The same as text, in any shape: space, comments, trailing commas, line ends, a mark."""
    line = draw(st.sampled_from(["\n", "\r\n"]))
    comments = [f' // ,}}" c{line}  ', "/* ,} */"]
    spaces = ["", "", " ", "\t", line, line + "  ", line + "\t\t", *comments]
    space = st.sampled_from(spaces if draw(st.booleans()) else ["", " ", line + "  "])
    trailing = draw(st.booleans())

    def write(value: Any) -> str:
        if isinstance(value, dict):
            parts = [
                f"{draw(space)}{json.dumps(name, ensure_ascii=draw(st.booleans()))}{draw(space)}:"
                f"{draw(space)}{write(inner)}{draw(space)}"
                for name, inner in value.items()
            ]
            return "{" + joined(parts) + "}"
        if isinstance(value, list):
            return "[" + joined([f"{draw(space)}{write(one)}{draw(space)}" for one in value]) + "]"
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    def joined(parts: list[str]) -> str:
        comma = "," if parts and trailing and draw(st.booleans()) else ""
        return ",".join(parts) + comma + draw(space)

    mark = draw(st.sampled_from(["", "", "\ufeff"]))
    if draw(st.integers(0, 9)) == 0:
        return mark + draw(space) + draw(space)
    return f"{mark}{draw(space)}{write(draw(said()))}{draw(space)}"


def whole(text: str) -> bool:
    """A text that UTF-8 can carry."""
    return not re.search("[\ud800-\udfff]", text)


TEXTS = documents().filter(whole)


@given(TEXTS)
@settings(deadline=None)
def test_it_reads_what_the_standard_library_reads(text: str) -> None:
    assert jsonc.read(text).plain == plain(text)


@given(TEXTS)
@settings(deadline=None)
def test_connecting_touches_the_entry_alone(text: str) -> None:
    made = change.connected(CLIENT, text.encode(), FIELDS).decode()
    assert outside(made) == outside(text)
    entry = plain(made)["mcpServers"]["haulout"]
    assert change.says(entry, FIELDS)
    before = plain(text).get("mcpServers", {}).get("haulout")
    if isinstance(before, dict) and "url" not in before:
        assert entry == {**before, **FIELDS}
    if before is None:
        # Not only what it says: every token stands where it stood, the comments with them.
        assert is_within(tokens(text), tokens(made))
    assert made.startswith("\ufeff") == text.startswith("\ufeff")
    if "\r" in text and "\n" not in text.replace("\r\n", ""):
        assert "\n" not in made.replace("\r\n", "")
    assert change.connected(CLIENT, made.encode(), FIELDS).decode() == made


@given(TEXTS)
@settings(deadline=None)
def test_connecting_and_undoing_gives_back_the_bytes(text: str) -> None:
    was = text.encode()
    made = change.connected(CLIENT, was, FIELDS)
    undone = change.undone(CLIENT, made, [was])
    if change.is_ours(CLIENT, change.entry(CLIENT, was)):
        assert change.entry(CLIENT, undone.content) is None
    else:
        assert (undone.content, undone.how) == (was, "restored")


@given(TEXTS)
@settings(deadline=None)
def test_removing_touches_the_entry_alone(text: str) -> None:
    made = jsonc.put(text, PATH, FIELDS)
    gone = jsonc.remove(made, PATH)
    assert "haulout" not in plain(gone)["mcpServers"]
    assert outside(gone) == outside(text)
    if plain(text).get("mcpServers", {}).get("haulout") is None:
        comments = [one for one in tokens(text) if one[0] == "comment"]
        assert [one for one in tokens(gone) if one[0] == "comment"] == comments
        assert is_within([one for one in tokens(text) if one[1] != ","], tokens(gone))


@given(st.text(alphabet='{}[]:,"/* \n\\u1e-.atrufalsen', max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        document = jsonc.read(text)
    except InputError as error:
        assert re.match(r"line \d+, column \d+: ", error.message)  # noqa: PT017
    else:
        assert document.root is None or document.root.end <= len(text)


# --- single cases ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": }', "line 1, column 7: expected a value"),
        ("{\r\n  'a': 1\r\n}", "line 2, column 3: expected a name in quotes"),
        ('\ufeff{"a" 1}', 'line 1, column 6: expected ":"'),
        ('{"a": 1} true', "line 1, column 10: something follows the end"),
        ('{"a": 1 /* b }', 'line 1, column 9: expected "," or "}", and there is "/"'),
        ('{"a": "b\n"}', "line 1, column 7: a text without its closing quote"),
        ('{"a": "\\x"}', "line 1, column 8: an escape"),
        ('{"a": 01}', 'line 1, column 8: expected "," or "}"'),
        ('{"a": NaN}', "line 1, column 7: expected a value"),
        ("[1,, 2]", "line 1, column 4: expected a value"),
        ("[" * 300, "line 1, column 202: more than 200 levels deep"),
    ],
)
def test_what_is_broken_is_named_by_its_place(text: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        jsonc.read(text)
    assert caught.value.message.startswith(place)


def test_a_file_that_is_no_object_is_refused() -> None:
    with pytest.raises(InputError, match="line 1, column 1: the file holds no object"):
        jsonc.put("[]", PATH, FIELDS)
    with pytest.raises(InputError, match='"mcpServers" is no object'):
        jsonc.remove('{"mcpServers": null}', PATH)


def test_of_a_name_that_stands_twice_the_last_counts_and_both_are_removed() -> None:
    text = '{"mcpServers": {"haulout": 1, "a": 2, "haulout": {"command": "x"}}}'
    assert jsonc.entry(jsonc.read(text), PATH) == {"command": "x"}
    assert jsonc.remove(text, PATH) == '{"mcpServers": {"a": 2}}'
    made = jsonc.put(text, PATH, {"command": "y"})
    assert made == text.replace('"x"', '"y"')


def test_numbers_no_number_can_hold_are_read() -> None:
    assert jsonc.read(f'{{"a": {"9" * 5000}}}').plain == {"a": float("inf")}


def test_the_line_of_an_entry_goes_with_it() -> None:
    text = '{\n  "mcpServers": {\n    "haulout": {}, // ours\n    "a": 1\n  }\n}\n'
    assert jsonc.remove(text, PATH) == '{\n  "mcpServers": {\n    // ours\n    "a": 1\n  }\n}\n'
    text = text.replace(" // ours", "")
    assert jsonc.remove(text, PATH) == '{\n  "mcpServers": {\n    "a": 1\n  }\n}\n'


def test_a_document_of_megabytes_is_changed() -> None:
    history = {f"p{n}": {"history": [{"display": "x" * 80}] * 50} for n in range(400)}
    text = json.dumps({"projects": history, "mcpServers": {}}, indent=2)
    assert len(text) > 2_000_000
    made = jsonc.put(text, PATH, FIELDS)
    assert len(made) > len(text)
