"""Markets, the analysis and the emulated global variables, against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from trading import analysis, markets, results
from trading.globals import KEPT_US, GlobalVariables
from trading.streams import PURPOSES, stream

# ---------------------------------------------------------------------- markets


def test_the_synthetic_markets_have_the_stylised_facts_and_the_null_has_none():
    facts = results.facts(11, 96)
    assert facts["regime"]["excess_kurtosis"] > 12  # two volatilities and normal shocks make 6
    assert facts["regime"]["autocorrelation_of_sizes_10"] > 0.05
    assert abs(facts["regime"]["autocorrelation_of_returns"]) < 0.05
    assert abs(facts["gbm"]["excess_kurtosis"]) < 0.3
    assert abs(facts["gbm"]["autocorrelation_of_sizes"]) < 0.03


def test_a_jump_day_has_its_jump_within_the_session():
    numbers = [one for one in range(64) if markets.kind_of(one) == "jump"]
    moves = np.abs(np.diff(np.log(markets.prices(11, numbers)), axis=1))
    most = moves.argmax(axis=1)
    assert (moves.max(axis=1) > 0.006).all()
    assert np.mean((most >= markets.WARM + 90) & (most < markets.WARM + 310)) > 0.9


def test_the_day_is_livelier_at_its_ends():
    curve = markets.day_curve()[markets.WARM :]
    assert curve[0] > 1.2
    assert curve[len(curve) // 2] < 1


def test_what_is_read_in_a_minute_knows_no_later_price():
    prices = markets.prices(5, [0, 1])
    later = prices.copy()
    later[:, markets.WARM + 200 :] *= 1.3
    before, after = markets.read(prices), markets.read(later)
    for name in before:
        assert np.array_equal(before[name][:, :200], after[name][:, :200]), name


def test_a_session_begins_where_the_warm_up_ends():
    prices = markets.prices(5, [0, 1])
    assert np.array_equal(markets.read(prices)["price"], prices[:, markets.WARM :])


def test_an_episode_is_named_by_its_first_minute():
    holds = np.array([[False, True, True, False, True]])
    assert markets._episodes(holds).tolist() == [[-1, 1, 1, -1, 4]]


def test_each_purpose_session_and_seed_has_a_stream_of_its_own():
    drawn = {
        (seed, purpose, session): stream(seed, purpose, session).random()
        for seed in (1, 2)
        for purpose in PURPOSES
        for session in (0, 1)
    }
    assert len(set(drawn.values())) == len(drawn) == 2 * 2 * len(PURPOSES)
    assert stream(2, "fault", 1).random() == drawn[2, "fault", 1]


# ---------------------------------------------------------------------- the analysis


def test_mcnemar_is_exact():
    ours = np.array([True] + [False] * 9 + [True] * 5)
    theirs = np.array([False] + [True] * 9 + [True] * 5)
    only_ours, only_theirs, p = analysis.mcnemar(ours, theirs)
    assert (only_ours, only_theirs) == (1, 9)
    assert p == pytest.approx(22 / 1024)
    assert analysis.mcnemar(ours, ours)[2] == 1.0


def test_holm_steps_down():
    found = analysis.holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert found == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_kaplan_and_meier_do_not_average_over_what_never_happened():
    times = np.array([1.0, 2.0, 2.0, 3.0, 9.0])
    seen = np.array([1.0, 1.0, 0.0, 1.0, 0.0])
    found = analysis.survival(times, seen)
    assert found.at == [0, 1, 2, 3]
    assert found.share == pytest.approx([1, 0.8, 0.6, 0.3])
    assert (found.median, found.events, found.cases) == (3.0, 3, 5)
    assert analysis.survival(times, np.zeros(5)).median is None


def test_the_bootstrap_covers_a_known_mean_and_pairs_its_columns():
    values = np.random.default_rng(4).poisson(3.0, (400, 1)).astype(float)
    sums = analysis.totals(1, np.hstack([values, 2 * values]))
    found = analysis.rate(values[:, 0], sums[:, 0], per=1)
    assert found.low < 3.0 < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(3 / 400), rel=0.15)
    assert np.array_equal(2 * sums[:, 0], sums[:, 1])


def test_where_nothing_was_seen_the_exact_limit_stands():
    none, some = np.zeros(100), np.ones(100)
    assert analysis.rate(none, np.zeros(2000)) == (0.0, 0.0, pytest.approx(36.89))
    sums = analysis.totals(1, np.column_stack([none, some]))
    found = analysis.reduction(none, some, sums[:, 0], sums[:, 1])
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(1 - 3.689 / 100)
    assert analysis.reduction(some, none, sums[:, 1], sums[:, 0]) is None


def test_an_order_that_holds_in_half_of_the_draws_is_said_to_hold_in_half():
    a, b = np.array([3.0, 3.0]), np.array([2.0, 4.0])
    assert analysis.order_holds([a, b]) == 0.5


# ---------------------------------------------------------------------- S16


def test_s16_globals_are_doubles_and_lose_the_digits_of_an_order_id():
    kept = GlobalVariables(lambda: 0)
    kept.set("id", 2**60 + 1)
    assert kept.get("id") == 2.0**60


def test_s16_a_name_of_64_characters_is_refused():
    kept = GlobalVariables(lambda: 0)
    assert kept.set("x" * 63, 1)
    assert not kept.set("x" * 64, 1)
    assert not kept.set("", 1)


def test_s16_what_was_not_flushed_is_gone_after_a_crash():
    kept = GlobalVariables(lambda: 0)
    kept.set("a", 1)
    kept.flush()
    kept.set("a", 2)
    kept.set("b", 3)
    kept.crash()
    assert (kept.get("a"), kept.get("b", -1)) == (1, -1)


def test_s16_four_weeks_without_use_end_a_variable_and_a_use_renews_it():
    now = [0]
    kept = GlobalVariables(lambda: now[0])
    kept.set("a", 1)
    kept.set("b", 1)
    now[0] = KEPT_US
    assert kept.get("a") == 1
    now[0] += 1
    assert (kept.get("a"), kept.get("b", -1)) == (1, -1)
