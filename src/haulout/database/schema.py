"""Migrations: one ordered list of steps; the file's `user_version` counts the steps done.

A step is applied in its own transaction together with the new count, so a crash in a
migration leaves either side of a step. Steps are never edited after a release.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# APSW's stubs name a type that Python has from 3.12 on, so its methods look partly unknown.

from __future__ import annotations

from collections.abc import Sequence

import apsw

from haulout.errors import VaultVersionError


def migrate(connection: apsw.Connection, steps: Sequence[str], name: str) -> None:
    """Bring a database to the newest schema. Call while holding the writer lock.

    Raises:
        VaultVersionError: a later version of Haulout has written the file.
    """
    done = int(connection.pragma("user_version"))  # pyright: ignore[reportArgumentType] one int
    if done > len(steps):
        message = f"{name} has schema {done}; this version of Haulout knows {len(steps)}."
        raise VaultVersionError(message)
    for number in range(done, len(steps)):
        with connection:  # a savepoint: all of the step or nothing of it
            connection.execute(steps[number]).fetchall()
            connection.execute(f"PRAGMA user_version={number + 1}").fetchall()
