"""The experiment, in its smallest form: what holds by its making, not by luck."""

from __future__ import annotations

import numpy as np
import pytest
from trading import __main__ as program
from trading import experiment, report, results
from trading.arms import ARMS, MAIN
from trading.experiment import Study
from trading.faults import HIGHEST, PROFILES, Weather, schedule
from trading.session import METRICS, M

SEED, SESSIONS = 7, 16


def run(studies, workers=0):
    return experiment.run(studies, SEED, workers)


def summed(workers):
    found = run(experiment.studies(SESSIONS), workers)
    told = results.plain(results.summary(found, lambda asked: run(asked, workers), SESSIONS, SEED))
    told["design"]["prices"] = "synthetic"
    return told


@pytest.fixture(scope="module")
def told():
    return summed(0)


# ---------------------------------------------------------------------- S1


def test_s1_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(told):
    assert report.as_json(summed(2)) == report.as_json(told)


def test_s1_the_page_is_the_same_bytes_needs_nothing_else_and_names_no_place(told):
    pytest.importorskip("matplotlib")
    page = report.as_html(told)
    assert page == report.as_html(told)
    for outside in ("<script", "<link", 'src="http', "@import", "/work", "/tmp", "/home"):
        assert outside not in page
    assert page.count("<svg ") == page.count("<figure>") == 7


def test_s1_without_faults_all_arms_are_identical_byte_for_byte():
    found = run([Study("x", "rest", tuple(ARMS)[1:], 8, Weather(rate=0), thorough=True)])["x"]
    rows = {name: counts.tobytes() for name, counts in found.counts.items()}
    assert set(rows.values()) == {rows["continuous"]}
    assert found.counts["continuous"][:, M["orders"]].sum() > 0


@pytest.mark.parametrize("profile", PROFILES)
def test_s1_links_that_break_for_no_time_change_nothing_for_any_architecture(profile):
    study = Study("x", profile, tuple(ARMS)[1:], 6, Weather(harmless=True), thorough=True)
    counts = run([study])["x"].counts
    assert all(rows[:, M["disconnects"]].sum() > 0 for rows in list(counts.values())[1:])
    for rows in counts.values():
        rows[:, M["disconnects"]] = 0
        assert rows.tobytes() == counts["continuous"].tobytes()


@pytest.mark.parametrize("profile", PROFILES)
def test_s1_a_perfect_store_and_instant_restarts_equal_the_continuous_arm(profile):
    study = Study("x", profile, ("continuous", "persistent"), 12, Weather(restarts=True))
    counts = run([study])["x"].counts
    assert counts["persistent"][:, M["disconnects"]].sum() > 0
    counts["persistent"][:, M["disconnects"]] = 0
    assert counts["persistent"].tobytes() == counts["continuous"].tobytes()


def test_s1_a_control_that_does_not_hold_is_named_and_fails_the_program(
    told, monkeypatch, tmp_path
):
    assert all(one["differ"] == [] for one in told["controls"].values())
    broken = run(experiment.controls(2))
    broken["control none"].counts["pine"][0, 0] += 1
    assert results.controls(broken)["none"]["differ"] == ["pine"]
    bad = {**told, "controls": results.plain(results.controls(broken))}
    monkeypatch.setattr(program.results, "summary", lambda *_: bad)
    monkeypatch.setattr(program.report, "as_html", lambda _: "")
    monkeypatch.setattr(program.experiment, "studies", lambda _: [])
    assert program.main(["--workers", "0", "--out", str(tmp_path)]) == 1


def test_s1_there_are_3200_sessions_and_more_than_four_arms_by_default():
    main = experiment.studies(experiment.SESSIONS)[0]
    assert main.sessions == 3200
    assert {*MAIN, "pine", "globals", "server-side", "down-failsafe"} <= set(main.arms)


# ---------------------------------------------------------------------- pairing


def test_an_arm_more_changes_no_other():
    few = run([Study("x", "cloud", MAIN, 10)])["x"].counts
    many = run([Study("x", "cloud", (*MAIN, "pine", "server-side", "globals"), 10)])["x"].counts
    for arm in MAIN:
        assert few[arm].tobytes() == many[arm].tobytes()


def test_a_session_without_faults_may_stand_for_every_arm():
    weather = Weather(rate=0.5)
    arms = ("continuous", "session-bound", "reconcile-only", "persistent", "pine", "globals")
    short = run([Study("x", "rest", arms, 16, weather)])["x"]
    whole = run([Study("x", "rest", arms, 16, weather, thorough=True)])["x"]
    assert 0 < short.struck.sum() < 16
    for arm in arms:
        assert short.counts[arm].tobytes() == whole.counts[arm].tobytes()


