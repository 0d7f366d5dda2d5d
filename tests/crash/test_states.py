from pathlib import Path

from crash import states
from crash.kills import CHECKPOINT_PAGES

from haulout import Vault


def test_after_sigkill_at_random_moments_every_told_event_of_a_state_stands_once() -> None:
    verdict = states.random_kills(12)
    verdict.require()
    assert verdict.trials == 12
    assert verdict.told > 12


def test_after_sigkill_at_a_write_call_every_told_event_of_a_state_stands_once() -> None:
    verdict = states.kill_at([*range(1, 30, 3), *range(30, 240, 15)])
    verdict.require()
    assert verdict.told > 10


def test_after_a_power_cut_every_told_event_of_a_state_stands_once() -> None:
    verdict, failed = states.examine(120, seed=1)
    verdict.require()
    assert failed == 0
    assert verdict.told > 1000


def test_control_where_syncs_of_the_lane_do_nothing_most_power_cuts_lose_something() -> None:
    verdict, failed = states.examine(40, seed=1, syncs=False)
    assert failed > verdict.trials // 2


def test_the_suites_make_checkpoints_frequent_in_both_lanes(tmp_path: Path) -> None:
    with states.often(), Vault.create(tmp_path / "vault", embedder="none")[0] as vault:
        vault.state(states.NAME).tag()
        lane = vault._lane_parts()
        assert lane is not None
        assert vault._database._long == lane.database._long == CHECKPOINT_PAGES
