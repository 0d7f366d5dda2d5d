"""How much does memory help a bot that acts? `make experiment`; `--help` says the rest."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from trading import experiment, markets, report, results

QUICK = 96
LEAST = 16
"""Sessions in which every strategy meets every market once."""


def main(arguments: list[str] | None = None) -> int:
    """Run it all and write the report; 1 where a control does not hold."""
    made = argparse.ArgumentParser(prog="make experiment", description=__doc__)
    made.add_argument("--sessions", type=int, default=experiment.SESSIONS, metavar="N")
    made.add_argument("--quick", action="store_true", help=f"{QUICK} sessions: does it run?")
    made.add_argument("--seed", type=int, default=7, metavar="N")
    made.add_argument("--workers", type=int, default=2, metavar="N", help="processes; 2")
    made.add_argument("--out", type=Path, default=Path("build/experiment"), metavar="FOLDER")
    made.add_argument(
        "--ohlcv", type=Path, metavar="CSV", help="draw markets from the closing prices in a file"
    )
    given = made.parse_args(arguments)
    sessions = QUICK if given.quick else given.sessions
    if sessions < LEAST:
        made.error(f"at least {LEAST} sessions, so that every strategy meets every market")
    real = None if given.ohlcv is None else markets.closes(given.ohlcv)
    begun = time.monotonic()

    def run(asked):  # noqa: ANN001, ANN202 - a closure over the arguments
        return experiment.run(asked, given.seed, given.workers, real)

    found = run(experiment.studies(sessions))
    told = results.plain(results.summary(found, run, sessions, given.seed))
    told["design"]["prices"] = "synthetic" if real is None else "a user's, resampled"
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "report.json").write_text(report.as_json(told), "utf-8")
    (given.out / "report.html").write_text(report.as_html(told), "utf-8")
    for name in ("session-bound", "reconcile-only", "persistent"):
        one = told["arms"][name]
        print(
            f"{name:<15} {one['deviations']['value']:>8,.1f} deviations per 1,000 sessions"
            f"  [{one['deviations']['low']:,.1f}, {one['deviations']['high']:,.1f}],"
            f" {one['ledger_duplicates_count']} duplicates"
        )
    broken = [name for name, one in told["controls"].items() if one["differ"]]
    print(f"{sessions:,} sessions in {time.monotonic() - begun:.0f} s: {given.out}/report.html")
    if broken:
        print(f"Controls that do not hold: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
