"""The verbs of attachments beside `remember`: read one, let one grow."""

from __future__ import annotations

from typing import BinaryIO

from haulout.errors import LimitError
from haulout.log.memory import Memory, checked_operation_id
from haulout.log.record import id_bytes
from haulout.vault.arguments import Progress
from haulout.vault.attachments.appending import Appending
from haulout.vault.attachments.chunkreading import opened_at
from haulout.vault.attachments.sources import Source, opened
from haulout.vault.openvault import OpenVault


class Attaching(OpenVault):
    """What reads attachments, and lets them grow."""

    def attachment(self, id: str) -> BinaryIO:  # noqa: A002 - the word callers know
        """The bytes of a memory's attachment, as a stream that can be read and sought in.

        It reads what the newest version has, chunk by chunk, and never holds more than a few
        megabytes; what is appended later needs another stream. Close it when done. The stream
        is an ordinary one from `AsyncVault`, too: its reads wait for the disk, so that a program
        with an event loop calls them by ``asyncio.to_thread``.

        Raises:
            NotFoundError, ErasedError: there is no such memory (any more). InputError: it has no
            attachment. Reading raises BlobMissingError, DamagedError: bytes are not here, or
            not what was written; the message says what to do.
        """
        return opened_at(self._parts, id_bytes(id))

    def append(
        self,
        id: str,  # noqa: A002 - the word callers know
        data: Source,
        *,
        op_id: str | None = None,
        every: float = 5.0,
        progress: Progress | None = None,
    ) -> Memory:
        """Add bytes to the end of a memory's attachment, as a new version of the memory.

        Args:
            id: a memory with an attachment, which may be empty (``attach=b""``).
            data: a path, bytes, or a binary stream. One that cannot be sought in, such as a
                pipe, is followed to its end: what has come is kept, and readable, every so
                many seconds, or sooner when there is much.
            op_id: as for `remember`; a stream that broke off goes on where it stopped.
            every: seconds, more than 0.
            progress: called with bytes done and their number, where it is known.

        Returns:
            the memory in its newest version.

        Raises:
            NotFoundError, ErasedError: there is no such memory (any more). InputError,
            LimitError: it has no attachment, or would have more than 2^40 bytes.
            OperationReusedError: the ID was used for something else. StorageError: not kept.
        """
        if not every > 0:
            message = f"every must be more than 0 seconds, not {every}."
            raise LimitError(message)
        operation = None if op_id is None else checked_operation_id(op_id)
        appending = Appending(self._parts, id_bytes(id), operation, progress)
        with opened(data) as source:
            if source.start is not None:
                appending.all_of(source)
            else:
                appending.follow(source.stream, every)
        return appending.result()
