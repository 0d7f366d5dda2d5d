"""The contract of a backend as checks that anyone's backend can be put to.

    @pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
    def test_it_keeps_the_contract(check, tmp_path):
        FolderBackend.create(tmp_path)
        check(lambda: FolderBackend(tmp_path))

A check gets a `Place`: a function that opens a backend. All that one check opens lie at one place,
which is empty when the check begins; a check opens it twice to be two programs at once. Checks
close what they open, raise AssertionError where the contract is broken, and need nothing but
Python.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from haulout.errors import BlobMissingError, ConflictError, HauloutError, InputError
from haulout.storage.backend import MOST_NAME_CHARACTERS, Backend, Object

Place = Callable[[], Backend]
Check = Callable[[Place], None]

NOT_NAMES: Final = (
    "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", ".a", "a/.b", "A", "a/B", "é", "a b",
    "a\\b", "a\n", "a\0", "a+b", "-a", "_a", "a.", "a./b", "con", "a/nul", "nul.txt", "com1/a",
    "a" * (MOST_NAME_CHARACTERS + 1),
)  # fmt: skip
"""Texts that every backend refuses as names."""

NOT_PREFIXES: Final = ("/", "../", "a/../", "a//", "A", ".", "a\\", "*")
"""Texts that every backend refuses as prefixes."""

THREADS: Final = 8
ROUNDS: Final = 5
MANY: Final = 2500


@contextmanager
def _opened(place: Place) -> Generator[Backend]:
    backend = place()
    try:
        yield backend
    finally:
        backend.close()


def _raises(expected: type[HauloutError], call: Callable[[], object]) -> None:
    try:
        call()
    except expected:
        return
    message = f"the call should have raised {expected.__name__}"
    raise AssertionError(message)


def _listed(backend: Backend, prefix: str = "") -> list[Object]:
    return sorted(backend.list(prefix))


def _missing(backend: Backend, name: str) -> None:
    _raises(BlobMissingError, lambda: backend.get(name))
    _raises(BlobMissingError, lambda: backend.get(name, 1, 1))
    _raises(BlobMissingError, lambda: backend.size(name))


def it_is_a_backend_with_an_address(place: Place) -> None:
    """It has every method, and an address without a secret's place in it."""
    with _opened(place) as backend:
        assert isinstance(backend, Backend)
        assert backend.url
        assert "@" not in backend.url


def an_empty_place_holds_nothing(place: Place) -> None:
    """Nothing is listed or found; deleting nothing is fine."""
    with _opened(place) as backend:
        assert _listed(backend) == []
        assert _listed(backend, "a") == []
        assert backend.read_head("heads/a") is None
        _missing(backend, "a")
        _missing(backend, "a/b/c")
        backend.delete("a")
        backend.delete("a/b/c")


def what_is_put_is_got(place: Place) -> None:
    """Bytes of every kind come back, by this instance and by another."""
    contents = {
        "empty": b"",
        "lines": b"\n\r\n\r\x1a\0",
        "every-byte": bytes(range(256)),
        "a/b/c/d.e_f-g": b"deep",
        "0": b"\xff" * 300_000,
        "z" * MOST_NAME_CHARACTERS: b"long name",
    }
    with _opened(place) as backend, _opened(place) as other:
        for name, data in contents.items():
            backend.put(name, data)
        for reader in (backend, other):
            for name, data in contents.items():
                got = reader.get(name)
                assert type(got) is bytes
                assert got == data, name
                assert reader.size(name) == len(data)
        sizes = sorted(Object(name, len(data)) for name, data in contents.items())
        assert _listed(backend) == sizes
        assert _listed(other) == sizes


def bytes_put_again_stay_and_others_replace_them(place: Place) -> None:
    """Putting is idempotent; a shorter object leaves nothing of a longer one."""
    with _opened(place) as backend:
        for data in (b"longer than the next", b"longer than the next", b"short", b"", b"more"):
            backend.put("a/b", data)
            assert backend.get("a/b") == data
            assert _listed(backend) == [Object("a/b", len(data))]


def what_was_put_does_not_follow_its_callers_buffer(place: Place) -> None:
    """The bytes at the time of the call are kept."""
    buffer = bytearray(b"before")
    with _opened(place) as backend:
        backend.put("a", bytes(buffer))
        buffer[:] = b"after!"
        assert backend.get("a") == b"before"


