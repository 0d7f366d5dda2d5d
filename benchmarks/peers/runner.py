"""One store in a process of its own, driven by JSON lines: the same clock for every store.

A runner reads requests from standard input and answers each with one line; it needs the
standard library alone, so that it starts in any store's own environment. Times come from
inside the process: neither its start nor the pipe is measured.

    {"do": "open", "folder": ..., "corpus": ...}
    {"do": "write", "start": 0, "count": 300, "threads": 8}     one call, one memory
    {"do": "fill", "start": 0, "count": 10000}                  the store's fastest way in
    {"do": "recall", "count": 200, "limit": 10}
    {"do": "interleave", "start": 300, "count": 100}            one write, one recall, by turns
    {"do": "size"}                                              bytes on disk
    {"do": "answers", "count": 100, "exact": true}              recall, and which came back
    {"do": "settle"}, {"do": "rebuild"}                         what a store does when it is full
    {"do": "memory"}                                            bytes of its own in memory
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

DIMENSIONS = 384


class Lines(Sequence[str]):
    """The lines of a file, read as they are asked for: a million would be counted as memory."""

    def __init__(self, file: Path) -> None:
        self._file = mapped(file)
        self._ends, place = array("Q", [0]), 0
        while (place := self._file.find(b"\n", place) + 1) > 0:
            self._ends.append(place)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self._file[self._ends[number] : self._ends[number + 1] - 1].decode()


def mapped(file: Path) -> mmap.mmap:
    """A file's bytes, without reading them yet."""
    with file.open("rb") as opened:
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)


class Corpus:
    """Texts, questions and their vectors, as `workload.write_corpus` left them in a folder."""

    def __init__(self, folder: Path) -> None:
        self.texts: Sequence[str] = Lines(folder / "texts.txt")
        self.questions: list[str] = (folder / "questions.txt").read_text("utf-8").splitlines()
        self._vectors = mapped(folder / "texts.f32")
        self._question_vectors = (folder / "questions.f32").read_bytes()

    def vector_bytes(self, number: int) -> bytes:
        width = 4 * DIMENSIONS
        return self._vectors[number * width : (number + 1) * width]

    def vector(self, number: int) -> list[float]:
        return array("f", self.vector_bytes(number)).tolist()

    def question_vector(self, number: int) -> list[float]:
        width = 4 * DIMENSIONS
        return array("f", self._question_vectors[number * width : (number + 1) * width]).tolist()


class Store:
    """What a runner has to know of its store."""

    def open(self, folder: Path, corpus: Corpus) -> None:
        """Open the store in a folder, making it where there is none."""
        raise NotImplementedError

    def write(self, number: int) -> None:
        """Keep one memory durably."""
        raise NotImplementedError

    def fill(self, start: int, count: int) -> None:
        """Keep many memories, as fast as the store offers."""
        for number in range(start, start + count):
            self.write(number)

    def recall(self, number: int, limit: int) -> int:
        """Ask a question; return how many memories came back."""
        return len(self.answer(number, limit))

    def answer(self, number: int, limit: int) -> list[str]:
        """Ask a question; return the IDs of what came back."""
        raise NotImplementedError

    def settle(self) -> None:
        """Whatever the store does once after many writes, to be fast."""

    def rebuild(self) -> None:
        """Make everything that can be made again."""
        raise NotImplementedError

    def compare_all(self, *, exact: bool) -> None:
        """Whether from now on every vector is compared, where the store has a choice."""
        if exact:
            raise NotImplementedError

    def close(self) -> None:
        """Give the files back."""

    def facts(self) -> dict[str, Any]:
        """Anything else worth reporting."""
        return {}


def timed(calls: Iterator[Callable[[], object]]) -> dict[str, Any]:
    """Run calls one after the other: milliseconds of each, wall and CPU seconds of all."""
    taken: list[float] = []
    worked: list[float] = []
    cpu, start = time.process_time(), time.perf_counter()
    for call in calls:
        began, before = time.process_time(), time.perf_counter()
        call()
        taken.append(1e3 * (time.perf_counter() - before))
        worked.append(1e3 * (time.process_time() - began))
    return {
        "ms": taken,
        "cpu_ms": worked,
        "wall_s": time.perf_counter() - start,
        "cpu_s": time.process_time() - cpu,
    }


