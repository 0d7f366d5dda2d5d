"""What holds for every verb: help, exit codes, JSON, colours, and what starting costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from haulout import Vault, errors
from haulout.cli import exits, main
from haulout.cli.program import SECTIONS, program
from haulout.version import __version__

SOURCE = Path(__file__).resolve().parents[2] / "src"
VERBS = [name for verbs in SECTIONS.values() for name in verbs]
GROUPS = {
    "model": ["install", "status"],
    "volumes": ["add", "list", "status", "remove", "rebalance", "detach"],
    "walrus": ["set", "show", "remove"],
    "replica": ["create", "status", "refresh"],
    "state": [
        "list",
        "show",
        "journal",
        "pause",
        "flatten",
        "resume",
        "limit",
        "resolve",
        "export",
        "import",
    ],
}
COMMANDS = [name for name in VERBS if name not in GROUPS] + [
    f"{group} {verb}" for group, verbs in GROUPS.items() for verb in verbs
]

_NETWORK = ["--publisher", "http://127.0.0.1:1", "--aggregator", "http://127.0.0.1:2"]
ANSWERS = {
    "remember": ["remember", "x"],
    "recall": ["recall", "walnuts"],
    "context": ["context", "walnuts"],
    "get": ["get", "ID"],
    "list": ["list"],
    "update": ["update", "ID", "y"],
    "forget": ["forget", "ID", "--yes"],
    "undo": ["undo", "ID"],
    "history": ["history", "ID"],
    "import": ["import", "notes.md"],
    "export": ["export", "e.jsonl"],
    "backup": ["backup", "b.haulout"],
    "restore": ["restore", "saved.haulout", "--kit-file", "-", "--vault", "second"],
    "init": ["init", "--vault", "third"],
    "check": ["check"],
    "rebuild": ["rebuild"],
    "stats": ["stats"],
    "model install": ["model", "status"],
    "model status": ["model", "status"],
    "completion": ["completion", "bash"],
    "testnet": ["testnet", "--nodes", "4", "--shards", "4", "--for", "0"],
    "connect": ["connect"],
    "attachment": ["attachment", "FILE", "--output", "copy"],
    "append": ["append", "FILE", "notes.md"],
    "sync": ["sync"],
    "repair": ["repair"],
    "locator": ["locator"],
    "volumes add": ["volumes", "add", "v2"],
    "volumes list": ["volumes", "list"],
    "volumes status": ["volumes", "status"],
    "volumes remove": ["volumes", "remove", "v0"],
    "volumes rebalance": ["volumes", "rebalance"],
    "volumes detach": ["volumes", "detach"],
    "walrus set": ["walrus", "set", *_NETWORK],
    "walrus show": ["walrus", "show"],
    "walrus remove": ["walrus", "remove"],
    "cost": ["cost", "--memories", "10"],
    "replica create": ["replica", "create", "where.txt", "--kit-file", "-", "--vault", "near"],
    "replica status": ["replica", "status", "--vault", "near"],
    "replica refresh": ["replica", "refresh", "--vault", "near"],
    "state list": ["state", "list"],
    "state show": ["state", "show", "bots/btc"],
    "state journal": ["state", "journal", "bots/btc"],
    "state pause": ["state", "pause", "bots/*"],
    "state flatten": ["state", "flatten", "bots/btc"],
    "state resume": ["state", "resume", "bots/btc"],
    "state limit": ["state", "limit", "bots/btc", "usd/day", "100"],
    "state resolve": ["state", "resolve", "bots/btc", "INTENT", "done"],
    "state export": ["state", "export", "bots/btc", "btc.json"],
    "state import": ["state", "import", "empty.json", "bots/new"],
}
_SPREAD = {"sync", "repair", "locator", *(f"volumes {verb}" for verb in GROUPS["volumes"])}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_verb_has_an_example_and_exit_codes(haulout, command):
    run = haulout(*command.split(), "--help")
    assert run.code == 0
    examples = run.out.split("Examples:\n")[1].split("\n\n")[0]
    assert f"haulout {command.split()[0]}" in examples
    codes = re.findall(r"^ {2}(\d+) ", run.out.split("Exit codes:\n")[1], re.MULTILINE)
    assert {"0", "2", "130"} <= set(codes)
    assert "--json" in run.out
    assert "--vault" in run.out


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_of_verbs_tells_of_each_what_it_tells_of_itself(verb):
    command = program.get_command(click.Context(program), verb)
    assert command
    assert command.name == verb
    known = next(verbs[verb] for verbs in SECTIONS.values() if verb in verbs)
    first = (command.help or "").split()[0]
    assert known.split()[0].strip(",") == first.strip(",")


@pytest.mark.parametrize("command", [one for one in COMMANDS if one != "mcp"])  # speaks JSON-RPC
def test_json_of_every_verb_is_one_document_without_colour(mine, walnuts, kit, home, command):
    (home / "notes.md").write_text("# Tides\n\nThe tide turns.\n")
    mine("backup", "saved.haulout")
    names = {"ID": walnuts}
    if "FILE" in ANSWERS[command]:
        names["FILE"] = mine("remember", "notes", "--attach", "notes.md").out.strip()
    if command in _SPREAD:
        mine("volumes", "add", "v0", "v1")
    if command in {"walrus show", "walrus remove"}:
        mine("walrus", "set", *_NETWORK)
    if command.startswith("replica"):
        mine("volumes", "add", "v0", "v1")
        mine("sync")
        mine("locator", "--output", "where.txt")
        if command != "replica create":
            mine(*ANSWERS["replica create"], stdin=kit)
    if command.startswith("state"):
        with Vault.open(embedder="none") as vault:
            names["INTENT"] = vault.reserve("order", state="bots/btc", role="exit").intent.id
        (home / "empty.json").write_text('{"format": "haulout-bot-state", "version": 1}')
    given = [names.get(word, word) for word in ANSWERS[command]]
    run = mine(*given, "--json", stdin=kit)
    assert run.code == 0, run.err
    json.loads(run.out)
    assert "\x1b" not in run.out


def test_the_top_of_the_help_lists_every_verb_code_and_variable(haulout):
    run = haulout("--help")
    for word in (*VERBS, *map(str, exits.MEANINGS), "HAULOUT_HOME", "HAULOUT_PASSPHRASE"):
        assert re.search(rf"^ +{word} ", run.out, re.MULTILINE), word


def test_every_error_of_the_library_has_its_exit_code():
    expected = {
        "HauloutError": 1, "InputError": 2, "LimitError": 2, "FilterError": 2,
        "ImportFormatError": 2, "NotFoundError": 3, "ErasedError": 3, "ConflictError": 4,
        "OperationReusedError": 4, "NotAllowedError": 1, "VaultError": 5, "VaultMissingError": 5,
        "VaultExistsError": 5, "VaultLockedError": 5, "VaultVersionError": 5, "DamagedError": 6,
        "VaultClosedError": 5, "StorageError": 7, "DiskFullError": 7, "ReadOnlyError": 7,
        "StoreUnavailableError": 7, "StoreRefusedError": 7, "BlobMissingError": 7,
        "WrongBytesError": 7, "CodingError": 6, "TooFewSliversError": 6,
        "InconsistentBlobError": 6, "ModelError": 1, "StaleStateError": 4, "ActionError": 8,
        "ActionRefusedError": 8, "VenueRefusedError": 8, "OutcomeUnknownError": 8,
    }  # fmt: skip
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.HauloutError)
    }
    assert {name: exits.exit_code(kind("x")) for name, kind in classes.items()} == expected


def test_an_error_is_a_line_and_what_to_do_or_json(haulout):
    run = haulout("stats")
    assert (run.code, run.out) == (5, "")
    assert run.err.startswith("Error: There is no vault in ")
    assert "haulout init" in run.err
    told = json.loads(haulout("stats", "--json").err)
    assert set(told) == {"error", "message", "hint", "retry"}
    assert (told["error"], told["retry"]) == ("VaultMissingError", False)


def test_a_wrong_command_line_is_told_in_the_form_that_was_asked_for(haulout):
    assert json.loads(haulout("--json", "recall", "--limit", "0").err)["error"] == "UsageError"
    assert "Did you mean recall?" in haulout("recal").err
    assert haulout("recall", "--nope").code == 2
    assert haulout().code == 2


def test_json_behind_two_dashes_is_text(mine):
    run = mine("remember", "--", "--json")
    assert mine("get", run.out.strip(), "--json").json["text"] == "--json"


def test_a_mistake_of_ours_is_one_line_and_exit_code_1(mine, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("haulout.operations.execute", broken)
    run = mine("stats")
    assert (run.code, "by nought" in run.err, "Traceback" in run.err) == (1, True, False)


def test_ctrl_c_is_exit_code_130(mine, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("haulout.operations.execute", interrupted)
    assert mine("stats").code == 130


def test_colours_are_for_terminals_that_want_them(mine, walnuts, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in mine("recall", "walnuts", terminal=True).out
    assert "\x1b[" in mine("get", "0" * 26, terminal=True).err
    assert "\x1b[" not in mine("recall", "walnuts").out
    monkeypatch.setenv("NO_COLOR", "1")
    for arguments in (("recall", "walnuts"), ("get", "0" * 26), ("check",), ("stats",)):
        run = mine(*arguments, terminal=True)
        assert not re.search(r"\x1b\[[\d;]*3\dm", run.out + run.err), arguments


def test_a_folder_that_a_cloud_syncs_is_warned_of(haulout, home):
    run = haulout("--vault", home / "Dropbox" / "v", "init", "--yes")
    assert (run.code, "Warning:" in run.err) == (0, True)
    told = haulout("--vault", home / "Dropbox" / "v", "stats", "--json")
    assert json.loads(told.err)["warning"] == "CloudFolderWarning"


def test_processes_give_the_same_codes_and_pipes(process, kit):
    assert process("get", "0" * 26).returncode == 3
    kept = process("remember", input="from a pipe\n")
    assert (kept.returncode, len(kept.stdout.strip())) == (0, 26)
    assert json.loads(process("list", "--json").stdout)["memories"][0]["text"] == "from a pipe"


def test_a_reader_that_leaves_is_no_traceback(process, kit, home):
    command = f"'{sys.executable}' -m haulout.cli completion bash | true"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(SOURCE), "HOME": str(home)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_the_version(haulout, process):
    assert process("--version").stdout == f"haulout {__version__}\n"
    assert haulout("--json", "--version").out == f"haulout {__version__}\n"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["recall", "--help"]])
def test_version_and_help_load_nothing_heavy(arguments):
    code = (
        "import sys, resource\n"
        "from haulout.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'rich', 'cryptography', 'apsw', 'msgspec', 'cbor2', 'mnemonic'}\n"
        "use = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(heavy & set(sys.modules), 1000 * (use.ru_utime + use.ru_stime), file=sys.stderr)\n"
    )
    best = 1e9
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        loaded, cost = done.stderr.split(") ")
        assert loaded == "set("
        best = min(best, float(cost))
        if best < 120:
            break
    assert best < (120 if arguments == ["--version"] else 250)  # ms of CPU


def test_main_is_the_entry_point_of_the_package():
    assert callable(main)
