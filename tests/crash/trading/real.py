"""Real processes: a bot on a real vault, a venue of its own process, SIGKILL and SIGSTOP.

A bot is killed at a numbered step of its journal or of its calls, by a failing disk's side, or by
the venue itself in the middle of a request. Others follow it on the same vault; then the venue's
ledger is compared with the journal.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Self

import msgspec
from crash.processes import child, received, scratch
from crash.trading.bot import LIMIT, Bot
from crash.trading.crashing import Crash, CrashWire
from crash.trading.judging import Verdict, judge
from crash.trading.simulator import KINDS

from haulout import Vault
from haulout.errors import ActionRefusedError, ConflictError, HauloutError, VaultError
from haulout.state.acting import Actor
from haulout.state.events import Kind
from haulout.state.refs import Class, Rules
from haulout.state.state import State
from haulout.state.venue import Seen
from haulout.testing.disks import Call, Disk, FailingDisk, mounted
from haulout.testing.venue.adapter import Adapter
from haulout.testing.venue.client import HttpWire
from haulout.testing.venue.process import LoopbackVenue
from haulout.testing.venue.shown import Shown, seen
from haulout.vault.opening import World

STATE = "bots/btc"
_TICK_S = 0.01
_TICKS = 12
_SETTLE_S = 0.05
_LEASE_S = 0.6
_POINTS = 110
"""So many steps a bot passes where nothing goes wrong."""
_PATIENCE_S = 60.0
_TAKEOVER_S = 3.0
_DAMAGED = 5000
"""One byte of so many is flipped."""
_SYMBOLS = 40
"""Runs at one venue: each has a symbol of its own."""


class Life(NamedTuple):
    """One process of the bot.

    Attributes:
        at: the step at which it ends, 0 for none; stops: it is stopped there, and not killed.
        disk: ``sync``, ``full``, ``hang`` or nothing: what goes wrong at its ``disk_at``-th call.
        step_s: its clock beside the venue's; lease: under which name, if any.
        schema: of its documents; stream: whether it listens to the user stream.
    """

    at: int = 0
    stops: bool = False
    disk: str = ""
    disk_at: int = 1
    step_s: float = 0.0
    lease: str = ""
    schema: int = 1
    stream: bool = False


class Cell(NamedTuple):
    """One run.

    Attributes:
        name: letter and words; kind: of the venue; lives: one after the other.
        faults: of the venue; between: what happens after the first life.
        backup: the vault is put back to what it was after the first life, before the last.
        split: the last life runs while the first is stopped.
    """

    name: str
    kind: Class
    lives: tuple[Life, ...]
    faults: tuple[dict[str, Any], ...] = ()
    between: str = ""
    backup: bool = False
    split: bool = False


# ---------------------------------------------------------------------- the bot's process


class PointedTape:
    """A tape with the points of `Crash` around its transactions; tells what was acknowledged."""

    def __init__(self, tape: Any, crash: Crash, tell: Callable[[Any], None]) -> None:
        self._tape, self._crash, self._tell = tape, crash, tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tape, name)

    def transact(self, decide: Any, *, patience: float | None = None) -> Any:
        self._crash.point("before a transaction")
        intents: list[bytes] = []

        def staged(book: Any, past: Any) -> Any:
            events, answer = decide(book, past)
            if events:
                self._crash.point(f"in the commit of {Kind(events[0].kind).name.lower()}")
            intents.extend(
                one.body["id"]
                for one in events
                if one.kind == Kind.INTENT and "adopted" not in one.body
            )
            return events, answer

        answer = self._tape.transact(staged, patience=patience)
        self._crash.point("after a commit")
        for one in intents:
            self._tell(("intent", one))
        return answer


class _HangingDisk(Disk):
    """Lets one sync take longer than anybody waits."""

    def __init__(self, at: int) -> None:
        self._left = at

    def before(self, call: Call) -> None:
        if call.kind == "sync" and "state.db" in call.path:
            self._left -= 1
            if self._left == 0:
                time.sleep(1.0)


def _disk(life: Life) -> Disk | None:
    if life.disk == "sync":
        return FailingDisk({"sync"}, life.disk_at, errno.EIO)
    if life.disk == "full":
        return FailingDisk({"write"}, life.disk_at, errno.ENOSPC, forever=True)
    return _HangingDisk(life.disk_at) if life.disk == "hang" else None


def live(
    connection: Connection, folder: Path, url: str, kind: Class, symbol: str, life: Life
) -> None:
    """A process of the bot, to its end."""
    ends = signal.SIGSTOP if life.stops else signal.SIGKILL

    def end() -> None:
        connection.send(("step", crash.passed[-1]))
        os.kill(os.getpid(), ends)

    crash = Crash(life.at, end)
    disk = _disk(life)
    beneath: AbstractContextManager[str | None] = nullcontext(None)
    if disk is not None:
        beneath = mounted(disk, folder)
    with ExitStack() as stack:
        world = World(vfs=stack.enter_context(beneath))
        try:
            vault = stack.enter_context(Vault.open(folder, embedder="none", world=world))
            own = vault.state(STATE)
        except HauloutError as error:
            connection.send(("refused", str(error)))
            return
        state = State(
            PointedTape(own.tape, crash, connection.send), entropy=own.entropy, patience=0.3,
            now=lambda: time.time_ns() // 1000 + round(life.step_s * 1e6),
        )  # fmt: skip
        bot = _bot(state, url, kind, symbol, crash, life, stack)
        try:
            if life.lease:
                _leased(bot, life.lease)
            else:
                bot.live(_TICKS, _TICK_S)
        except (ActionRefusedError, ConflictError):
            pass
        connection.send(("ended", None))


def _bot(
    state: State, url: str, kind: Class, symbol: str, crash: Crash, life: Life, stack: ExitStack
) -> Bot:
    wire: Any = CrashWire(HttpWire(url, 1.0), crash)
    venue = Adapter(wire, _rules(kind), "loopback")
    heard: Callable[[], list[Seen]] = list
    if life.stream:
        heard = stack.enter_context(_Listening(url, _rules(kind)))

    def phase(name: str) -> None:
        crash.phase = name

    return Bot(
        state, Actor(state, venue, sleep=time.sleep), time.sleep, heard=heard, symbol=symbol,
        schema=life.schema, phase=phase,
    )  # fmt: skip


def _rules(kind: Class) -> Rules:
    return Rules(kind, "hex", "client", settle_s=_SETTLE_S)


def _leased(bot: Bot, holder: str) -> None:
    held = bot.state.lease(holder, _LEASE_S)
    for _ in range(_TICKS):
        bot.live(1, _TICK_S)
        held.renew()


class _Listening:
    """The user stream, read whenever the bot asks."""

    def __init__(self, url: str, rules: Rules) -> None:
        from websockets.sync.client import connect

        self._socket = connect(url.replace("http", "ws") + "/stream")
        self._rules = rules

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def __call__(self) -> list[Seen]:
        reports: list[Seen] = []
        try:
            while True:
                told = msgspec.json.decode(self._socket.recv(timeout=0.02))
                reports.append(seen(msgspec.convert(told["order"], Shown), self._rules))
        except TimeoutError:
            return reports


# ---------------------------------------------------------------------- running a cell


class Place:
    """A venue and a vault to copy, for many runs one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._runs = 0
        self._behind_s = 0.0
        Vault.create(folder / "template", embedder="none")[0].close()
        prices = {f"BTC/U{number:03d}": "100" for number in range(_SYMBOLS)}
        balances = {f"U{number:03d}": "1000000" for number in range(_SYMBOLS)}
        self.venue = self._stack.enter_context(
            LoopbackVenue("C", prices=prices, balances={**balances, "BTC": "1000"})
        )

    def close(self) -> None:
        """Stop the venue."""
        self._stack.close()

    @property
    def is_full(self) -> bool:
        """Whether every symbol has had its run."""
        return self._runs >= _SYMBOLS

    def run(self, cell: Cell) -> tuple[Verdict, str]:
        """Run a cell; also say at which step the first life ended."""
        symbol = f"BTC/U{self._runs:03d}"
        self._runs += 1
        folder = self._folder / f"run{self._runs}"
        shutil.copytree(self._folder / "template", folder)
        with Vault.open(folder, embedder="none") as vault:
            vault.state(STATE).limit("BTC/held", LIMIT, by_owner=True)
        self.venue.clear()
        self.venue.settings(kind=cell.kind)
        for fault in cell.faults:
            self.venue.fault(**fault)
        run = _Run(self, cell, folder, symbol)
        run.lives()
        self.venue.clear()
        verdict = run.judged()
        shutil.rmtree(folder)
        verdict.wrong = [f"{cell.name}, {cell.kind}, {cell.lives}: {one}" for one in verdict.wrong]
        return verdict, run.step

    def pass_time(self, seconds: float) -> None:
        """Let time pass at the venue, and for the bots that come."""
        self.venue.advance(seconds)
        self._behind_s += seconds

    @property
    def behind_s(self) -> float:
        """How far the venue's clock is before the machine's."""
        return self._behind_s


