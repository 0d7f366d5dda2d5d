"""`haulout volumes`: add, list, status, remove, rebalance, detach."""

from __future__ import annotations

import shutil

import pytest

from haulout.vault.stores.remote import locator_in


def places(run):
    return {one["url"].rpartition("/")[2]: one for one in run.json["volumes"]}


def test_folders_become_volumes_and_a_person_is_told_what_they_survive(mine, home):
    run = mine("volumes", "add", "v0", "v1", "~/v2", terminal=True)
    assert run.code == 0
    for words in ("Any 1 of the 3 volumes may be lost", "any 6 of the 10 shards", "~/v2"):
        assert words in run.out
    assert "haulout sync" in run.err
    assert {path.name for path in home.iterdir()} >= {"v0", "v1", "v2"}


def test_in_a_pipe_a_line_a_volume(mine):
    mine("volumes", "add", "v0", "v1", "v2", "v3")
    rows = mine("volumes", "list").rows
    assert [len(row) for row in rows] == [4] * 4
    assert sorted(int(row[1]) for row in rows) == [2, 2, 3, 3]
    told = places(mine("volumes", "list", "--json"))
    assert sorted(told) == ["v0", "v1", "v2", "v3"]
    assert sorted(shard for one in told.values() for shard in one["shards"]) == list(range(10))


@pytest.mark.parametrize("verb", ["list", "status", "rebalance", "detach"])
def test_without_volumes_it_says_how_to_add_some(mine, verb):
    run = mine("volumes", verb)
    assert run.code == 3
    assert "volumes" in run.err


def test_status_asks_each_and_exits_with_7_where_something_is_missing(spread, home):
    run = spread("volumes", "status", terminal=True)
    assert run.code == 0
    assert "sound blob" in run.out
    shutil.move(home / "v1", home / "away")
    run = spread("volumes", "status", terminal=True)
    assert run.code == 7
    assert "degraded" in run.out
    assert "haulout repair" in run.err
    told = places(spread("volumes", "status", "--json"))
    assert [name for name, one in told.items() if not one["reachable"]] == ["v1"]


def test_a_volume_is_removed_by_path_and_what_it_held_goes_to_the_others(spread, home, walnuts):
    run = spread("volumes", "remove", "v1", terminal=True)
    assert (run.code, "Copied" in run.out) == (0, True)
    assert not [path for path in (home / "v1").glob("**/blobs/**/*") if path.is_file()]
    shutil.rmtree(home / "v1")
    assert spread("check", "--remote").code == 0
    assert sorted(places(spread("volumes", "list", "--json"))) == ["v0", "v2"]


def test_an_unknown_volume_and_the_last_one_stay(mine):
    mine("volumes", "add", "v0")
    assert "no volume" in mine("volumes", "remove", "elsewhere").err
    run = mine("volumes", "remove", "v0")
    assert (run.code, "detach" in run.err) == (2, True)


def test_adding_one_carries_its_shards_over_and_the_locator_follows(spread, home):
    before = (home / "vault" / "locator.txt").read_text()
    assert spread("volumes", "add", "v3").code == 0
    assert spread("sync").code == 0
    after = (home / "vault" / "locator.txt").read_text()
    assert before != after
    assert b"v3" in locator_in(after).volumes
    assert spread("check", "--remote").code == 0


def test_a_place_that_holds_something_else_is_refused(mine, home):
    (home / "photos").mkdir()
    (home / "photos" / "one.jpg").write_bytes(b"x")
    run = mine("volumes", "add", "photos", "v1")
    assert (run.code, "one.jpg" in run.err) == (2, True)
    assert (home / "photos" / "one.jpg").read_bytes() == b"x"
    assert mine("volumes", "list").code != 0


def test_detached_volumes_keep_what_they_hold(spread, home):
    before = sum(1 for path in home.glob("v?/**/*") if path.is_file())
    assert spread("volumes", "detach").code == 0
    assert sum(1 for path in home.glob("v?/**/*") if path.is_file()) == before
    assert spread("stats", "--json").json["stores"] == []


@pytest.mark.parametrize("url", ["s3://user:secret@bucket", "ftp://x", "s3://bucket"])
def test_an_address_that_is_none_or_has_a_secret_is_refused_and_not_repeated(mine, url):
    run = mine("volumes", "add", url)
    assert run.code != 0
    assert "secret@" not in run.out + run.err
