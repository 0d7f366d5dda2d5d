"""`haulout cost`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from haulout.cli import exits, screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb

if TYPE_CHECKING:
    from haulout.vault.stores.costing import CostReport, WalrusBill
    from haulout.vault.stores.tradingcosts import TradingCosts

_TIMES = (
    ("growing", "growing to that size"),
    ("held", "held there, the oldest going as new ones come"),
    ("idle", "held there, and nothing comes"),
)
_SOURCES = {
    "printed": "",
    "between": "drawn between two rows",
    "beyond": "as the nearest row",
    "given": "the fee you gave",
}


@click.command(
    "cost",
    cls=Verb,
    examples=(
        "haulout cost",
        "haulout cost --memories 100000 --bytes 300 --daily 1000",
        "haulout cost --s3-gb-month 0.015 --json",
        "haulout cost --trading --account 10000",
    ),
)
@click.option("--memories", type=int, metavar="N", help="A vault that grows to so many.")
@click.option("--bytes", "size", type=int, metavar="N", help="Of text in each memory.")
@click.option("--daily", type=int, metavar="N", help="New memories a day.")
@click.option("--s3-gb-month", type=float, metavar="USD", help="Price of buckets; 0.023.")
@click.option("--trading", is_flag=True, help="What memory costs a trader, by account size.")
@click.option("--account", metavar="USD", help="With --trading: a row for this account, too.")
@click.option("--fee", metavar="USD", help="With --account: what a product costs you in a month.")
@click.option("--target", metavar="PERCENT", help="With --trading: of an account, a month; 4.")
@click.pass_obj
def command(
    session: Session,
    memories: int | None,
    size: int | None,
    daily: int | None,
    s3_gb_month: float | None,
    trading: bool,
    account: str | None,
    fee: str | None,
    target: str | None,
) -> int:
    """Say what keeping the vault costs: here, on volumes, in buckets and on Walrus.

    Nothing is sent or asked. Without figures it counts this vault as it is, with as many new
    memories a day as in its last 30 days. Walrus is counted blob by blob by what publishes, with
    rewrites and renewals; the gas of the chain is apart.

    --trading needs no vault: it prints what paid memory for trading bots costs, as a share of what
    an account is meant to earn. That target is arithmetic here; nobody promises that it is earned.
    """
    from haulout.operations import Cost

    counted = (memories, size, daily, s3_gb_month)
    if trading:
        if any(one is not None for one in counted):
            message = "--trading counts no vault: it goes with --account, --fee and --target."
            raise click.UsageError(message)
        return _trading(session, account, fee, target)
    if any(one is not None for one in (account, fee, target)):
        raise click.UsageError("--account, --fee and --target go with --trading.")
    with session.opened() as vault:
        operation = Cost(memories=memories, size=size, daily=daily, s3_gb_month=s3_gb_month)
        found = session.run(vault, operation)
    session.answer(found, lambda: _show(found))
    return exits.OK


def _trading(session: Session, account: str | None, fee: str | None, target: str | None) -> int:
    from haulout.vault.stores.tradingcosts import table

    found = table(account, fee=fee, target_percent=target or "4")
    session.answer(found, lambda: _show_trading(found))
    return exits.OK


def _show_trading(found: TradingCosts) -> None:
    screen.say(
        f"Dollars a month for paid memory, as a share of a target of {found.target_percent:g} %"
        " of the account a month."
    )
    columns = [
        screen.Column("account", right=True),
        screen.Column("target", right=True),
        screen.Column("paid memory", right=True),
        screen.Column("of the target", right=True),
        screen.Column("on your own disk", right=True),
        screen.Column("", wraps=True),
    ]
    rows = [
        (
            f"{one.account:,.0f}",
            f"{one.target:,.2f}",
            f"{one.fee:,.2f}",
            f"{one.share:.4g} %",
            f"{one.local:g} ({one.share_local:g} %)",
            _SOURCES[one.source],
        )
        for one in found.rows
    ]
    screen.table(columns, rows)
    screen.say("")
    screen.say(
        f"Haulout's own copies of a bot's state ({found.events_a_day:,} events a day of"
        f" {found.event_bytes} bytes, {found.kept_days} days kept), USD a month:"
    )
    screen.table(
        [
            screen.Column("place", style="cyan"),
            screen.Column("USD", right=True),
            screen.Column("", wraps=True),
        ],
        [(one.name, f"{one.dollars:.4f}", one.note) for one in found.stores],
    )
    screen.note(
        f"{found.formula}. The target is a wish, and the fee is due in a month without gains, too."
        " Walrus is counted by `haulout cost --memories N --bytes N --daily N`."
    )


def _show(found: CostReport) -> None:
    screen.say(
        f"{screen.counted(found.memories, 'memory', 'memories')} of {found.size:,} bytes,"
        f" {found.daily:,} a day."
    )
    columns = [
        screen.Column("place", style="cyan"),
        screen.Column("bytes", right=True),
        screen.Column("for each of text", right=True),
        screen.Column("objects", right=True),
        screen.Column("USD a month", right=True),
        screen.Column("", wraps=True),
    ]
    rows = [
        (
            one.name,
            screen.size(one.bytes),
            f"{one.overhead:,.1f}",
            f"{one.blobs:,}",
            "" if one.dollars is None else f"{one.dollars:,.4f}",
            one.note,
        )
        for one in found.places
    ]
    screen.table(columns, rows)
    screen.say("")
    screen.say("On Walrus, a month in USD, gas apart:")
    bills: list[tuple[str, WalrusBill]] = [(words, getattr(found, name)) for name, words in _TIMES]
    columns = [
        screen.Column("while it is", wraps=True),
        screen.Column("in all", right=True),
        *(screen.Column(why, right=True) for why in bills[0][1].parts),
        screen.Column("blobs", right=True),
        screen.Column("stays, days", right=True),
    ]
    screen.table(
        columns,
        [
            (
                words,
                f"{bill.dollars:.4f}",
                *(f"{value:.4f}" for value in bill.parts.values()),
                f"{bill.named}",
                f"{bill.slack_days:.0f}",
            )
            for words, bill in bills
        ],
    )
    screen.note(
        f"Published every {found.cadence_days:g} days; what stands stays {found.keep_days:g} days"
        f" after that at the least; blobs of at most {screen.size(found.pack_bytes)};"
        f" vectors {'sent' if found.vectors else 'not sent'}."
    )