def a_range_gives_what_there_is_of_it(place: Place) -> None:
    """As a slice does, at every edge; a negative one is refused."""
    data = bytes(range(20))
    with _opened(place) as backend:
        backend.put("a", data)
        backend.put("empty", b"")
        for start in (0, 1, 19, 20, 21, 1000):
            assert backend.get("a", start) == data[start:], start
            assert backend.get("empty", start) == b"", start
            for length in (0, 1, 2, 19, 20, 21, 1000):
                assert backend.get("a", start, length) == data[start : start + length]
                assert backend.get("empty", start, length) == b""
        for start, length in ((-1, None), (-1, 1), (0, -1), (5, -5)):
            _raises(InputError, lambda at=start, some=length: backend.get("a", at, some))


def what_is_deleted_is_gone(place: Place) -> None:
    """For every instance; its neighbours stay; it can be put again."""
    with _opened(place) as backend, _opened(place) as other:
        for name in ("a/b", "a/c", "d"):
            backend.put(name, name.encode())
        backend.delete("a/b")
        backend.delete("a/b")
        for reader in (backend, other):
            _missing(reader, "a/b")
            assert _listed(reader) == [Object("a/c", 3), Object("d", 1)]
        backend.delete("a/c")
        assert _listed(backend, "a") == []
        other.put("a/b", b"again")
        assert backend.get("a/b") == b"again"


def a_listing_has_what_begins_so(place: Place) -> None:
    """A prefix may be cut anywhere in a name, and is no pattern."""
    names = ["blobs/ab/1", "blobs/ab/10", "blobs/ab.c/1", "blobs/b/1", "blob", "heads/x", "x"]
    prefixes = ["", "b", "blob", "blobs/", "blobs/a", "blobs/ab", "blobs/ab/", "blobs/ab/1",
                "blobs/ab/1/", "blobs/ab/100", "blobs/ab.", "heads", "x", "y", "x/y/"]  # fmt: skip
    with _opened(place) as backend:
        for name in names:
            backend.put(name, name.encode())
        for prefix in prefixes:
            expected = sorted(name for name in names if name.startswith(prefix))
            assert [name for name, _ in _listed(backend, prefix)] == expected, prefix
        for prefix in NOT_PREFIXES:
            _raises(InputError, lambda bad=prefix: list(backend.list(bad)))


def many_objects_are_all_listed_once(place: Place) -> None:
    """Twenty-five hundred, which is more than two pages of any bucket's listing."""
    names = {f"many/{number % 7}/{number:04}" for number in range(MANY)}
    with _opened(place) as backend:
        for name in names:
            backend.put(name, b"x")
        listed = [name for name, _ in backend.list("many/")]
        assert sorted(names) == sorted(listed)


def a_text_that_is_no_name_is_refused_by_every_method(place: Place) -> None:
    """Before anything is done, and the same everywhere."""
    with _opened(place) as backend:
        for name in NOT_NAMES:
            for call in (
                lambda bad=name: backend.put(bad, b""),
                lambda bad=name: backend.get(bad),
                lambda bad=name: backend.size(bad),
                lambda bad=name: backend.delete(bad),
                lambda bad=name: backend.read_head(bad),
                lambda bad=name: backend.swap_head(bad, b"", None),
            ):
                _raises(InputError, call)
        assert _listed(backend) == []


def a_head_is_swapped_from_the_version_that_was_read(place: Place) -> None:
    """Made where there was none, changed by its version, seen by every instance."""
    with _opened(place) as backend, _opened(place) as other:
        first = backend.swap_head("heads/a", b"one", None)
        head = other.read_head("heads/a")
        assert head == (b"one", first)
        second = other.swap_head("heads/a", b"two", first)
        assert second != first
        assert backend.read_head("heads/a") == (b"two", second)
        third = backend.swap_head("heads/a", b"", second)
        assert other.read_head("heads/a") == (b"", third)
        assert _listed(backend, "heads/") == [Object("heads/a", 0)]
        backend.swap_head("heads/b", b"another head is another matter", None)
        assert other.read_head("heads/a") == (b"", third)


