"""TOML: a table added, changed and removed in documents of all kinds."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haulout.errors import InputError
from haulout.integrations.clients import change, toml
from haulout.integrations.clients.table import CLIENTS

CLIENT = CLIENTS["codex"]
PATH = ("mcp_servers", "haulout")
FIELDS: toml.Fields = {"command": "/opt/haulout", "args": ["mcp", "--app", "codex"]}

VALUES = st.sampled_from(
    ['"text"', "'it'", "1", "2.5", "true", "nan", "1979-05-27", '["[mcp_servers.haulout]"]',
     '[\n  "a", # one\n  # two\n  "b",\n]', '"""\n[mcp_servers.haulout]\ncommand = "no"\n"""',
     "{ a = 1 }", '"é # no"'],
)  # fmt: skip
INSIDE = "# inside"
COMMENTS = st.sampled_from(["", "", "# A line.\n", "\n", "  # [mcp_servers.haulout]\n", "\n\n"])
TAILS = st.sampled_from(["\n", "\n", " # behind\n"])
OURS = st.sampled_from([
    "",
    '[mcp_servers.haulout]\ncommand = "/old"\nargs = ["mcp", "--app", "codex"]\n',
    '[mcp_servers.haulout] # ours\ncommand = "/old" # why\n',
    '[ mcp_servers . "haulout" ]\n# inside\nargs = []\nenabled = true\n',
    '[mcp_servers.haulout]\nurl = "http://localhost"\n',
    '[mcp_servers.haulout]\ncommand = "x"\n\n[mcp_servers.haulout.env]\nA = "b"\n',
    "[mcp_servers.haulout]\n",
])  # fmt: skip


@st.composite
def documents(draw) -> str:
    def pairs(prefix: str) -> str:
        return "".join(
            f"{draw(COMMENTS)}{prefix}{n} = {draw(VALUES)}{draw(TAILS)}"
            for n in range(draw(st.integers(0, 3)))
        )

    tables = [
        draw(COMMENTS) + header + draw(TAILS) + pairs("k")
        for header in draw(st.lists(
            st.sampled_from(["[mcp_servers.files]", "[mcp_servers.files.env]", "[tui]",
                             '[projects."/home/ana"]', "[[list]]", "[mcp_servers]"]),
            unique=True, max_size=4,
        ))
    ]  # fmt: skip
    tables.insert(draw(st.integers(0, len(tables))), draw(COMMENTS) + draw(OURS))
    text = draw(st.sampled_from(["", "\ufeff"])) + pairs("top") + "".join(tables) + draw(COMMENTS)
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text


def read(text: str) -> dict[str, Any]:
    return tomllib.loads(text.removeprefix("\ufeff"))


def valid(text: str) -> bool:
    try:
        read(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


TEXTS = documents().filter(valid)


def outside(text: str) -> str:
    said = read(text)
    servers = said.pop("mcp_servers", {})
    servers.pop("haulout", None)
    return repr((sorted(said.items()), sorted(servers.items())))


def comments(text: str) -> list[str]:
    lines = text.removeprefix("\ufeff").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("#")]


@given(TEXTS)
@example('[mcp_servers.haulout]\r\nurl = "http://localhost"\r\n')
@settings(deadline=None)
def test_connecting_touches_the_entry_alone(text: str) -> None:
    made = change.connected(CLIENT, text.encode(), FIELDS).decode()
    assert outside(made) == outside(text)
    before, after = (read(one).get("mcp_servers", {}).get("haulout") for one in (text, made))
    assert change.says(after, FIELDS)
    if before is None:
        assert made.startswith(text)
    elif "url" not in before:
        assert after == {**before, **FIELDS}
    assert comments(made) == comments(text)
    if "\r" in text:
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
    made = toml.put(text, PATH, FIELDS)
    gone = toml.remove(made, PATH)
    assert "haulout" not in read(gone).get("mcp_servers", {})
    assert outside(gone) == outside(text)
    assert comments(gone) == [one for one in comments(text) if one != INSIDE]
    if read(text).get("mcp_servers", {}).get("haulout") is None:
        # What is gone is the table that came, and the empty lines before it.
        assert gone.rstrip("\r\n") == text.rstrip("\r\n")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a =", "line 1, column 4: invalid value"),
        ("a = 1\n[b\n", "line 2, column 3: expected"),
        ("a = 1\nb = 2\nb = 3\n", "line 3, column 6: "),
        ("a = 1\r\nb = \x00\r\n", "line 2, column 5: "),
    ],
)
def test_what_is_broken_is_named_by_its_place(text: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        toml.read(text)
    assert caught.value.message.startswith(place)


def test_what_cannot_be_changed_in_place_is_refused() -> None:
    for text in ("mcp_servers = 3", "mcp_servers = []"):
        with pytest.raises(InputError, match="is no table"):
            toml.put(text, PATH, FIELDS)
    text = '[mcp_servers.haulout]\nargs = [\n# mine\n"a"]\n'
    with pytest.raises(InputError, match="cannot be changed in place"):
        toml.put(text, PATH, FIELDS)


def test_names_and_texts_are_quoted_where_they_have_to_be() -> None:
    made = toml.fresh(("mcp_servers", "a b"), {"command": 'C:\\x "y"\x7f'})
    assert tomllib.loads(made) == {"mcp_servers": {"a b": {"command": 'C:\\x "y"\x7f'}}}
