"""`haulout connect`: files of clients on a machine that is a temporary folder."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from haulout.cli import clientfiles
from haulout.integrations.clients.table import CLIENTS

OTHERS = '{\n  // mine\n  "mcpServers": {\n    "files": {"command": "npx"}\n  }\n}\n'
BOTH = [name for name, client in CLIENTS.items() if "project" in client.files]
USER = {
    "claude-code": ".claude.json",
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "cursor": ".cursor/mcp.json",
    "codex": ".codex/config.toml",
    "vscode": ".config/Code/User/mcp.json",
    "gemini": ".gemini/settings.json",
    "windsurf": ".codeium/windsurf/mcp_config.json",
}
PROJECT = {
    "claude-code": ".mcp.json",
    "cursor": ".cursor/mcp.json",
    "codex": ".codex/config.toml",
    "vscode": ".vscode/mcp.json",
    "gemini": ".gemini/settings.json",
}
VARIABLES = (
    "APPDATA", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_CLI_HOME", "XDG_CONFIG_HOME",
)  # fmt: skip


@pytest.fixture(autouse=True)
def program(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux machine without clients, where Haulout was started by its absolute path."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    made = home / "bin" / "haulout"
    made.parent.mkdir()
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(made)])
    monkeypatch.setenv("PATH", str(made.parent))
    (home / "project").mkdir()
    monkeypatch.chdir(home / "project")
    return made


def arguments(home: Path, client: str) -> list[str]:
    return ["mcp", "--app", client, "--vault", str(home / "vault")]


def written(home: Path, text: str, path: str = ".cursor/mcp.json") -> Path:
    file = home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


# --- what is written ------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_is_connected_in_its_own_file(mine, home, program, client):
    run = mine("connect", client, "--yes")
    assert run.code == 0, run.err
    text = (home / USER[client]).read_text()
    assert str(program) in text
    assert json.dumps(arguments(home, client)) in text
    assert f"haulout connect {client} --undo" in run.out
    assert f"~/{USER[client]}" in run.out
    again = mine("connect", client, "--yes")
    assert again.out == f"{CLIENTS[client].title} is connected already, in ~/{USER[client]}.\n"
    assert (home / USER[client]).read_text() == text
    assert mine("connect", client, "--undo", "--yes").code == 0
    assert not (home / USER[client]).exists()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_project_has_a_file_where_the_client_reads_one(mine, home, client):
    run = mine("connect", client, "--scope", "project", "--yes")
    if client not in BOTH:
        assert (run.code, "no configuration of a project" in run.err) == (2, True)
        return
    assert run.code == 0, run.err
    file = home / "project" / PROJECT[client]
    assert str(home / "vault") in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert not (home / USER[client]).exists()
    assert "--scope project --undo" in run.out
    assert "others who share the file" in run.err


@pytest.mark.parametrize(
    ("platform", "client", "file"),
    [
        ("darwin", "claude-desktop",
         "Library/Application Support/Claude/claude_desktop_config.json"),
        ("darwin", "vscode", "Library/Application Support/Code/User/mcp.json"),
        ("win32", "claude-desktop", "Roaming/Claude/claude_desktop_config.json"),
        ("win32", "vscode", "Roaming/Code/User/mcp.json"),
        ("linux", "vscode", "xdg/Code/User/mcp.json"),
    ],
)  # fmt: skip
def test_where_programs_keep_settings_depends_on_the_system(
    mine, home, monkeypatch, platform, client, file
):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("APPDATA", str(home / "Roaming"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    assert mine("connect", client, "--dry-run", "--json").json["file"] == str(home / file)


@pytest.mark.parametrize(
    ("variable", "client", "file"),
    [
        ("CLAUDE_CONFIG_DIR", "claude-code", ".claude.json"),
        ("CODEX_HOME", "codex", "config.toml"),
        ("GEMINI_CLI_HOME", "gemini", ".gemini/settings.json"),
    ],
)
def test_the_clients_own_variables_say_where(mine, home, monkeypatch, variable, client, file):
    monkeypatch.setenv(variable, str(home / "else"))
    assert mine("connect", client, "--yes").code == 0
    assert (home / "else" / file).exists()


def test_of_claude_codes_two_files_the_older_counts_where_something_stands_in_it(mine, home):
    def file() -> str:
        return mine("connect", "claude-code", "--dry-run", "--json").json["file"]

    older = written(home, "", ".claude/.config.json")
    assert file() == str(home / ".claude.json")
    older.write_text("{}")
    assert file() == str(older)


def test_the_usual_vault_is_not_named(haulout, home, monkeypatch):
    monkeypatch.delenv("HAULOUT_HOME")
    haulout("init", "--yes")
    answer = haulout("connect", "codex", "--yes", "--json").json
    assert answer["entry"]["args"] == ["mcp", "--app", "codex"]
    answer = haulout("connect", "cursor", "--vault", "~/.haulout", "--yes", "--json").json
    assert answer["entry"]["args"] == ["mcp", "--app", "cursor"]


def test_a_client_may_be_given_the_vault_to_read_only(mine, home):
    answer = mine("connect", "codex", "--read-only", "--yes", "--json").json
    assert answer["entry"]["args"][:4] == ["mcp", "--app", "codex", "--read-only"]
    assert {row[0]: row[2] for row in mine("connect").rows}["codex"] == "user"
    assert "--read-only" in mine("connect", "cursor", "--read-only", "--print").out
    run = mine("connect", "codex", "--dry-run")  # and back, which is shown
    assert '-args = ["mcp", "--app", "codex", "--read-only", ' in run.out
    assert '+args = ["mcp", "--app", "codex", "--vault", ' in run.out


def test_another_vault_is_named_by_its_absolute_path(mine, home):
    answer = mine("connect", "codex", "--vault", "../vault", "--yes", "--json").json
    assert answer["entry"]["args"][-2:] == ["--vault", str(home / "vault")]


# --- which program --------------------------------------------------------------------------


def test_a_link_to_the_program_stays_a_link(home, program, monkeypatch):
    link = home / "haulout"
    link.symlink_to(program)
    monkeypatch.setattr(sys, "argv", [str(link)])
    assert clientfiles.program() == [str(link)]
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "argv", ["./haulout"])
    assert clientfiles.program() == [str(link)]


def test_a_name_alone_is_looked_up(program, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["haulout"])
    assert clientfiles.program() == [str(program)]


def test_another_name_means_what_stands_beside_this_python(home, program, monkeypatch):
    python = home / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(python))
    for started in ("/x/haulout/__main__.py", "/x/pytest", str(home / "gone" / "haulout"), ""):
        monkeypatch.setattr(sys, "argv", [started])
        assert clientfiles.program() == [str(python), "-m", "haulout"]
    beside = python.with_name("haulout")
    beside.write_text("")
    assert clientfiles.program() == [str(python), "-m", "haulout"]
    beside.chmod(0o755)
    assert clientfiles.program() == [str(beside)]


def test_a_path_that_clients_would_change_is_refused(mine, home):
    run = mine("connect", "cursor", "--vault", home / "$vault", "--print")
    assert (run.code, run.out) == (2, "")
    assert "the $" in run.err


def test_a_program_in_a_folder_that_is_cleared_is_warned_of(mine, program):
    assert "cleared now and then" in mine("connect", "cursor", "--yes").err


def test_a_passphrase_that_the_client_cannot_type_is_warned_of(haulout, home, monkeypatch):
    monkeypatch.setenv("HAULOUT_PASSPHRASE", "p")
    haulout("init", "--yes", "--passphrase")
    assert "HAULOUT_PASSPHRASE" in haulout("connect", "cursor", "--yes").err


# --- what has to be there -------------------------------------------------------------------


def test_without_a_vault_nothing_is_written(haulout, home):
    run = haulout("connect", "cursor", "--yes")
    assert run.code == 5
    assert "haulout init" in run.err
    assert not (home / ".cursor").exists()


def test_without_the_package_that_speaks_nothing_is_written(mine, home, monkeypatch):
    monkeypatch.setattr("haulout.cli.connect.find_spec", lambda _name: None)
    run = mine("connect", "cursor", "--yes")
    assert (run.code, "haulout[mcp]" in run.err) == (1, True)
    assert not (home / ".cursor").exists()


# --- asking and showing ---------------------------------------------------------------------


def test_the_change_is_shown_and_asked_about(mine, home):
    file = written(home, OTHERS)
    run = mine("connect", "cursor", stdin="n\n", terminal=True)
    assert run.code == 1
    assert "~/.cursor/mcp.json" in run.out
    assert '+    "haulout": {' in run.out
    assert '    "files": {"command": "npx"},' in run.out
    assert "Connect Cursor?" in run.err
    assert file.read_text() == OTHERS
    assert mine("connect", "cursor", stdin="\n", terminal=True).code == 0
    assert "haulout" in file.read_text()
    run = mine("connect", "cursor", "--undo", stdin="n\n", terminal=True)
    assert (run.code, '-    "haulout": {' in run.out) == (1, True)
    assert "haulout" in file.read_text()


def test_where_nobody_can_be_asked_yes_has_to_be_said(mine, home):
    for more in ((), ("--json",), ("--undo",)):
        file = written(home, OTHERS)
        if more == ("--undo",):
            mine("connect", "cursor", "--yes")
        before = file.read_bytes()
        run = mine("connect", "cursor", *more)
        assert (run.code, "--dry-run" in run.err) == (2, True)
        assert file.read_bytes() == before


def test_a_dry_run_writes_nothing(mine, home):
    run = mine("connect", "cursor", "--dry-run")
    assert (run.code, run.out.splitlines()[0]) == (0, "~/.cursor/mcp.json (a new file)")
    assert not (home / ".cursor").exists()
    file = written(home, OTHERS)
    assert '+    "haulout": {' in mine("connect", "cursor", "--dry-run").out
    assert file.read_text() == OTHERS
    mine("connect", "cursor", "--yes")
    before = file.read_bytes()
    answer = mine("connect", "cursor", "--undo", "--dry-run", "--json").json
    assert (answer["changed"], answer["how"]) == (False, "restored")
    assert file.read_bytes() == before


def test_of_a_file_on_one_long_line_what_comes_is_shown(mine, home):
    written(home, json.dumps({"long": "x" * 10_000, "mcpServers": {"a": {"command": "secret"}}}))
    run = mine("connect", "cursor", "--dry-run")
    assert '+    "haulout": {' in run.out
    assert "xxx" not in run.out
    assert "secret" not in run.out
    mine("connect", "cursor", "--yes")
    assert '-    "haulout": {' in mine("connect", "cursor", "--undo", "--dry-run").out


def test_what_stands_in_a_file_does_not_act_on_the_terminal(mine, home):
    written(home, '{\n  // \x1b[2J\n  "mcpServers": {}\n}\n')
    assert "\x1b" not in mine("connect", "cursor", "--dry-run").out


@pytest.mark.parametrize("client", CLIENTS)
def test_print_gives_what_to_paste_and_writes_nothing(haulout, home, client):
    run = haulout("connect", client, "--print")
    assert run.code == 0
    assert USER[client] in run.err
    assert not (home / USER[client]).exists()
    file = written(home, run.out, USER[client])
    haulout("init", "--yes")
    assert "already" in haulout("connect", client, "--yes").out
    assert file.read_text() == run.out


def test_options_that_do_not_go_together(mine):
    for options in (("--print", "--undo"), ("--print", "--dry-run")):
        assert mine("connect", "cursor", *options).code == 2
    for options in (("--undo",), ("--scope", "user"), ("--yes",), ("--read-only",)):
        run = mine("connect", *options)
        assert (run.code, "windsurf" in run.err) == (2, True)
    assert mine("connect", "netscape").code == 2


# --- backup and undo ------------------------------------------------------------------------


def test_what_was_there_is_kept_and_comes_back(mine, home):
    file = written(home, OTHERS)
    file.chmod(0o664)
    answer = mine("connect", "cursor", "--yes", "--json").json
    backup = Path(answer["backup"])
    assert backup == home / ".cursor" / "mcp.json.haulout-backup"
    assert backup.read_text() == OTHERS
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.stat().st_mode) == 0o664  # whatever the umask is
    answer = mine("connect", "cursor", "--undo", "--yes", "--json").json
    assert (answer["how"], answer["changed"]) == ("restored", True)
    assert file.read_text() == OTHERS
    assert stat.S_IMODE(file.stat().st_mode) == 0o664
    assert sorted(one.name for one in file.parent.iterdir()) == ["mcp.json"]
    assert "nothing to undo" in mine("connect", "cursor", "--undo", "--yes").out


def test_a_second_connect_keeps_the_first_backup(mine, home, program):
    file = written(home, OTHERS)
    mine("connect", "cursor", "--yes")
    mine("connect", "cursor", "--vault", home / "vault" / ".." / "vault", "--yes")
    moved = home / "haulout"
    moved.symlink_to(program)
    sys.argv[0] = str(moved)
    run = mine("connect", "cursor", "--yes", "--json")
    assert (run.json["changed"], run.json["backup"]) == (True, None)
    assert str(moved) in file.read_text()
    assert (home / ".cursor" / "mcp.json.haulout-backup").read_text() == OTHERS
    assert "is what it was before" in mine("connect", "cursor", "--undo", "--yes").out
    assert file.read_text() == OTHERS


def test_a_file_that_changed_since_loses_the_entry_alone(mine, home):
    file = written(home, OTHERS)
    mine("connect", "cursor", "--yes")
    file.write_text(file.read_text().replace("// mine", "// still mine"))
    run = mine("connect", "cursor", "--undo", "--yes")
    assert "was changed since" in run.out
    assert "mcp.json.haulout-backup" in run.out
    assert file.read_text() == OTHERS.replace("// mine", "// still mine")
    # Connected anew, the older backup stays and what is there now gets one of its own.
    answer = mine("connect", "cursor", "--yes", "--json").json
    assert answer["backup"].endswith("mcp.json.haulout-backup-2")
    assert (home / ".cursor" / "mcp.json.haulout-backup").read_text() == OTHERS
    assert mine("connect", "cursor", "--undo", "--yes", "--json").json["how"] == "restored"
    assert file.read_text() == OTHERS.replace("// mine", "// still mine")


def test_backups_are_numbered_without_end(home):
    file = written(home, "0")
    names = [clientfiles.put_aside(file, str(n).encode()).name for n in range(12)]
    assert names[0] == "mcp.json.haulout-backup"
    assert names[-1] == "mcp.json.haulout-backup-12"
    assert clientfiles.backups(file)[0].read_bytes() == b"11"
    assert clientfiles.put_aside(file, b"3").name == "mcp.json.haulout-backup-4"


def test_a_link_stays_a_link(mine, home):
    target = written(home, OTHERS, "dotfiles/mcp.json")
    link = home / ".cursor" / "mcp.json"
    link.parent.mkdir()
    link.symlink_to(Path("../dotfiles/mcp.json"))
    mine("connect", "cursor", "--yes")
    assert link.is_symlink()
    assert "haulout" in target.read_text()
    assert (home / ".cursor" / "mcp.json.haulout-backup").exists()
    assert [one.name for one in target.parent.iterdir()] == ["mcp.json"]
    mine("connect", "cursor", "--undo", "--yes")
    assert (link.is_symlink(), target.read_text()) == (True, OTHERS)


def test_a_link_to_nothing_yet_is_followed(mine, home):
    (home / "dotfiles").mkdir()
    link = home / ".cursor" / "mcp.json"
    link.parent.mkdir()
    link.symlink_to(home / "dotfiles" / "mcp.json")
    mine("connect", "cursor", "--yes")
    assert link.is_symlink()
    mine("connect", "cursor", "--undo", "--yes")
    assert link.is_symlink()
    assert not link.exists()


def test_a_new_file_of_the_persons_own_is_for_their_eyes(mine, home):
    before = os.umask(0o002)
    try:
        mine("connect", "claude-code", "--yes")
        mine("connect", "claude-code", "--scope", "project", "--yes")
    finally:
        os.umask(before)
    assert stat.S_IMODE((home / ".claude.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "project" / ".mcp.json").stat().st_mode) == 0o644


# --- when it cannot be ----------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
def test_a_broken_file_is_left_alone_and_named_with_line_and_column(mine, home, client):
    broken = "[a\n" if client == "codex" else '{\n  "a": 1,\n  b\n}\n'
    file = written(home, broken, USER[client])
    for more in ((), ("--undo",)):
        run = mine("connect", client, "--yes", *more)
        assert run.code == 2
        assert f"~/{USER[client]}, line " in run.err
        assert "column 3" in run.err
        assert f"haulout connect {client} --print" in run.err
        assert file.read_text() == broken
    assert sorted(one.name for one in file.parent.iterdir() if one.is_file()) == [file.name]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_read_only_file_is_left_alone(mine, home, client):
    text = "[a]\n" if client == "codex" else '{"a": 1}\n'
    file = written(home, text, USER[client])
    file.chmod(0o444)
    run = mine("connect", client, "--yes")
    assert (run.code, "read-only" in run.err, "--print" in run.err) == (7, True, True)
    assert file.read_text() == text
    assert [one.name for one in file.parent.iterdir() if one.is_file()] == [file.name]


@pytest.mark.parametrize("call", [1, 2], ids=["backup", "file"])
@pytest.mark.parametrize(("number", "words"), [
    (errno.EACCES, "--print"), (errno.EROFS, "--print"),
    (errno.ENOSPC, "no space left"), (errno.EIO, "could not be written"),
])  # fmt: skip
def test_a_disk_that_refuses_loses_nothing(mine, home, monkeypatch, number, words, call):
    file, calls, replace = written(home, OTHERS), [], os.replace

    def refuse(*paths: Path) -> None:
        calls.append(paths)
        if len(calls) == call:
            raise OSError(number, os.strerror(number))
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr("haulout.storage.durable.os.replace", refuse)
        run = mine("connect", "cursor", "--yes")
    assert (run.code, words in run.err) == (7, True)
    assert file.read_text() == OTHERS
    assert [one.name for one in file.parent.iterdir()] == ["mcp.json"]


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(mine, home, monkeypatch):
    def refuse(*_arguments: object, **_settings: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    run = mine("connect", "cursor", "--yes")
    assert (run.code, "--print" in run.err) == (7, True)


def test_a_file_that_cannot_be_read_is_an_error_of_ours(mine, home):
    (home / ".cursor" / "mcp.json").mkdir(parents=True)
    run = mine("connect", "cursor", "--yes")
    assert (run.code, "cannot be read" in run.err) == (7, True)


def meddling(monkeypatch, file: Path, times: int) -> list[str]:
    """Another program that writes the file while ours is being made ready."""
    wrote: list[str] = []
    real = clientfiles.replacing

    def replacing(target: Path):
        if len(wrote) < times:
            wrote.append(json.dumps({"startups": len(wrote) + 1, "mcpServers": {}}))
            file.write_text(wrote[-1])
        return real(target)

    monkeypatch.setattr(clientfiles, "replacing", replacing)
    return wrote


def test_a_file_that_another_program_writes_meanwhile_is_read_again(mine, home, monkeypatch):
    file = written(home, "{}", ".claude.json")
    wrote = meddling(monkeypatch, file, 2)
    run = mine("connect", "claude-code", "--yes", "--json")
    assert run.code == 0, run.err
    said = json.loads(file.read_text())
    assert (said["startups"], "haulout" in said["mcpServers"]) == (2, True)
    assert Path(run.json["backup"]).read_text() == wrote[-1]
    assert len(clientfiles.backups(file)) == 1
    assert mine("connect", "claude-code", "--undo", "--yes", "--json").json["how"] == "restored"
    assert file.read_text() == wrote[-1]


def test_a_file_that_another_program_keeps_writing_is_left_to_it(mine, home, monkeypatch):
    file = written(home, "{}", ".claude.json")
    wrote = meddling(monkeypatch, file, 99)
    run = mine("connect", "claude-code", "--yes")
    assert (run.code, "another program" in run.err) == (4, True)
    assert len(wrote) == 3
    assert file.read_text() == wrote[-1]
    assert clientfiles.backups(file) == []
    assert not list(home.glob(".*tmp-*"))


def test_a_file_that_appears_or_goes_meanwhile_is_noticed(mine, home, monkeypatch):
    file = home / ".claude.json"
    meddling(monkeypatch, file, 1)
    mine("connect", "claude-code", "--yes")
    assert json.loads(file.read_text())["startups"] == 1


# --- the list -------------------------------------------------------------------------------


def test_the_list_tells_which_are_here_and_which_are_connected(mine, home, program):
    rows = {row[0]: row[1:] for row in mine("connect").rows}
    assert rows == {name: ["", "", f"~/{USER[name]}"] for name in CLIENTS}
    mine("connect", "cursor", "--yes")
    mine("connect", "cursor", "--scope", "project", "--yes")
    written(home, '{"mcpServers": {"haulout": {"command": "/old"}}}', USER["windsurf"])
    written(home, "{", USER["gemini"])
    written(home, "#!/bin/sh\n", "bin/codex").chmod(0o755)
    rows = {row[0]: row[1:] for row in mine("connect").rows}
    assert rows["cursor"] == ["installed", "user, project", "~/.cursor/mcp.json"]
    assert rows["windsurf"][:2] == ["installed", "user (another command)"]
    assert rows["gemini"][:2] == ["installed", "user (not readable)"]
    assert rows["codex"][:2] == ["installed", ""]
    assert rows["vscode"][:2] == ["", ""]
    mine("connect", "vscode", "--scope", "project", "--yes")
    assert mine("connect").rows[4][2:] == ["project", "~/project/.vscode/mcp.json"]
    told = {one["client"]: one for one in mine("connect", "--json").json}
    assert [one["state"] for one in told["cursor"]["files"]] == ["yes", "yes"]
    assert (told["codex"]["installed"], told["codex"]["connected"]) == (True, False)
    assert told["windsurf"]["files"] == [
        {"scope": "user", "file": str(home / USER["windsurf"]), "state": "other"}
    ]


def test_the_list_needs_no_vault_and_is_a_table_for_a_person(haulout, home, monkeypatch):
    monkeypatch.chdir(home)
    run = haulout("connect", terminal=True)
    assert run.code == 0
    assert "Connected" in run.out or "File" in run.out
    assert "haulout connect CLIENT" in run.err
