"""What stores may take of the line, and which of them are asked again."""

from __future__ import annotations

from pathlib import Path

import pytest
from vault.onwalrus import settings

from haulout import Vault
from haulout.errors import InputError, StoreUnavailableError
from haulout.storage.backend import Backend
from haulout.storage.memory import MemoryBackend
from haulout.storage.wrappers import limiting
from haulout.storage.wrappers.around import AroundBackend
from haulout.storage.wrappers.retrying import RetryingBackend
from haulout.testing.walrus.network import LoopbackNetwork
from haulout.vault.stores import storeoptions
from haulout.vault.stores.storeoptions import AS_FAST_AS_IT_GOES, StoreOptions
from haulout.vault.stores.volumestore import PACK_BYTES
from haulout.vault.stores.walrussettings import write_settings


class Line:
    """A clock that is moved on by whoever waits for it, and by nothing else."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """The clock of every bucket that is made in a test."""
    found, made = Line(), limiting.TokenBucket
    monkeypatch.setattr(
        storeoptions, "TokenBucket", lambda rate: made(rate, found.clock, found.sleep)
    )
    return found


class Bucket(AroundBackend):
    """A backend that calls itself a bucket and does not answer so many times."""

    def __init__(self, failures: int) -> None:
        super().__init__(MemoryBackend())
        self.failures, self.calls = failures, 0

    @property
    def url(self) -> str:
        return "s3://bucket/place"

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self.calls += 1
        if self.calls <= self.failures:
            message = "Slow down."
            raise StoreUnavailableError(message)
        return super().get(name, start, length)


def test_a_folder_or_memory_without_limits_is_left_as_it_is() -> None:
    backend = MemoryBackend()
    assert AS_FAST_AS_IT_GOES.around(backend) is backend


@pytest.mark.parametrize("failures", [1, 2])
def test_a_bucket_that_is_busy_for_a_second_is_asked_again(failures: int) -> None:
    bucket = Bucket(failures)
    bucket.put("name", b"bytes")
    around: Backend = AS_FAST_AS_IT_GOES.around(bucket)
    assert isinstance(around, RetryingBackend)
    assert around.get("name") == b"bytes"


def test_a_bucket_that_is_down_is_given_up_after_three_tries() -> None:
    bucket = Bucket(10)
    with pytest.raises(StoreUnavailableError):
        AS_FAST_AS_IT_GOES.around(bucket).get("name")
    assert bucket.calls == 3


def test_a_limit_holds_for_all_volumes_together(line: Line) -> None:
    options = StoreOptions(limit_up=1000, limit_down=500)
    volumes = [options.around(MemoryBackend()) for _ in range(3)]
    for volume in volumes:
        volume.put("name", bytes(1000))
    # 3,000 bytes at 1,000 a second, the first second's worth being there at once.
    assert line.now == pytest.approx(2.0)
    line.now = 10.0
    for volume in volumes:
        assert volume.get("name") == bytes(1000)
    assert line.now == pytest.approx(10.0 + (3000 - 500) / 500)


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_of_nothing_is_refused(rate: int) -> None:
    with pytest.raises(InputError):
        StoreOptions(limit_up=rate)


def test_a_slow_line_is_not_taken_for_a_slow_volume() -> None:
    assert AS_FAST_AS_IT_GOES.hedge_after(PACK_BYTES) == 1.0
    slow = StoreOptions(limit_up=100_000).hedge_after(PACK_BYTES)
    assert slow >= 4 * PACK_BYTES / 100_000


def test_a_sync_and_a_restore_keep_to_their_limits_and_leave_nothing_out(
    tmp_path: Path, line: Line
) -> None:
    vault, kit = Vault.create(tmp_path / "a", embedder="none")
    vault.close()
    options = StoreOptions(limit_up=20_000)
    with Vault.open(tmp_path / "a", embedder="none", store_options=options) as vault:
        vault.add_volumes([str(tmp_path / f"v{number}") for number in range(3)])
        began = line.now
        for number in range(50):
            vault.remember(f"Memory {number} about walnuts." * 20)
        assert vault.sync().complete
        locator = vault.locator()
    sent = sum(path.stat().st_size for path in tmp_path.glob("v*/**/*") if path.is_file())
    assert sent > 40_000
    assert line.now - began >= (sent - 3 * 20_000) / 20_000
    options = StoreOptions(limit_down=20_000)
    began = line.now
    with Vault.restore(
        locator, tmp_path / "b", kit=kit.words, embedder="none", store_options=options
    ) as twin:
        assert twin.restored is not None
        assert twin.restored.complete
        assert twin.stats().memories == 50
    assert line.now > began


def test_a_walrus_network_is_kept_to_the_limits_as_well(tmp_path: Path, line: Line) -> None:
    with LoopbackNetwork(nodes=4, n_shards=10, signatures=False) as network:
        options = StoreOptions(limit_up=1000, limit_down=1000)
        vault, kit = Vault.create(tmp_path / "a", embedder="none", store_options=options)
        with vault:
            vault._remote.add("walrus", write_settings(settings(network)))
            vault.remember("x" * 5000, wait="remote")
            (sent,) = (one.bytes for one in vault.stores().stores)
            assert line.now == pytest.approx((sent - 1000) / 1000)
            locator = vault.locator()
        began = line.now
        with Vault.restore(
            locator, tmp_path / "b", kit=kit.words, embedder="none", store_options=options
        ) as twin:
            assert twin.stats().memories == 1
        assert line.now > began
