"""`haulout check`."""

from __future__ import annotations


def test_a_sound_vault_is_said_to_be(mine, walnuts):
    run = mine("check")
    assert (run.code, run.out.startswith("All is sound.")) == (0, True)
    report = mine("check", "--json").json
    assert (report["problems"], report["payloads"]) == ([], 1)


def test_a_changed_byte_gives_exit_code_6(mine, home):
    for n in range(300):
        mine("remember", f"note {n}") if n < 3 else None
    database = home / "vault" / "memory.db"
    data = bytearray(database.read_bytes())
    data[len(data) // 2] ^= 1
    database.write_bytes(data)
    assert mine("check").code == 6


def test_with_remote_everything_is_read_back_from_the_stores(spread, home):
    run = spread("check", "--remote", terminal=True)
    assert (run.code, "Read back" in run.out) == (0, True)
    for path in home.glob("v?/**/blobs/**/*"):
        if path.is_file():
            path.unlink()
    assert spread("check").code == 0
    run = spread("check", "--remote", "--json")
    assert run.code == 6
    assert {"run 1, segment", "run 1, keys"} <= {
        problem.partition(", ")[2].partition(": ")[0] for problem in run.json["problems"]
    }
