"""`haulout repair`."""

from __future__ import annotations

import shutil

import pytest


def shard_objects(folder):
    return sorted(path for path in folder.glob("**/blobs/**/*") if path.is_file())


def test_where_all_is_well_there_is_nothing_to_do(spread):
    run = spread("repair")
    assert (run.code, "Nothing to repair" in run.out) == (0, True)
    assert spread("repair", "--json").json["made"] == 0


def test_objects_that_are_missing_are_made_again_from_the_others(spread, home):
    before = {path: path.read_bytes() for path in shard_objects(home / "v1")}
    for path in before:
        path.unlink()
    assert spread("volumes", "status").code == 7
    run = spread("repair")
    assert (run.code, "again" in run.out) == (0, True)
    assert {path: path.read_bytes() for path in shard_objects(home / "v1")} == before
    assert spread("volumes", "status").code == 0


def test_rot_is_found_by_a_deep_look(spread, home):
    victim = shard_objects(home / "v0")[0]
    good = victim.read_bytes()
    victim.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert spread("repair", "--json").json["made"] == 0
    assert spread("repair", "--deep", "--json").json["made"] == 1
    assert victim.read_bytes() == good


def test_a_volume_that_is_away_exits_with_7_and_an_emptied_one_is_adopted(spread, home):
    shutil.rmtree(home / "v2")
    run = spread("repair")
    assert (run.code, "v2" in run.err) == (7, True)
    assert spread("repair", "--adopt", "v2").code == 0
    assert shard_objects(home / "v2")
    assert spread("check", "--remote").code == 0


def test_what_is_lost_exits_with_6(spread, home):
    for name in ("v0", "v1", "v2"):
        for path in shard_objects(home / name)[:-1]:
            path.unlink()
    run = spread("repair", "--json")
    assert run.code == 6
    assert run.json["lost"]


@pytest.mark.parametrize("how", ["file", "text"])
def test_a_locator_is_enough_no_vault_and_no_key(spread, home, how):
    text = (home / "vault" / "locator.txt").read_text()
    (home / "locator.txt").write_text(text)
    shutil.rmtree(home / "vault")
    victim = shard_objects(home / "v0")[0]
    good = victim.read_bytes()
    victim.unlink()
    run = spread("repair", "--locator", "locator.txt" if how == "file" else text)
    assert run.code == 0
    assert victim.read_bytes() == good
    assert not (home / "vault").exists()


def test_what_is_no_locator_is_said(mine, home):
    (home / "page").write_text("no locator")
    run = mine("repair", "--locator", "page")
    assert (run.code, "haulout locator" in run.err) == (2, True)
    assert mine("repair", "--locator", "page", "--adopt", "x").code == 2
