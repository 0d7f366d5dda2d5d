"""Changing a vault's volumes: what is added, removed, rearranged, adopted; cut short, gone on."""

from __future__ import annotations

import dataclasses
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vault.publishing import Crash, Fuse, Stopping, digest, restored, silent, with_volumes

from haulout import Vault
from haulout.errors import (
    ConflictError,
    HauloutError,
    InputError,
    NotFoundError,
    StoreUnavailableError,
)
from haulout.storage.address import open_backend
from haulout.storage.backend import Backend
from haulout.storage.memory import MemoryBackend
from haulout.storage.wrappers.around import AroundBackend
from haulout.vault.stores import volumekeeping, volumestore
from haulout.vault.stores.remote import OPENERS, Remote
from haulout.vault.stores.volumekeeping import VolumeKeeping


def fresh() -> str:
    """A place in memory that nobody has used."""
    return f"memory:{secrets.token_hex(8)}"


def objects(url: str) -> int:
    """How many objects and heads a place in memory holds."""
    return len(list(MemoryBackend.named(url.removeprefix("memory:")).list()))


def sound(vault: Vault) -> bool:
    """Whether every blob is whole on every volume, and all that the head names can be read."""
    told = vault.volumes(ask=True)
    report = vault.check(remote=True)
    return (
        not (told.degraded or told.lost or told.out_of_reach or told.rebalancing) and report.sound
    )


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Vault, str]]:
    """A vault with three volumes that hold something, and its words."""
    vault, words = with_volumes(tmp_path / "a")
    with vault:
        vault.remember("Ana is allergic to walnuts.")
        vault.remember("A file.", attach=b"its bytes" * 50)
        vault.sync()
        yield vault, words


# --- the verbs -----------------------------------------------------------------------------


def test_a_volume_that_is_added_takes_its_shards_and_is_published(
    kept: tuple[Vault, str], tmp_path: Path
) -> None:
    vault, words = kept
    url = fresh()
    report = vault.add_volumes([url])
    assert (report.generation, len(report.volumes), report.rebalancing) == (2, 4, False)
    assert {one.url for one in report.volumes if len(one.shards) >= 2} >= {url}
    assert sound(vault)
    vault.remember("after")
    vault.sync()
    twin, found = restored(vault, words, tmp_path / "b")
    with twin:
        assert found.complete
        assert digest(twin, tmp_path) == digest(vault, tmp_path)


def test_a_volume_that_is_removed_leaves_nothing_there_and_loses_nothing(
    kept: tuple[Vault, str],
) -> None:
    vault, _ = kept
    leaving = vault.volumes().volumes[0]
    done = vault.remove_volume(leaving.url)
    assert (done.generation, done.faults, done.incomplete, done.unreached) == (2, (), (), ())
    assert done.copied > 0
    assert leaving.id not in {one.id for one in vault.volumes().volumes}
    assert objects(leaving.url) == 0
    assert sound(vault)


def test_a_volume_that_is_gone_is_removed_and_its_shards_are_rebuilt(
    kept: tuple[Vault, str],
) -> None:
    vault, _ = kept
    vault.add_volumes([fresh()])
    leaving = vault.volumes().volumes[1]
    MemoryBackend._named.pop(leaving.url.removeprefix("memory:"))
    done = vault.remove_volume(leaving.id)
    assert done.rebuilt > 0
    assert sound(vault)


def test_the_last_volume_stays_and_an_unknown_one_is_not_found(tmp_path: Path) -> None:
    vault, _ = with_volumes(tmp_path / "a", 1)
    with vault:
        (only,) = vault.volumes().volumes
        with pytest.raises(InputError, match="last"):
            vault.remove_volume(only.id)
        with pytest.raises(NotFoundError):
            vault.remove_volume("memory:nowhere")


@pytest.mark.parametrize(
    ("urls", "shards"),
    [([], None), (["memory:x", "memory:x"], None), (["ftp://x"], None), ([fresh()], 8)],
    ids=["none", "twice", "no place", "too few shards"],
)
def test_what_cannot_be_a_set_is_refused_and_begins_none(
    tmp_path: Path, urls: list[str], shards: int | None
) -> None:
    vault, _ = Vault.create(tmp_path / "a", embedder="none")
    with vault:
        with pytest.raises(InputError):
            vault.add_volumes(urls, shards=shards)
        with pytest.raises(NotFoundError):
            vault.volumes()


def test_a_standing_set_refuses_a_volume_twice_and_another_number_of_shards(
    kept: tuple[Vault, str],
) -> None:
    vault, _ = kept
    with pytest.raises(InputError, match="already"):
        vault.add_volumes([vault.volumes().volumes[0].url])
    with pytest.raises(InputError, match="cannot change"):
        vault.add_volumes([fresh()], shards=20)
    assert vault.volumes().generation == 1


