"""Writing to a state: clock, tape and the lease under which it is done. What `State` stands on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from haulout.errors import ActionRefusedError
from haulout.state import reserving
from haulout.state.events import TAG_BYTES, Event, Kind

if TYPE_CHECKING:
    from haulout.state.book import Book
    from haulout.state.intents import Entropy, Intent
    from haulout.state.tape import Answer, Decide, Past, Tape


class Writing:
    """A tape with who writes to it.

    Args:
        tape: where events are kept; now: microseconds since 1970 UTC, the agent's clock.
        entropy: random bytes; monotonic: seconds that only grow, for leases.
        patience: seconds to wait for the disk; None waits as long as it takes.
        by: the app that writes, named in what it writes; empty for the state's own agent.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        now: Callable[[], int],
        entropy: Entropy = secrets.token_bytes,
        monotonic: Callable[[], float] = time.monotonic,
        patience: float | None = None,
        by: str = "",
    ) -> None:
        self.tape, self.now, self.patience, self.by = tape, now, patience, by
        self.entropy, self.monotonic = entropy, monotonic
        self._epoch = 0
        self._lasts: Callable[[], bool] | None = None
        self._tag = b""

    @property
    def name(self) -> str:
        """The state's name."""
        return self.tape.name

    # ------------------------------------------------------------------ the lease

    def hold(self, epoch: int, lasts: Callable[[], bool] | None) -> None:
        """Write under a lease from now on; under none with epoch 0.

        Args:
            epoch: the lease's; lasts: whether it still does, by this process's own clock.
        """
        self._epoch, self._lasts = epoch, lasts

    @property
    def epoch(self) -> int:
        """The epoch under which this process writes; 0 without a lease."""
        return self._epoch

    @property
    def may_send(self) -> bool:
        """Whether this process may still act. To be asked last of all before something is sent."""
        return self._lasts is None or self._lasts()

    def require_lease(self, book: Book, now: int) -> None:
        """Refuse to write under a lease that was lost.

        Raises:
            ActionRefusedError: it was.
        """
        reasons = reserving.lost_lease(book, self._epoch, now)
        if reasons and self._epoch:
            message = f"Nothing is written to {self.name}: {reasons[0]}."
            raise ActionRefusedError(message, hint="Take the lease anew, recover, then go on.")

    def forbidden(self, intent: Intent) -> list[str]:
        """Why an intent may not be sent, or sent again, as things stand; none where it may."""
        now = self.now()
        return self.tape.read(
            lambda book, _past: reserving.forbidden(book, intent, now, self._epoch)
        )

    # ------------------------------------------------------------------ the tape

    def tag(self) -> bytes:
        """The 4 bytes with which every ID of this state's intents begins."""
        if not self._tag:
            self._tag = self.tape.read(lambda book, _past: book.tag) or self._tagged()
        return self._tag

    def _tagged(self) -> bytes:
        now, tag = self.now(), self.entropy(TAG_BYTES)

        def decide(book: Book, _past: Past) -> tuple[list[Event], bytes]:
            if book.tag:
                return [], book.tag
            return [Event(Kind.TAG, now, 0, {"tag": tag})], tag

        return self.append(decide)

    def append(self, decide: Decide[Answer]) -> Answer:
        """Decide on the newest book and append what follows, within this state's patience."""
        return self.tape.transact(decide, patience=self.patience)