class _Run:
    """One run of a cell."""

    def __init__(self, place: Place, cell: Cell, folder: Path, symbol: str) -> None:
        self._place, self._cell, self._folder, self._symbol = place, cell, folder, symbol
        self.step = "nowhere"
        self._acknowledged: list[bytes] = []
        self._refusals: list[str] = []
        self._may_refuse = cell.between == "damage" or any(one.disk for one in cell.lives)

    def _child(self, life: Life) -> Any:
        life = life._replace(step_s=life.step_s + self._place.behind_s)
        return child(live, self._folder, self._place.venue.url, self._cell.kind, self._symbol, life)

    def _hear(self, connection: Connection, process: BaseProcess, *, first: bool) -> None:
        """Hear a process out; one that takes too long is killed, and that is a failure."""
        watch = threading.Timer(_PATIENCE_S, self._give_up, (process,))
        watch.start()
        try:
            self._heard(connection, first)
        finally:
            watch.cancel()
            watch.join()
        process.join()

    def _give_up(self, process: BaseProcess) -> None:
        self._refusals.append(f"it hung for {_PATIENCE_S} seconds")
        process.kill()

    def _heard(self, connection: Connection, first: bool) -> None:  # noqa: FBT001
        for what, told in received(connection):
            if what == "refused" and not self._may_refuse:
                self._refusals.append(told)
            elif what == "intent":
                self._acknowledged.append(told)
            elif what == "step" and first:
                self.step = told

    def lives(self) -> None:
        """One life after the other, with what happens between."""
        if self._cell.split:
            self._split()
            return
        backup = self._folder.with_name("backup")
        for number, life in enumerate(self._cell.lives):
            if self._cell.backup and number == len(self._cell.lives) - 1:
                shutil.rmtree(self._folder)
                backup.rename(self._folder)
            with self._child(life) as (process, connection):
                self._hear(connection, process, first=number == 0)
            if number == 0:
                if self._cell.backup:
                    shutil.copytree(self._folder, backup)
                self._between()

    def _between(self) -> None:
        venue, what = self._place.venue, self._cell.between
        if what in {"buy", "sell"}:
            venue.trade(self._symbol, what, 1)
        elif what in {"cancel", "fill"}:
            for order in venue.open(self._symbol):
                venue.fill(order) if what == "fill" else venue.cancel(order)
        elif what == "damage":
            for path in (self._folder / "state.db", self._folder / "state.db-wal"):
                if path.exists() and (data := bytearray(path.read_bytes())):
                    for place in range(_DAMAGED, len(data), _DAMAGED):
                        data[place] ^= 1
                    path.write_bytes(bytes(data))
        elif what == "a day":
            self._place.pass_time(20 * 3600)

    def _split(self) -> None:
        first, second = self._cell.lives
        with self._child(first) as (process, connection):
            end = time.monotonic() + _PATIENCE_S
            while process.is_alive() and not _is_stopped(process.pid):
                assert time.monotonic() < end, "the bot neither stopped nor ended"
                time.sleep(0.005)
            if process.is_alive():
                time.sleep(_LEASE_S)  # until its lease has run out
                with self._child(second) as (other, line):
                    # Stopped within a commit, the first has the database: the other waits for it.
                    other.join(_TAKEOVER_S)
                    os.kill(process.pid, signal.SIGCONT)
                    self._hear(line, other, first=False)
            self._hear(connection, process, first=True)
        time.sleep(_LEASE_S)  # the judge needs no lease

    def judged(self) -> Verdict:
        """Recover once more, with everything healthy, and compare."""
        entries = [one for one in self._place.venue.ledger() if one.symbol == self._symbol]
        rewound = self._cell.backup or self._cell.between == "damage"
        try:
            with Vault.open(self._folder, embedder="none") as vault:
                now = self._place.venue.now
                state = vault.state(STATE, now=now)
                venue = self._place.venue.client(rules=_rules(self._cell.kind))
                Actor(state, venue).recover()
                verdict = judge(entries, state, () if rewound else self._acknowledged)
        except VaultError as error:
            verdict = judge(entries, None)
            if self._cell.between != "damage":
                self._refusals.append(str(error))
        verdict.lost += len(self._refusals)
        verdict.wrong += [f"it does not start: {one}" for one in self._refusals]
        return verdict


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except (FileNotFoundError, IndexError):
        return False