def a_swap_from_another_version_changes_nothing(place: Place) -> None:
    """From none where there is one, from an old one, from one that never was, from one deleted."""
    with _opened(place) as backend:
        _raises(ConflictError, lambda: backend.swap_head("heads/a", b"x", "1"))
        assert backend.read_head("heads/a") is None
        first = backend.swap_head("heads/a", b"one", None)
        _raises(ConflictError, lambda: backend.swap_head("heads/a", b"x", None))
        _raises(ConflictError, lambda: backend.swap_head("heads/a", b"one", None))
        second = backend.swap_head("heads/a", b"two", first)
        _raises(ConflictError, lambda: backend.swap_head("heads/a", b"x", first))
        _raises(ConflictError, lambda: backend.swap_head("heads/a", b"x", "no such version"))
        assert backend.read_head("heads/a") == (b"two", second)
        backend.delete("heads/a")
        _raises(ConflictError, lambda: backend.swap_head("heads/a", b"x", second))
        assert backend.read_head("heads/a") is None
        backend.swap_head("heads/a", b"three", None)


def of_swaps_at_once_exactly_one_wins(place: Place) -> None:
    """Eight threads, each with an instance of its own, from the same version, several rounds."""
    with _opened(place) as backend:
        version: str | None = None
        for number in range(ROUNDS):
            won = _race(place, "heads/a", number, version)
            assert len(won) == 1, f"{len(won)} of {THREADS} swaps won round {number}"
            head = backend.read_head("heads/a")
            assert head is not None
            assert (head.data, head.version) == won[0]
            version = head.version


def _race(place: Place, name: str, number: int, version: str | None) -> list[tuple[bytes, str]]:
    won: list[tuple[bytes, str]] = []
    errors: list[HauloutError] = []
    start = threading.Barrier(THREADS, timeout=60)

    def swap(thread: int) -> None:
        data = f"round {number} thread {thread}".encode()
        with _opened(place) as backend:
            start.wait()
            try:
                won.append((data, backend.swap_head(name, data, version)))
            except ConflictError:
                pass
            except HauloutError as error:
                errors.append(error)

    threads = [threading.Thread(target=swap, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [], errors
    return won


def one_instance_serves_several_threads(place: Place) -> None:
    """Each thread puts, reads and deletes its own; a shared name holds one of theirs whole."""
    errors: list[BaseException] = []
    start = threading.Barrier(THREADS, timeout=60)
    with _opened(place) as backend:

        def work(thread: int) -> None:
            mine = bytes([thread]) * 10_000
            try:
                start.wait()
                for number in range(ROUNDS):
                    backend.put(f"own/{thread}/{number}", mine)
                    backend.put("shared", mine)
                    assert backend.get(f"own/{thread}/{number}") == mine
                    assert len(set(backend.get("shared"))) == 1
                    assert backend.size("shared") == len(mine)
                backend.delete(f"own/{thread}/0")
            except (HauloutError, AssertionError, OSError) as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == [], errors
        assert len(_listed(backend, "own/")) == THREADS * (ROUNDS - 1)


def closing_twice_is_fine(place: Place) -> None:
    """And what was put is there when the place is opened again."""
    backend = place()
    backend.put("a", b"kept")
    version = backend.swap_head("heads/a", b"kept, too", None)
    backend.close()
    backend.close()
    with _opened(place) as again:
        assert again.get("a") == b"kept"
        assert again.read_head("heads/a") == (b"kept, too", version)


CONTRACT: Final[tuple[Check, ...]] = (
    it_is_a_backend_with_an_address,
    an_empty_place_holds_nothing,
    what_is_put_is_got,
    bytes_put_again_stay_and_others_replace_them,
    what_was_put_does_not_follow_its_callers_buffer,
    a_range_gives_what_there_is_of_it,
    what_is_deleted_is_gone,
    a_listing_has_what_begins_so,
    a_text_that_is_no_name_is_refused_by_every_method,
    a_head_is_swapped_from_the_version_that_was_read,
    a_swap_from_another_version_changes_nothing,
    of_swaps_at_once_exactly_one_wins,
    one_instance_serves_several_threads,
    closing_twice_is_fine,
)
"""Every check, quick ones first. `many_objects_are_all_listed_once` stands apart: it takes long."""
