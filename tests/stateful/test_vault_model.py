"""A vault on a real folder, held against a dict through everything that can happen to it.

Two open vaults stand for two processes; each rule uses either. After every step both must tell
what the model tells, and `check` must find the log, the chain and the index sound.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from index.test_search import seal_all
from vault.making import Clock, entropy_of

from haulout import Memory, Vault
from haulout.errors import (
    ConflictError,
    ErasedError,
    HauloutError,
    InputError,
    NotFoundError,
    OperationReusedError,
)
from haulout.vault.opening import World

TAGS = ["red", "green"]
NAMESPACES = ["default", "work", "work/acme", "home"]
PATTERNS = [None, "**", "work", "work/**", "home", "nowhere"]
texts = st.sampled_from(
    ["walnut", "cashew", "walnut in Oslo", "Ana eats", "!!!", "猫", "word " * 30]
)
tags = st.lists(st.sampled_from(TAGS), max_size=2, unique=True)
places = st.sampled_from(NAMESPACES)
which = st.integers(0, 1)


@dataclass
class Version:
    text: str
    tags: tuple[str, ...]
    recorded: datetime


@dataclass
class Entry:
    """What is known of one memory."""

    id: str
    namespace: str
    versions: list[Version]
    hidden: bool = False
    erased: bool = False

    @property
    def stands(self) -> bool:
        return not self.hidden and not self.erased


@dataclass
class Operation:
    """What an operation did, as far as taking it back needs it."""

    kind: str  # remember, update, hidden, shown, destroyed, everywhere
    entries: list[Entry]
    version: int = 0
    undone: list[Any] = field(default_factory=list)


def in_scope(namespace: str, pattern: str | None) -> bool:
    if pattern is None or pattern == "**":
        return True
    base = pattern.removesuffix("/**")
    below = pattern.endswith("/**") and namespace.startswith(base + "/")
    return namespace == base or below


class VaultMachine(RuleBasedStateMachine):
    """The rules are the verbs; the model is `entries`, in the order of remembering."""

    operations = Bundle("operations")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="haulout-model-"))
        self.world = World(now=Clock(), entropy=entropy_of(1))
        self.entries: list[Entry] = []
        self.named: dict[str, tuple[Any, ...]] = {}
        self.moments: list[datetime] = []
        self.generation = 0
        self.vaults: list[Vault] = []

    @initialize()
    def create(self) -> None:
        vault, self.kit = Vault.create(self.folder, embedder="none", world=self.world)
        self.vaults = [vault, self.open()]

    @property
    def folder(self) -> Path:
        return self.root / f"vault-{self.generation}"

    def open(self) -> Vault:
        return Vault.open(self.folder, embedder="none", world=self.world)

    def teardown(self) -> None:
        for vault in self.vaults:
            vault.close()
        shutil.rmtree(self.root)

    # --- the model -------------------------------------------------------------------------

    def standing(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.stands]

    def expected(self, entry: Entry, place: int = -1) -> tuple[Any, ...]:
        version = entry.versions[place]
        number = len(entry.versions) if place == -1 else place + 1
        return (entry.id, entry.namespace, version.text, version.tags, version.recorded, number)

    @staticmethod
    def told(memory: Memory) -> tuple[Any, ...]:
        return (
            memory.id, memory.namespace, memory.text, memory.tags, memory.updated_at,
            memory.version,
        )  # fmt: skip

    def wrote(self, entry: Entry, memory: Memory) -> None:
        entry.versions.append(Version(memory.text, memory.tags, memory.updated_at))
        self.moments.append(memory.updated_at)

    def pick(self, number: int, *, among: list[Entry] | None = None) -> Entry:
        found = self.entries if among is None else among
        return found[number % len(found)]

    # --- writing ---------------------------------------------------------------------------

    @rule(target=operations, who=which, text=texts, tags=tags, place=places)
    def remember(self, who: int, text: str, tags: list[str], place: str) -> Any:
        memory = self.vaults[who].remember(text, tags=tags, namespace=place)
        entry = Entry(memory.id, place, [])
        self.entries.append(entry)
        self.wrote(entry, memory)
        return (memory.op_id, Operation("remember", [entry]))

    @rule(
        target=operations,
        who=which,
        items=st.lists(st.tuples(texts, tags, places), min_size=1, max_size=4),
    )
    def remember_many(self, who: int, items: list[Any]) -> Any:
        kept = self.vaults[who].remember_many(
            {"text": text, "tags": tags, "namespace": place} for text, tags, place in items
        )
        found = []
        for memory, (_, _, place) in zip(kept, items, strict=True):
            entry = Entry(memory.id, place, [])
            self.entries.append(entry)
            self.wrote(entry, memory)
            found.append((memory.op_id, Operation("remember", [entry])))
        return multiple(*found)

    @rule(who=which, name=st.sampled_from(["a", "b"]), text=texts, place=places)
    def remember_with_an_operation_id(self, who: int, name: str, text: str, place: str) -> None:
        vault, body = self.vaults[who], (text, place)
        first = self.named.get(name)
        try:
            memory = vault.remember(text, namespace=place, op_id=name)
        except OperationReusedError:
            assert first is not None
            assert first[0] != body
            assert not first[1].erased
        except ErasedError:
            assert first is not None
            assert first[1].erased
        else:
            assert memory.created == (first is None)
            if first is None:
                entry = Entry(memory.id, place, [])
                self.entries.append(entry)
                self.wrote(entry, memory)
                self.named[name] = (body, entry)
            else:
                assert first[0] == body
                assert self.told(memory) == self.expected(first[1], 0)

    @precondition(lambda self: self.entries)
    @rule(
        target=operations,
        who=which,
        number=st.integers(0, 99),
        text=st.none() | texts,
        tags=st.none() | tags,
    )
    def update(self, who: int, number: int, text: str | None, tags: list[str] | None) -> Any:
        entry = self.pick(number)
        changes: dict[str, Any] = {} if tags is None else {"tags": tags}
        changes |= {} if text is None else {"text": text}
        try:
            memory = self.vaults[who].update(entry.id, **changes)
        except InputError:
            assert changes == {}
        except ErasedError:
            assert entry.erased
        except NotFoundError:
            assert entry.hidden
        else:
            assert entry.stands
            before = entry.versions[-1]
            self.wrote(entry, memory)
            after = entry.versions[-1]
            assert after.text == (before.text if text is None else text)
            assert after.tags == (before.tags if tags is None else tuple(tags))
            return (memory.op_id, Operation("update", [entry], len(entry.versions)))
        return multiple()

    @precondition(lambda self: self.entries)
    @rule(
        target=operations,
        who=which,
        numbers=st.lists(st.integers(0, 99), min_size=1, max_size=3),
        level=st.sampled_from(["hidden", "hidden", "destroyed", "everywhere"]),
    )
    def forget(self, who: int, numbers: list[int], level: Any) -> Any:
        entries = [self.pick(number) for number in numbers]
        try:
            receipt = self.vaults[who].forget([entry.id for entry in entries], level=level)
        except ErasedError:
            assert any(entry.erased for entry in entries)
            return multiple()
        assert not any(entry.erased for entry in entries)
        assert set(receipt.memories) == {entry.id for entry in entries}
        assert receipt.pending == ()
        return (receipt.op_id, self.forgotten(entries, level))

    @rule(
        target=operations,
        who=which,
        tag=st.sampled_from(TAGS),
        pattern=st.sampled_from(PATTERNS),
        level=st.sampled_from(["hidden", "destroyed"]),
    )
    def forget_by_filter(self, who: int, tag: str, pattern: str | None, level: Any) -> Any:
        entries = [
            entry
            for entry in self.standing()
            if tag in entry.versions[-1].tags and in_scope(entry.namespace, pattern)
        ]
        receipt = self.vaults[who].forget(
            {"tags": {"contains": tag}}, namespace=pattern, level=level
        )
        assert set(receipt.memories) == {entry.id for entry in entries}
        return (receipt.op_id, self.forgotten(entries, level))

    def forgotten(self, entries: list[Entry], level: str) -> Operation:
        for entry in entries:
            entry.hidden = entry.hidden or level == "hidden"
            entry.erased = entry.erased or level != "hidden"
        return Operation(level, entries)

    @rule(target=operations, who=which, operation=consumes(operations))
    def undo(self, who: int, operation: Any) -> Any:
        op_id, done = operation
        error = self.refusal(done)
        try:
            receipt = self.vaults[who].undo(op_id)
        except HauloutError as raised:
            assert type(raised) is error  # noqa: PT017 - or it succeeds, below
            return multiple()
        assert error is None
        assert set(receipt.memories) == {entry.id for entry in done.entries}
        if done.kind == "update":
            (entry,) = done.entries
            self.wrote(entry, self.vaults[who].get(entry.id))
            before, after = entry.versions[done.version - 2], entry.versions[-1]
            assert (after.text, after.tags) == (before.text, before.tags)
            return (receipt.op_id, Operation("update", [entry], len(entry.versions)))
        level = "shown" if done.kind == "hidden" else "hidden"
        for entry in done.entries:
            entry.hidden = level == "hidden"
        return (receipt.op_id, Operation(level, done.entries))

    @staticmethod
    def refusal(done: Operation) -> type[HauloutError] | None:
        if done.kind in {"destroyed", "everywhere"}:
            return ErasedError
        if any(entry.erased for entry in done.entries):
            return ErasedError
        (entry, *_) = done.entries or [None]
        if done.kind == "remember" and len(entry.versions) > 1:
            return ConflictError
        if done.kind == "update":
            if entry.hidden:
                return NotFoundError
            if len(entry.versions) != done.version:
                return ConflictError
        return None

    # --- the vault's life ------------------------------------------------------------------

    @rule(who=which)
    def reopen(self, who: int) -> None:
        self.vaults[who].close()
        self.vaults[who] = self.open()

    @rule(who=which)
    def rebuild(self, who: int) -> None:
        versions = sum(len(entry.versions) for entry in self.entries if not entry.erased)
        assert self.vaults[who].rebuild() == versions

    @rule(who=which)
    def seal(self, who: int) -> None:
        seal_all(self.vaults[who])

    @rule(who=which)
    def move_to_another_machine(self, who: int) -> None:
        self.vaults[who].backup(self.root / "backup")
        for vault in self.vaults:
            vault.close()
        self.generation += 1
        moved = Vault.restore(
            self.root / "backup", self.folder, kit=self.kit, embedder="none", world=self.world
        )
        self.vaults = [moved, self.open()]

    # --- reading ---------------------------------------------------------------------------

    @rule(
        who=which,
        pattern=st.sampled_from(PATTERNS),
        tag=st.none() | st.sampled_from(TAGS),
        text=st.none() | texts,
        size=st.integers(1, 3),
    )
    def page_through(
        self, who: int, pattern: str | None, tag: str | None, text: str | None, size: int
    ) -> None:
        found: list[Memory] = []
        after = None
        while True:
            page = self.vaults[who].list(
                namespace=pattern,
                tags=[] if tag is None else [tag],
                filter=None if text is None else {"text": text},
                limit=size,
                after=after,
            )
            found += page.memories
            if (after := page.next) is None:
                break
        assert [self.told(memory) for memory in found] == [
            self.expected(entry)
            for entry in reversed(self.standing())
            if in_scope(entry.namespace, pattern)
            and (tag is None or tag in entry.versions[-1].tags)
            and (text is None or entry.versions[-1].text == text)
        ]

    @rule(who=which, pattern=st.sampled_from(PATTERNS))
    def recall_by_words(self, who: int, pattern: str | None) -> None:
        found = self.vaults[who].recall("walnut", namespace=pattern, limit=1000)
        assert {one.memory.id for one in found} == {
            entry.id
            for entry in self.standing()
            if in_scope(entry.namespace, pattern) and "walnut" in entry.versions[-1].text
        }

    @precondition(lambda self: self.entries)
    @rule(who=which, number=st.integers(0, 99))
    def tell_the_history(self, who: int, number: int) -> None:
        entry = self.pick(number)
        events = self.vaults[who].history(entry.id)
        written = [event.memory for event in events if event.memory]
        kept = [] if entry.erased else [self.expected(entry, n) for n in range(len(entry.versions))]
        assert [self.told(memory) for memory in written] == kept
        assert [event.recorded_at for event in events] == sorted(e.recorded_at for e in events)
        assert (events[-1].action == "erase") == entry.erased

    @precondition(lambda self: self.moments)
    @rule(who=which, number=st.integers(0, 999))
    def ask_what_was_known(self, who: int, number: int) -> None:
        moment = self.moments[number % len(self.moments)]
        found = self.vaults[who].recall(as_of=moment, limit=1000)
        expected = set()
        for entry in self.standing():
            known = [n for n, v in enumerate(entry.versions) if v.recorded <= moment]
            if known:
                expected.add(self.expected(entry, known[-1]))
        assert {self.told(one.memory) for one in found} == expected

    # --- what always holds -----------------------------------------------------------------

    @invariant()
    def both_tell_what_the_model_tells(self) -> None:
        expected = [self.expected(entry) for entry in reversed(self.standing())]
        for vault in self.vaults:
            found = vault.list(limit=1000).memories
            assert [self.told(memory) for memory in found] == expected
            newest = vault.recall(limit=1000)
            assert {self.told(one.memory) for one in newest} == set(expected)

    @invariant()
    def get_agrees(self) -> None:
        for place, entry in enumerate(self.entries[-6:]):
            vault = self.vaults[place % len(self.vaults)]
            try:
                found = self.told(vault.get(entry.id))
            except ErasedError:
                assert entry.erased
            except NotFoundError:
                assert entry.hidden
            else:
                assert entry.stands
                assert found == self.expected(entry)

    @invariant()
    def the_export_agrees(self) -> None:
        if not self.vaults:
            return
        digests = {vault.export(self.root / "export").digest for vault in self.vaults}
        assert len(digests) == 1
        *lines, _ = map(json.loads, (self.root / "export").read_bytes().splitlines())
        assert [
            [version["text"] for version in (*line.get("history", ()), line)] for line in lines
        ] == [[version.text for version in entry.versions] for entry in self.standing()]

    @invariant()
    def everything_is_sound(self) -> None:
        for vault in self.vaults[:1]:
            report = vault.check()
            assert report.problems == ()
            assert report.erased == sum(len(e.versions) for e in self.entries if e.erased)
            assert report.versions == sum(len(e.versions) for e in self.entries if not e.erased)


QUICK = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class TestVaultAgainstAModel(VaultMachine.TestCase):
    settings = QUICK


@pytest.mark.full
class TestVaultAgainstAModelAtLength(VaultMachine.TestCase):
    settings = settings(QUICK, max_examples=200, stateful_step_count=50)