def test_a_place_that_holds_something_else_is_left_alone_and_can_be_left_out_again(
    kept: tuple[Vault, str],
) -> None:
    vault, _ = kept
    url = fresh()
    MemoryBackend.named(url.removeprefix("memory:")).put("a-photo", b"of somebody's")
    with pytest.raises(ConflictError):
        vault.add_volumes([url])
    assert objects(url) == 1


def test_spreading_what_is_even_changes_nothing(kept: tuple[Vault, str]) -> None:
    vault, _ = kept
    assert vault.rebalance().generation == 1


def test_an_emptied_place_is_adopted_and_filled_again(kept: tuple[Vault, str]) -> None:
    vault, _ = kept
    lost = vault.volumes().volumes[2]
    MemoryBackend._named.pop(lost.url.removeprefix("memory:"))
    done = vault.repair()
    assert (done.whole, len(done.unreached)) == (False, 1)
    assert lost.url in done.unreached[0]
    done = vault.repair(adopt=[lost.url])
    assert done.whole
    assert done.made > 0
    assert objects(lost.url) > 0
    assert sound(vault)
    with pytest.raises(NotFoundError):
        vault.repair(adopt=["memory:another"])


def test_a_rotten_object_is_found_by_a_deep_repair_and_made_again(tmp_path: Path) -> None:
    vault, _ = Vault.create(tmp_path / "a", embedder="none")
    with vault:
        vault.add_volumes([str(tmp_path / f"v{number}") for number in range(3)])
        vault.remember("x" * 3000, wait="remote")
        victim = max((tmp_path / "v0").glob("**/blobs/**/*"), key=lambda path: path.is_file())
        data = bytearray(victim.read_bytes())
        data[-1] ^= 1
        victim.write_bytes(data)
        assert vault.repair().made == 0
        done = vault.repair(deep=True)
        assert (done.whole, done.made) == (True, 1)
        assert (tmp_path / "v0").as_uri() in done.faults[0]
        assert vault.repair(deep=True).made == 0


# --- cut short -----------------------------------------------------------------------------


class Fused(AroundBackend):
    """A backend that ends the program before or after any change; nothing is done after that."""

    def __init__(self, inner: Backend, tick: Callable[[], None]) -> None:
        super().__init__(inner)
        self._tick = tick

    def _done(self, call: Callable[[], Any]) -> Any:
        self._tick()
        answer = call()
        self._tick()
        return answer

    def put(self, name: str, data: bytes) -> None:
        self._done(lambda: self.inner.put(name, data))

    def delete(self, name: str) -> None:
        self._done(lambda: self.inner.delete(name))

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        return self._done(lambda: self.inner.swap_head(name, data, version))


class Lasting(Fuse):
    """A fuse for several threads: once burnt, it stays so."""

    def __init__(self, calls: int | None) -> None:
        super().__init__(calls)
        self._lock = threading.Lock()

    def tick(self) -> None:
        with self._lock:
            super().tick()


Change = Callable[[VolumeKeeping, list[str]], object]
CHANGES: dict[str, Change] = {
    "begin": lambda keeping, urls: keeping.add(urls, None, silent),
    "add": lambda keeping, urls: keeping.add([urls[-1]], None, silent),
    "remove": lambda keeping, urls: keeping.remove(urls[0], give_up=False, report=silent),
}


def cut_short(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, fuse: Fuse, change: Change, urls: list[str]
) -> bool:
    """Change the volumes in a program that ends at some call; whether it got there."""
    with monkeypatch.context() as patch:
        for module in (volumestore, volumekeeping):
            patch.setattr(
                module, "open_backend", lambda *a, **k: Fused(open_backend(*a, **k), fuse.tick)
            )
        database: Any = Stopping(vault._parts.database, fuse, "write")
        parts = dataclasses.replace(vault._parts, database=database)
        remote = Remote(parts, {}, OPENERS)
        try:
            change(VolumeKeeping(parts, remote, {}), urls)
        except Crash:
            return True
        finally:
            remote.close()
    return False


def stands(vault: Vault, urls: list[str]) -> bool:
    """Whether the volumes are these, and no change of them is unfinished."""
    try:
        told = vault.volumes()
    except NotFoundError:
        return False
    return {one.url for one in told.volumes} == set(urls) and not told.rebalancing


_EARLY = {4, 6}
"""While the first places get their markers."""


def steps_of(quick: int) -> list[Any]:
    """Every step in the long form; some of them in the quick one."""
    return [
        step if step % quick == 0 or step in _EARLY else pytest.param(step, marks=pytest.mark.full)
        for step in range(120)
    ]


