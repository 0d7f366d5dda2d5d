"""The emulated global variables keep to what MetaTrader's documentation says of them."""

from __future__ import annotations

from haulout.interchange.globalvariables import from_globals, read_globals, write_globals
from haulout.testing.terminalglobals import TerminalGlobals

WEEKS = 28 * 86_400_000_000


class Clock:
    now = 1_790_000_000_000_000

    def __call__(self) -> int:
        return self.now


def test_what_is_not_flushed_is_lost_in_a_crash_and_kept_by_an_orderly_end() -> None:
    terminal = TerminalGlobals(now=Clock())
    terminal.set("flushed", 1)
    terminal.flush()
    terminal.set("flushed", 2)
    terminal.set("new", 3)
    terminal.crash()
    assert (terminal.get("flushed"), terminal.get("new")) == (1.0, None)
    terminal.set("new", 4)
    terminal.restart()
    terminal.crash()
    assert terminal.get("new") == 4.0


def test_a_temporary_variable_is_never_written() -> None:
    terminal = TerminalGlobals(now=Clock())
    assert terminal.temp("t")
    assert not terminal.temp("t")
    terminal.set("t", 5)
    assert terminal.get("t") == 5.0
    terminal.restart()
    assert not terminal.check("t")


def test_a_variable_is_deleted_four_weeks_after_its_last_use() -> None:
    clock = Clock()
    terminal = TerminalGlobals(now=clock)
    for name in ("read", "written", "seen"):
        terminal.set(name, 1)
    clock.now += WEEKS
    assert terminal.get("read") == 1.0
    terminal.set("written", 2)
    assert terminal.check("seen")
    clock.now += 1
    assert [one.name for one in terminal.all()] == ["read", "written"]
    terminal.restart()
    clock.now += WEEKS
    terminal.crash()
    assert terminal.all() == []


def test_a_name_past_63_characters_and_no_name_are_refused() -> None:
    terminal = TerminalGlobals(now=Clock())
    assert terminal.set("x" * 63, 1)
    assert not terminal.set("x" * 64, 1)
    assert not terminal.set("", 1)
    assert not terminal.temp("x" * 64)
    assert len(terminal.all()) == 1


def test_a_value_is_set_only_where_it_is_what_was_expected() -> None:
    terminal = TerminalGlobals(now=Clock())
    assert not terminal.set_on_condition("lock", 1, 0)
    terminal.set("lock", 0)
    assert terminal.set_on_condition("lock", 1, 0)
    assert not terminal.set_on_condition("lock", 2, 0)
    assert terminal.get("lock") == 1.0
    assert terminal.delete("lock")
    assert not terminal.delete("lock")


def test_integers_past_2_53_are_rounded_there_and_everything_is_exported_as_a_script_would() -> (
    None
):
    clock = Clock()
    terminal = TerminalGlobals(now=clock)
    terminal.set("ticket", 2**53 + 1)
    assert terminal.get("ticket") == 2.0**53
    bot = from_globals(read_globals(write_globals(terminal.all())), now=clock()).bot
    assert {name: one.value for name, one in bot.values.items()} == {"globals/ticket": 2.0**53}
