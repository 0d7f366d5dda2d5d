"""`haulout locator`."""

from __future__ import annotations

from haulout.vault.stores.remote import locator_in


def test_without_stores_there_is_none(mine):
    run = mine("locator")
    assert run.code != 0
    assert "haulout volumes add" in run.err


def test_it_is_text_on_lines_short_enough_to_print_and_says_where_the_bytes_are(spread, home):
    run = spread("locator")
    assert run.code == 0
    assert run.out.startswith("haulout:")
    assert max(map(len, run.out.splitlines())) <= 80
    found = locator_in(run.out)
    for name in ("v0", "v1", "v2"):
        assert (home / name).as_uri().encode() in found.volumes
    assert locator_in(spread("locator", "--json").json["locator"])._replace(clock=0) == (
        found._replace(clock=0)
    )


def test_it_is_written_to_a_file_and_kept_in_the_vault_s_folder(spread, home):
    run = spread("locator", "--output", "locator.txt")
    assert (run.code, "locator.txt" in run.out) == (0, True)
    written = locator_in(home / "locator.txt")
    assert written._replace(clock=0) == locator_in(home / "vault" / "locator.txt")._replace(clock=0)


def test_it_holds_no_key_and_no_word_of_the_vault(spread, home, kit):
    text = spread("locator").out.lower()
    assert "walnuts" not in text
    key = (home / "vault" / "device.key").read_bytes()
    assert key[-32:].hex() not in text
