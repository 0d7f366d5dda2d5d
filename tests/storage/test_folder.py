"""A folder as a store: durable names, one winner among processes, and disks that go away."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from haulout.errors import (
    BlobMissingError,
    DiskFullError,
    HauloutError,
    InputError,
    ReadOnlyError,
    StorageError,
    StoreRefusedError,
    StoreUnavailableError,
)
from haulout.storage import durable, filelock, folder
from haulout.storage.backend import Object
from haulout.storage.folder import FORMAT, OWN, FolderBackend, version_of


@pytest.fixture
def store(tmp_path: Path) -> FolderBackend:
    return FolderBackend.create(tmp_path / "store")


def files(root: Path) -> dict[str, bytes]:
    """Every plain file below, by its path; the lock file left out."""
    found = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in found.items() if not name.endswith("swap.lock")}


# --- what lies on the disk ---------------------------------------------------------------------


def test_an_object_is_a_file_under_its_name_that_only_the_owner_may_read(
    store: FolderBackend, tmp_path: Path
) -> None:
    store.put("blobs/ab/1", b"sliver")
    version = store.swap_head("heads/a", b"head", None)
    root = tmp_path / "store"
    assert files(root) == {
        f"{OWN}/format": FORMAT,
        "blobs/ab/1": b"sliver",
        "heads/a": b"head",
    }
    assert version == version_of(b"head")
    assert list((root / OWN / "staging").iterdir()) == []
    for path in root.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_store_is_found_again_by_another_instance_and_after_it_was_copied(
    store: FolderBackend, tmp_path: Path
) -> None:
    store.put("a", b"1")
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "store", copy)
    shutil.rmtree(copy / OWN / "staging")  # copying programs leave empty folders out
    (copy / OWN / "swap.lock").unlink(missing_ok=True)
    again = FolderBackend.create(copy)
    again.put("b", b"2")
    again.swap_head("h", b"3", None)
    assert sorted(again.list()) == [Object("a", 1), Object("b", 1), Object("h", 1)]


def test_what_is_no_object_is_not_listed(store: FolderBackend, tmp_path: Path) -> None:
    root = tmp_path / "store"
    store.put("a/b", b"1")
    (root / ".DS_Store").write_bytes(b"x")
    (root / "a" / ".b.tmp-0011").write_bytes(b"half")
    (root / "Upper").write_bytes(b"x")
    (root / "lost+found").mkdir()
    (root / "lost+found" / "x").write_bytes(b"x")
    (root / "link").symlink_to(root / "a" / "b")
    (root / "loop").symlink_to(root)
    (root / OWN / "staging" / ".x.tmp-0011").write_bytes(b"half")
    os.mkfifo(root / "pipe")
    assert list(store.list()) == [Object("a/b", 1)]


@pytest.mark.parametrize("name", ["link", "pipe", "device"])
def test_what_is_no_plain_file_is_not_read(store: FolderBackend, tmp_path: Path, name: str) -> None:
    root = tmp_path / "store"
    (root / "link").symlink_to(tmp_path / "store" / OWN / "format")
    (root / "device").symlink_to("/dev/zero")
    os.mkfifo(root / "pipe")
    with pytest.raises(StorageError):
        store.get(name)
    with pytest.raises(StorageError):
        store.size(name)


def test_a_name_that_is_a_folder_of_others_is_refused_and_holds_nothing(
    store: FolderBackend,
) -> None:
    store.put("a/b/c", b"1")
    for call in (
        lambda: store.put("a/b", b"2"),
        lambda: store.put("a", b"2"),
        lambda: store.put("a/b/c/d", b"2"),
        lambda: store.put("a/b/c/d/e", b"2"),
        lambda: store.swap_head("a/b", b"2", None),
    ):
        with pytest.raises(InputError):
            call()
    with pytest.raises(BlobMissingError):
        store.get("a/b")
    with pytest.raises(BlobMissingError):
        store.size("a/b")
    with pytest.raises(BlobMissingError):
        store.get("a/b/c/d")
    assert store.read_head("a/b") is None
    store.delete("a/b")
    assert list(store.list()) == [Object("a/b/c", 1)]


def test_nothing_is_written_through_a_link_to_another_folder(
    store: FolderBackend, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store" / "blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        store.put("blobs/a", b"1")
    assert list((tmp_path / "elsewhere").iterdir()) == []


# --- made once, and gone -----------------------------------------------------------------------


def test_a_folder_that_was_not_made_a_store_is_unavailable_and_stays_empty(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing", tmp_path / "file" / "below"):
        store = FolderBackend(root)
        for call in every_call(store):
            with pytest.raises(StoreUnavailableError):
                call()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailableError):
        FolderBackend(tmp_path / "file").get("a")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def every_call(store: FolderBackend) -> list[Callable[[], object]]:
    return [
        lambda: store.put("a", b"1"),
        lambda: store.put("a/b", b"1"),
        lambda: store.get("a"),
        lambda: store.get("a", 0, 1),
        lambda: store.size("a"),
        lambda: store.delete("a"),
        lambda: list(store.list()),
        lambda: list(store.list("a/")),
        lambda: store.read_head("a"),
        lambda: store.swap_head("a", b"1", None),
    ]


def test_an_unplugged_disk_is_unavailable_not_empty_and_comes_back_whole(
    store: FolderBackend, tmp_path: Path
) -> None:
    root, away = tmp_path / "store", tmp_path / "away"
    store.put("a", b"1")
    store.put("b/c", b"2")
    root.rename(away)
    root.mkdir()  # the empty mount point
    for call in every_call(store):
        with pytest.raises(StoreUnavailableError, match="Plug in"):
            call()
    assert list(root.iterdir()) == []
    root.rmdir()
    away.rename(root)
    assert sorted(store.list()) == [Object("a", 1), Object("b/c", 1)]
    store.put("b/d", b"3")
    assert store.get("b/d") == b"3"


def test_a_disk_unplugged_during_a_listing_does_not_make_it_short(
    store: FolderBackend, tmp_path: Path
) -> None:
    for number in range(4):
        store.put(f"{number}/a", b"1")
    listing = store.list()
    next(listing)
    (tmp_path / "store").rename(tmp_path / "away")
    with pytest.raises(StoreUnavailableError):
        list(listing)


def test_a_disk_unplugged_during_a_write_acknowledges_nothing(
    store: FolderBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = durable.sync_folder

    def unplug(place: Path) -> None:
        real(place)
        (tmp_path / "store").rename(tmp_path / "away")

    store.put("warm/up", b"")
    for call in (
        lambda: store.put("warm/a", b"1"),
        lambda: store.swap_head("warm/a", b"1", None),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(folder, "sync_folder", unplug)
            with pytest.raises(StoreUnavailableError):
                call()
        (tmp_path / "away").rename(tmp_path / "store")
        store.delete("warm/a")


def test_another_disk_at_the_same_path_gets_folders_of_its_own(
    store: FolderBackend, tmp_path: Path
) -> None:
    store.put("a/b/c", b"1")
    (tmp_path / "store").rename(tmp_path / "first")
    FolderBackend.create(tmp_path / "store")
    store.put("a/b/d", b"2")
    assert list(store.list()) == [Object("a/b/d", 1)]


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT])
def test_an_answer_of_a_lost_device_is_unavailable(
    store: FolderBackend, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store.put("a", b"1")

    def lost(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lost)
        for call in (lambda: store.get("a"), lambda: store.put("a", b"2")):
            with pytest.raises(StoreUnavailableError):
                call()
    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "fsync", lost)
        with pytest.raises(StoreUnavailableError):
            store.put("a", b"2")
    assert store.get("a") == b"1"


def test_creating_is_refused_over_other_files_and_done_twice_is_fine(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"notes\.txt"):
        FolderBackend.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    deep = tmp_path / "new" / "deep"
    FolderBackend.create(deep).put("a", b"1")
    assert FolderBackend.create(deep).get("a") == b"1"
    with pytest.raises(StorageError):
        FolderBackend.create(tmp_path / "notes.txt")


def test_a_disk_freshly_formatted_may_become_a_store(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "System Volume Information").mkdir()
    (tmp_path / ".Trashes").mkdir()
    assert list(FolderBackend.create(tmp_path).list()) == []


def test_a_store_of_another_version_is_left_alone(store: FolderBackend, tmp_path: Path) -> None:
    (tmp_path / "store" / OWN / "format").write_bytes(b"haulout folder 2\n")
    before = files(tmp_path)
    for call in (
        lambda: store.put("a", b"1"),
        lambda: store.swap_head("a", b"1", None),
        lambda: store.delete("a"),
        lambda: FolderBackend.create(tmp_path / "store"),
        lambda: list(store.list()),
    ):
        with pytest.raises(StorageError, match="another version"):
            call()
    assert files(tmp_path) == before


def test_its_address_is_a_file_url_unless_it_is_given_one(tmp_path: Path) -> None:
    assert FolderBackend(tmp_path / "a b").url == f"{tmp_path.as_uri()}/a%20b"
    assert FolderBackend(tmp_path, "usb").url == "usb"


def test_a_file_that_may_not_be_read_is_refused_and_not_missing(
    store: FolderBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", b"1")

    def forbidden(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(StoreRefusedError, match="may not be read"):
        store.get("a")


# --- crashes and failing disks -----------------------------------------------------------------

CALLS = ("open", "write", "fsync", "replace", "mkdir", "unlink")
ERRORS = [
    (errno.ENOSPC, DiskFullError),
    (errno.EROFS, ReadOnlyError),
    (errno.EIO, StorageError),
]


class Crash(BaseException):
    """The process died here."""


@contextmanager
def spied(
    monkeypatch: pytest.MonkeyPatch, fail: Callable[[str, int], BaseException | None]
) -> Iterator[list[str]]:
    """The calls that change the disk, in order; the n-th of them may fail instead."""
    made: list[str] = []

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            writes = name != "open" or (len(arguments) > 1 and arguments[1] & os.O_CREAT)
            if writes:
                made.append(name)
                if error := fail(name, len(made)):
                    raise error
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, wrap(name, getattr(os, name)))
        yield made


def act_put(store: FolderBackend, data: bytes) -> None:
    store.put("new/folder/a", data)


def act_swap(store: FolderBackend, data: bytes) -> None:
    head = store.read_head("new/folder/a")
    store.swap_head("new/folder/a", data, head.version if head else None)


ACTS = [act_put, act_swap]


def steps(
    act: Callable[[FolderBackend, bytes], None], root: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    with spied(monkeypatch, lambda *_: None) as made:
        act(FolderBackend(root), b"new" * 1000)
    return made


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_crash_at_any_call_leaves_the_old_or_the_new_object_whole(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[FolderBackend, bytes], None],
    before: bytes | None,
) -> None:
    new = b"new" * 1000

    def fresh(number: int) -> Path:
        root = tmp_path / str(number)
        store = FolderBackend.create(root)
        if before is not None:
            act(store, before)
        return root

    count = len(steps(act, fresh(0), monkeypatch))
    seen = set()
    for at in range(1, count + 1):
        root = fresh(at)
        with (
            spied(monkeypatch, lambda _, number, at=at: Crash() if number == at else None),
            pytest.raises(Crash),
        ):
            act(FolderBackend(root), new)
        after = FolderBackend(root)
        objects = {name: after.get(name) for name, _ in after.list()}
        seen.add(objects.get("new/folder/a"))
        assert objects in ([{}] if before is None else [{"new/folder/a": before}]) + [
            {"new/folder/a": new}
        ]
        act(after, new)  # and the next run is not in its way
        assert after.get("new/folder/a") == new
        assert after.sweep(older_than_s=-1) <= 1
        assert list((root / OWN / "staging").iterdir()) == []
    assert seen == {before, new}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("number", "expected"), ERRORS, ids=lambda v: getattr(v, "__name__", v))
def test_a_failing_call_is_told_and_half_an_object_is_never_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[FolderBackend, bytes], None],
    number: int,
    expected: type[HauloutError],
) -> None:
    failed = []
    for at in itertools.count(1):
        root = tmp_path / str(at)
        act(FolderBackend.create(root), b"old")
        store = FolderBackend(root)
        error = OSError(number, os.strerror(number))
        told: StorageError | None = None
        with spied(monkeypatch, lambda _, nth, at=at, e=error: e if nth == at else None) as made:
            try:
                act(store, b"new")
            except StorageError as raised:
                told = raised
        if len(made) < at:
            break
        failed.append(made[at - 1])
        stands = FolderBackend(root).get("new/folder/a")
        if told is None:
            assert failed[-1] == "unlink"  # of a temporary file that was renamed already
            assert stands == b"new"
        else:
            assert type(told) is (StorageError if store._unsynced else expected), (at, made)
            assert stands in {b"old", b"new"}
            assert stands == b"old" or store._unsynced
    assert set(failed) == set(CALLS)


def test_after_a_failed_fsync_of_a_folder_nothing_but_get_is_answered(
    store: FolderBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", b"1")
    real = folder.sync_folder

    def broken(place: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(folder, "sync_folder", broken)
        with pytest.raises(StorageError, match="not known"):
            store.put("b", b"2")
    assert folder.sync_folder is real
    for call in (
        lambda: store.put("b", b"2"),
        lambda: store.size("b"),
        lambda: store.delete("b"),
        lambda: list(store.list()),
        lambda: store.read_head("b"),
        lambda: store.swap_head("b", b"2", None),
    ):
        with pytest.raises(StorageError, match="failed while names"):
            call()
    assert store.get("a") == b"1"
    again = FolderBackend(tmp_path / "store")
    again.put("b", b"2")
    assert again.get("b") == b"2"


def test_a_swap_whose_fsync_fails_is_not_told_as_unanswered(
    store: FolderBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unavailable invites a second look, which would find the head in memory and believe it."""
    store.swap_head("h", b"1", None)

    def broken(place: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(folder, "sync_folder", broken)
    with pytest.raises(StorageError) as raised:
        store.swap_head("h", b"2", version_of(b"1"))
    assert not isinstance(raised.value, StoreUnavailableError)


def synced(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[str]:
    """What is fsynced, by name, in order."""
    done: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        done.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        act()
    return [Path(path).name.partition(".tmp-")[0] for path in done]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of handles are Linux's")
def test_each_call_syncs_what_it_says_and_no_more(
    store: FolderBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(name: str) -> list[str]:
        return synced(monkeypatch, lambda: store.put(name, b"1"))

    assert put("a/b/1") == ["store", "a", ".1", "b"]
    assert put("a/b/2") == [".2", "b"]
    assert put("a/c/1") == ["a", ".1", "c"]
    assert put("1") == [".1", "store"]
    swap = synced(monkeypatch, lambda: store.swap_head("a/b/h", b"1", None))
    assert swap == [".h", "b"]
    assert synced(monkeypatch, lambda: store.delete("a/b/1")) == ["b"]
    assert synced(monkeypatch, lambda: store.delete("a/b/1")) == []
    reads = synced(
        monkeypatch,
        lambda: (store.get("1"), store.size("1"), list(store.list()), store.read_head("1")),
    )
    assert reads == []
    # another instance may find folders whose maker died before it synced them
    other = FolderBackend(tmp_path / "store")
    again = synced(monkeypatch, lambda: other.put("a/b/3", b"1"))
    assert again == ["store", "a", ".3", "b"]


# --- strays ------------------------------------------------------------------------------------


def test_strays_of_a_crash_are_swept_before_the_first_write_and_younger_ones_are_left(
    store: FolderBackend, tmp_path: Path
) -> None:
    staging = tmp_path / "store" / OWN / "staging"
    staging.mkdir(exist_ok=True)
    old, young = staging / ".old.tmp-1", staging / ".young.tmp-2"
    for path, age in ((old, folder.STRAY_AGE_S + 60), (young, folder.STRAY_AGE_S - 60)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    assert list(store.list()) == []
    assert old.exists()
    store.put("a", b"1")
    assert not old.exists()
    assert young.exists()
    assert store.sweep(now=time.time() + 120) == 1
    assert list(staging.iterdir()) == []


# --- the swap among processes ------------------------------------------------------------------


SWAPPER = """
import sys
from haulout.errors import ConflictError
from haulout.storage.folder import FolderBackend

store = FolderBackend(sys.argv[1])
for line in sys.stdin:  # a line is a round: the bytes to swap in, then "go" once all have read
    head = store.read_head("h")
    print("read", flush=True)
    sys.stdin.readline()
    try:
        store.swap_head("h", line.encode(), head.version if head else None)
    except ConflictError:
        print("lost", flush=True)
    else:
        print("won", flush=True)
"""


def test_of_four_processes_exactly_one_wins_each_round(tmp_path: Path) -> None:
    store = FolderBackend.create(tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with ExitStack() as stack:
        swappers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SWAPPER, str(tmp_path)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
                )
            )
            for _ in range(4)
        ]  # fmt: skip

        def say(line: Callable[[int], str]) -> list[str]:
            for number, swapper in enumerate(swappers):
                print(line(number), file=swapper.stdin, flush=True)
            return [swapper.stdout.readline().strip() for swapper in swappers]

        for round_ in range(20):
            assert say(lambda number, at=round_: f"{at} {number}") == ["read"] * 4
            answers = say(lambda _: "go")
            assert sorted(answers) == ["lost", "lost", "lost", "won"], round_
            head = store.read_head("h")
            assert head
            assert head.data == f"{round_} {answers.index('won')}\n".encode()
        for swapper in swappers:
            swapper.stdin.close()
    assert [swapper.returncode for swapper in swappers] == [0] * 4


def test_a_lock_that_another_holds_all_the_while_is_unavailable(
    store: FolderBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    lock = tmp_path / "store" / OWN / "swap.lock"
    with filelock.held(lock, patience_s=1):
        with (
            pytest.raises(StoreUnavailableError, match="Another program"),
            filelock.held(lock, patience_s=5, clock=lambda: now[0], sleep=sleep),
        ):
            raise AssertionError
        assert 5 <= now[0] < 5.1
        assert max(pauses) < 0.06
        monkeypatch.setattr(folder, "LOCK_PATIENCE_S", 0.0)
        with pytest.raises(StoreUnavailableError):
            store.swap_head("h", b"1", None)
    store.swap_head("h", b"1", None)
