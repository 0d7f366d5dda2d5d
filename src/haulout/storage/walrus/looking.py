"""Asking what stands of a blob: all storage nodes at once, or else the aggregators."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from haulout.errors import HauloutError, StoreUnavailableError
from haulout.storage.walrus.aggregator import Aggregator
from haulout.storage.walrus.config import NetworkConfig
from haulout.storage.walrus.hedging import Fault, failure, fault_of
from haulout.storage.walrus.node import Node
from haulout.storage.walrus.standing import Standing, agree, faulty
from haulout.storage.walrus.wire import BlobStatus


@dataclass(frozen=True, slots=True)
class _Told:
    weight: int
    status: BlobStatus | None
    epoch: int | None
    fault: Fault | None


class Lookout:
    """Looks blobs up.

    Args:
        config: the network; nodes: one for each of its nodes; aggregators: in their order.
    """

    def __init__(
        self, config: NetworkConfig, nodes: Sequence[Node], aggregators: Sequence[Aggregator]
    ) -> None:
        self._config = config
        self._nodes = [(n, len(c.shards)) for n, c in zip(nodes, config.nodes, strict=True)]
        self._aggregators = tuple(aggregators)

    def nodes(self, name: str | None) -> Standing:
        """What the storage nodes say together.

        All are asked. Once 2f + 1 of the shards have answered, the others are waited for no
        longer than `hedge_after`.

        Args:
            name: a blob's ID; None asks for the epoch alone.

        Raises:
            StoreUnavailableError: so few answer that nothing can be believed.
        """
        answers = _ask_all([_question(node, weight, name) for node, weight in self._nodes])
        told: list[_Told] = []
        quorum = self._config.n_shards - faulty(self._config.n_shards)
        began = time.monotonic()
        while len(told) < len(self._nodes):
            heard = sum(t.weight for t in told if t.fault is None)
            left = None
            if heard >= quorum:
                left = max(0.0, began + self._config.hedge_after - time.monotonic())
            try:
                told.append(answers.get(timeout=left))
            except queue.Empty:
                break
        heard = sum(t.weight for t in told if t.fault is None)
        if heard <= faulty(self._config.n_shards):
            faults = [t.fault for t in told if t.fault is not None]
            raise StoreUnavailableError(
                failure("An answer of enough storage nodes", faults).message
            )
        return agree(
            [(t.weight, t.status) for t in told if t.status is not None],
            self._config.n_shards,
            [(t.weight, t.epoch) for t in told if t.epoch is not None],
        )

    def aggregators(self, name: str, verify: Callable[[Aggregator], None]) -> Standing:
        """Whether an aggregator gives the blob, verified; nothing more can be known from one.

        Args:
            name: the blob's ID; verify: reads the blob there, and raises where it is another.

        Raises:
            HauloutError: none gives it, and not all say that they do not have it.
        """
        faults: list[Fault] = []
        for aggregator in self._aggregators:
            try:
                if aggregator.has(name):
                    verify(aggregator)
                    return Standing(certified=True)
            except HauloutError as error:
                faults.append(fault_of(aggregator.url, error))
        if any(fault.kind != "missing" for fault in faults):
            raise failure(f"Whether blob {name} stands", faults)
        return Standing()


def _question(node: Node, weight: int, name: str | None) -> Callable[[], _Told]:
    def ask() -> _Told:
        try:
            epoch = node.health().epoch
            status = node.status(name) if name is not None else None
        except HauloutError as error:
            return _Told(weight, None, None, fault_of(node.url, error))
        return _Told(weight, status, epoch, None)

    return ask


def _ask_all(questions: Sequence[Callable[[], _Told]]) -> queue.SimpleQueue[_Told]:
    answers: queue.SimpleQueue[_Told] = queue.SimpleQueue()

    def run(ask: Callable[[], _Told]) -> None:
        answers.put(ask())

    for ask in questions:
        threading.Thread(target=run, args=(ask,), name="walrus status", daemon=True).start()
    return answers
