"""`haulout remember --attach`, `haulout attachment` and `haulout append`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
def contract(mine, home: Path) -> str:
    (home / "contract.txt").write_bytes(b"Acme pays 950 a month.\n")
    return mine("remember", "--attach", home / "contract.txt", "With", "Acme").out.strip()


def test_a_file_is_attached_read_back_and_grown(mine, home, contract):
    memory = mine("get", contract, "--json").json
    assert memory["text"] == "With Acme"
    assert memory["attachment"] == {
        "name": "contract.txt", "media_type": "text/plain", "size": 23, "searchable": 23,
    }  # fmt: skip
    assert mine("attachment", contract[:8]).out == "Acme pays 950 a month.\n"
    (home / "more").write_bytes(b"From June.\n")
    assert mine("append", contract, home / "more", "--op-id", "a").out.strip() == contract
    assert mine("append", contract, home / "more", "--op-id", "a", "--json").json["version"] == 2
    assert mine("append", contract, "-", stdin=b"To July.\n").code == 0
    assert mine("append", contract, stdin=b"The end.\n").code == 0
    run = mine("attachment", contract, "--output", home / "out", "--json")
    assert run.json["path"] == str(home / "out")
    assert (home / "out").read_bytes() == (
        b"Acme pays 950 a month.\nFrom June.\nTo July.\nThe end.\n"
    )
    assert mine("attachment", contract, "--output", home / "out").code == 4
    assert mine("attachment", contract, "-o", home / "out", "--replace").code == 0
    assert mine("attachment", contract, "--json").json["size"] == 52


def test_the_text_is_the_files_name_where_none_is_given(mine, home):
    (home / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    memory = mine("remember", "--attach", home / "photo.jpg", "--json").json
    assert (memory["text"], memory["attachment"]["media_type"]) == ("photo.jpg", "image/jpeg")
    memory = mine("remember", "--attach", "-", "--json", stdin=b"bytes").json
    assert (memory["text"], memory["attachment"]["name"]) == ("standard input", "standard input")
    memory = mine("remember", "--attach", "-", "--name", "n.tar", "x", "--json", stdin=b"b").json
    assert (memory["text"], memory["attachment"]["name"]) == ("x", "n.tar")


def test_words_in_a_file_are_recalled_with_where_they_stand(mine, contract):
    (row,) = [row for row in mine("recall", "Acme pays").rows if "pays" in row[4]]
    assert row[4] == "contract.txt at 0: Acme pays 950 a month."
    (found,) = [one for one in mine("recall", "pays", "--json").json if one["memory"]["passage"]]
    assert found["memory"]["passage"] == {"of": contract, "at": 0, "size": 23}
    assert len(mine("list", "--json").json["memories"]) == 1
    told = dict(row[:2] for row in mine("get", found["memory"]["id"]).rows)
    assert told["passage of"] == f"{contract}, from byte 0"


def test_what_is_not_right_is_said(mine, home, walnuts, contract):
    assert mine("remember", "--attach", home / "missing", "x").code == 2
    assert mine("remember", "--attach", "-", "-", stdin=b"x").code == 2
    assert mine("remember", "x", "--name", "n").code == 2
    assert mine("attachment", walnuts).code == 3
    assert mine("append", walnuts, stdin=b"x").code == 2
    assert mine("append", contract, "--every", "0", stdin=b"x").code == 2
    assert mine("attachment", contract, terminal=True).code == 2
    assert mine("append", contract, terminal=True).code == 2
    assert "contract.txt (text/plain, 23 bytes); its words are recalled" in mine(
        "get", contract, terminal=True
    ).out.replace("\n", " ")


def test_a_terminal_is_told_what_was_attached(mine, home):
    (home / "a.txt").write_bytes(b"words\n")
    run = mine("remember", "--attach", home / "a.txt", "x", terminal=True)
    assert "a.txt (text/plain, 6 bytes)" in run.out


def test_ctrl_c_ends_a_followed_pipe_and_keeps_what_has_come(mine, home, contract):
    child = subprocess.Popen(
        [sys.executable, "-m", "haulout.cli", "append", contract, "--every", "0.01"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with child:
        child.stdin.write(b"a line\n")
        child.stdin.flush()
        while "a line" not in mine("attachment", contract).out:
            assert child.poll() is None, child.stderr.read()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        assert (child.returncode, out.decode().strip()) == (0, contract), err
    assert mine("attachment", contract).out.endswith("a line\n")
    assert mine("check").code == 0


def test_check_names_the_attachment_whose_bytes_are_missing(mine, home, contract):
    next((home / "vault" / "attachments").glob("*/*")).unlink()
    run = mine("check")
    assert (run.code, "contract.txt" in run.out, contract in run.out) == (6, True, True)
    assert mine("attachment", contract).code == 7
