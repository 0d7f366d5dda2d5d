"""`haulout replica`, and what other verbs say on one."""

from __future__ import annotations

import json
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from haulout.cli import screen
from haulout.operations import READS


@pytest.fixture
def near(home):
    return ("--vault", home / "near")


@pytest.fixture
def copied(spread, near, kit, home):
    """A command line whose vault was synced and copied; the replica is at ``near``."""
    (home / "words.txt").write_text(kit)
    (home / "locator.txt").write_text(spread("locator").out)
    run = spread(*near, "replica", "create", "locator.txt", "--kit-file", "words.txt")
    assert run.code == 0, run.err
    assert "Copied 1 memory to ~/near, as of head 1." in run.out
    return spread


def test_it_answers_and_says_how_old_it_is(copied, near, walnuts):
    run = copied(*near, "recall", "walnuts")
    assert (run.code, run.rows[0][-1]) == (0, walnuts)
    assert "A replica, as of just now: head 1 of " in run.err
    run = copied(*near, "recall", "walnuts", "--json")
    assert run.json[0]["memory"]["id"] == walnuts
    told = json.loads(run.err)
    assert told["head"] == 1
    assert told["as_of"] <= told["refreshed_at"]
    assert "A replica" in copied(*near, "context", "walnuts").err
    assert "replica" not in copied("recall", "walnuts").err


def test_it_is_refreshed_and_status_says_so(copied, near):
    assert copied(*near, "replica", "refresh").out.startswith("Head 1 is here already")
    copied("remember", "Ana moved to Porto.")
    copied("sync")
    run = copied(*near, "replica", "refresh")
    assert (run.code, "1 record came" in run.out) == (0, True)
    run = copied(*near, "replica", "refresh", "locator.txt", "--json")
    assert (run.json["changed"], run.json["head"]) == (False, 2)
    status = dict(copied(*near, "replica", "status").rows)
    assert (status["memories"], status["the newest"]) == ("2", "just now")
    assert copied(*near, "replica", "status", "--json").json["head"] == 2
    assert dict(copied(*near, "stats").rows)["replica"] == "of head 2, the newest just now"


def test_what_writes_is_refused_and_says_where_to_write(copied, near, walnuts):
    for verb in (("remember", "x"), ("forget", walnuts, "--yes"), ("sync",), ("backup", "b")):
        run = copied(*near, *verb)
        assert (run.code, "replica" in run.err) == (7, True), verb


def test_a_cut_network_is_told_and_recall_goes_on(copied, near, home):
    for name in ("v0", "v1", "v2"):
        (home / name).rename(home / f"{name}-away")
    assert copied(*near, "replica", "refresh").code == 7
    assert copied(*near, "recall", "walnuts").code == 0


def test_stores_that_went_back_exit_with_a_conflict(copied, near, home):

    for name in ("v0", "v1", "v2"):
        shutil.copytree(home / name, home / f"{name}-old")
    copied("remember", "new")
    copied("sync")
    copied(*near, "replica", "refresh")
    for name in ("v0", "v1", "v2"):
        shutil.rmtree(home / name)
        (home / f"{name}-old").rename(home / name)
    run = copied(*near, "replica", "refresh")
    assert (run.code, "older than head 2" in run.err) == (4, True)
    assert copied(*near, "stats", "--json").json["head"] == 2
    assert copied(*near, "replica", "refresh", "--anew").code == 0
    assert copied(*near, "stats", "--json").json["head"] == 1


def test_a_vault_is_no_replica(mine, home, kit):
    assert mine("replica", "status").code == 2
    assert mine("replica", "refresh").code == 2
    assert mine("replica", "create", "nothing", "--kit-file", "-", stdin=kit).code == 2


def test_watching_refreshes_until_it_is_stopped(copied, near, monkeypatch):
    copied("remember", "Ana moved to Porto.")
    copied("sync")
    told = threading.Event()
    shown = []

    def show(found):
        shown.append(found.head)
        told.set()

    class Stopped:
        def wait(self):
            assert told.wait(30)
            raise KeyboardInterrupt

    monkeypatch.setattr("haulout.cli.replica.show", show)
    monkeypatch.setattr("haulout.cli.replica.threading", type("T", (), {"Event": Stopped}))
    assert copied(*near, "replica", "refresh", "--watch", "--every", "0.1").code == 0
    assert shown == [2]


def test_mcp_serves_what_may_be_read_and_refreshes_meanwhile(copied, near, monkeypatch):
    served = []

    def serve(vault, principal):
        served.append({kind.__name__ for kind in principal.may})
        deadline = time.monotonic() + 30
        while vault.stats().head < 2 and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        served.append(vault.stats().head)

    copied("remember", "new")
    copied("sync")
    monkeypatch.setattr("haulout.server.mcp.serve_stdio", serve)
    assert copied(*near, "mcp", "--app", "bot").code == 0
    assert served == [{kind.__name__ for kind in READS}, 2]


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=23), "23 hours ago"),
        (timedelta(days=400), "400 days ago"),
    ],
)
def test_ages_are_told_in_the_largest_whole_unit(before, words):
    assert screen.ago(datetime.now(UTC) - before) == words
    assert screen.ago(None) == "never"
