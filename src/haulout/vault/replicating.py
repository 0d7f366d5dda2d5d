"""The verbs of a replica: refresh it, once or in the background."""

from __future__ import annotations

import os
from collections.abc import Callable

from haulout.errors import HauloutError, InputError
from haulout.vault.arguments import Progress, silent
from haulout.vault.background import Background
from haulout.vault.openvault import OpenVault
from haulout.vault.replica import refreshing
from haulout.vault.stores import remote
from haulout.vault.values import Refreshed


def _nobody(_what: Refreshed | HauloutError) -> None:
    """Tell nobody."""


class Replicating(OpenVault):
    """What keeps a replica like the vault that it is a copy of."""

    def refresh(
        self,
        source: str | os.PathLike[str] | None = None,
        *,
        anew: bool = False,
        progress: Progress | None = None,
    ) -> Refreshed:
        """Bring a replica to the newest head of its stores, whole or not at all.

        Recall goes on meanwhile, from what is here.

        Args:
            source: a newer locator, its text or a file that holds it. On Walrus it alone says
                where the newest head is; volumes are asked themselves.
            anew: take the newest head although it does not go on from what is here, which is
                thrown away.
            progress: called with records fetched and their number.

        Raises:
            ConflictError: the stores give an older head than the one that is here, or one that
            does not go on from it. StoreUnavailableError: they do not answer. NotFoundError: they
            hold no head. InputError: this is no replica, or ``source`` no locator of its vault.
            The replica then stands as it stood.
        """
        self._require_replica()
        locator = None
        if source is not None and (locator := remote.locator_in(source)) is None:
            message = f"{os.fspath(source)[:80]!r} is no locator, nor a file that holds one."
            raise InputError(message)
        return refreshing.refresh(self._parts, self._remote, locator, progress or silent, anew=anew)

    def keep_fresh(
        self,
        *,
        every: float = 60.0,
        told: Callable[[Refreshed | HauloutError], None] | None = None,
    ) -> None:
        """Refresh a replica in the background, until it is closed.

        Args:
            every: seconds between two looks at the stores.
            told: called, on another thread, with what each refresh brought, and with each failure
                that differs from the one before; it is tried again by itself.

        Raises:
            InputError: this is no replica.
        """
        self._require_replica()
        if self._background is None:
            self._background = Background(self._newer, every, told or _nobody)

    def _newer(self, report: Progress) -> Refreshed | None:
        """What a refresh brought; None where nothing was newer."""
        found = refreshing.refresh(self._parts, self._remote, None, report, anew=False)
        return found if found.changed else None

    def _require_replica(self) -> None:
        if not self.is_replica:
            message = "This vault is no replica; it has nothing to be refreshed from."
            raise InputError(message, hint="`haulout replica create` makes one of a locator.")
