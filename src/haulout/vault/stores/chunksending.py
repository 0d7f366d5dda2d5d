"""Attachment chunks into a store, ahead of the head that names them.

which chunks, in which pack       written down; a crash makes the same pack again: chunks are
sealed under a salt that follows from their ID
the pack with the store           sent again, which a store takes once
the pack confirmed                the next head's map names its chunks
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby

from haulout.crypto.keys import derive
from haulout.crypto.section import Kind, padded, seal_section, section_bytes
from haulout.log import lifetimes, published
from haulout.log.chunkmap import encode_chunk_map
from haulout.log.head import Ref
from haulout.log.published import Pack, PublishedMap
from haulout.vault.attachments import chunks
from haulout.vault.attachments.chunkfiles import Kept
from haulout.vault.opening import Parts
from haulout.vault.stores.buying import Buying
from haulout.vault.stores.store import Store

Report = Callable[[int, int | None], None]


class ChunkSending:
    """Sends one vault's attachment chunks to one store.

    Args:
        parts: the open vault; ``store``: where to; ``number``: the store's number in it.
        buying: puts packs there.
    """

    def __init__(self, parts: Parts, store: Store, number: int, buying: Buying) -> None:
        self._parts, self._store, self._number = parts, store, number
        self._buying = buying
        self._secrets = parts.journal.keychain.user_secrets()

    def waiting(self) -> int:
        """How many bytes of chunks the store does not have."""
        with self._parts.database.read() as connection:
            placed = {one.chunk for one in published.chunk_places(connection, self._number)}
        return sum(one.sealed for one in chunks.in_use(self._parts) if one.id not in placed)

    def send(self, report: Report, again: Collection[bytes] = ()) -> None:
        """Send every chunk in use that the store does not have; let go of those not in use.

        Args:
            report: called with bytes sent and their number.
            again: blobs whose chunks are sent anew.

        Raises:
            BlobMissingError: a chunk's file is missing here; StorageError: what was begun goes
            on with the next call.
        """
        wanted = list(chunks.in_use(self._parts))
        self._forget({one.id for one in wanted}, again)
        self._resume()
        with self._parts.database.read() as connection:
            placed = {one.chunk for one in published.chunk_places(connection, self._number)}
        new = [one for one in wanted if one.id not in placed]
        total, sent = sum(one.sealed for one in new), 0
        for group in self._groups(new):
            self._send_pack([one.id for one in group])
            sent += sum(one.sealed for one in group)
            report(sent, total)

    def _forget(self, used: Collection[bytes], again: Collection[bytes]) -> None:
        with self._parts.database.read() as connection:
            places = published.chunk_places(connection, self._number)
        gone = [one.chunk for one in places if one.chunk not in used or one.ref.blob in again]
        if gone:
            self._parts.database.write(
                lambda connection: published.forget_chunks(connection, self._number, gone)
            )

    def _resume(self) -> None:
        """Carry on packs that were written down and not confirmed; one that changed starts anew."""
        with self._parts.database.read() as connection:
            places = published.chunk_places(connection, self._number)
            there = {one.blob for one in published.blobs(connection, self._number) if one.there}
        waiting = [one for one in places if one.ref.blob not in there]
        for blob, group in groupby(waiting, key=lambda one: one.ref.blob):
            members = [one.chunk for one in group]
            if self._pack(members)[0] == blob:
                self._send_pack(members)
            else:
                self._parts.database.write(
                    lambda connection, members=members: published.forget_chunks(
                        connection, self._number, members
                    )
                )

    def _groups(self, new: Sequence[Kept]) -> Iterator[list[Kept]]:
        """Chunks that fit into one pack together; one that is larger stands alone."""
        group: list[Kept] = []
        size = 0
        for one in new:
            piece = section_bytes(one.sealed)
            if group and padded(size + piece) > self._store.pack_bytes:
                yield group
                group, size = [], 0
            group.append(one)
            size += piece
        if group:
            yield group

    def _pack(self, members: Sequence[bytes]) -> tuple[bytes, bytes, list[tuple[bytes, Ref]]]:
        """A pack of chunks: its blob ID, its bytes, and where each chunk stands in it."""
        pieces = [self._sealed(chunk) for chunk in members]
        data = b"".join(pieces)
        if len(pieces) > 1:
            data += bytes(padded(len(data)) - len(data))
        blob = self._store.blob_id(data)
        places: list[tuple[bytes, Ref]] = []
        offset = 0
        for chunk, piece in zip(members, pieces, strict=True):
            digest = hashlib.sha256(piece).digest()
            places.append((chunk, Ref(blob, offset, len(piece), digest)))
            offset += len(piece)
        return blob, data, places

    def _sealed(self, chunk: bytes) -> bytes:
        """A chunk as a section; its bytes never change, so its salt may follow from its ID."""
        data = chunks.read_sealed(self._parts, chunk)
        salt = derive(self._secrets[max(self._secrets)], f"chunk-salt/{chunk.hex()}", 16)
        return seal_section(
            self._secrets, Kind.CHUNK, self._parts.vault_id, data, lambda _count: salt
        )

    def _send_pack(self, members: Sequence[bytes]) -> None:
        blob, data, places = self._pack(members)
        pack = Pack(blob, len(data), lifetimes.is_lasting(len(data), self._store.pack_bytes))
        self._parts.database.write(
            lambda connection: published.intend_chunks(connection, self._number, pack, places)
        )
        self._buying.put(blob, data, lasting=pack.lasting)

    # ------------------------------------------------------------------ maps

    def maps(self) -> list[tuple[int, bytes]]:
        """Every map as it should be published: its number and its content."""
        with self._parts.database.read() as connection:
            there = {one.blob for one in published.blobs(connection, self._number) if one.there}
            places = [
                one
                for one in published.chunk_places(connection, self._number)
                if one.ref.blob in there
            ]
        found: list[tuple[int, bytes]] = []
        for number, group in groupby(places, key=lambda one: one.map):
            found.append((number, encode_chunk_map({one.chunk: one.ref for one in group})))
        return found


def unchanged(
    maps: Sequence[tuple[int, bytes]], stands: Sequence[PublishedMap], ended: set[bytes]
) -> dict[int, PublishedMap]:
    """The maps that stand as they should, by number."""
    wanted = {number: hashlib.sha256(content).digest() for number, content in maps}
    return {
        one.number: one
        for one in stands
        if wanted.get(one.number) == one.content and one.ref.blob not in ended
    }
