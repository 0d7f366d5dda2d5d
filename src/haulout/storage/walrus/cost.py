"""What storage costs, known before it is bought. Pure arithmetic; source: walrus.md §7.

Storage is sold in units of 1 MiB of *encoded* length, begun ones counting, for whole epochs. At
1,000 shards the metadata of one blob alone is 64 MB, so that no blob is smaller than 63 units:
many small things belong into one blob.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from haulout.errors import InputError
from haulout.redstuff import encoded_length
from haulout.storage.walrus.config import checked_epochs

UNIT: Final = 1 << 20  # bytes of encoded length
FROST_PER_WAL: Final = 1_000_000_000
_BASIS_POINTS: Final = 10_000
_GIGABYTE: Final = 1_000_000_000
_DAYS_PER_MONTH: Final = 365.25 / 12


@dataclass(frozen=True, slots=True)
class PriceTable:
    """What a network asks; the defaults are mainnet's at its launch and its fixed dollar price.

    Attributes:
        storage: FROST for a unit and an epoch; write: FROST for a unit, once.
        subsidy: hundredths of a per cent that somebody else pays.
        dollars: for a gigabyte of encoded length and a month; the amount of WAL follows it.
        epoch_days: 14 on mainnet, 1 on testnet.
    """

    storage: int = 100_000
    write: int = 20_000
    subsidy: int = 0
    dollars: float = 0.023
    epoch_days: float = 14.0

    def __post_init__(self) -> None:
        """Refuse prices that cannot be.

        Raises:
            InputError: one is negative, or the subsidy is more than everything.
        """
        if min(self.storage, self.write, self.dollars) < 0 or self.epoch_days <= 0:
            raise InputError("A price cannot be negative, nor an epoch shorter than nothing.")
        if not 0 <= self.subsidy <= _BASIS_POINTS:
            raise InputError("A subsidy is 0 to 10,000 hundredths of a per cent.")


@dataclass(frozen=True, slots=True)
class Cost:
    """A bill.

    Attributes:
        size: bytes of the blob; encoded: bytes of its encoded length; units: MiB of that, whole.
        epochs: how many it is bought for.
        storage, write: FROST, the subsidy taken off.
        dollars: for the whole time by the fixed price, the write price and gas aside.
        dollars_per_month: the same for a month.
    """

    size: int
    encoded: int
    units: int
    epochs: int
    storage: int
    write: int
    dollars: float
    dollars_per_month: float

    @property
    def frost(self) -> int:
        """All of it, in FROST."""
        return self.storage + self.write

    @property
    def wal(self) -> float:
        """All of it, in WAL."""
        return self.frost / FROST_PER_WAL


def units(encoded: int) -> int:
    """Units of storage that ``encoded`` bytes take, begun ones counting."""
    return -(-encoded // UNIT)


def cost(size: int, n_shards: int, epochs: int, table: PriceTable) -> Cost:
    """What a new blob costs, with nothing reused.

    Args:
        size: bytes of the blob; n_shards: of the network; epochs: 1 to 53; table: the prices.

    Raises:
        InputError: there is no such number of shards or epochs.
        LimitError: the blob is too large for that number of shards.
    """
    checked_epochs(epochs)
    encoded = encoded_length(size, n_shards)
    return _bill(size, encoded, epochs, table, written=True)


def extension(size: int, n_shards: int, epochs: int, table: PriceTable) -> Cost:
    """What ``epochs`` more cost for a blob that stands, where its owner extends it."""
    checked_epochs(epochs)
    return _bill(size, encoded_length(size, n_shards), epochs, table, written=False)


def _bill(size: int, encoded: int, epochs: int, table: PriceTable, *, written: bool) -> Cost:
    whole = units(encoded)
    left = _BASIS_POINTS - table.subsidy
    monthly = encoded / _GIGABYTE * table.dollars
    months = epochs * table.epoch_days / _DAYS_PER_MONTH
    return Cost(
        size, encoded, whole, epochs,
        storage=whole * table.storage * epochs * left // _BASIS_POINTS,
        write=whole * table.write * left // _BASIS_POINTS if written else 0,
        dollars=monthly * months, dollars_per_month=monthly,
    )  # fmt: skip
