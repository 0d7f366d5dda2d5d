"""Random faults, a hundred times: right bytes or a loud error, no false "placed", paid once.

Each seed has one blob, faults while it is put, other faults while it is read, and an end to all
of them, after which it goes on by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from haulout.errors import HauloutError
from haulout.redstuff import blob_id
from haulout.storage.walrus.config import Timeouts
from haulout.storage.walrus.network import Attempt, Network
from haulout.testing.walrus.network import LoopbackNetwork, Station

N = 10
SEEDS = 100
AT_PUBLISHERS = (
    "dead", "lost_answers", "dies_after_paying", "busy", "broke", "lie", "wrong_id", "truncate",
    "stall", "stop",
)  # fmt: skip
AT_READERS = (
    "lie", "equivocate", "truncate", "lost_answers", "dead", "busy", "lose", "forget", "stall",
    "stop",
)  # fmt: skip
STALL_FREE = {f: tuple(g for g in f if g != "stall") for f in (AT_PUBLISHERS, AT_READERS)}
FALSE_STATUS = (
    "nonexistent",
    {"deletable": {"deletableCounts": {"count_deletable_total": 3, "count_deletable_certified": 3},
                   "initialCertifiedEpoch": 1}},
    {"permanent": {"endEpoch": 99, "isCertified": True, "initialCertifiedEpoch": 1}},
    {"invalid": {"event": {}}},
    "nonsense",
)  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def net() -> Iterator[LoopbackNetwork]:
    with LoopbackNetwork(5, N, publishers=2, aggregators=2, signatures=False) as network:
        yield network


def break_it(random: Random, station: Station, faults: tuple[str, ...]) -> str:
    fault = random.choice(faults if random.random() < 0.3 else STALL_FREE[faults])
    if fault == "stall":
        station.faults.stall()
    elif fault == "stop":
        station.stop()
    else:
        setattr(station.faults, fault, True)
    return fault


def mend(net: LoopbackNetwork) -> None:
    for station in net.stations:
        station.faults.clear()
        station.start()
    net.settle()


@pytest.mark.parametrize("chunk", range(4))
def test_no_false_placed_no_second_payment_no_wrong_byte(net, chunk):
    clock = Clock()
    hasty = net.config(timeouts=Timeouts(5.0, silence=0.15, read=0.3, put=0.3), hedge_after=0.05)
    patient = net.config(timeouts=Timeouts(5.0, silence=2.0, read=5.0, put=30.0), hedge_after=0.05)
    outcomes: list[str] = []
    with Network(hasty, now=clock.now) as hasted, Network(patient, now=clock.now) as network:
        for seed in range(chunk * SEEDS // 4, (chunk + 1) * SEEDS // 4):
            random = Random(seed)
            data = random.randbytes(random.randrange(1, 4000))
            outcomes.append(put_through(net, hasted, network, clock, random, data))
            read_through(net, network, random, data)
    assert {"placed", "not at once"} <= set(outcomes)


def put_through(
    net: LoopbackNetwork, hasted: Network, network: Network, clock: Clock, random: Random,
    data: bytes,
) -> str:  # fmt: skip
    name, attempts = blob_id(data, N), list[Attempt]()
    epochs, deletable = random.randrange(1, 9), random.random() < 0.7
    outcome = "placed"
    for _ in range(random.randrange(1, 4)):
        for station in net.publishers:
            if random.random() < 0.6:
                break_it(random, station, AT_PUBLISHERS)
        if random.random() < 0.5:
            net.nodes[random.randrange(5)].faults.status = random.choice(FALSE_STATUS)
        elif random.random() < 0.3:
            break_it(random, net.nodes[random.randrange(5)], AT_READERS)
        try:
            placed = hasted.put(
                data, epochs=epochs, deletable=deletable, write_down=attempts.append,
                attempt=attempts[-1] if attempts else None,
            )  # fmt: skip
        except HauloutError:
            outcome = "not at once"
        else:
            assert net.ledger.certified(name), "it was called placed, and is not"
            assert placed.confirmed
            mend(net)
            assert_paid_once(net, name)
            return outcome
        assert len(net.ledger.paid(name)) <= 1
        mend(net)
        clock.seconds += random.choice((1, 1000))
    clock.seconds += 1000
    attempt = attempts[-1] if attempts else None
    placed = network.put(data, epochs=epochs, deletable=deletable, attempt=attempt)
    assert placed.end_epoch <= 1 + epochs
    assert net.ledger.certified(name)
    assert_paid_once(net, name)
    return outcome


def assert_paid_once(net: LoopbackNetwork, name: str) -> None:
    assert [payment.what for payment in net.ledger.paid(name)] == ["register"]


def read_through(net: LoopbackNetwork, network: Network, random: Random, data: bytes) -> None:
    name = blob_id(data, N)
    net.sync()
    bad = random.sample(net.aggregators, random.randrange(3))
    bad += random.sample(net.nodes, random.randrange(6))
    for station in bad:
        break_it(random, station, AT_READERS)
    start = random.randrange(len(data))
    length = random.randrange(1, len(data) - start + 1)
    whole = [s for s in net.nodes if s not in bad]
    for read, right, enough in (
        (lambda: network.get(name), data, not set(map(id, net.aggregators)) <= set(map(id, bad))),
        (lambda: network.get_from_nodes(name), data, len(whole) >= 2),
        (lambda: network.get_range(name, start, length), data[start : start + length],
         len(whole) >= 2),
    ):  # fmt: skip
        try:
            assert read() == right, "wrong bytes"
        except HauloutError:
            assert not enough, "who is well suffices"
    mend(net)
    assert network.get(name) == data
