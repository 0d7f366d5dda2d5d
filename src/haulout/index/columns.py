"""The version table as NumPy columns, kept between a process's recalls, and views of it.

A view is what one recall may see: a namespace scope at a moment. Its rows are numbered from 0
in the order of their versions' nums; everything the ranking counts, it counts over these rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haulout.database.transaction import Transaction
from haulout.index.forms import is_assistant
from haulout.index.rank import Columns
from haulout.language.mentions import name_terms
from haulout.log.clock import FOREVER

Ints = NDArray[np.int64]

BEGINNING = -FOREVER
"""Earlier than any time: true for as long as anyone knows."""

_KINDS: dict[str, Any] = {
    "num": np.int64,
    "namespace": np.int32,
    "occurred_at": np.int64,
    "recorded_from": np.int64,
    "length": np.float32,
    "traits": np.int16,
    "asking": np.float32,
    "speaker": np.int32,
    "session": np.int32,
    "memory": np.int64,
    "version": np.int32,
    "recorded_until": np.int64,
    "true_from": np.int64,
    "true_until": np.int64,
    "closed_at": np.int64,
    "hidden": np.bool_,
}
_OF_CHANGE = tuple(_KINDS)[9:]
"""What says more than "this is the memory's only version" of few versions in most vaults."""
_COLUMNS = (
    "SELECT num, namespace, COALESCE(occurred_at, created), recorded_from, length, traits, asking,"
    " speaker, session, CASE WHEN memory = num AND version = 1"
    f" AND recorded_until = {FOREVER} AND true_from = {BEGINNING} AND true_until = {FOREVER}"
    f" AND closed_at = {FOREVER} AND hidden = 0 THEN NULL"
    " ELSE concat_ws(',', memory, version, recorded_until, true_from, true_until, closed_at,"
    " hidden) END FROM version"
)
_EVERY = f"{_COLUMNS} WHERE +vault = ? ORDER BY num"  # + : in the order of the table
_CHANGED = f"{_COLUMNS} WHERE vault = ? AND changed > ? ORDER BY num"
_READ_AT_ONCE = 20_000
_VIEWS_KEPT = 8
_ROOM = 256
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
        lineage: of this view and of those it was extended from, whose rows are its first.
    """

    nums: Ints
    row_of: Ints
    columns: Columns
    session: NDArray[np.int32]
    taken: int
    lineage: int