def threaded(store: Store, start: int, count: int, threads: int) -> dict[str, Any]:
    """Let threads write at once, each its share."""
    share = count // threads
    taken: list[list[float]] = [[] for _ in range(threads)]
    failures: list[BaseException] = []
    ready = threading.Barrier(threads + 1)

    def work(place: int) -> None:
        ready.wait()
        try:
            for number in range(start + place * share, start + (place + 1) * share):
                before = time.perf_counter()
                store.write(number)
                taken[place].append(1e3 * (time.perf_counter() - before))
        except BaseException as error:  # noqa: BLE001 - a store that cannot do this says so
            failures.append(error)

    workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
    for worker in workers:
        worker.start()
    cpu = time.process_time()
    ready.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    wall = time.perf_counter() - began
    if failures:
        raise failures[0]
    spent = time.process_time() - cpu
    return {"ms": [ms for part in taken for ms in part], "wall_s": wall, "cpu_s": spent}


def bytes_in(folder: Path) -> int:
    """Bytes of every file below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class _Session:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = Path()
        self._opened = False

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        return getattr(self, "_" + request.pop("do"))(**request)

    def _open(self, folder: str, corpus: str) -> dict[str, Any]:
        self._folder = Path(folder)
        loaded = Corpus(Path(corpus))
        cpu, start = time.process_time(), time.perf_counter()
        self._store.open(self._folder, loaded)
        self._opened = True
        return {
            "wall_s": time.perf_counter() - start,
            "cpu_s": time.process_time() - cpu,
        }

    def _write(
        self, start: int, count: int, threads: int = 1, at: float | None = None
    ) -> dict[str, Any]:
        if at is not None:  # several processes begin together
            time.sleep(max(0.0, at - time.time()))
        began = time.time()
        if threads > 1:
            measured = threaded(self._store, start, count, threads)
        else:
            numbers = range(start, start + count)
            measured = timed((lambda n=n: self._store.write(n)) for n in numbers)
        return {**measured, "began": began, "ended": time.time()}

    def _fill(self, start: int, count: int) -> dict[str, Any]:
        return timed(iter([lambda: self._store.fill(start, count)]))

    def _recall(self, count: int, limit: int = 10, start: int = 0) -> dict[str, Any]:
        found: list[int] = []
        calls = (
            (lambda n=n: found.append(self._store.recall(n, limit)))
            for n in range(start, start + count)
        )
        measured = timed(calls)
        return {**measured, "found": sum(found) / max(1, len(found))}

    def _interleave(self, start: int, count: int, limit: int = 10) -> dict[str, Any]:
        writes: list[float] = []
        recalls: list[float] = []
        cpu = time.process_time()
        for step in range(count):
            before = time.perf_counter()
            self._store.write(start + step)
            between = time.perf_counter()
            self._store.recall(step, limit)
            writes.append(1e3 * (between - before))
            recalls.append(1e3 * (time.perf_counter() - between))
        return {"write_ms": writes, "recall_ms": recalls, "cpu_s": time.process_time() - cpu}

    def _answers(
        self, count: int, limit: int = 10, start: int = 0, *, exact: bool = False
    ) -> dict[str, Any]:
        self._store.compare_all(exact=exact)
        found: list[list[str]] = []
        calls = (
            (lambda n=n: found.append(self._store.answer(n, limit)))
            for n in range(start, start + count)
        )
        measured = timed(calls)
        self._store.compare_all(exact=False)
        return {**measured, "ids": found}

    def _settle(self) -> dict[str, Any]:
        return timed(iter([self._store.settle]))

    def _rebuild(self) -> dict[str, Any]:
        return timed(iter([self._store.rebuild]))

    def _memory(self) -> dict[str, Any]:
        status = Path("/proc/self/status")
        if not status.exists():
            return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return {"bytes": int(lines["RssAnon"].split()[0]) * 1024}

    def _size(self) -> dict[str, Any]:
        return {"bytes": bytes_in(self._folder)}

    def _facts(self) -> dict[str, Any]:
        return self._store.facts()

    def close(self) -> None:
        if self._opened:
            self._store.close()


def serve(store: Store) -> None:
    """Answer requests until standard input ends. The store's own prints go to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    session = _Session(store)
    for line in sys.stdin:
        try:
            answer = session.answer(json.loads(line))
        except BaseException as error:  # noqa: BLE001 - told to the benchmark, which goes on
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    session.close()
