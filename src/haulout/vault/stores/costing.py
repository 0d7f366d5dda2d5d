"""What keeping a vault costs, before anything is sent: pure arithmetic.

Storage on Walrus is counted from a simulated life (`simulating`), blob by blob: units of 1 MiB of
encoded length, begun ones counting, at the network's fixed price in dollars, the write price as
the share of an epoch's storage that the price table says (walrus.md §7, docs/spec/publishing.md).
Gas is not: it depends on no size, and is two transactions a blob. Elsewhere bytes are counted as
they stand, and requests by the publication.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from haulout.errors import LimitError
from haulout.log.lifetimes import Terms
from haulout.redstuff import encoded_length, parameters, quilt
from haulout.redstuff.quilt import Item
from haulout.storage.walrus.cost import UNIT, PriceTable, units
from haulout.vault.stores.simulating import (
    PACKS,
    PUBLICATIONS,
    RENEWALS,
    REWRITING,
    Bought,
    Day,
    Simulation,
    Workload,
)

DAYS_PER_MONTH: Final = 365.25 / 12
S3_GB_MONTH: Final = 0.023
S3_PUT: Final = 0.005 / 1000
"""Dollars for a gigabyte and month, and for a request that writes: S3 Standard's list price."""
_GIGABYTE: Final = 1_000_000_000
_ITEMS: Final = 650  # of a quilt: with more the index inflates every column (walrus.md §5)
_LOCAL: Final = 1050  # of a memory on disk beside its text: record, index, pages
_LOCAL_VECTOR: Final = 450
_IDENTIFIER: Final = 24  # of an item in a quilt
_TAGS: Final = {"kind": "fact", "source": "chat"}
_VOLUME_SHARDS: Final = 10
_VOLUME_PACK: Final = 1024 * 1024