# ---------------------------------------------------------------------- which cells


def _two(at: int, **more: Any) -> tuple[Life, ...]:
    return Life(at=at), Life(**more)


def _kinds_of_cell(random: Random) -> Iterator[Callable[[Class, int], Cell]]:
    """Every real situation, once each."""
    skip = random.randrange(4)

    def met(name: str, *points: dict[str, Any], between: str = "", **more: Any) -> Any:
        return lambda kind, at: Cell(name, kind, _two(at, **more), points, between)

    yield met("F1 cut before accept", {"point": "cut_before_accept", "skip": skip})
    yield met("F2 cut after accept", {"point": "cut_after_accept", "skip": skip, "count": 2})
    yield met("F2 5xx after accept", {"point": "error_after_accept", "skip": skip})
    yield met("F2 half an answer", {"point": "garbage_after_accept", "skip": skip})
    yield met("F2 hung", {"point": "hang_after_accept", "skip": skip, "seconds": 2})
    yield met("F4 SIGKILL")
    yield met("F4 SIGKILL")
    yield lambda kind, at: Cell("F4 SIGKILL, twice", kind, (Life(at), Life(at // 3 + 1), Life()))
    yield lambda kind, _at: Cell(
        "F4 killed by the venue, accepted", kind, (Life(), Life()),
        ({"point": "kill_after_accept", "skip": skip},),
    )  # fmt: skip
    yield lambda kind, _at: Cell(
        "F4 killed by the venue, not accepted", kind, (Life(), Life()),
        ({"point": "kill_before_accept", "skip": skip},),
    )  # fmt: skip
    for how in ("sync", "full", "hang"):
        yield lambda kind, at, how=how: Cell(
            "F7 the disk hangs" if how == "hang" else f"F6 {how}",
            kind, (Life(disk=how, disk_at=8 + at // 3), Life()),
        )  # fmt: skip
    yield met("F7 a damaged page", between="damage")
    yield lambda kind, at: Cell(
        "F8 a stale replica", kind, (Life(at), Life(at // 2 + 4), Life()), backup=True
    )
    yield lambda kind, at: Cell(
        "F9 split brain", kind, (Life(at, stops=True, lease="first"), Life(lease="second")),
        split=True,
    )  # fmt: skip
    for step in (3600.0, -3600.0):
        yield met("F10 a clock step", step_s=step)
    yield lambda kind, at: Cell(
        "F11 reports twice, out of order, missing", kind,
        (Life(at, stream=True), Life(stream=True)),
        (
            {"point": "duplicate_report", "on": "report", "count": -1, "chance": 30},
            {"point": "reorder_report", "count": -1, "chance": 30},
            {"point": "drop_report", "count": -1, "chance": 20},
        ),
    )  # fmt: skip
    half = {"point": "partial_fill", "skip": skip}
    cut = {"point": "cut_after_accept", "skip": skip}
    yield met("F12 filled by half, cut, taken back", half, cut, between="cancel")
    yield met("F12 filled by half, cut, filled", half, cut, between="fill")
    yield met("F13 sold by hand", between="sell")
    yield met("F13 orders taken back by hand", between="cancel")
    yield met("F14 a later schema", schema=2)
    yield met("F15 a cancellation done, cut", {"point": "cut_after_accept", "on": "cancel"})
    yield met("F15 an edit done, cut", {"point": "cut_after_accept", "on": "replace"})
    yield lambda kind, at: Cell(
        "F16 yesterday's backup", kind, (Life(at), Life(at // 2 + 4), Life()), between="a day",
        backup=True,
    )  # fmt: skip


def cells(count: int, seed: int = 0) -> list[Cell]:
    """So many cells: situations and classes in turn, the steps drawn."""
    random, found, rounds = Random(seed), list[Cell](), 0
    while len(found) < count:
        for number, make in enumerate(_kinds_of_cell(random)):
            kind = KINDS[(number + rounds) % len(KINDS)]
            found.append(make(kind, random.randrange(1, _POINTS)))
        rounds += 1
    return found[:count]


def declared(cell: Cell, step: str) -> str:
    """Why a run is not held; empty where it is."""
    if cell.split and step in {"before sending", "before replacing", "before cancelling"}:
        return "stopped between the last check of its lease and the wire"
    return ""


def run(cells: Sequence[Cell]) -> tuple[dict[tuple[str, Class], Verdict], Verdict, Counter[str]]:
    """Run cells: verdicts by letter and class, what is declared, and where first lives ended."""
    held: dict[tuple[str, Class], Verdict] = {}
    let_go, steps = Verdict(), Counter[str]()
    left = list(cells)
    while left:
        with scratch() as folder:
            place = Place(folder)
            try:
                while left and not place.is_full:
                    cell = left.pop()
                    verdict, step = place.run(cell)
                    steps[step] += 1
                    if declared(cell, step):
                        let_go += verdict
                    else:
                        letter = cell.name.split(" ", 1)[0]
                        held.setdefault((letter, cell.kind), Verdict())
                        held[letter, cell.kind] += verdict
            finally:
                place.close()
    return held, let_go, steps
