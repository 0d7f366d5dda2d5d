"""Acting: reserve, act, settle, in that order, and what is done where one of them fails.

reserve fails           an entry is refused; an exit is sent all the same, and flagged
sent, no answer         looked up before anything else (haulout.state.resolving)
proven absent           sent again, under the same ID
the process dies        `recover` asks after everything that was reserved
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from haulout.errors import (
    ActionRefusedError,
    HauloutError,
    OutcomeUnknownError,
    StorageError,
    VaultClosedError,
    VenueRefusedError,
)
from haulout.state.intents import Intent, Role
from haulout.state.recovery import Recovery, recover
from haulout.state.resolving import Resolver

if TYPE_CHECKING:
    from haulout.state.state import State
    from haulout.state.venue import Seen, Venue

Same = Callable[[Intent, Intent], bool]
_NO_MEMORY = (StorageError, VaultClosedError)


class Acted(NamedTuple):
    """What an action came to.

    Attributes:
        intent: as it stands; seen: the venue's answer, where one came now.
        repeated: it was done before, and nothing was sent.
        journaled: False for an exit that was sent while the disk refused to write it down.
    """

    intent: Intent
    seen: Seen | None = None
    repeated: bool = False
    journaled: bool = True


class Actor(Resolver):
    """Acts for one state at one venue.

    Args:
        state: the journal; venue: who carries actions out.
        sleep: waits so many seconds; a backtest's moves its clock instead.
        attempts: how often one intent is sent, each time proven not to have arrived before.
        needs_recovery: entries wait for a `recover` where the state has a past.
        same: whether an earlier intent, of unknown outcome and found done, is what is wanted now.
    """

    def __init__(
        self,
        state: State,
        venue: Venue,
        *,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = 2,
        needs_recovery: bool = True,
        same: Same = Intent.says_the_same,
    ) -> None:
        super().__init__(state, venue, sleep)
        self._attempts, self._same = attempts, same
        self._recovery: Recovery | None = None
        self._needs_recovery = needs_recovery
        self.unjournaled: list[Intent] = []
        """Exits that were sent and are not written down yet."""

    # ------------------------------------------------------------------ recovery

    def recover(
        self,
        *,
        believed: Mapping[str, str] | None = None,
        max_age: timedelta | None = None,
        confirmed: bool = False,
    ) -> Recovery:
        """Find out where the agent stands, before its first action; see `recovery.recover`."""
        self._recovery = recover(self, believed=believed, max_age=max_age, confirmed=confirmed)
        return self._recovery

    def _require_recovery(self) -> None:
        if not self._needs_recovery:
            return
        if self._recovery is None:
            if self.state.tape.read(lambda book, _past: book.events) <= 1:  # its tag
                self._needs_recovery = False
                return
            message = f"{self.state.name} has a past: no entry before `recover`."
            raise ActionRefusedError(message, hint="Call recover(), and read its report.")
        if not self._recovery.ready:
            message = f"The recovery of {self.state.name} allows no entries yet."
            raise ActionRefusedError(message, hint="; ".join(self._recovery.reasons))

    # ------------------------------------------------------------------ acting

    def act(
        self,
        action: str,
        payload: Any = None,
        *,
        key: str | None = None,
        role: Role = "entry",
        target: str = "",
        cost: Mapping[str, Any] | None = None,
        holds: Sequence[str] = (),
        closes: Sequence[str | bytes] = (),
    ) -> Acted:
        """Do something once. Arguments as for `State.reserve`.

        Raises:
            ActionRefusedError: nothing was sent, and why; an entry also where the disk fails.
            VenueRefusedError: the venue refused it for good.
            OutcomeUnknownError: it may have happened; the next `act` or `recover` asks again.
        """
        wanted = self.state.intended(
            action, payload, key=key, role=role, target=target, cost=cost, holds=holds,
            closes=closes,
        )  # fmt: skip
        return self.act_on(wanted)

    def act_on(self, wanted: Intent) -> Acted:
        """Do what a prepared intent says. Raises as `act`."""
        if wanted.role == "entry":
            self._require_recovery()
        try:
            self._write_down_late()
            done = self._done_before(wanted)
            if done is not None:
                return Acted(done, repeated=True)
            reserved = self.state.reserve_intent(wanted)
        except _NO_MEMORY as error:
            return self._without_memory(wanted, error)
        if not reserved.fresh:
            return self._again(reserved.intent)
        return self._send(reserved.intent, self._attempts)

    def _done_before(self, wanted: Intent) -> Intent | None:
        """Settle what is unknown on the same target; the one of them that is wanted now."""
        pending = self.state.tape.read(
            lambda book, _past: book.pending_on(wanted.target, wanted.role)
        )
        for one in pending:
            try:
                after = self.resolve(one)
            except OutcomeUnknownError:
                if wanted.role == "entry":
                    raise
                continue
            if after.status == "absent":
                self.state.settle(one, "dropped", why="it never arrived")
                continue
            happened = after.status in {"accepted", "done"}
            if happened and wanted.key in {None, one.key} and self._same(one, wanted):
                return after
        return None

    def _again(self, intent: Intent) -> Acted:
        """The key decided this before: it is not sent twice."""
        if intent.is_unsettled:
            intent = self.resolve(intent, resend=True)
        if intent.status == "absent":
            return self._resend(intent, self._attempts)
        return Acted(intent, repeated=True)

    def _send(self, intent: Intent, attempts: int) -> Acted:
        if not self.state.may_send:
            self.state.settle(intent, "dropped", why="the lease ran out before it was sent")
            message = f"{intent.action} was not sent: the lease ran out."
            raise ActionRefusedError(message, hint="Take the lease anew, recover, then go on.")
        try:
            seen = self.venue.submit(intent)
        except VenueRefusedError as error:
            self.state.settle(intent, "refused", why=error.message)
            raise
        except OutcomeUnknownError as error:
            with suppress(*_NO_MEMORY):  # it is reserved, which says as little
                self.state.settle(intent, "unknown", why=error.message)
            after = self.resolve(intent, resend=True)
            if after.status == "absent":
                return self._resend(after, attempts - 1)
            if after.status == "refused":
                raise VenueRefusedError(after.why or error.message) from error
            return Acted(after)
        try:
            return Acted(self.note(intent, seen), seen)
        except _NO_MEMORY:  # it was done; the journal has it as reserved, and asks again
            return Acted(intent, seen, journaled=False)

    def _resend(self, intent: Intent, attempts: int) -> Acted:
        if attempts < 1:
            self.state.settle(intent, "dropped", why="it did not arrive, as often as it was sent")
            message = f"{intent.action} did not reach {self.venue.name}; nothing was done."
            raise ActionRefusedError(message, hint="Decide anew, with a new key.")
        # Durable before it is sent again: a crash from here on finds it unknown once more.
        self.state.settle(intent, "unknown", why="sent again")
        return self._send(intent, attempts)

    # ------------------------------------------------------------------ while memory is down

    def _without_memory(self, wanted: Intent, error: HauloutError) -> Acted:
        if wanted.role == "entry":
            message = f"{wanted.action} is refused: it cannot be written down ({error.message})."
            raise ActionRefusedError(message, hint=error.hint) from error
        if not self.state.may_send:
            message = f"{wanted.action} was not sent: the lease ran out."
            raise ActionRefusedError(message)
        self.unjournaled.append(wanted)
        seen = self.venue.submit(wanted)
        return Acted(wanted, seen, journaled=False)

    def _write_down_late(self) -> None:
        """Write exits down that were sent while the disk refused; what became of them is asked."""
        while self.unjournaled:
            self.state.adopt(self.unjournaled[0], {"status": "unknown", "why": "sent unjournaled"})
            self.unjournaled.pop(0)