class ColumnCache:
    """All versions of a vault as columns, and the views made of them lately."""

    def __init__(self) -> None:
        self._changed = 0
        self._room: dict[str, NDArray[Any]] = {n: np.empty(0, kind) for n, kind in _KINDS.items()}
        self._data = dict(self._room)
        self._speakers: dict[str | None, int] = {None: -1}
        self._sessions: dict[Any, int] = {}
        self._views: dict[Scope, View] = {}
        self._lineages = 0
        self.speaker_names: list[str] = []
        self._assistants: list[bool] = []
        self._terms_of, self._speaker_terms = 0, dict[str, frozenset[int]]()

    def refresh(self, connection: Transaction, vault: int) -> list[int]:
        """Catch up with what any process has written; return the nums erased since."""
        if not self._changed:
            rows = connection.execute(_EVERY, (vault,))
        else:
            rows = connection.execute(_CHANGED, (vault, self._changed))
        gone = connection.execute(
            "SELECT num, changed FROM erased WHERE vault = ? AND changed > ?",
            (vault, self._changed),
        ).fetchall()
        erased = [row[0] for row in gone]
        if gone:
            self._views.clear()
            self._drop(erased)
        newest = connection.execute("SELECT max(changed) FROM version WHERE vault = ?", (vault,))
        while part := list(islice(rows, _READ_AT_ONCE)):
            known = self._data["num"]
            if not len(known) or part[0][0] <= known[-1]:
                self._views.clear()  # more than new versions: views cannot just be extended
                self._drop([row[0] for row in part])
            self._append(part)
        self._changed = max(self._changed, newest.fetchone()[0] or 0, *(row[1] for row in gone))
        return erased

    def _drop(self, nums: Sequence[int]) -> None:
        known = self._data["num"]
        gone = np.array(nums, np.int64)
        if not len(known) or not len(gone) or gone.min() > known[-1]:
            return
        keep = ~np.isin(known, gone)
        self._room = {name: values[keep] for name, values in self._data.items()}
        self._data = dict(self._room)

    def _append(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add versions; in room for half as much again, so that what is known stays in place."""
        *columns, speakers, sessions, changes = zip(*rows, strict=True)
        columns += [self._speakers_of(speakers), self._sessions_of(columns[1], sessions)]
        used = len(self._data["num"])
        needed = used + len(rows)
        if needed > len(self._room["num"]):
            for name, values in self._data.items():
                self._room[name] = np.empty(needed + needed // 2, values.dtype)
                self._room[name][:used] = values
        for name, values in zip(_KINDS, columns, strict=False):
            self._room[name][used:needed] = np.fromiter(values, _KINDS[name], len(rows))
        plain = self._room["num"][used:needed], 1, FOREVER, BEGINNING, FOREVER, FOREVER, False
        for name, value in zip(_OF_CHANGE, plain, strict=True):
            self._room[name][used:needed] = value
        for place, change in enumerate(changes, used):
            if change is not None:
                for name, value in zip(_OF_CHANGE, change.split(","), strict=True):
                    self._room[name][place] = int(value)
        self._data = {name: values[:needed] for name, values in self._room.items()}
        if used and rows[0][0] < self._data["num"][used - 1]:  # a changed old row
            order = np.argsort(self._data["num"], kind="stable")
            self._room = {name: values[order] for name, values in self._data.items()}
            self._data = dict(self._room)

    def _speakers_of(self, names: Sequence[str | None]) -> Iterable[int]:
        """The number of each speaker, or -1."""
        for name in dict.fromkeys(names):
            if name not in self._speakers:
                self._speakers[name] = len(self.speaker_names)
                self.speaker_names.append(name or "")
                self._assistants.append(is_assistant(name))
        return map(self._speakers.__getitem__, names)

    def _sessions_of(self, places: Sequence[int], names: Sequence[str | None]) -> Iterable[int]:
        """The number of each session, or -1; a name stands for another one in each namespace."""
        pairs = list(zip(places, names, strict=True))
        for pair in dict.fromkeys(pairs):
            if pair not in self._sessions:
                self._sessions[pair] = -1 if pair[1] is None else len(self._sessions)
        return map(self._sessions.__getitem__, pairs)

    def speaker_terms(self) -> dict[str, frozenset[int]]:
        """The terms of the speakers' names, each with the numbers of those who bear it."""
        if self._terms_of != len(self.speaker_names):
            self._terms_of = len(self.speaker_names)
            self._speaker_terms = name_terms(self.speaker_names)
        return self._speaker_terms

    def namespace_of(self, nums: Ints) -> Ints:
        """The namespace of each version; 0 where there is no such version."""
        known = self._data["num"]
        if not len(known):
            return np.zeros(len(nums), np.int64)
        places = np.minimum(np.searchsorted(known, nums), len(known) - 1)
        return np.where(known[places] == nums, self._data["namespace"][places], 0)

    def outside(self, namespaces: Sequence[int]) -> Ints:
        """The versions of all other namespaces."""
        return self._data["num"][~np.isin(self._data["namespace"], namespaces)]

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
        nums, columns, session = self._rows(self._current(scope.namespaces, view.taken))
        count, known = len(view.nums), len(self._data["num"])
        unseen = int(self._data["num"][-1]) + 1 - len(view.row_of)
        row_of = joined(view.row_of, np.full(max(unseen, 0), -1, np.int64))
        row_of[nums] = np.arange(count, count + len(nums))
        grown: dict[str, Any] = {}
        for name in (one.name for one in fields(Columns)):
            old: NDArray[Any] | None = getattr(view.columns, name)
            new: NDArray[Any] | None = getattr(columns, name)
            grown[name] = None if old is None or new is None else joined(old, new)
        session = joined(view.session, session)
        linked = view.columns.linked
        if linked is None or len(linked) or (session[count:] >= 0).any():
            for name in ("previous", "following"):  # a copy: an old view may be in use
                grown[name] = grown[name].copy()
                grown[name][count:][grown[name][count:] >= 0] += count
            if not _linked(grown, session, count):
                return None
            either = (grown["previous"] >= 0) | (grown["following"] >= 0)
            grown["linked"] = np.flatnonzero(either)
        nums = joined(view.nums, nums)
        return View(nums, row_of, Columns(**grown), session, known, view.lineage)

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
        nums, columns, session = self._rows(found)
        known = self._data["num"]
        row_of = np.full(int(known[-1]) + 1 if len(known) else 1, -1, np.int64)
        row_of[nums] = np.arange(len(nums))
        self._lineages += 1
        return View(nums, row_of, columns, session, len(known), self._lineages)

    def _rows(self, found: Ints) -> tuple[Ints, Columns, NDArray[np.int32]]:
        """Nums, columns and sessions of the versions at some positions."""
        data = self._data
        occurred, session = data["occurred_at"][found], data["session"][found]
        previous, following = _neighbours(session, occurred, data["memory"][found])
        speaker = data["speaker"][found]
        assistants = np.array([*self._assistants, False])  # the last stands for speaker -1
        columns = Columns(
            length=data["length"][found],
            previous=previous,
            following=following,
            speaker=speaker,
            assistant=assistants[speaker],
            asking=data["asking"][found],
            traits=data["traits"][found],
            occurred_at=occurred,
            linked=np.flatnonzero((previous >= 0) | (following >= 0)),
        )
        return data["num"][found], columns, session


def joined(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
    """Both in one array, which keeps room: what is added later is written behind it.

    Whoever still holds ``old`` sees no change. Only the newest of a line may be added to.
    """
    needed = len(old) + len(new)
    room = old.base
    ours = isinstance(room, np.ndarray) and room.ndim == 1 and room.ctypes.data == old.ctypes.data
    if not ours or room is None or len(room) < needed:
        room = np.empty(needed + needed // 8 + _ROOM, old.dtype)
        room[: len(old)] = old
    room[len(old) : needed] = new
    return room[:needed]


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
