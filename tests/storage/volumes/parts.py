"""A set of volumes in memory, each with faults at will, and a clock that is moved by hand."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Iterable
from threading import Condition, Event, Lock

from haulout.redstuff import Encoded, encode, pair_of_shard
from haulout.storage.backend import Backend, Object, Versioned
from haulout.storage.memory import MemoryBackend
from haulout.storage.volumes.layout import Layout, Place, plan
from haulout.storage.volumes.naming import shard_name
from haulout.storage.volumes.shardfile import encode_object
from haulout.storage.volumes.volumeset import VolumeSet
from haulout.testing.faulty import Fault, FaultyBackend, SimulatedCrash

SET_ID = "5e" * 16
HEDGE_AFTER = 1.0
PATIENCE_S = 60  # real seconds after which a test that waits has failed


class HandClock:
    """Moves only when everything that is waited for stands still."""

    def __init__(self) -> None:
        self._now = 0.0
        self._lock = Lock()
        self._stalled: dict[str, int] = {}
        self._conditions: set[Condition] = set()
        self._released = Event()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds

    def pause(self, seconds: float) -> None:
        self.advance(seconds)

    def wait(
        self, condition: Condition, seconds: float | None, waiting_for: Collection[str]
    ) -> None:
        with self._lock:
            self._conditions.add(condition)
            still = set(waiting_for) <= set(self._stalled)
            if still and seconds is not None:
                self._now += seconds
                return
            if still:  # nothing else will come: a backend bounds its calls, so these end at last
                self._released.set()
        assert condition.wait(PATIENCE_S), f"nothing came from {sorted(waiting_for)}"

    def stall(self, volume: str) -> Callable[[], object]:
        """What a slow volume calls: it stands still until `release`."""

        def wait() -> None:
            with self._lock:
                if self._released.is_set():
                    return
                self._stalled[volume] = self._stalled.get(volume, 0) + 1
                conditions = list(self._conditions)
            for condition in conditions:
                with condition:
                    condition.notify_all()
            assert self._released.wait(PATIENCE_S)
            with self._lock:
                self._stalled[volume] -= 1
                if not self._stalled[volume]:
                    del self._stalled[volume]

        return wait

    def release(self) -> None:
        self._released.set()


class Fuse:
    """Kills the process at the k-th call of any of its backends: all calls after it raise."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.calls = 0
        self.blown = False
        self._lock = Lock()

    def burn(self) -> bool:
        """Count a call; whether it is the fatal one, which may still be carried out."""
        with self._lock:
            if self.blown:
                raise SimulatedCrash
            self.calls += 1
            self.blown = self.calls == self.at
            return self.blown


class Mortal:
    """A backend of a process that a fuse may kill: before a call is carried out, or after."""

    def __init__(self, inner: Backend, fuse: Fuse, *, done: bool) -> None:
        self._inner = inner
        self._fuse = fuse
        self._done = done

    @property
    def url(self) -> str:
        return self._inner.url

    def _call(self, name: str, *arguments: object) -> object:
        fatal = self._fuse.burn()
        if fatal and not self._done:
            raise SimulatedCrash
        answer = getattr(self._inner, name)(*arguments)
        if fatal:
            raise SimulatedCrash
        return answer

    def put(self, name: str, data: bytes) -> None:
        self._call("put", name, data)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        return self._call("get", name, start, length)

    def size(self, name: str) -> int:
        return self._call("size", name)

    def delete(self, name: str) -> None:
        self._call("delete", name)

    def list(self, prefix: str = "") -> Iterable[Object]:
        return self._call("list", prefix)

    def read_head(self, name: str) -> Versioned | None:
        return self._call("read_head", name)

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        return self._call("swap_head", name, data, version)

    def close(self) -> None:
        """A dead process closes nothing."""


def layout_of(n_volumes: int, n_shards: int = 10, existing: Layout | None = None) -> Layout:
    places = [Place(f"v{i}", f"memory:{i}") for i in range(n_volumes)]
    return plan(n_shards, places, existing, set_id=None if existing else SET_ID)


class Rig:
    """Volumes in memory, faults at will, a clock by hand; `open` gives the set over them."""

    def __init__(self, layout: Layout, *, adopted: bool = True) -> None:
        self.layout = layout
        self.clock = HandClock()
        self.stores = {v.id: MemoryBackend(v.url) for v in layout.volumes}
        self.places = {name: FaultyBackend(store) for name, store in self.stores.items()}
        self.sets: list[VolumeSet] = []
        if adopted:
            self.open().adopt()

    def open(self, layout: Layout | None = None, seed: int = 0, **options) -> VolumeSet:
        layout = layout or self.layout
        for volume in layout.volumes:
            if volume.id not in self.stores:
                self.stores[volume.id] = MemoryBackend(volume.url)
                self.places[volume.id] = FaultyBackend(self.stores[volume.id])
        backends = options.pop("backends", self.places)
        draw = random.Random(seed)
        opened = VolumeSet(
            layout,
            {volume.id: backends[volume.id] for volume in layout.volumes},
            clock=self.clock,
            hedge_after=HEDGE_AFTER,
            jitter=draw.random,
            entropy=draw.randbytes,
            **options,
        )
        self.sets.append(opened)
        return opened

    def close(self) -> None:
        self.clock.release()
        for opened in self.sets:
            opened.close()

    def mortal(self, fuse: Fuse, *, done: bool) -> dict[str, Mortal]:
        return {name: Mortal(place, fuse, done=done) for name, place in self.places.items()}

    def inject(self, volume: str, kind: str, *, shard: str = "", **options) -> None:
        wait = self.clock.stall(volume) if kind == "slow" else None
        self.places[volume].inject(Fault(kind, prefix=shard, wait=wait, **options))

    def heal(self) -> None:
        for place in self.places.values():
            place.heal()

    def wipe(self, volume: str) -> None:
        """Every byte of a volume destroyed, its marker too: an empty place in its stead."""
        store = self.stores[volume]
        for found in list(store.list()):
            store.delete(found.name)

    def objects(self) -> dict[tuple[str, str], bytes]:
        return {
            (volume, found.name): store.get(found.name)
            for volume, store in self.stores.items()
            for found in store.list("blobs/")
        }

    def heads(self, name: str) -> dict[str, Versioned | None]:
        return {volume: store.read_head(f"heads/{name}") for volume, store in self.stores.items()}

    def forget_calls(self) -> None:
        for place in self.places.values():
            place.calls.clear()

    def moved(self, *methods: str) -> int:
        return sum(place.moved(*methods) for place in self.places.values())

    def asked(self, method: str) -> list[tuple[str, str]]:
        return [
            (volume, call.name)
            for volume, place in self.places.items()
            for call in place.calls
            if call.method == method
        ]


def objects_of(data: bytes, n_shards: int) -> tuple[Encoded, dict[int, bytes]]:
    """A blob's shard objects, made without a set."""
    encoded = encode(data, n_shards)
    pairs = {s: pair_of_shard(s, encoded.blob_id, n_shards) for s in range(n_shards)}
    return encoded, {
        shard: encode_object(encoded.metadata, shard, *encoded.pair(pair))
        for shard, pair in pairs.items()
    }


def place_objects(rig: Rig, blob_id: str, objects: dict[int, bytes]) -> None:
    for shard, home in enumerate(rig.layout.homes()):
        if shard in objects:
            rig.stores[home].put(shard_name(blob_id, shard), objects[shard])


def threads_of_volumes() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("volume-")]
