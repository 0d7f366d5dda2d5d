"""Reading a blob from storage nodes alone, sliver by sliver, each checked before it is used.

The systematic primary slivers are asked for first: they hold the data in order, and with all of
them decoding is joining. Whatever is missing, slow or false is made good from any other; p of n
suffice. Source: walrus.md §1 (which shard holds which pair), §4 (what suffices).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from haulout.errors import HauloutError, InputError, WrongBytesError
from haulout.redstuff import (
    Metadata,
    Sliver,
    blob_id_bytes,
    decode,
    parameters,
    shard_of_pair,
    verify_sliver,
)
from haulout.redstuff.parameters import Axis
from haulout.storage.walrus.config import NetworkConfig
from haulout.storage.walrus.hedging import Fault, Read, Source, Won, failure, fault_of, race
from haulout.storage.walrus.node import Node

NODES: Final = "the storage nodes"


@dataclass(frozen=True, slots=True)
class _Told:
    pair: int
    url: str
    sliver: Sliver | None = None
    error: HauloutError | None = None
    broken: BaseException | None = None


class Slivers:
    """The storage nodes of one network, and who of them holds what.

    Args:
        config: the network; nodes: one for each of the configuration's nodes, in its order.
    """

    def __init__(self, config: NetworkConfig, nodes: Sequence[Node]) -> None:
        self._config = config
        self._nodes = tuple(nodes)
        self._holder = {
            shard: node
            for node, settings in zip(nodes, config.nodes, strict=True)
            for shard in settings.shards
        }

    def metadata(self, name: str) -> Metadata:
        """The blob's metadata, from whichever node gives it first.

        Raises:
            HauloutError: as `hedging.failure` says.
        """
        if not self._nodes:
            raise InputError("There are no storage nodes to ask for metadata.")
        first = int.from_bytes(blob_id_bytes(name)[:4], "big") % len(self._nodes)
        turned = [*self._nodes[first:], *self._nodes[:first]]  # spread over the nodes
        sources = [_metadata_source(node, name) for node in turned]
        won = race(sources, self._config.hedge_after)
        if isinstance(won, Won):
            return won.value
        raise failure(f"The metadata of blob {name}", won)

    def blob(self, metadata: Metadata) -> Read:
        """The whole blob, decoded from any p primary slivers or any s secondary ones.

        Raises:
            InconsistentBlobError: its slivers are authentic, and of no one blob.
            HauloutError: too few are left; as `hedging.failure` says.
        """
        n, _, p, s = parameters(self._config.n_shards)
        faults: list[Fault] = []
        found = self._gather(metadata, "primary", p, range(n), faults)
        if len(found) < p:
            # Secondary sliver j stands in pair n - 1 - j: the systematic ones are in the last s.
            found = self._gather(metadata, "secondary", s, range(n - 1, -1, -1), faults)
            if len(found) < s:
                raise failure(f"Blob {metadata.blob_id_text}", faults)
        return Read(decode(metadata, found), NODES, _once(faults))

    def range(self, metadata: Metadata, start: int, length: int) -> Read:
        """``length`` bytes from ``start``: only the rows that they stand in are read.

        Raises:
            InputError: the blob has no such range; others as `blob`.
        """
        if start < 0 or length < 1 or start + length > metadata.size:
            message = f"Blob {metadata.blob_id_text} has {metadata.size} bytes, and none"
            raise InputError(f"{message} from {start} to {start + length}.")
        _, _, _, s = parameters(self._config.n_shards)
        row = s * metadata.symbol_size
        first, last = start // row, (start + length - 1) // row
        faults: list[Fault] = []
        rows = range(first, last + 1)
        found = self._gather(metadata, "primary", len(rows), rows, faults)
        if len(found) == len(rows):
            data = b"".join(sliver.data for sliver in sorted(found, key=lambda f: f.index))
            offset = start - first * row
            return Read(data[offset : offset + length], NODES, _once(faults))
        read = self.blob(metadata)
        data = read.data[start : start + length]
        return Read(data, NODES, _once([*faults, *read.faults]))

    def columns(self, metadata: Metadata, indices: Sequence[int]) -> list[Sliver]:
        """Secondary slivers, verified: what an item of a quilt stands in.

        Raises:
            HauloutError: one of them cannot be had; as `hedging.failure` says.
        """
        n = self._config.n_shards
        if not all(0 <= index < n for index in indices):
            raise InputError(f"There are no columns {list(indices)} in a code of {n} shards.")
        faults: list[Fault] = []
        pairs = [n - 1 - index for index in indices]
        found = self._gather(metadata, "secondary", len(pairs), pairs, faults)
        if len(found) < len(pairs):
            raise failure(f"A column of blob {metadata.blob_id_text}", faults)
        return found

    def _gather(
        self, metadata: Metadata, axis: Axis, needed: int, pairs: Sequence[int],
        faults: list[Fault],
    ) -> list[Sliver]:  # fmt: skip
        """Up to ``needed`` verified slivers out of ``pairs``; what goes wrong is noted."""
        answers: queue.SimpleQueue[_Told] = queue.SimpleQueue()
        waiting = list(pairs)
        running: dict[int, str] = {}
        troubled: set[str] = set()
        found: list[Sliver] = []
        extra = 0
        while len(found) < needed:
            most = min(self._config.workers, needed - len(found)) + extra
            while waiting and len(running) < most:
                pair = self._next(metadata, waiting, troubled)
                running[pair] = self._start(metadata, axis, pair, answers)
            if not running:
                break
            try:
                told = answers.get(timeout=self._config.hedge_after if waiting else None)
            except queue.Empty:
                extra += len(running)  # ask others, as many as are silent
                troubled.update(running.values())
                continue
            extra = max(0, extra - 1)
            del running[told.pair]
            if told.broken is not None:
                raise told.broken
            if told.sliver is not None:
                found.append(told.sliver)
            elif told.error is not None:
                faults.append(fault_of(told.url, told.error))
                troubled.add(told.url)
        return found

    def _next(self, metadata: Metadata, waiting: list[int], troubled: set[str]) -> int:
        """Take the first pair whose node has done nothing wrong yet, else the first."""
        for place, pair in enumerate(waiting):
            if self._url(metadata, pair) not in troubled:
                return waiting.pop(place)
        return waiting.pop(0)

    def _url(self, metadata: Metadata, pair: int) -> str:
        node = self._holder.get(shard_of_pair(pair, metadata.blob_id, self._config.n_shards))
        return node.url if node else ""

    def _start(
        self, metadata: Metadata, axis: Axis, pair: int, answers: queue.SimpleQueue[_Told]
    ) -> str:
        shard = shard_of_pair(pair, metadata.blob_id, self._config.n_shards)
        node = self._holder.get(shard)
        if node is None:
            error = InputError(f"No configured node holds shard {shard}.")
            answers.put(_Told(pair, "", error=error))
            return ""

        def run() -> None:
            try:
                sliver = node.sliver(metadata, pair, axis)
                _verify(node, metadata, sliver)
                answers.put(_Told(pair, node.url, sliver=sliver))
            except HauloutError as error:
                answers.put(_Told(pair, node.url, error=error))
            except BaseException as error:
                answers.put(_Told(pair, node.url, broken=error))
                raise

        threading.Thread(target=run, name=f"walrus {node.url}", daemon=True).start()
        return node.url


def _verify(node: Node, metadata: Metadata, sliver: Sliver) -> None:
    try:
        verify_sliver(metadata, sliver)
    except WrongBytesError as error:
        raise WrongBytesError(f"{node.url} gives a false sliver: {error.message}") from error


def _metadata_source(node: Node, name: str) -> Source[Metadata]:
    return Source(node.url, lambda: node.metadata(name))


def _once(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    return tuple(dict.fromkeys(faults))
