"""All backends agree: whatever is done to them, each answers as the others do."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from haulout.errors import HauloutError
from haulout.storage.backend import Backend, Versioned
from haulout.storage.folder import FolderBackend
from haulout.storage.memory import MemoryBackend
from haulout.storage.objectstore import ObjectStoreBackend
from haulout.storage.wrappers.caching import CachingBackend
from haulout.storage.wrappers.retrying import RetryingBackend
from haulout.testing.faulty import Fault, FaultyBackend

OBJECTS = ("a/b", "a/b.c", "a/c/d", "b", "a-b")
HEADS = ("heads/x", "heads/y")
NAMES = (*OBJECTS, *HEADS, "a", "A", "../a")
places = itertools.count()


def all_backends(folder: Path, endpoint: str | None) -> list[Backend]:
    """One of every kind, each empty."""
    flaky = FaultyBackend(
        MemoryBackend(), [Fault("unavailable", chance=0.2), Fault("lost-answer", chance=0.2)]
    )
    backends: list[Backend] = [
        MemoryBackend(),
        FolderBackend.create(folder),
        CachingBackend(MemoryBackend(), MemoryBackend(), 200),
        RetryingBackend(flaky, tries=60, patience_s=1e9, sleep=lambda _: None),
    ]
    if endpoint:
        keys = {"access_key_id": "a", "secret_access_key": "b", "endpoint": endpoint}
        backends.append(ObjectStoreBackend(f"s3://bucket/agreement/{next(places)}", keys))
    return backends


class Agreement(RuleBasedStateMachine):
    """Does the same to each backend and compares what comes of it, errors included."""

    endpoint: str | None = None
    data = Bundle("data")
    versions = Bundle("versions")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.backends = all_backends(self.folder, self.endpoint)

    def teardown(self) -> None:
        for backend in self.backends:
            backend.close()
        shutil.rmtree(self.folder)

    def agreed(self, act: Callable[[int, Backend], object]) -> object:
        """The one thing that all of them answer; for a swap, whether it was done."""
        answers: list[object] = []
        for number, backend in enumerate(self.backends):
            try:
                answers.append(act(number, backend))
            except HauloutError as error:
                answers.append(type(error))
        assert all(answer == answers[0] for answer in answers), answers
        return answers[0]

    @rule(target=data, content=st.binary(max_size=60))
    def content(self, content: bytes) -> bytes:
        return content

    @rule(name=st.sampled_from((*OBJECTS, "a", "b/c")), content=data)
    def put(self, name: str, content: bytes) -> None:
        if self.endpoint and name not in OBJECTS:
            return  # a bucket does not notice a name that is the folder of another
        self.agreed(lambda _, backend: backend.put(name, content))

    @rule(name=st.sampled_from(NAMES))
    def get(self, name: str) -> None:
        self.agreed(lambda _, backend: backend.get(name))

    @rule(
        name=st.sampled_from(NAMES),
        start=st.integers(-1, 70),
        length=st.none() | st.integers(-1, 70),
    )
    def get_range(self, name: str, start: int, length: int | None) -> None:
        self.agreed(lambda _, backend: backend.get(name, start, length))

    @rule(name=st.sampled_from(NAMES))
    def size(self, name: str) -> None:
        self.agreed(lambda _, backend: backend.size(name))

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        self.agreed(lambda _, backend: backend.delete(name))

    @rule(prefix=st.sampled_from(("", "a", "a/", "a/b", "a/b.", "heads/", "b/", "z", "/", "A")))
    def list(self, prefix: str) -> None:
        self.agreed(lambda _, backend: sorted(backend.list(prefix)))

    @rule(target=versions, name=st.sampled_from(HEADS))
    def read_head(self, name: str) -> list[str | None]:
        heads: list[Versioned | None] = [backend.read_head(name) for backend in self.backends]
        assert len({head and head.data for head in heads}) == 1
        return [head and head.version for head in heads]

    @rule(target=versions, name=st.sampled_from(HEADS), version=versions)
    def swap_head(self, name: str, version: list[str | None]) -> list[str | None]:
        content = f"head {next(places)}".encode()  # heads never come back to what they were
        told = list(version)

        def swap(number: int, backend: Backend) -> bytes:
            told[number] = backend.swap_head(name, content, version[number])
            return content

        self.agreed(swap)
        return told

    @invariant()
    def hold_the_same(self) -> None:
        self.agreed(lambda _, backend: sorted(backend.list()))


def run(endpoint: str | None, examples: int, steps: int) -> None:
    class Case(Agreement.TestCase):
        settings = settings(max_examples=examples, stateful_step_count=steps, deadline=None)

    Agreement.endpoint = endpoint
    Case("runTest").runTest()


def test_memory_a_folder_and_wrappers_agree() -> None:
    run(None, examples=40, steps=40)


def test_a_bucket_agrees_with_them(s3_endpoint: str) -> None:
    run(s3_endpoint, examples=6, steps=25)
