"""The verbs that keep a vault: export, backup, check, rebuild, catch up."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import msgspec

from haulout.vault import backup, export, inspection
from haulout.vault.arguments import Progress, silent
from haulout.vault.openvault import OpenVault
from haulout.vault.stores.remotechecking import check_stores
from haulout.vault.values import BackedUp, CheckReport, Exported


class StatesLeftOutWarning(UserWarning):
    """A backup was made without the vault's states, because they do not open."""


class Keeping(OpenVault):
    """What keeps a vault well, and takes copies of it."""

    def export(self, file: str | os.PathLike[str]) -> Exported:
        """Write every memory with its history to JSON Lines, in one canonical order.

        The digest depends on the memories alone: two copies of a vault give the same.
        """
        with self._database.read() as connection:
            return export.write(connection, self._parts, Path(file))

    def backup(self, file: str | os.PathLike[str]) -> BackedUp:
        """Write the whole vault to one sealed file, which the recovery kit opens anywhere.

        Other processes may write meanwhile; the file is of one moment.
        """
        lane, failure = self._lane_or_why()
        if failure:
            warnings.warn(f"{failure} The backup holds no states.", StatesLeftOutWarning, 2)
        return backup.write(self._parts, Path(file), lane, failure)

    def check(self, *, remote: bool = False, progress: Progress | None = None) -> CheckReport:
        """Verify every hash, signature, payload and view, and finish pending erasures.

        Args:
            remote: read back everything from the stores, too, and verify it.
            progress: called with records, then parts in stores, that are done, and their number.
        """
        found = inspection.check(self._parts, progress or silent)
        lane, failure = self._lane_or_why()
        if failure:
            found = msgspec.structs.replace(found, problems=(*found.problems, failure))
        if lane is not None:
            from haulout.vault import statekeeping

            states = statekeeping.check(lane, progress or silent)
            found = msgspec.structs.replace(
                found,
                states=states.states,
                state_records=states.records,
                problems=(*found.problems, *states.problems),
            )
        if not remote:
            return found
        there = check_stores(self._parts, self._remote, progress or silent, lane)
        return msgspec.structs.replace(
            found,
            remote_sections=there.sections,
            remote_bytes=there.bytes,
            problems=(*found.problems, *there.problems),
        )

    def rebuild(self, *, vectors: bool = False, progress: Progress | None = None) -> int:
        """Throw the index away and make it again from the log; answers stay the same.

        Args:
            vectors: throw computed vectors away too; they are then embedded again.
            progress: called with records done and their number.

        The views of states are made again as well.

        Returns:
            how many versions were indexed.

        Raises:
            DamagedError: a record cannot be folded; of memories first, which then stay as they
            were, then of states.
        """
        versions = inspection.rebuild(self._parts, vectors=vectors, progress=progress or silent)
        lane = self._lane_parts()
        if lane is not None:
            from haulout.vault import statekeeping

            statekeeping.rebuild(lane)
        return versions

    def catch_up(self, *, progress: Progress | None = None) -> int:
        """Embed every memory that waits for its vector; return how many there were."""
        return self._meaning.catch_up(progress)
