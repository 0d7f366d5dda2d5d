"""A vault on two folders and a bucket: lost with one of them, and back from the others."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from storage.conftest import BUCKET, KEYS

from haulout.cli import main

_places = itertools.count()


@pytest.fixture
def haulout(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    s3_endpoint: str,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., Any]:
    """The command line, signed in to the bucket by its environment; gives the code and JSON."""
    monkeypatch.setenv("HAULOUT_HOME", str(tmp_path / "vault"))
    monkeypatch.setenv("HAULOUT_EMBEDDER", "none")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secret_access_key"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, Any]:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        out = capfdbinary.readouterr().out
        return int(ended.value.code or 0), json.loads(out) if out else None

    return run


@pytest.mark.parametrize("lost", ["a folder", "the bucket"])
def test_a_vault_and_one_of_its_volumes_are_lost_and_the_vault_is_back(
    tmp_path: Path, haulout: Callable[..., Any], s3_endpoint: str, lost: str
) -> None:
    bucket = f"s3://{BUCKET}/vault/{next(_places)}"
    code, made = haulout("init")
    assert code == 0
    (tmp_path / "kit.txt").write_text(" ".join(made["recovery_kit"]))
    code, kept = haulout("remember", "Ana is allergic to walnuts.", "--speaker", "Ana")
    assert code == 0
    (tmp_path / "contract.txt").write_text("The boat is green. " * 10_000)
    assert haulout("remember", "The contract", "--attach", "contract.txt")[0] == 0
    assert haulout("volumes", "add", "one", "two", bucket)[0] == 0
    code, synced = haulout("sync")
    assert code == 0
    assert synced["stores"][0]["waiting"] == 0
    code, before = haulout("recall", "what is Ana allergic to?")
    assert haulout("locator", "--output", "locator.txt")[0] == 0
    shutil.rmtree(tmp_path / "vault")
    if lost == "a folder":
        shutil.rmtree(tmp_path / "two")
    else:
        from moto.s3.models import s3_backends

        keys = s3_backends["123456789012"]["aws"].buckets[BUCKET].keys
        for name in [name for name in keys if name.startswith(bucket.partition(BUCKET + "/")[2])]:
            keys.pop(name)
    code, report = haulout("restore", "locator.txt", "--kit-file", "kit.txt")
    assert code == 0
    assert (report["restored"]["failed"], report["restored"]["failed_chunks"]) == (0, 0)
    code, after = haulout("recall", "what is Ana allergic to?")
    assert [(one["memory"]["id"], one["score"]) for one in after] == [
        (one["memory"]["id"], one["score"]) for one in before
    ]
    assert after[0]["memory"]["id"] == kept["id"]
    # What was lost is filled again, and the vault goes on.
    assert haulout("repair", "--adopt", "two" if lost == "a folder" else bucket)[0] == 0
    assert haulout("remember", "after", "--wait", "remote")[1]["durability"] == "remote"
    assert haulout("check", "--remote")[0] == 0


def test_credentials_stand_in_no_file(tmp_path: Path, haulout: Callable[..., Any]) -> None:
    haulout("init")
    haulout("remember", "Ana is allergic to walnuts.")
    haulout("volumes", "add", "one", f"s3://{BUCKET}/vault/{next(_places)}")
    haulout("sync")
    secret = KEYS["secret_access_key"].encode()
    found = [path for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert found == []
    assert secret not in haulout("locator")[1]["locator"].encode()
