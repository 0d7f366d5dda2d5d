"""Where a bot can die: every step of its journal and of its calls, numbered and named.

A `Crash` counts the points that are passed and ends the bot at one of them. `Disk` is what
survives; `DiskTape` writes to it, and `CrashWire` calls the venue, each with its points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from haulout.errors import DamagedError, HauloutError, StorageError, VaultClosedError
from haulout.state.events import Event, Kind
from haulout.state.tape import MemoryTape
from haulout.testing.venue.orders import Wanted
from haulout.testing.venue.shown import Listing, Shown
from haulout.testing.venue.simulated import SimulatedWire


class Killed(BaseException):
    """The process is gone; nothing of it runs any more, no handler either."""


class Crash:
    """Counts points, and does something at one.

    Args:
        at: the point's number, from 1; 0 for none.
        then: what happens there; by default the process is gone.
    """

    def __init__(self, at: int = 0, then: Callable[[], None] | None = None) -> None:
        self.at, self.then = at, then
        self.passed: list[str] = []
        self.phase = ""

    def point(self, name: str) -> None:
        """Pass a point."""
        self.passed.append(self.phase + name)
        if len(self.passed) == self.at:
            if self.then is None:
                raise Killed(name)
            self.then()


class Disk:
    """What a crash leaves: events, in order. It can refuse, hang, and forget.

    Attributes:
        refuses: which transactions (numbers from 1) fail, and how.
        synced: False for a disk that lies: the newest events are lost with the process.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refuses: dict[int, str] = {}
        self.synced = True
        self.writes = 0
        self.late: list[Any] = []
        """Decisions that wait for the disk: they are taken, in order, once it answers."""
        self.acknowledged: list[bytes] = []
        self.damaged = False
        self.latched = False

    def lose_the_unsynced(self, random: Any) -> None:
        """A power cut: what was never synced may be gone."""
        if not self.synced:
            del self.events[max(1, len(self.events) - random.randrange(6)) :]

    def reopen(self) -> None:
        """A new process opens it: of what waited in the last one, the first may have been written.

        Raises:
            DamagedError: what it holds cannot be read.
        """
        self.latched = False
        waiting, self.late = self.late[:1], []
        for decide in waiting:
            MemoryTape("bot", self.events).transact(self._keeping(decide))
        if self.damaged:
            raise DamagedError("A record of the lane is not what was written.")

    def _keeping(self, decide: Any) -> Any:
        def kept(book: Any, past: Any) -> Any:
            events, answer = decide(book, past)
            self.events += events
            return [], answer

        return kept

    def begin(self, decide: Any) -> None:
        """Begin a transaction, after all that waits.

        Raises:
            StorageError: the disk does not answer; it is carried out once it does.
        """
        if self.latched:
            raise VaultClosedError("The state takes nothing more after a failed write.")
        if self.refuses.get(self.writes + 1) == "hang":
            self.writes += 1
            self.late.append(decide)
            raise StorageError("The disk did not answer in time.")
        waiting, self.late = self.late, []
        for one in waiting:
            with suppress(HauloutError):  # whoever asked has gone
                MemoryTape("bot", self.events).transact(self._keeping(one))

    def write(self, events: Sequence[Event]) -> None:
        """Keep events, or not.

        Raises:
            StorageError: they are not kept.
        """
        if not events:
            return
        self.writes += 1
        how = self.refuses.get(self.writes)
        if how is not None:
            self.latched = how == "latch"
            raise StorageError("The disk refused.")
        self.events += events


class DiskTape(MemoryTape):
    """A tape of events on a `Disk`, which several processes may have open."""

    def __init__(self, name: str, disk: Disk, crash: Crash) -> None:
        super().__init__(name, disk.events)
        self._disk, self._crash = disk, crash

    def _refresh(self) -> None:
        for event in self._disk.events[len(self.events) :]:
            self._append(event)

    def transact(self, decide: Any, *, patience: float | None = None) -> Any:
        self._crash.point("before a transaction")
        self._disk.begin(decide)
        self._refresh()
        intents: list[bytes] = []

        def staged(book: Any, past: Any) -> Any:
            events, answer = decide(book, past)
            intents.extend(
                one.body["id"]
                for one in events
                if one.kind == Kind.INTENT and "adopted" not in one.body
            )
            if events:
                what = Kind(events[0].kind).name.lower()
                self._crash.point(f"in the commit of {what}")
            self._disk.write(events)
            return events, answer

        answer = super().transact(staged, patience=patience)
        self._crash.point("after a commit")
        self._disk.acknowledged += intents
        return answer

    def post(self, decide: Any) -> None:
        if self._disk.late:  # it stands behind what hangs
            self._disk.late.append(decide)
            return
        with suppress(StorageError):
            self.transact(decide)

    def read(self, look: Any) -> Any:
        self._refresh()
        return super().read(look)


class CrashWire:
    """A wire with points before a call, once the venue has accepted, and after its answer."""

    def __init__(self, wire: SimulatedWire, crash: Crash) -> None:
        self._wire, self._crash = wire, crash

    def _call(self, name: str, call: Callable[[], Any]) -> Any:
        self._crash.point(f"before {name}")
        try:
            answer = call()
        finally:
            self._crash.point(f"after {name}")
        return answer

    def _write(self, name: str, call: Callable[[], Any]) -> Any:
        self._wire.accepted = lambda: self._crash.point("after the accept, before the answer")
        return self._call(name, call)

    def place(self, wanted: Wanted) -> Shown:
        return self._write("sending", lambda: self._wire.place(wanted))

    def cancel(self, name: str) -> Shown:
        return self._write("cancelling", lambda: self._wire.cancel(name))

    def replace(self, name: str, wanted: Wanted) -> Shown:
        return self._write("replacing", lambda: self._wire.replace(name, wanted))

    def get(self, name: str) -> Shown | None:
        return self._call("looking up", lambda: self._wire.get(name))

    def orders(self, since: int) -> Listing:
        return self._call("listing", lambda: self._wire.orders(since))

    def positions(self) -> Mapping[str, str]:
        return self._call("asking for positions", self._wire.positions)
