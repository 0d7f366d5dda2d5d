"""The crash matrix in short; `make crash-trading` runs it in full."""

from __future__ import annotations

import pytest
from crash.trading import controls, cuts, real, simulator
from crash.trading.alphabet import VARIANTS
from crash.trading.judging import Verdict
from crash.trading.simulator import KINDS

from haulout.state.refs import Class

LETTERS = [f"F{number}" for number in range(1, 17)]


def test_the_alphabet_has_a_variant_for_every_letter() -> None:
    assert {one.letter for one in VARIANTS} == set(LETTERS)


@pytest.mark.parametrize("letter", LETTERS)
def test_a_bot_killed_anywhere_loses_doubles_and_exceeds_nothing(letter: str) -> None:
    variants = [one for one in VARIANTS if one.letter == letter]
    verdict = Verdict()
    for cell in simulator.cells(variants, KINDS, every=23, twice=1):
        if not cell.declared:
            verdict += cell.run()
    assert verdict.runs >= 8
    assert not verdict.wrong
    if letter not in {"F8", "F16"}:  # a journal that lost an exit sends it again
        assert verdict.exits_twice == 0


def test_the_same_cell_gives_the_same_ledger() -> None:
    variant = next(one for one in VARIANTS if one.name == "F11 reports missing")
    first, second = (simulator.run(variant, "C", 40, 9, seed=3)[1] for _ in range(2))
    assert first.venue.ledger() == second.venue.ledger()
    assert first.disk.events == second.disk.events


def test_a_bot_that_nothing_befalls_makes_every_entry_that_its_limit_allows() -> None:
    variant = next(one for one in VARIANTS if one.name == "F4 none")
    for kind in KINDS:
        verdict, world = simulator.run(variant, kind)
        assert (verdict.bad, verdict.silences, verdict.unknown) == (0, 0, 0)
        assert "s6" not in {one.key for one in world.venue.ledger() if one.what == "accepted"}


def test_control_a_bot_without_intents_buys_twice_and_passes_its_limit() -> None:
    variant = next(one for one in VARIANTS if one.name == "F2 cut after accept")
    verdict = controls.without_intents(variant, "C", 0)
    assert verdict.duplicates >= 2
    assert verdict.violations >= 1


def test_control_intents_on_a_disk_that_does_not_sync_are_lost() -> None:
    variant = next(one for one in VARIANTS if one.name == "F4 none")
    verdict = Verdict()
    for at in range(5, 100, 7):
        verdict += simulator.run(variant, "C", at, seed=at, lying=True)[0]
    assert verdict.lost >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_power_cut_beneath_a_vault_every_order_is_known(kind: Class) -> None:
    assert not cuts.examine(4, kind, seed=2).wrong


def test_control_where_syncs_do_nothing_power_cuts_lose_orders() -> None:
    assert cuts.examine(8, "C", seed=2, syncs=False).lost >= 3


def test_real_processes_killed_anywhere_lose_double_and_exceed_nothing() -> None:
    chosen = [one for number, one in enumerate(real.cells(28, seed=5)) if number % 2]
    held, declared, _steps = real.run(chosen)
    total = Verdict()
    for verdict in held.values():
        total += verdict
    assert total.runs + declared.runs == 14
    assert not total.wrong


@pytest.mark.full
def test_hundreds_of_real_processes_lose_double_and_exceed_nothing() -> None:
    held, _declared, steps = real.run(real.cells(112, seed=9))
    assert not [wrong for verdict in held.values() for wrong in verdict.wrong]
    assert len(steps) > 12
