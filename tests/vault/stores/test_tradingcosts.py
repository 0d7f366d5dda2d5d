"""The cost table by account size: arithmetic, and no promise."""

from __future__ import annotations

from decimal import Decimal

import pytest

from haulout.errors import InputError
from haulout.vault.stores.tradingcosts import PRINTED, TARGET_PERCENT, dollars, table


def test_the_printed_shares_come_back_from_the_dollars_that_follow_from_them():
    found = table()
    assert [(row.account, row.share) for row in found.rows] == [
        (2000, 112.5), (5000, 60), (25_000, 17.5),
    ]  # fmt: skip
    assert [row.fee for row in found.rows] == [90, 120, 175]
    assert {row.source for row in found.rows} == {"printed"}


def test_a_printed_account_asked_for_is_not_shown_twice():
    assert len(table("5000").rows) == 3
    given = table("5000", fee="10").rows
    assert [(row.account, row.source) for row in given if row.account == 5000] == [
        (5000, "given"), (5000, "printed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("account", "fee"), [("1", 90), ("2000", 90), ("3500", 105), ("25000", 175), ("1e6", 175)]
)
def test_dollars_are_drawn_straight_between_rows_and_level_beyond_them(account, fee):
    assert dollars(Decimal(account)) == fee


def test_a_smaller_account_never_pays_a_smaller_share():
    shares = [row.share for row in table("800").rows]
    assert shares == sorted(shares, reverse=True)
    assert table("800").rows[0].source == "beyond"


def test_another_target_moves_the_shares_and_not_the_dollars():
    halved = table(target_percent="2").rows
    assert [row.share for row in halved] == [225, 120, 35]
    assert [row.fee for row in halved] == [90, 120, 175]


def test_a_product_without_a_fee_takes_no_share():
    assert table("9000", fee="0").rows[2].share == 0


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "1e13", "", "two", "9" * 60])
def test_what_is_no_amount_is_refused(wrong):
    with pytest.raises(InputError):
        table(wrong)
    with pytest.raises(InputError):
        table("2000", target_percent=wrong)


def test_a_fee_without_an_account_is_refused():
    with pytest.raises(InputError, match="account"):
        table(fee="10")


def test_the_formula_is_the_one_it_prints():
    for (account, share), row in zip(PRINTED, table().rows, strict=True):
        assert Decimal(row.fee) / (account * TARGET_PERCENT / 100) * 100 == share
