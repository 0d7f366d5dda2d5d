"""Upkeep of the state lane: check it, make its views again, count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from haulout.errors import DamagedError
from haulout.state.lane import state_names
from haulout.state.views import differences
from haulout.state.views import rebuild as rebuild_views
from haulout.vault.chainchecking import ChainChecking
from haulout.vault.opening import STATES, Parts

Report = Callable[[int, int | None], None]
_MOST_PROBLEMS: Final = 50


class StatesChecked(NamedTuple):
    """What a check of the state lane verified.

    Attributes:
        records: entries of its log; ``states``: how many states they are of.
        problems: findings, in words.
    """

    records: int
    states: int
    problems: tuple[str, ...]


def check(lane: Parts, report: Report) -> StatesChecked:
    """Verify the file, every record, and the lane's views against a fold of its records.

    Args:
        lane: the state lane's database and journal.
        report: called with records done and their number.
    """
    problems: list[str] = []
    records, names = 0, list[str]()
    try:
        problems += [f"{STATES}: {problem}" for problem in lane.database.integrity()]
        with lane.database.read() as connection:
            lane.journal.refresh_keys(connection)
            names = state_names(connection, lane.vault)
            (total,) = connection.execute("SELECT count(*) FROM record").fetchone()
            checking = ChainChecking(connection, lane, STATES)
            for stored in lane.journal.records(connection):
                problems += checking.problems(stored)
                if checking.records % 500 == 0 or checking.records == total:
                    report(checking.records, total)
            records = checking.records
            problems += [f"{STATES}: {one}." for one in differences(connection, lane.journal)]
    except DamagedError as error:
        problems.append(error.message)
    return StatesChecked(records, len(names), tuple(problems[:_MOST_PROBLEMS]))


def rebuild(lane: Parts) -> int:
    """Make the lane's views again from its records; return how many events there are.

    Raises:
        DamagedError: an event cannot be read, or cannot follow those before it; the views stay.
    """
    return lane.database.write(lambda connection: rebuild_views(connection, lane.journal))


class StatesCounted(NamedTuple):
    """The state lane in figures: states, entries of its log, bytes on disk."""

    states: int
    records: int
    bytes: int


def count(lane: Parts) -> StatesCounted:
    """The lane in figures."""
    with lane.database.read() as connection:
        (records,) = connection.execute("SELECT count(*) FROM record").fetchone()
        names = state_names(connection, lane.vault)
    return StatesCounted(len(names), records, lane.database.size())
