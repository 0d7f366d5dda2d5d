"""Every state a power cut may leave, made from a recording of what a program did to its disk.

What a disk holds after the cut, for a recording of writes, syncs and changes of names:

- data of a file that was synced before the cut is there, whole;
- of the writes and truncates after a file's last sync any subset may have reached the disk, in
  any order (a later one without an earlier one), and each write may be torn: some of its
  512-byte sectors are new, the others as before. A file may have grown without its data: the
  gap reads as zeros;
- a name that was made, replaced or removed is durable once its folder was synced. Of the
  changes to a folder after that, the first few may be durable: journalling file systems commit
  them in order. A file whose name did not make it is gone, however well its data was synced.

The last rule matters as much as the first: a model that keeps removed journals for ever, or
makes every new file durable at once, reports damage that no disk can do and misses some that
it can.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from haulout.testing.disks import Call, Mark

SECTOR_BYTES = 512
_FATES = ("nothing", "everything", *["some"] * 4, *["first"] * 3)
_TORN = 0.2
_SIZE_WITHOUT_DATA = 0.2


class PowerCut(NamedTuple):
    """One state of the disk after a cut.

    Attributes:
        at: how many events came before the cut.
        marks: what the program had noted by then, such as its acknowledgements.
        files: path -> content of every file that is there.
    """

    at: int
    marks: tuple[Any, ...]
    files: dict[str, bytes]

    def write_to(self, folder: Path, root: Path) -> None:
        """Lay the files that were under ``root`` out under ``folder``."""
        for name, content in self.files.items():
            target = folder / Path(name).relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


class _Body:
    """A file's content: what is durable, and the changes that are not yet."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[Call] = []

    def sync(self) -> None:
        for call in self.pending:
            _apply(self.durable, call)
        self.pending.clear()

    def after_cut(self, random: Random) -> bytes:
        """The content after a cut: the durable part and some of the rest."""
        content = bytearray(self.durable)
        if not self.pending:
            return bytes(content)
        for call in _surviving(self.pending, random):
            _apply(content, call)
        if random.random() < _SIZE_WITHOUT_DATA:
            whole = bytearray(self.durable)
            for call in self.pending:
                _apply(whole, call)
            content.extend(bytes(max(0, len(whole) - len(content))))
        return bytes(content)


def _surviving(pending: Sequence[Call], random: Random) -> list[Call]:
    """The unsynced changes that reached the disk, whole or torn."""
    match random.choice(_FATES):
        case "nothing":
            return []
        case "everything":
            return list(pending)
        case "some":
            share = random.random()
            kept = [call for call in pending if random.random() < share]
            return [
                part
                for call in kept
                for part in (_torn(call, random) if random.random() < _TORN else [call])
            ]
        case _:
            end = random.randrange(len(pending))
            return [*pending[:end], *_torn(pending[end], random)]


def _torn(call: Call, random: Random) -> list[Call]:
    """Some sectors of a write; a truncate is done or not."""
    if call.kind == "truncate":
        return [call] if random.choice((True, False)) else []
    share = random.random()
    return [
        call._replace(offset=call.offset + start, data=call.data[start : start + SECTOR_BYTES])
        for start in range(0, len(call.data), SECTOR_BYTES)
        if random.random() < share
    ]


def _apply(content: bytearray, call: Call) -> None:
    if call.kind == "truncate":
        del content[call.offset :]
    content.extend(bytes(max(0, call.offset - len(content))))
    if call.kind == "write":
        content[call.offset : call.offset + len(call.data)] = call.data


_Names = dict[str, _Body]


class _Machine:
    """A disk being replayed: names and contents as programs see them, and as they would stay."""

    def __init__(self) -> None:
        self._live: _Names = {}
        self._durable: _Names = {}
        self._changes: list[tuple[str, Call, _Body | None]] = []  # (folder, call, file)

    def carry_out(self, call: Call) -> None:
        if call.kind == "open":
            body = self._live[call.path] = _Body()
            self._changes.append((_folder(call.path), call, body))
        elif call.kind == "rename":
            body = self._live.pop(call.path)
            self._live[call.target] = body
            self._changes.append((_folder(call.target), call, body))
        elif call.kind == "delete":
            self._live.pop(call.path, None)
            self._changes.append((_folder(call.path), call, None))
            if call.durable:
                self._sync_folder(_folder(call.path))
        elif call.kind != "sync":
            self._live[call.path].pending.append(call)
        elif call.path in self._live:
            self._live[call.path].sync()
        else:
            self._sync_folder(call.path)

    def _sync_folder(self, folder: str) -> None:
        for place, call, body in self._changes:
            if place == folder:
                _rename(self._durable, call, body)
        self._changes = [change for change in self._changes if change[0] != folder]

    def after_cut(self, random: Random) -> dict[str, bytes]:
        """The files that are there after a cut."""
        names = dict(self._durable)
        for folder in sorted({change[0] for change in self._changes}):
            changes = [change for change in self._changes if change[0] == folder]
            for _, call, body in changes[: random.randint(0, len(changes))]:
                _rename(names, call, body)
        bodies = {id(body): body.after_cut(random) for body in names.values()}
        return {name: bodies[id(body)] for name, body in names.items()}


def _folder(path: str) -> str:
    return str(Path(path).parent)


def _rename(names: _Names, call: Call, body: _Body | None) -> None:
    """Carry a change of names out in one of the two tables."""
    if call.kind in {"delete", "rename"}:
        names.pop(call.path, None)
    if body is not None:
        names[call.target or call.path] = body


def power_cuts(
    events: Sequence[Call | Mark], random: Random, states: int, *, after: int = 0
) -> Iterator[PowerCut]:
    """States of the disk after cuts at random places, in the order of the places.

    Args:
        events: what a `RecordingDisk` kept, from when its folder was empty.
        random: chooses; the same seed gives the same states.
        states: how many; ``after``: no cut before so many events.
    """
    places = sorted(random.randint(after, len(events)) for _ in range(states))
    machine, marks, done = _Machine(), list[Any](), 0
    for place in places:
        for event in events[done:place]:
            if isinstance(event, Mark):
                marks.append(event.value)
            else:
                machine.carry_out(event)
        done = max(done, place)
        yield PowerCut(place, tuple(marks), machine.after_cut(random))
