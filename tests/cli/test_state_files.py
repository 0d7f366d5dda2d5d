"""`haulout state export` and `import`: a bot's state as a file, out and in."""

from __future__ import annotations

import json
import stat

import pytest

from haulout import Vault


@pytest.fixture
def btc(mine, home):
    """A bot's state with a document, a limit, a halt, and two orders."""
    with Vault.open(embedder="none") as vault:
        bot = vault.state("bots/btc")
        bot.set("risk", {"level": 3.0, "mood": "calm"})
        bot.limit("usd/day", 100)
        done = bot.reserve("order", {"side": "buy"}, key="k1", target="BTC", cost={"usd": 40})
        bot.settle(done.intent, "done", ref="V-1", filled="0.5")
        bot.reserve("order", {"side": "buy"}, key="k2", target="BTC", cost={"usd": 30})
        bot.pause("holiday")
        return bot.tag().hex()


def test_a_state_goes_out_and_into_another_vaults_state(mine, home, btc):
    run = mine("state", "export", "bots/btc", "btc.json", terminal=True)
    assert run.code == 0
    assert "1 document and 2 intents" in run.out
    assert "not encrypted" in run.err
    assert stat.S_IMODE((home / "btc.json").stat().st_mode) & 0o077 == 0
    told = json.loads((home / "btc.json").read_text())
    assert (told["format"], told["version"], told["tag"]) == ("haulout-bot-state", 1, btc)
    run = mine("state", "import", "btc.json", "bots/new", "--json")
    assert run.code == 0
    with Vault.open(embedder="none") as vault:
        new = vault.state("bots/new")
        assert new.get("risk") == {"level": 3.0, "mood": "calm"}
        assert new.halted == "pause"
        assert [one.key for one in new.open_intents()] == ["k2"]
        assert new.tag().hex() == btc
    again = mine("state", "import", "btc.json", "bots/new", "--json").json
    assert again["events"] == 0


def test_a_dry_run_says_what_would_change_and_writes_nothing(mine, home, btc):
    mine("state", "export", "bots/btc", "btc.json")
    run = mine("state", "import", "btc.json", "bots/new", "--dry-run", terminal=True)
    assert run.code == 0
    for words in ("Would write", "document risk", "limit usd/day", "pause"):
        assert words in run.out
    assert "Nothing was written" in run.err
    with Vault.open(embedder="none") as vault:
        assert vault.states() == ["bots/btc"]


def test_what_is_newer_is_not_overwritten_unless_told(mine, home, btc):
    mine("state", "export", "bots/btc", "btc.json")
    with Vault.open(embedder="none") as vault:
        vault.state("bots/btc").set("risk", {"level": 9.0})
    run = mine("state", "import", "btc.json", "bots/btc", "--dry-run", "--json")
    assert run.code == 4
    assert [one["part"] for one in run.json["changes"] if one["how"] == "refused"] == [
        "document risk"
    ]
    run = mine("state", "import", "btc.json", "bots/btc")
    assert (run.code, "document risk was not imported" in run.err) == (4, True)
    assert mine("state", "import", "btc.json", "bots/btc", "--overwrite").code == 0
    with Vault.open(embedder="none") as vault:
        assert vault.state("bots/btc").get("risk")["level"] == 3.0


def test_a_database_of_freqtrades_is_written_read_and_never_replaced(mine, home, btc):
    run = mine("state", "export", "bots/btc", "t.sqlite", "--as", "freqtrade", "--json")
    assert run.code == 0
    assert "limits (freqtrade does not read it)" in run.json["left_out"]
    assert mine("state", "import", "t.sqlite", "bots/new").code == 0
    with Vault.open(embedder="none") as vault:
        assert vault.state("bots/new").get("risk") == {"level": 3.0, "mood": "calm"}
    for more in ((), ("--replace",)):
        run = mine("state", "export", "bots/btc", "t.sqlite", "--as", "freqtrade", *more)
        assert run.code == 4


def test_global_variables_are_written_read_and_what_they_lack_is_named(mine, home, btc):
    run = mine("state", "export", "bots/btc", "g.csv", "--as", "globals", terminal=True)
    assert run.code == 0
    assert "risk.mood: it is text" in run.err
    assert (home / "g.csv").read_text().startswith("name;value;time\nrisk.level;3.0;")
    assert mine("state", "import", "g.csv", "bots/ea").code == 0
    with Vault.open(embedder="none") as vault:
        assert vault.state("bots/ea").get("globals/risk.level") == 3.0
    (home / "old.csv").write_text("a;1;2001.01.01 00:00:00\n")
    run = mine("state", "import", "old.csv", "bots/ea", "--json")
    assert run.json["left_out"] == ["a: not used for four weeks"]


def test_a_state_that_is_not_there_and_a_file_that_is_none_are_refused(mine, home, btc):
    run = mine("state", "export", "bots/eth", "eth.json")
    assert (run.code, (home / "eth.json").exists()) == (3, False)
    (home / "x.json").write_text('{"format": "haulout-bot-state", "version": 2}')
    run = mine("state", "import", "x.json", "bots/new")
    assert (run.code, "this code reads 1" in run.err) == (2, True)
    mine("state", "export", "bots/btc", "btc.json")
    assert mine("state", "export", "bots/btc", "btc.json").code == 4
    assert mine("state", "export", "bots/btc", "btc.json", "--replace").code == 0
