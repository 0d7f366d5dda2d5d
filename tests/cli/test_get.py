"""`haulout get`, and IDs by their beginning."""

from __future__ import annotations

import pytest

from haulout.cli import arguments


def test_it_shows_the_words_and_what_is_known(mine, walnuts):
    shown = dict(mine("get", walnuts).rows)
    assert shown["text"] == "Ana is allergic to walnuts."
    assert (shown["speaker"], shown["namespace"], shown["id"]) == ("Ana", "default", walnuts)
    assert "Ana is allergic to walnuts." in mine("get", walnuts, terminal=True).out


def test_six_characters_of_an_id_are_enough(mine, walnuts):
    assert mine("get", walnuts[:6], "--json").json["id"] == walnuts
    run = mine("get", walnuts[:5])
    assert (run.code, "at least 6" in run.err) == (2, True)


def test_the_beginning_of_several_ids_names_them(mine, walnuts, monkeypatch):
    other = mine("remember", "Another").out.strip()
    alike = walnuts[:8] + other[8:]
    listed = arguments.every_memory

    def with_alike(*given, **named):
        import msgspec

        found = listed(*given, **named)
        return [*found, msgspec.structs.replace(found[0], id=alike)]

    monkeypatch.setattr(arguments, "every_memory", with_alike)
    run = mine("get", walnuts[:7])
    assert run.code == 2
    assert walnuts in run.err
    assert alike in run.err


@pytest.mark.parametrize(("given", "code"), [("zzzzzz", 2), ("0" * 26, 3), ("0" * 7, 3), ("", 2)])
def test_an_id_of_nothing_is_told_by_the_exit_code(mine, walnuts, given, code):
    assert mine("get", given).code == code


def test_what_was_erased_is_not_found(mine, walnuts):
    mine("forget", walnuts, "--yes")
    assert mine("get", walnuts).code == 3
