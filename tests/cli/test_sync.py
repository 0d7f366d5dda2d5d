"""`haulout sync`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from haulout.cli.session import Session
from haulout.storage.bucket import OPTIONS, SECRETS
from haulout.vault.stores.storeoptions import StoreOptions


def test_without_stores_it_says_how_to_add_some(mine, walnuts):
    run = mine("sync")
    assert (run.code, "haulout volumes add" in run.out) == (0, True)


def test_it_says_what_each_store_holds(spread):
    run = spread("sync")
    assert run.code == 0
    assert "head 1" in run.out
    (store,) = spread("sync", "--json").json["stores"]
    assert (store["kind"], store["head"], store["waiting"], store["failure"]) == (
        "volumes",
        1,
        0,
        "",
    )


def test_a_volume_that_is_away_keeps_the_others_from_nothing(spread, home):
    spread("remember", "second")
    spread("volumes", "add", "v3", "v4")
    shutil.move(home / "v1", home / "away")
    assert spread("sync").code == 0
    assert spread("stats", "--json").json["durability"] == "remote"


def test_where_too_few_volumes_answer_it_exits_with_7_and_goes_on_later(spread, home):
    spread("remember", "second")
    for name in ("v1", "v2"):
        shutil.move(home / name, home / f"{name}-away")
    run = spread("sync")
    assert run.code == 7
    assert spread("stats", "--json").json["durability"] == "local"
    for name in ("v1", "v2"):
        shutil.move(home / f"{name}-away", home / name)
    assert spread("sync").code == 0
    assert spread("stats", "--json").json["durability"] == "remote"


@pytest.mark.parametrize("option", ["--limit-up", "--limit-down"])
def test_a_limit_is_a_number_of_bytes_above_nothing(spread, option):
    spread("remember", "second")
    assert spread("sync", option, "0").code == 2
    assert spread("sync", option, "fast").code == 2
    assert spread("sync", option, "50000000").code == 0


def test_limits_reach_the_stores(spread, monkeypatch):
    given = []

    class Noting(StoreOptions):
        def __init__(self, **limits):
            super().__init__(**limits)
            given.append(limits)

    monkeypatch.setattr("haulout.vault.stores.storeoptions.StoreOptions", Noting)
    spread("sync", "--limit-up", "50000000", "--limit-down", "60000000")
    spread("sync")
    assert given == [{"limit_up": 50_000_000, "limit_down": 60_000_000}]


def test_watching_publishes_what_another_process_writes_until_it_is_interrupted(spread, home):
    watching = subprocess.Popen(
        [sys.executable, "-m", "haulout.cli", "sync", "--watch", "--every", "0.1", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=home,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )  # fmt: skip
    try:
        spread("remember", "while it watches")
        assert watching.stdout is not None
        assert '"head": 2' in watching.stdout.readline().replace('"head":2', '"head": 2')
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 0
    finally:
        watching.kill()
        watching.communicate()
    assert spread("stats", "--json").json["durability"] == "remote"


# --- what it signs in with -----------------------------------------------------------------


def test_credentials_come_from_the_variables_that_other_tools_read(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    assert Session().credentials() == {}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "old")
    monkeypatch.setenv("AWS_REGION", "new")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://one")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://two")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "c")
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", "d")
    monkeypatch.setenv("WALRUS_TOKEN", "e")
    found = Session().credentials()
    assert found == {
        "s3.access_key_id": "a",
        "s3.secret_access_key": "b",
        "s3.region": "new",
        "s3.endpoint": "http://two",
        "s3.allow_http": "true",
        "az.access_key": "c",
        "gs.service_account_key": "d",
        "walrus.token": "e",
    }
    for name in found.keys() - {"walrus.token"}:
        scheme, _, option = name.partition(".")
        assert option in OPTIONS[scheme] | SECRETS[scheme]


def test_it_says_what_of_states_each_store_holds_and_why_they_were_left_out(spread, home):
    assert "of states" not in spread("sync").out
    spread("state", "limit", "bots/btc", "usd/day", "100", "--new")
    assert ", 4 of states." in spread("sync").out
    spread("state", "pause", "bots/btc")
    assert "1 (5 records)" in spread("stats").out
    (home / "vault" / "state.db").write_bytes(b"x" * 8192)
    run = spread("sync")
    assert run.code == 7
    assert "states of agents were left out" in run.err
    assert "cannot be read" in spread("stats").out
    assert spread("check").code == 6
    assert spread("recall", "walnuts").code == 0
