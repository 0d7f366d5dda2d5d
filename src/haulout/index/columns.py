"""The version table as NumPy columns, kept between a process's recalls, and views of it.

A view is what one recall may see: a namespace scope at a moment. Its rows are numbered from 0
in the order of their versions' nums; everything the ranking counts, it counts over these rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haulout.database.transaction import Transaction
from haulout.index.forms import is_assistant
from haulout.index.rank import Columns
from haulout.language.mentions import name_terms
from haulout.log.clock import FOREVER

Ints = NDArray[np.int64]

_INTEGERS = (
    "num", "namespace", "memory", "version", "occurred_at", "created", "recorded_from",
    "recorded_until", "true_from", "true_until", "closed_at", "hidden", "length", "traits",
)  # fmt: skip
_SELECT = (
    "SELECT num, namespace, memory, version, COALESCE(occurred_at, created), created,"
    " recorded_from, recorded_until, true_from, true_until, closed_at, hidden, length, traits,"
    " asking, speaker, session, changed FROM version WHERE vault = ? AND changed > ? ORDER BY num"
)
_VIEWS_KEPT = 8
_LINKED_AT_MOST = 32
"""Sessions that an extended view looks up one by one; with more it is made anew."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a recall may look at, before any filter.

    Attributes:
        namespaces: local numbers of the namespaces, sorted.
        as_of: only what was recorded by then (microseconds), or None for now.
        valid_at: only what was true then (microseconds), or None for no such limit.
    """

    namespaces: tuple[int, ...]
    as_of: int | None = None
    valid_at: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The rows of one scope.

    Attributes:
        nums: version number of each row, ascending.
        row_of: row of each num from 0 to the largest known, or -1.
        columns: what the ranking knows of each row.
        session: number of each row's session, or -1.
        taken: how many versions were known when the view was made.
    """

    nums: Ints
    row_of: Ints
    columns: Columns
    session: NDArray[np.int32]
    taken: int