class PlaceCost(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of place costs.

    Attributes:
        name: the place; ``bytes``: what stands there; overhead: that for each byte of text.
        blobs: how many objects that is.
        requests: that write, a month; dollars: a month, of storage and requests; None where it
            is the owner's own disk.
        note: what is counted, in words.
    """

    name: str
    bytes: int
    overhead: float
    blobs: int
    requests: int = 0
    dollars: float | None = None
    note: str = ""


class WalrusBill(msgspec.Struct, frozen=True, kw_only=True):
    """What Walrus costs, and what that is made of.

    Attributes:
        days: from when to when, the last not among them: a whole number of epochs.
        dollars: a month, paid in those days; parts: the same by what was paid for.
        blobs: bought in those days; epochs: for how many in all.
        transactions: of them on the chain, whose gas is not counted.
        named: blobs that a reader needs at the most; slack_days: how long all of them stand after
            a publication at the least.
    """

    days: tuple[int, int]
    dollars: float
    parts: dict[str, float]
    blobs: int
    epochs: int
    transactions: int
    named: int
    slack_days: float


class CostReport(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping a vault costs.

    Attributes:
        memories, size, daily: the vault that is counted: memories at the end, bytes of text of
            each, new ones a day.
        places: local, volumes, s3, walrus, and the two ways of writing to Walrus that are not
            taken: a blob for each memory, and quilts.
        growing: the epochs before the vault has all its memories; held: when it has them, and
            the oldest goes for each that comes; idle: when nothing comes any more.
        curve: dollars paid on each day.
        cadence_days, keep_days, pack_bytes, vectors: how Walrus is used.
    """

    memories: int
    size: int
    daily: int
    places: tuple[PlaceCost, ...]
    growing: WalrusBill
    held: WalrusBill
    idle: WalrusBill
    curve: tuple[float, ...]
    cadence_days: float
    keep_days: float
    pack_bytes: int
    vectors: bool

    @property
    def steady(self) -> float:
        """Dollars a month on Walrus: the dearest of the three."""
        return max(self.growing.dollars, self.held.dollars, self.idle.dollars)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What is paid, and how stores are used.

    Attributes:
        n_shards: of the Walrus network; table: its prices; terms, pack_bytes: how it is used.
        s3_gb_month, s3_put: dollars.
    """

    n_shards: int
    table: PriceTable
    terms: Terms
    pack_bytes: int
    s3_gb_month: float = S3_GB_MONTH
    s3_put: float = S3_PUT


def report(memories: int, size: int, daily: int, first: int, rules: Rules) -> CostReport:
    """Count what a vault costs.

    Args:
        memories: how many it is to have; ``size``: bytes of text of each.
        daily: how many come every day; ``first``: how many are there already.
        rules: prices and terms.
    """
    epoch = rules.terms.epoch_days
    rate = max(1, daily)
    until_full = -(-max(0, memories - first) // rate) if daily else 0
    grown = int(-(-until_full // epoch)) if until_full else 0
    span = max(1, round(3 * rules.terms.long_epochs))
    work = Workload(first, size, daily, memories)
    simulation = Simulation(work, rules.terms, rules.pack_bytes)
    total = int((grown + 1 + span) * epoch)
    days = list(simulation.days(total))
    before = max(0, int((grown - rules.terms.long_epochs) * epoch)), max(1, int(grown * epoch))
    if not until_full:
        before = (int(epoch), total)
    quiet = Simulation(Workload(memories, size, 0, memories), rules.terms, rules.pack_bytes)
    still = list(quiet.days(total))
    held = _bill(simulation.bought, days, (int((grown + 1) * epoch), total), rules)
    return CostReport(
        memories=memories,
        size=size,
        daily=daily,
        places=_places(memories, size, daily, held.dollars, still[-1], rules),
        growing=_bill(simulation.bought, days, before, rules),
        held=held,
        idle=_bill(quiet.bought, still, (int(epoch), total), rules),
        curve=tuple(_paid(simulation.bought, (day, day + 1), rules) for day in range(total)),
        cadence_days=rules.terms.cadence_days,
        keep_days=rules.terms.keep_days,
        pack_bytes=rules.pack_bytes,
        vectors=rules.terms.vectors,
    )


def dollars(size: int, epochs: float, rules: Rules) -> float:
    """What a blob of ``size`` bytes costs for so many epochs, the write price among them."""
    table = rules.table
    written = table.write / table.storage if table.storage else 0.0
    months = rules.terms.epoch_days / DAYS_PER_MONTH
    unit = UNIT / _GIGABYTE * table.dollars * months
    return units(encoded_length(size, rules.n_shards)) * unit * (epochs + written)


def _paid(bought: Sequence[Bought], days: tuple[int, int], rules: Rules) -> float:
    return sum(
        dollars(one.size, one.epochs, rules) for one in bought if days[0] <= one.day < days[1]
    )


def _bill(
    bought: Sequence[Bought], days: Sequence[Day], span: tuple[int, int], rules: Rules
) -> WalrusBill:
    within = [one for one in bought if span[0] <= one.day < span[1]]
    months = (span[1] - span[0]) / DAYS_PER_MONTH
    parts = {
        why: _paid([one for one in within if one.why == why], span, rules) / months
        for why in (PUBLICATIONS, REWRITING, PACKS, RENEWALS)
    }
    seen = [day for day in days if span[0] <= day.day < span[1]]
    return WalrusBill(
        days=span,
        dollars=sum(parts.values()),
        parts=parts,
        blobs=len(within),
        epochs=sum(one.epochs for one in within),
        transactions=2 * len(within),
        named=max(day.blobs for day in seen),
        slack_days=min(day.slack for day in seen),
    )


def _places(
    memories: int, size: int, daily: int, walrus: float, last: Day, rules: Rules
) -> tuple[PlaceCost, ...]:
    text = max(1, memories * size)
    local = memories * (size + _LOCAL + _LOCAL_VECTOR)
    packs = -(-last.named // _VOLUME_PACK)
    coded = encoded_length(min(_VOLUME_PACK, max(1, last.named)), _VOLUME_SHARDS) * packs
    published = round(min(1.0, daily) * DAYS_PER_MONTH)  # once a day, where anything is new
    requests = published * 3 * _VOLUME_SHARDS  # a pack of segments, one of keys, and a head
    bucket = coded / _GIGABYTE * rules.s3_gb_month + requests * rules.s3_put
    stood = units(encoded_length(max(1, last.named // max(1, last.blobs)), rules.n_shards))
    month = DAYS_PER_MONTH / rules.terms.epoch_days
    per_quilt, quilted = _quilt(memories, size, rules)
    quilts = -(-memories // per_quilt) if per_quilt else 0
    single = encoded_length(size, rules.n_shards)
    return (
        PlaceCost(name="local", bytes=local, overhead=local / text, blobs=1,
                  note="this disk, with its index and vectors"),
        PlaceCost(name="volumes", bytes=coded, overhead=coded / text, blobs=packs * _VOLUME_SHARDS,
                  requests=requests, note="10 shards on your own folders; any 3 may be lost"),
        PlaceCost(name="s3", bytes=coded, overhead=coded / text, blobs=packs * _VOLUME_SHARDS,
                  requests=requests, dollars=bucket,
                  note="the same in buckets, published to once a day"),
        PlaceCost(name="walrus", bytes=stood * UNIT * last.blobs,
                  overhead=stood * UNIT * last.blobs / text, blobs=last.blobs,
                  dollars=walrus, note="as Haulout publishes: packs, rewrites and renewals"),
        PlaceCost(name="walrus, a blob each", bytes=single * memories,
                  overhead=single * memories / text, blobs=memories,
                  dollars=memories * dollars(size, 1, _unwritten(rules)) * month,
                  note="for comparison: storage alone, written once"),
        PlaceCost(name="walrus, quilts", bytes=quilted * quilts, overhead=quilted * quilts / text,
                  blobs=quilts,
                  dollars=quilts * units(quilted) * UNIT / _GIGABYTE * rules.table.dollars,
                  note=f"for comparison: {per_quilt} items each, storage alone, written once"),
    )  # fmt: skip


def _unwritten(rules: Rules) -> Rules:
    return msgspec.structs.replace(rules, table=PriceTable(write=0, dollars=rules.table.dollars))


def _quilt(memories: int, size: int, rules: Rules) -> tuple[int, int]:
    """How many memories one quilt holds, and its encoded bytes; 0 where not one has room.

    On a network of few shards they are few: each takes a column, beside the index.
    """
    most = min(_ITEMS, memories, parameters(rules.n_shards).secondary - 1)
    while most:
        items = [Item(f"{number:0{_IDENTIFIER}d}", bytes(size), {}) for number in range(most)]
        try:
            packed = quilt.pack(items, rules.n_shards)
        except LimitError:
            most //= 2
        else:
            return most, encoded_length(len(packed.data), rules.n_shards)
    return 0, 0
