"""What a vault costs on Walrus, by the planner that publishes; the floor of a month.

    python benchmarks/walrus_cost.py [--json FILE] [--days 200]

100,000 memories of 300 bytes, written as 1,000 a day, at the default cadence, on main-network
rules: 1,000 shards, epochs of 14 days, USD 0.023 for an encoded gigabyte and month, and the write
price as a fifth of an epoch's storage. Gas is apart. The floor is USD 0.05 a month while the vault
grows to that size and when it is held there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import msgspec

from haulout.log.lifetimes import Terms
from haulout.storage.walrus.cost import PriceTable
from haulout.vault.stores.costing import DAYS_PER_MONTH, CostReport, Rules, WalrusBill, report
from haulout.vault.stores.walrussettings import PACK_BYTES

MEMORIES, SIZE, DAILY, FLOOR = 100_000, 300, 1000, 0.05


def rules(terms: Terms, pack_bytes: int = PACK_BYTES) -> Rules:
    """Main-network rules under some terms."""
    return Rules(n_shards=1000, table=PriceTable(), terms=terms, pack_bytes=pack_bytes)


def line(name: str, bill: WalrusBill) -> str:
    """One row: a time of the vault's life."""
    parts = "  ".join(f"{why} {value:.4f}" for why, value in bill.parts.items())
    return (
        f"{name:<10} {bill.dollars:>8.4f}   {parts}   "
        f"({bill.blobs} blobs in days {bill.days[0]}-{bill.days[1] - 1},"
        f" {bill.named} named, slack {bill.slack_days:.1f} days)"
    )


def show(found: CostReport) -> None:
    """Print how the bill is made up."""
    print(f"{MEMORIES:,} memories of {SIZE} bytes, {DAILY:,} a day; USD a month, gas apart\n")
    for name in ("growing", "held", "idle"):
        print(line(name, getattr(found, name)))
    print()
    for place in found.places:
        paid = "-" if place.dollars is None else f"{place.dollars:.4f}"
        print(
            f"{place.name:<20} {place.bytes / 1e6:>12,.1f} MB {place.overhead:>10,.1f} x"
            f" {place.blobs:>8,} blobs {paid:>10}   {place.note}"
        )


def others() -> list[dict[str, object]]:
    """The same vault under other terms, for whoever wants to choose."""
    rows: list[dict[str, object]] = []
    print("\ncadence  keep  pack MiB  vectors  growing     held")
    for cadence, keep, pack, vectors in (
        (1, 4, 10, False), (1, 7, 10, False), (1, 14, 10, False), (2, 14, 10, False),
        (1, 7, 32, False), (2, 7, 32, False), (2, 7, 10, True), (2, 7, 32, True),
    ):  # fmt: skip
        terms = Terms()._replace(cadence_days=cadence, keep_days=keep, vectors=vectors)
        found = report(MEMORIES, SIZE, DAILY, 0, rules(terms, pack << 20))
        row = {
            "cadence_days": cadence, "keep_days": keep, "pack_mib": pack, "vectors": vectors,
            "growing": found.growing.dollars, "held": found.held.dollars,
        }  # fmt: skip
        rows.append(row)
        print(
            f"{cadence:>5} d {keep:>3} d {pack:>8} {vectors!s:>9}"
            f" {found.growing.dollars:>8.4f} {found.held.dollars:>8.4f}"
        )
    return rows


def main() -> int:
    """Count, print, write; 1 where the floor does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--days", type=int, default=200, help="of the curve")
    given = parser.parse_args()
    found = report(MEMORIES, SIZE, DAILY, 0, rules(Terms()))
    show(found)
    curve = list(found.curve[: given.days])
    months = [
        sum(curve[day : day + 28]) / 28 * DAYS_PER_MONTH for day in range(0, len(curve) - 27, 28)
    ]
    print("\nevery two epochs, as a month:", " ".join(f"{month:.4f}" for month in months))
    compared = others()
    if given.json:
        figures = msgspec.to_builtins(found) | {
            "steady": found.steady, "floor": FLOOR, "curve": curve, "others": compared,
        }  # fmt: skip
        given.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    print(f"\nsteady state: USD {found.steady:.4f} a month; floor {FLOOR}")
    return int(found.steady > FLOOR)


if __name__ == "__main__":
    sys.exit(main())