@pytest.mark.parametrize("step", steps_of(9))
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_is_cut_short_anywhere_loses_nothing_and_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, step: int
) -> None:
    vault, kit = Vault.create(tmp_path / "a", embedder="none")
    urls = [fresh() for _ in range(3)]
    with vault:
        if name != "begin":
            vault.add_volumes(urls)
        vault.remember("Ana is allergic to walnuts.", attach=b"its bytes" * 50)
        vault.sync()
        urls = urls if name == "begin" else [*urls, fresh()]
        stopped = cut_short(vault, monkeypatch, Lasting(step), CHANGES[name], urls)
        if name != "begin":
            # Nothing that was published is out of reach at this very moment.
            assert vault.check(remote=True).sound
            twin, found = restored(vault, kit.words, tmp_path / "b")
            twin.close()
            assert found.complete
            if not vault.volumes().rebalancing:  # then nothing keeps the vault from publishing
                vault.remember("between")
                assert vault.sync().complete
        wanted = {"begin": urls, "add": urls, "remove": urls[1:-1]}[name]
        if stopped and not stands(vault, wanted):
            cut_short(vault, monkeypatch, Lasting(step // 2), CHANGES[name], urls)
        if not stands(vault, wanted):
            CHANGES[name](VolumeKeeping(vault._parts, vault._remote, {}), urls)
        assert stands(vault, wanted)
        vault.remember("after")
        assert vault.sync().complete
        assert sound(vault)
        twin, found = restored(vault, kit.words, tmp_path / "c")
        with twin:
            assert found.complete
            assert digest(twin, tmp_path) == digest(vault, tmp_path)


@pytest.mark.parametrize("step", steps_of(8))
@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.full)])
def test_a_new_place_that_stops_answering_anywhere_does_not_lock_the_vault_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, count: int
) -> None:
    vault, words = with_volumes(tmp_path / "a", count)
    with vault:
        vault.remember("Ana is allergic to walnuts.")
        vault.sync()
        new, left = fresh(), step

        def tick() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                message = "Nobody answers."
                raise StoreUnavailableError(message)

        def opened(url: str, *rest: Any, **named: Any) -> Backend:
            backend = open_backend(url, *rest, **named)
            return Fused(backend, tick) if url == new else backend

        with monkeypatch.context() as patch:
            for module in (volumestore, volumekeeping):
                patch.setattr(module, "open_backend", opened)
            with vault_unharmed(vault):
                vault.add_volumes([new])
        vault._remote.close()  # it answers from here on
        vault.rebalance()
        vault.remember("after")
        assert vault.sync().complete
        assert not vault.volumes().rebalancing
        twin, found = restored(vault, words, tmp_path / "b")
        twin.close()
        assert found.complete


class vault_unharmed:  # noqa: N801 - reads as a sentence
    """What a place that does not answer may raise, with all that stands still readable."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> bool:
        assert kind is None or issubclass(kind, HauloutError)
        assert self._vault.check(remote=True).sound
        return True


def test_another_program_sees_a_change_of_the_volumes(kept: tuple[Vault, str]) -> None:
    vault, _ = kept
    assert vault.path is not None
    with Vault.open(vault.path, embedder="none") as other:
        other.sync()
        vault.add_volumes([fresh()])
        vault.remove_volume(vault.volumes().volumes[0].id)
        other.remember("after")
        assert other.sync().complete
        assert sound(vault)


def test_volumes_that_were_let_go_keep_what_they_hold(kept: tuple[Vault, str]) -> None:
    vault, _ = kept
    urls = [one.url for one in vault.volumes().volumes]
    before = [objects(url) for url in urls]
    assert vault.detach_volumes().stores == ()
    assert [objects(url) for url in urls] == before
    with pytest.raises(NotFoundError):
        vault.volumes()


def test_a_set_that_follows_one_that_was_let_go_is_another_set(kept: tuple[Vault, str]) -> None:
    vault, _ = kept
    before = vault.volumes().set_id
    vault.detach_volumes()
    assert vault.add_volumes([fresh(), fresh()]).set_id != before
    assert vault.sync().complete
    assert sound(vault)


def test_a_folder_that_is_away_while_it_is_added_to_says_so_and_the_set_stays(
    tmp_path: Path,
) -> None:
    vault, _ = Vault.create(tmp_path / "a", embedder="none")
    with vault:
        places = [tmp_path / f"v{number}" for number in range(3)]
        vault.add_volumes([str(place) for place in places])
        vault.remember("x", wait="remote")
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(HauloutError):
            vault.add_volumes([str(tmp_path / "file" / "below")])
        shutil.move(places[1], tmp_path / "away")
        told = vault.volumes(ask=True)
        assert [one.reachable for one in told.volumes].count(False) == 1
        assert told.degraded
        assert not told.lost
        shutil.move(tmp_path / "away", places[1])
        assert sound(vault)
