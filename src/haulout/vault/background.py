"""Publishing in the background: what any long-running process does for the vault it holds open.

One process at a time publishes (`Remote.alone`); which one it is does not matter. A store that
does not answer is tried again after 5 s, then after twice as long each time, up to 5 minutes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from haulout.errors import HauloutError, StoreUnavailableError
from haulout.vault.remote import Remote
from haulout.vault.values import Synced

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0

Told = Callable[[Synced | HauloutError], None]
"""Called with what a publication did, or with why none could be made."""


class Background:
    """Publishes whenever something new waits, until it is stopped.

    Args:
        remote: the stores; ``every``: seconds between two looks for new records.
        told: hears of each publication and of each failure that differs from the one before.
    """

    def __init__(self, remote: Remote, every: float, told: Told) -> None:
        self._remote, self._every, self._told = remote, every, told
        self._wake, self._ended = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="haulout-sync", daemon=True)
        self._thread.start()

    def nudge(self) -> None:
        """Look for new records at once."""
        self._wake.set()

    def stop(self) -> None:
        """Let the publication under way finish, and end."""
        self._ended = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        pause, before = FIRST_PAUSE, ""
        while not self._ended:
            failure = self._once()
            if failure is None:
                pause, before, wait = FIRST_PAUSE, "", self._every
            else:
                if str(failure) != before:
                    self._told(failure)
                before, wait = str(failure), pause
                pause = min(2 * pause, LONGEST_PAUSE)
            self._wake.wait(wait)
            self._wake.clear()

    def _go_on(self, _done: int, _total: int | None) -> None:
        """Between two packs: end here where the program closes."""
        if self._ended:
            message = "The program ends; the publication goes on with the next sync."
            raise StoreUnavailableError(message)

    def _once(self) -> HauloutError | None:
        """Publish what waits; the error where it could not be done."""
        try:
            if not self._remote.waiting():
                return None
            self._told(self._remote.sync(self._go_on, force=False))
        except HauloutError as error:
            return error
        return None
