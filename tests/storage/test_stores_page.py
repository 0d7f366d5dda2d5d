"""Every command of docs/stores.md runs, in order, on folders and on a bucket of moto's."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from storage.conftest import KEYS

from haulout.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stores.md"
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
LINES = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines()]
BUCKET = "my-bucket"


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_endpoint: str, capsys: Any
) -> Callable[[str], int]:
    """Runs one line of the page, in a home of its own; gives the exit code."""
    from moto.s3.models import s3_backends

    server = s3_backends["123456789012"]["aws"]
    if BUCKET not in server.buckets:
        server.create_bucket(BUCKET, "us-east-1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HAULOUT_HOME", str(tmp_path / ".haulout"))
    monkeypatch.setenv("HAULOUT_EMBEDDER", "none")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> int:
        words = shlex.split(line.partition("  #")[0].replace("/mnt/", f"{tmp_path}/mnt/"))
        if words[0] == "export":
            for name, _, value in (word.partition("=") for word in words[1:]):
                known = KEYS.get(name.removeprefix("AWS_").lower())
                monkeypatch.setenv(name, known if value == "..." and known else value)
            return 0
        assert words[0] == "haulout"
        if "--watch" in words:  # it goes on until it is interrupted
            words = [*words, "--help"]
        words = [word.replace("~", str(tmp_path), 1) for word in words]
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        return int(ended.value.code or 0)

    yield run
    capsys.readouterr()


def test_every_command_of_the_page_runs(
    tmp_path: Path, shell: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell("haulout init --json") == 0
    (tmp_path / "words.txt").write_text(
        " ".join(json.loads(capsys.readouterr().out)["recovery_kit"])
    )
    assert shell('haulout remember "Ana is allergic to walnuts."') == 0
    assert len(LINES) > 15
    for line in LINES:
        if "--adopt" in line:
            shutil.rmtree(tmp_path / "mnt" / "two")
        assert shell(line) == 0, f"{line}: {capsys.readouterr()}"
    assert shell(f"haulout recall walnuts --json --vault {tmp_path}/back") == 0
    assert "Ana is allergic to walnuts." in capsys.readouterr().out


def test_the_python_of_the_page_runs(
    tmp_path: Path, shell: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    shell("haulout init --json")
    (block,) = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    capsys.readouterr()
    exec(compile(block.replace("/mnt/", f"{tmp_path}/mnt/"), "docs/stores.md", "exec"), {})
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "remote"
    assert out[1].startswith("volumes ")
    assert out[1].endswith(" 0")
    assert out[2].startswith("haulout:")


def test_the_table_of_what_may_be_lost_is_what_the_command_says(
    tmp_path: Path, shell: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    page = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| ([\d or]+) \| (\d) \|$", page, re.MULTILINE)
    assert rows
    shell("haulout init --json")
    for counts, lost in rows:
        for count in map(int, counts.split(" or ")):
            places = " ".join(f"/mnt/{count}-{number}" for number in range(count))
            capsys.readouterr()
            assert shell(f"haulout volumes add {places} --json") == 0
            told = json.loads(capsys.readouterr().out)
            assert told["volumes_lost"] == int(lost)
            assert f"{told['factor']:.2f} MiB in all" in page
            assert f"{told['small_blob_bytes'] / 1000:.1f} KB" in page
            shell("haulout volumes detach")


def test_the_variables_of_the_page_are_those_that_are_read() -> None:
    from haulout.cli.session import _CREDENTIALS

    named = set(re.findall(r"`([A-Z]+_[A-Z_0-9]+)`", PAGE.read_text("utf-8")))
    assert named == {name for name, _ in _CREDENTIALS}
