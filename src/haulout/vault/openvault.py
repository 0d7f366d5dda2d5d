"""An open vault's parts, and how it is closed: what the verbs of all kinds stand on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from haulout.errors import HauloutError
from haulout.index.search import Searcher
from haulout.vault.background import Background
from haulout.vault.backlog import Backlog
from haulout.vault.meaning import Meaning
from haulout.vault.opening import Parts, keeps_states
from haulout.vault.stores.remote import OPENERS, Remote
from haulout.vault.stores.restoring import Restored

if TYPE_CHECKING:
    from haulout.index.embed import Embedder
    from haulout.vault.statelane import StateLane
    from haulout.vault.stores.storeoptions import StoreOptions
    from haulout.vault.stores.volumekeeping import VolumeKeeping
    from haulout.vault.values import Refreshed


class OpenVault:
    """A vault that is open: `Vault` is this with its verbs."""

    def __init__(
        self,
        parts: Parts,
        embedder: Embedder | str = "auto",
        credentials: Mapping[str, str] | None = None,
        options: StoreOptions | None = None,
    ) -> None:
        """Wrap an opened vault's parts; callers use `create`, `open` or `ephemeral`."""
        self._remote = Remote(parts, credentials or {}, OPENERS, options, self._lane_parts)
        if parts.journal.read_only is not None:
            from haulout.vault.replica.chunks import with_chunks_on_demand

            parts = with_chunks_on_demand(parts, self._remote)
        self._parts = parts
        self._credentials, self._options = credentials or {}, options
        self._database, self._journal = parts.database, parts.journal
        self._searcher = Searcher(parts.vault)
        self._meaning = Meaning(parts, embedder)
        self.restored: Restored | None = None
        self.refreshed: Refreshed | None = None
        self._background: Background[Any] | None = None
        self._states: StateLane | None = None
        self._states_turn = threading.Lock()
        self.backlog = Backlog()  # for programs that wrap others: writes they must not wait for

    def close(self) -> None:
        """Finish what waits and give the files back. Closing twice is fine."""
        self.backlog.finish()
        if self._background is not None:
            self._background.stop()
            self._background = None
        self._remote.close()
        if self._states is not None:
            self._states.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Vault {self._parts.folder or 'in memory'}>"

    @cached_property
    def _volumes(self) -> VolumeKeeping:
        """The volumes; their code is loaded when it is first needed: 80 ms."""
        from haulout.vault.stores.storeoptions import AS_FAST_AS_IT_GOES
        from haulout.vault.stores.volumekeeping import VolumeKeeping

        options = self._options or AS_FAST_AS_IT_GOES
        return VolumeKeeping(self._parts, self._remote, self._credentials, options)

    @property
    def _lane(self) -> StateLane:
        """The state lane; its code is loaded when a state is first asked for."""
        from haulout.vault.statelane import StateLane

        with self._states_turn:
            if self._states is None:
                self._states = StateLane(self._parts)
            return self._states

    def _lane_parts(self) -> Parts | None:
        """The state lane's database and journal; None where the vault has no states.

        Raises:
            DamagedError, StorageError: it has, and they do not open.
        """
        folder = self._parts.folder
        if self._states is None and (folder is None or not keeps_states(self._parts)):
            return None
        lane = self._lane
        return lane.parts() if lane.is_there else None

    def _lane_or_why(self) -> tuple[Parts | None, str]:
        """The same, or why it does not open: what memories need not wait for.

        Raises:
            VaultClosedError: memories do not open either, and that is what there is to say.
        """
        try:
            return self._lane_parts(), ""
        except HauloutError as error:
            with self._database.read():
                return None, str(error)

    @property
    def path(self) -> Path | None:
        """The vault's folder, or None for one in memory."""
        return self._parts.folder

    @property
    def id(self) -> str:
        """The vault's ID: 32 hexadecimal digits, bound to the owner's root key."""
        return self._parts.vault_id.hex()

    @property
    def is_replica(self) -> bool:
        """Whether this is a copy that is read and never written to."""
        return self._journal.read_only is not None
