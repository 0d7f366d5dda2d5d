"""Each client's file before and after: `golden/CLIENT/CASE.before.EXT` and `.after.EXT`.

`.error.txt` in place of an after says why a file is left alone. To see what a change of the code
does to them: `HAULOUT_TEST_GOLDEN=write pytest tests/integrations/clients`, and read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from haulout.errors import InputError
from haulout.integrations.clients import change
from haulout.integrations.clients.table import CLIENTS, Client

GOLDEN = Path(__file__).parent / "golden"
COMMAND = "/opt/haulout/bin/haulout"
MISSING = "missing"
EVERYWHERE = {
    "empty", "others", "comments", "crlf", "mark", "connected", "older", "elsewhere", "broken",
    "latin-1", MISSING,
}  # fmt: skip


def fields(client: Client) -> dict[str, str | list[str]]:
    return client.fields(COMMAND, ["mcp", "--app", client.name])


def suffix(client: Client) -> str:
    return "toml" if client.form == "toml" else "json"


def cases() -> list[tuple[str, str]]:
    found = {
        (folder.name, path.name.partition(".")[0])
        for folder in GOLDEN.iterdir()
        for path in folder.iterdir()
    }
    return sorted(found | {(name, MISSING) for name in CLIENTS})


def before(name: str, case: str) -> bytes | None:
    if case == MISSING:
        return None
    return (GOLDEN / name / f"{case}.before.{suffix(CLIENTS[name])}").read_bytes()


def test_every_client_has_every_case() -> None:
    for name in CLIENTS:
        assert EVERYWHERE - {case for client, case in cases() if client == name} == set(), name


@pytest.mark.parametrize(("name", "case"), cases())
def test_connecting_gives_what_is_written_down(name: str, case: str) -> None:
    client = CLIENTS[name]
    after = GOLDEN / name / f"{case}.after.{suffix(client)}"
    error = GOLDEN / name / f"{case}.error.txt"
    try:
        made = change.connected(client, before(name, case), fields(client))
    except InputError as refused:
        if os.environ.get("HAULOUT_TEST_GOLDEN") == "write":
            error.write_text(f"{refused.message}\n")
        told, expected = refused.message, error.read_text().rstrip("\n")
        if client.form == "toml":  # the words are the standard library's, of one version
            told, expected = told.split(": ")[0], expected.split(": ")[0]
        assert told == expected
        return
    if os.environ.get("HAULOUT_TEST_GOLDEN") == "write":
        after.write_bytes(made)
    assert made == after.read_bytes()
    assert change.connected(client, made, fields(client)) == made
    assert change.says(change.entry(client, made), fields(client))
    assert (made == before(name, case)) == (case == "connected")


def connecting() -> list[tuple[str, str]]:
    return [(name, case) for name, case in cases()
            if not (GOLDEN / name / f"{case}.error.txt").exists()]  # fmt: skip


@pytest.mark.parametrize(("name", "case"), connecting())
def test_undoing_gives_back_the_bytes(name: str, case: str) -> None:
    client, was = CLIENTS[name], before(name, case)
    made = change.connected(client, was, fields(client))
    undone = change.undone(client, made, [] if was is None else [b"{", was])
    if change.is_ours(client, change.entry(client, was)):
        # That is no state to go back to: whoever undoes wants it gone.
        assert undone.how == "removed"
        assert change.entry(client, undone.content) is None
    else:
        assert (undone.content, undone.how) == (was, "restored")
        assert undone.used == (None if was is None else 1)


@pytest.mark.parametrize(("name", "case"), connecting())
def test_undoing_what_has_changed_since_removes_the_entry_alone(name: str, case: str) -> None:
    client, was = CLIENTS[name], before(name, case)
    made = change.connected(client, was, fields(client))
    more = b"\n# more\n" if client.form == "toml" else b"\n \n"
    undone = change.undone(client, made + more, [] if was is None else [was])
    assert undone.how == "removed"
    assert undone.content is not None
    assert undone.content.endswith(more)
    assert change.entry(client, undone.content) is None
    for line in (was or b"").splitlines():
        if b"files" in line and client.form == "json" and case not in {"one-line", "older"}:
            assert line.split(b",")[0] in undone.content
    again = change.undone(client, undone.content, [])
    assert (again.how, again.content) == ("absent", undone.content)


def test_an_update_after_an_update_can_still_be_undone() -> None:
    for client in CLIENTS.values():
        was = before(client.name, "others")
        made = change.connected(client, was, fields(client))
        moved = client.fields("/new/haulout", ["mcp", "--app", client.name, "--vault", "/v"])
        made = change.connected(client, made, moved)
        undone = change.undone(client, made, [was or b""])
        assert (undone.content, undone.how) == (was, "restored"), client.name


def test_an_entry_of_the_persons_own_under_our_name_comes_back() -> None:
    client = CLIENTS["cursor"]
    own = b'{"mcpServers": {"haulout": {"command": "mine"}}}'
    made = change.connected(client, own, fields(client))
    assert change.undone(client, made, [own]).content == own


def test_nothing_to_undo() -> None:
    client = CLIENTS["cursor"]
    assert change.undone(client, None, []).how == "absent"
    assert change.undone(client, b"{}", []).content == b"{}"
    assert change.undone(client, b"", []).how == "absent"


def test_a_file_of_someone_elses_making_is_not_deleted() -> None:
    client = CLIENTS["cursor"]
    foreign = b'{\n  "mcpServers": {\n    "haulout": {\n      "command": "mine"\n    }\n  }\n}\n'
    assert change.undone(client, foreign, []).content == b'{\n  "mcpServers": {}\n}\n'


def test_an_entry_of_ours_is_known_by_its_arguments() -> None:
    client = CLIENTS["codex"]
    ours = [["mcp", "--app", "codex"], ["-m", "haulout", "mcp", "--app", "codex", "--vault", "x"]]
    others = [["mcp", "--app", "cursor"], ["--app", "codex"], [], None, "mcp --app codex"]
    for arguments in ours:
        assert change.is_ours(client, {"command": "x", "args": arguments})
    for arguments in others:
        assert not change.is_ours(client, {"command": "x", "args": arguments})
    assert not change.is_ours(client, "mcp --app codex")


def test_a_change_that_touches_more_than_the_entry_is_held_back(monkeypatch) -> None:
    client = CLIENTS["cursor"]
    monkeypatch.setattr(
        "haulout.integrations.clients.jsonc.put",
        lambda *_: '{"a": 2, "mcpServers": {"haulout": {}}}',
    )
    with pytest.raises(InputError, match="cannot be changed in place"):
        change.connected(client, b'{"a": 1}', fields(client))