class ColumnCache:
    """All versions of a vault as columns, and the views made of them lately."""

    def __init__(self) -> None:
        self._changed = 0
        self._data: dict[str, Ints] = {name: np.empty(0, np.int64) for name in _INTEGERS}
        self._asking = np.empty(0, np.float32)
        self._speaker = self._session = np.empty(0, np.int32)
        self._speakers: dict[str | None, int] = {None: -1}
        self._sessions: dict[Any, int] = {}
        self._views: dict[Scope, View] = {}
        self.speaker_names: list[str] = []
        self._assistants: list[bool] = []
        self._terms_of, self._speaker_terms = 0, dict[str, frozenset[int]]()

    def refresh(self, connection: Transaction, vault: int) -> list[int]:
        """Catch up with what any process has written; return the nums erased since."""
        rows = connection.execute(_SELECT, (vault, self._changed)).fetchall()
        gone = connection.execute(
            "SELECT num, changed FROM erased WHERE vault = ? AND changed > ?",
            (vault, self._changed),
        ).fetchall()
        if not rows and not gone:
            return []
        known = self._data["num"]
        if gone or not len(known) or rows[0][0] <= known[-1]:
            self._views.clear()  # more than new versions: views cannot just be extended
        erased = [row[0] for row in gone]
        self._drop(erased + [row[0] for row in rows])
        if rows:
            self._append(rows)
        self._changed = max([self._changed, *(r[17] for r in rows), *(r[1] for r in gone)])
        return erased

    def _drop(self, nums: Iterable[int]) -> None:
        known = self._data["num"]
        gone = np.fromiter(nums, np.int64)
        if not len(known) or not len(gone) or gone.min() > known[-1]:
            return
        keep = ~np.isin(known, gone)
        self._data = {name: values[keep] for name, values in self._data.items()}
        self._asking = self._asking[keep]
        self._speaker, self._session = self._speaker[keep], self._session[keep]

    def _append(self, rows: Sequence[Sequence[Any]]) -> None:
        columns = list(zip(*rows, strict=True))
        speakers = [self._speaker_number(name) for name in columns[15]]
        pairs = zip(columns[1], columns[16], strict=True)
        sessions = [
            -1 if name is None else self._sessions.setdefault((place, name), len(self._sessions))
            for place, name in pairs
        ]
        data = {
            name: np.concatenate([self._data[name], np.array(columns[i], np.int64)])
            for i, name in enumerate(_INTEGERS)
        }
        asking = np.concatenate([self._asking, np.array(columns[14], np.float32)])
        speaker = np.concatenate([self._speaker, np.array(speakers, np.int32)])
        session = np.concatenate([self._session, np.array(sessions, np.int32)])
        if len(self._data["num"]) and rows[0][0] < self._data["num"][-1]:  # a changed old row
            order = np.argsort(data["num"], kind="stable")
            data = {name: values[order] for name, values in data.items()}
            asking, speaker, session = asking[order], speaker[order], session[order]
        self._data, self._asking, self._speaker, self._session = data, asking, speaker, session

    def _speaker_number(self, name: str | None) -> int:
        number = self._speakers.get(name)
        if number is None:
            number = self._speakers[name] = len(self.speaker_names)
            self.speaker_names.append(name or "")
            self._assistants.append(is_assistant(name))
        return number

    def speaker_terms(self) -> dict[str, frozenset[int]]:
        """The terms of the speakers' names, each with the numbers of those who bear it."""
        if self._terms_of != len(self.speaker_names):
            self._terms_of = len(self.speaker_names)
            self._speaker_terms = name_terms(self.speaker_names)
        return self._speaker_terms

    def view(self, scope: Scope) -> View:
        """The rows of a scope. Call `refresh` first, in the same read transaction."""
        view = self._views.pop(scope, None)
        if view is not None and view.taken < len(self._data["num"]):
            view = self._extended(view, scope)
        if view is None:
            view = self._make_view(self._visible(scope))
            while len(self._views) >= _VIEWS_KEPT:
                self._views.pop(next(iter(self._views)))
        self._views[scope] = view
        return view

    def _current(self, namespaces: Sequence[int], start: int = 0) -> Ints:
        """Positions from ``start`` of the newest versions that are not hidden."""
        data = self._data
        seen = (data["hidden"][start:] == 0) & np.isin(data["namespace"][start:], namespaces)
        return start + np.flatnonzero(seen & (data["recorded_until"][start:] == FOREVER))

    def _extended(self, view: View, scope: Scope) -> View | None:
        """A view with the versions that came since, or None where it has to be made anew.

        Agents write and recall by turns; making a view anew sorts every session each time.
        """
        if scope.as_of is not None or scope.valid_at is not None:
            return None
        fresh = self._make_view(self._current(scope.namespaces, view.taken))
        count = len(view.nums)
        row_of = np.concatenate([view.row_of, fresh.row_of[len(view.row_of) :]])
        row_of[fresh.nums] += count
        joined: dict[str, Any] = {}
        for name in (one.name for one in fields(Columns)):
            old: NDArray[Any] | None = getattr(view.columns, name)
            new: NDArray[Any] | None = getattr(fresh.columns, name)
            joined[name] = None if old is None or new is None else np.concatenate([old, new])
        for name in ("previous", "following"):
            joined[name][count:][joined[name][count:] >= 0] += count
        session = np.concatenate([view.session, fresh.session])
        if not _linked(joined, session, count):
            return None
        return View(
            nums=np.concatenate([view.nums, fresh.nums]),
            row_of=row_of,
            columns=Columns(**joined),
            session=session,
            taken=fresh.taken,
        )

    def _visible(self, scope: Scope) -> Ints:
        """Positions of the versions that a scope sees."""
        if scope.as_of is None and scope.valid_at is None:
            return self._current(scope.namespaces)
        data = self._data
        seen = (data["hidden"] == 0) & np.isin(data["namespace"], scope.namespaces)
        as_of = FOREVER - 1 if scope.as_of is None else scope.as_of
        seen &= data["recorded_from"] <= as_of
        if scope.valid_at is None:
            return np.flatnonzero(seen & (as_of < data["recorded_until"]))
        at = scope.valid_at
        seen &= (data["true_from"] <= at) & (at < data["true_until"])
        seen &= (as_of < data["recorded_until"]) | (at < data["closed_at"])
        found = np.flatnonzero(seen)
        # Two versions of a memory can both claim the moment; the later correction is believed.
        order = np.lexsort((data["version"][found], data["memory"][found]))
        found = found[order]
        memory = data["memory"][found]
        newest = np.append(memory[1:] != memory[:-1], np.True_) if len(found) else found
        return np.sort(found[newest.astype(bool)])

    def _make_view(self, found: Ints) -> View:
        data = self._data
        nums = data["num"][found]
        row_of = np.full(int(data["num"][-1]) + 1 if len(data["num"]) else 1, -1, np.int64)
        row_of[nums] = np.arange(len(nums))
        occurred, session = data["occurred_at"][found], self._session[found]
        previous, following = _neighbours(session, occurred, data["memory"][found])
        speaker = self._speaker[found]
        assistants = np.array([*self._assistants, False])  # the last stands for speaker -1
        columns = Columns(
            length=data["length"][found].astype(np.float32),
            previous=previous,
            following=following,
            speaker=speaker,
            assistant=assistants[speaker],
            asking=self._asking[found],
            traits=data["traits"][found],
            occurred_at=occurred,
        )
        return View(nums, row_of, columns, session, len(data["num"]))


def _neighbours(session: NDArray[np.int32], occurred: Ints, memory: Ints) -> tuple[Ints, Ints]:
    """The rows before and after each row in its session, in the order things happened."""
    count = len(session)
    previous = np.full(count, -1, np.int64)
    following = np.full(count, -1, np.int64)
    rows = np.flatnonzero(session >= 0)
    order = rows[np.lexsort((memory[rows], occurred[rows], session[rows]))]
    same = session[order[1:]] == session[order[:-1]]
    before, after = order[:-1][same], order[1:][same]
    previous[after], following[before] = before, after
    return previous, following


def _linked(joined: dict[str, Any], session: NDArray[np.int32], count: int) -> bool:
    """Join sessions that go on from row ``count``; False where that is not at their ends."""
    previous, following, occurred = joined["previous"], joined["following"], joined["occurred_at"]
    firsts = count + np.flatnonzero((session[count:] >= 0) & (previous[count:] < 0))
    if len(firsts) > _LINKED_AT_MOST:
        return False
    for first in firsts:
        last = np.flatnonzero((session[:count] == session[first]) & (following[:count] < 0))
        if len(last):
            if occurred[first] < occurred[last[0]]:
                return False
            previous[first], following[last[0]] = last[0], first
    return True
