"""Acting: reserve, act, settle, in that order, and what is done where one of them fails.

reserve fails           an entry is refused; an exit is sent all the same, and flagged
sent, no answer         looked up before anything else (haulout.state.resolving)
proven absent           sent again, under the same ID
the process dies        `recover` asks after everything that was reserved
"""

from __future__ import annotations

import threading
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
from haulout.state.resolving import Resolver, elsewhere

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
        self._told: dict[bytes, Seen] = {}  # what the venue answered to them
        self._late = threading.Lock()

    # ------------------------------------------------------------------ recovery

    def recover(
        self,
        *,
        believed: Mapping[str, str] | None = None,
        max_age: timedelta | None = None,
        confirmed: bool = False,
    ) -> Recovery:
        """Find out where the agent stands, before its first action; see `recovery.recover`.

        What was sent while the disk refused is written down first: otherwise the venue would
        seem to know more than the journal, as after an old backup.
        """
        with suppress(HauloutError):  # it refuses still: the recovery says so by itself
            self._write_down_late()
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
        try:
            with self.state.tape.way:
                wanted = self.state.intended(
                    action, payload, key=key, role=role, target=target, cost=cost, holds=holds,
                    closes=closes,
                )  # fmt: skip
        except _NO_MEMORY as error:  # an exit is prepared all the same
            raise _cannot_be_written(action, error) from error
        return self.act_on(wanted)

    def act_on(self, wanted: Intent) -> Acted:
        """Do what a prepared intent says. Raises as `act`."""
        # Held from before it is written down: whoever finds it reserved would look for it at the
        # venue, where it is not yet, and take it for lost.
        with self.state.tape.sending.turn(wanted.id):
            asked: set[bytes] = set()
            try:
                if wanted.role == "entry":
                    self._require_recovery()
                self._write_down_late()
                while True:
                    reserved = self.state.reserve_intent(wanted, asked=asked)
                    if not reserved.pending:
                        break
                    acted = self._look_up(reserved.pending[0], wanted)
                    if acted is not None:
                        return acted
                    asked.add(reserved.pending[0].id)
            except _NO_MEMORY as error:
                return self._without_memory(wanted, error)
            if not reserved.fresh:
                return self._again(reserved.intent)
            return self._send(reserved.intent, self._attempts)

    def _look_up(self, one: Intent, wanted: Intent) -> Acted | None:
        """Settle what is unknown on the same target; what was done, where it is what is wanted."""
        if self.state.tape.sending.elsewhere(one.id):
            return None  # `reserve` refuses an entry beside it
        # A key stands for one decision, and two without a key that say the same for one, too:
        # whoever got no answer asks again. Those of another key are others' decisions.
        same = wanted.key == one.key and self._same(one, wanted)
        try:
            after = self.resolve(one)
        except OutcomeUnknownError:
            if wanted.role == "entry":
                raise
            # In doubt an exit is sent, under its first ID: a venue may know it by that.
            return self._send_again(one) if same and one.says_the_same(wanted) else None
        if after.status == "absent":
            if same and one.says_the_same(wanted):
                return self._resend(after, self._attempts)
            self.state.settle(one, "dropped", why="it never arrived")
            return None
        return Acted(after, repeated=True) if same and _happened(after) else None

    def _again(self, intent: Intent) -> Acted:
        """The key decided this before: it is not sent twice.

        Raises:
            VenueRefusedError, ActionRefusedError: the answer was so the first time.
        """
        with self.state.tape.sending.turn(intent.id) as ours:
            if not ours:
                raise elsewhere(intent)
            intent = self.state.intent(intent.id)
            if intent.is_unsettled:
                try:
                    intent = self.resolve(intent, resend=True)
                except OutcomeUnknownError:
                    if intent.role == "entry":
                        raise
                    return self._send_again(intent)
            if intent.status == "absent":
                return self._resend(intent, self._attempts)
        if intent.status == "refused":
            raise VenueRefusedError(intent.why or f"{intent.action} was refused.")
        if intent.status == "dropped":
            message = f"{intent.action} was not sent under this key: {intent.why or 'dropped'}."
            raise ActionRefusedError(message, hint="Decide anew, with a new key.")
        return Acted(intent, repeated=True)

    def _send(self, intent: Intent, attempts: int, *, again: bool = False) -> Acted:
        if not self.state.may_send:
            with suppress(ActionRefusedError):  # whoever holds the lease says what becomes of it
                self.state.settle(intent, "dropped", why="the lease ran out before it was sent")
            message = f"{intent.action} was not sent: the lease ran out."
            raise ActionRefusedError(message, hint="Take the lease anew, recover, then go on.")
        try:
            seen = self.venue.submit(intent)
        except VenueRefusedError as error:
            return self._refused(intent, error, again=again)
        except OutcomeUnknownError as error:
            return self._unknown(intent, error, attempts)
        try:
            return Acted(self.note(intent, seen), seen)
        except _NO_MEMORY:  # it was done; the journal has it as reserved, and asks again
            return Acted(intent, seen, journaled=False)

    def _refused(self, intent: Intent, error: VenueRefusedError, *, again: bool) -> Acted:
        """A refusal; of a second sending it may say that the first arrived after all."""
        try:
            if again:
                after = self.resolve(intent)
                if after.status not in {"absent", "refused"}:
                    return Acted(after)
            self.state.settle(intent, "refused", why=error.message)
        except _NO_MEMORY:
            raise error from None  # reserved says as little, and is asked after
        raise error

    def _unknown(self, intent: Intent, error: OutcomeUnknownError, attempts: int) -> Acted:
        with suppress(*_NO_MEMORY):  # it is reserved, which says as little
            self.state.settle(intent, "unknown", why=error.message[:1000])
        try:
            after = self.resolve(intent, resend=True)
            if after.status == "absent":
                return self._resend(after, attempts - 1)
        except _NO_MEMORY as lost:
            message = f"{error.message} What became of it cannot be written down ({lost.message})"
            raise OutcomeUnknownError(message) from lost
        if after.status == "refused":
            raise VenueRefusedError(after.why or error.message) from error
        return Acted(after)

    def _resend(self, intent: Intent, attempts: int) -> Acted:
        """Send what is proven absent, under its ID, unless something forbids it by now."""
        if attempts < 1:
            self.state.settle(intent, "dropped", why="it did not arrive, as often as it was sent")
            message = f"{intent.action} did not reach {self.venue.name}; nothing was done."
            raise ActionRefusedError(message, hint="Decide anew, with a new key.")
        return self._send_again(intent, attempts)

    def _send_again(self, intent: Intent, attempts: int = 1) -> Acted:
        # Durable before it is sent again: a crash from here on finds it unknown once more.
        with self.state.tape.sending.turn(intent.id) as ours:
            if not ours:
                raise elsewhere(intent)
            reasons = self.state.send_again(intent)
            if reasons:
                message = f"{intent.action} is not sent again: {'; '.join(reasons)}."
                raise ActionRefusedError(message)
            return self._send(intent, attempts, again=True)

    # ------------------------------------------------------------------ while memory is down

    def _without_memory(self, wanted: Intent, error: HauloutError) -> Acted:
        if wanted.role == "entry":
            raise _cannot_be_written(wanted.action, error) from error
        if not self.state.may_send:
            message = f"{wanted.action} was not sent: the lease ran out."
            raise ActionRefusedError(message)
        before = self._sent_unjournaled(wanted)
        if before is not None:
            with suppress(OutcomeUnknownError):  # in doubt it is sent, under its first ID
                seen = self._look(before)
                if seen is not None:
                    self._told[before.id] = seen
                    return Acted(before, seen, repeated=True, journaled=False)
            wanted = before
        else:
            self.unjournaled.append(wanted)
        try:
            seen = self.venue.submit(wanted)
        except VenueRefusedError:
            if before is None:
                self.unjournaled.remove(wanted)
            raise
        self._told[wanted.id] = seen
        return Acted(wanted, seen, journaled=False)

    def _sent_unjournaled(self, wanted: Intent) -> Intent | None:
        for one in self.unjournaled:
            if one.id == wanted.id or (one.key == wanted.key and one.says_the_same(wanted)):
                return one
        return None

    def _write_down_late(self) -> None:
        """Write exits down that were sent while the disk refused, with what is known of them."""
        with self._late:
            while self.unjournaled:
                one = self.unjournaled[0]
                self.state.adopt(one, {"status": "unknown", "why": "sent unjournaled"})
                seen = self._told.pop(one.id, None)
                if seen is not None:
                    self.note(one, seen)
                self.unjournaled.remove(one)


def _cannot_be_written(action: str, error: HauloutError) -> ActionRefusedError:
    message = f"{action} is refused: it cannot be written down ({error.message})."
    return ActionRefusedError(message, hint=error.hint)


def _happened(intent: Intent) -> bool:
    """Whether it was carried out, also in part."""
    partly = intent.status == "cancelled" and intent.filled not in {None, "0"}
    return intent.status in {"accepted", "done"} or partly