def test_the_faults_of_a_lower_rate_are_among_those_of_a_higher_one():
    for profile in PROFILES.values():
        for session in range(30):
            high = schedule(SEED, session, profile, Weather(rate=HIGHEST))
            low = schedule(SEED, session, profile, Weather(rate=0.7))
            assert set(low) <= set(high)
            assert low == [one for one in high if one in set(low)]


def test_a_lower_rate_keeps_faults_of_every_kind_in_the_same_shares():
    def shares(rate):
        every = [
            fault
            for session in range(400)
            for fault in schedule(SEED, session, PROFILES["websocket"], Weather(rate=rate))
        ]
        timeouts = [fault for fault in every if fault.at_order and fault.outage == 0]
        lost = [fault for fault in every if fault.forgets]
        late = [fault for fault in every if fault.bar > 200]
        return [len(part) / len(every) for part in (timeouts, lost, late)]

    assert shares(0.5) == pytest.approx(shares(HIGHEST), abs=0.06)


def test_longer_outages_move_no_fault():
    profile = PROFILES["rest"]
    for session in range(20):
        short = schedule(SEED, session, profile, Weather())
        long = schedule(SEED, session, profile, Weather(outage=4))
        assert [one._replace(outage=0) for one in short] == [one._replace(outage=0) for one in long]
        assert all(
            b.outage == pytest.approx(4 * a.outage) for a, b in zip(short, long, strict=True)
        )


# ---------------------------------------------------------------------- S2, S3, S6, S15


def test_s2_the_lower_bound_is_reported_at_every_rate_against_both(told):
    assert list(told["rates"]) == ["0.25", "0.5", "1", "2", "4"]
    for one in told["rates"].values():
        for other in ("session-bound", "reconcile-only"):
            found = one[f"against {other}"]
            assert found is None or found["low"] <= found["value"] <= found["high"] <= 1


def test_s3_continuous_is_exactly_zero_and_the_rate_is_calibrated_or_said_not_to_be(told):
    assert told["arms"]["continuous"]["deviations"]["value"] == 0
    some = told["calibrated"]
    assert some["sessions"] == 10 * SESSIONS
    assert some["reached"] == (abs(some["session-bound"]["value"] - 17) <= 2)
    assert some["persistent"]["high"] > 0


def test_s6_drawdown_is_attributed_by_pairs_and_never_to_the_continuous_arm(told):
    arms = told["arms"]
    assert arms["continuous"]["lost_share"]["value"] == arms["continuous"]["deeper"]["value"] == 0
    for arm in MAIN[1:]:
        one = arms[arm]["lost_share"]
        assert 0 <= one["low"] <= one["value"] <= one["high"] <= 1


def test_s15_the_gap_is_cut_into_costs_outages_and_memory(told):
    gap = told["gap"]
    assert gap["orders_of_backtest"] > 0
    assert set(MAIN) <= set(gap)
    same = run([Study("x", "rest", ("backtest", "continuous"), 6)])["x"].counts
    assert same["backtest"][:, M["differs"]].sum() == 0


def test_the_words_of_the_report_read_their_numbers_from_the_figures(told):
    from trading import words

    every = [*words.findings(told), *words.negatives(told), *words.arithmetic(told)]
    text = " ".join([words.lead(told), words.architectures(told), *every])
    assert "{" not in text
    assert f"{SESSIONS:,} trading sessions" in text
    for promise in ("guarantee", "win rate", "will earn", "outperform"):
        assert promise not in text.lower()


def test_a_users_own_prices_take_the_markets_place(tmp_path):
    file = tmp_path / "own.csv"
    walk = 50 * np.exp(np.cumsum(np.random.default_rng(1).standard_normal(900) * 5e-4))
    file.write_text("time,Close\n" + "\n".join(f"{n},{p}" for n, p in enumerate(walk)), "utf-8")
    real = experiment.worlds(SEED, [0, 1], real=program.markets.closes(file))
    assert {one.market for one in real} == {"real"}
    moves = np.diff(np.log(np.array(real[0].price)))
    known = np.diff(np.log(walk))
    assert all(np.isclose(known, move, atol=1e-12).any() for move in moves)
    short = tmp_path / "short.csv"
    short.write_text("close\n1\n2\n", "utf-8")
    for wrong in (short, tmp_path / "none.csv"):
        wrong.touch()
        with pytest.raises(SystemExit):
            program.markets.closes(wrong)


def test_every_metric_is_counted_somewhere():
    arms = ("backtest", "continuous", "session-bound", "down-failsafe")
    found = run([Study("x", "rest", arms, 32, Weather(rate=4))])["x"]
    seen = sum(np.abs(rows).sum(axis=0) for rows in found.counts.values())
    assert [name for name in METRICS if seen[M[name]] == 0] == []
