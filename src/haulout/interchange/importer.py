"""Bringing a person's history in: one source, streamed, in batches, with a full report.

Importing is safe to repeat. Every memory's operation ID comes from the source's own IDs, so
a second import, or a newer export of the same account, adds only what is new. A dry run
reads and reports the same and writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from hashlib import blake2b
from itertools import islice, zip_longest
from typing import IO, Any, Literal, Protocol

from haulout.errors import ErasedError, InputError, OperationReusedError
from haulout.interchange.archive import LIMITS, Limits, Source, open_source
from haulout.interchange.fields import is_mapping, is_sequence, mapping, sequence
from haulout.interchange.records import ImportedMemory, Problem, Report, SecretNotice
from haulout.interchange.registry import recognise
from haulout.interchange.secrets import Secret, find_secrets, redact

BATCH_ITEMS = 500
BATCH_BYTES = 4 * 1024 * 1024  # 500 texts of the largest size would be half a gigabyte
TEXT_BYTES_MAX = 1024 * 1024  # what the vault takes as one memory; longer texts go in parts
REPEATS_WATCHED_MAX = 2_000_000  # about 200 MB of digests; past it the vault alone tells repeats
REFUSALS_MAX = 20  # so many in a row and nothing taken: the call is wrong, not its items

REPEATED = "repeated in the source"
HOLDS_A_SECRET = "holds a secret"  # noqa: S105 - a reason, no password
ERASED_BEFORE = "erased before"
REFUSED = "refused by the vault"

SecretPolicy = Literal["keep", "redact", "skip"]


class RememberMany(Protocol):
    """``Vault.remember_many``, or whatever stands in for it."""

    def __call__(self, items: list[dict[str, Any]], /) -> Iterable[object]:
        """Remember all of these or none; results in order, with ``created`` and ``erased``."""
        ...


def import_file(
    path: str | os.PathLike[str] | IO[bytes],
    remember_many: RememberMany,
    *,
    namespace: str = "default",
    dry_run: bool = False,
    secrets: SecretPolicy = "keep",
    keep_namespaces: bool = False,
    progress: Callable[[int], None] | None = None,
    limits: Limits = LIMITS,
) -> Report:
    """Import what stands at ``path`` and say what became of every message in it.

    Args:
        path: a file, a folder or a ZIP, or a stream of bytes such as standard input; its
            content decides what it is.
        remember_many: takes a list of items, all or none, and gives their results in order.
        namespace: where the memories go.
        dry_run: read and report, but write nothing.
        secrets: what to do with texts in which a secret stands: "keep" and report it,
            "redact" it, or "skip" the text.
        keep_namespaces: let lines of Haulout's own export go to the namespaces they name.
        progress: called after each batch with the number of memories handled so far.
        limits: what the import may cost.

    Raises:
        ImportFormatError: the source is of no known form.
        LimitError: it passes a limit before anything of it can be read.
    """
    with open_source(path, limits) as source:
        adapter, form = recognise(source)
        report = Report(adapter.name, form, dry_run)
        for problem in source.problems:
            report.note_problem(problem)
        sender = _Sender(remember_many, report, namespace, dry_run=dry_run, progress=progress)
        sieve = _Sieve(report, secrets, keep_namespaces=keep_namespaces)
        with closing(adapter.read(source)) as portions:
            for portion in portions:
                report.note_portion(portion)
                for memory in portion.memories:
                    for part in sieve.let_through(memory):
                        sender.send(part)
        sender.flush()
        report.note_unused(_unused(source, report))
    assert report.balanced()
    return report


def _unused(source: Source, report: Report) -> list[str]:
    if source.kind == "file":
        return []
    used = {name for file in report.files_used for name in (file, file.split(".zip/")[0] + ".zip")}
    return [member.name for member in source.members if member.name not in used]


class _Sieve:
    """Leaves out repeats, deals with secrets, and cuts what is too long for one memory."""

    def __init__(self, report: Report, policy: SecretPolicy, *, keep_namespaces: bool) -> None:
        self._report = report
        self._policy = policy
        self._keep_namespaces = keep_namespaces
        self._passed: set[bytes] = set()

    def let_through(self, memory: ImportedMemory) -> list[ImportedMemory]:
        """The memory as it goes on: in one part, in several, or not at all."""
        if self._is_repeat(memory.op_id):
            self._report.left_out[REPEATED] += 1
            return []
        if not self._keep_namespaces and memory.namespace is not None:
            memory = replace(memory, namespace=None)
        cleaned = self._without_secrets(memory)
        if cleaned is None:
            self._report.left_out[HOLDS_A_SECRET] += 1
            return []
        self._report.note_taken(cleaned)
        return _in_parts(cleaned)

    def _is_repeat(self, op_id: str) -> bool:
        key = blake2b(op_id.encode(), digest_size=16).digest()
        if key in self._passed:
            return True
        if len(self._passed) < REPEATS_WATCHED_MAX:
            self._passed.add(key)
        return False

    def _without_secrets(self, memory: ImportedMemory) -> ImportedMemory | None:
        """Secrets noticed and, by the policy, kept, written over, or the memory left out."""
        noticed: list[Secret] = []

        def over(value: object) -> object:
            if isinstance(value, str):
                found = find_secrets(value)
                noticed.extend(found)
                return redact(value, found)
            if is_sequence(value):
                return [over(inner) for inner in sequence(value)]
            if is_mapping(value):
                return {over(name): over(inner) for name, inner in mapping(value).items()}
            return value

        redacted = replace(
            memory,
            text=str(over(memory.text)),
            metadata=mapping(over(dict(memory.metadata))),
            tags=tuple(str(over(tag)) for tag in memory.tags),
            speaker=None if memory.speaker is None else str(over(memory.speaker)),
        )
        for secret in noticed:
            self._report.note_secret(SecretNotice(secret.kind, memory.place))
        if self._policy == "keep" or not noticed:
            return memory
        return redacted if self._policy == "redact" else None


def _in_parts(memory: ImportedMemory) -> list[ImportedMemory]:
    """A text over the vault's limit goes in parts, cut between lines where there are any."""
    if len(memory.text) * 4 <= TEXT_BYTES_MAX or len(memory.text.encode()) <= TEXT_BYTES_MAX:
        return [memory]
    texts: list[str] = []
    rest = memory.text.encode()
    while len(rest) > TEXT_BYTES_MAX:
        cut = rest.rfind(b"\n", TEXT_BYTES_MAX // 2, TEXT_BYTES_MAX) + 1
        if not cut:
            cut = TEXT_BYTES_MAX
            while rest[cut] & 0xC0 == 0x80:  # noqa: PLR2004 - inside a character: 10xxxxxx
                cut -= 1
        texts.append(rest[:cut].decode())
        rest = rest[cut:]
    texts.append(rest.decode())
    parts = [words for words in texts if words.strip()]
    return [
        replace(
            memory,
            op_id=memory.op_id if part == 1 else f"{memory.op_id}/part-{part}",
            text=words,
            metadata={**memory.metadata, "part": part, "parts": len(parts)},
            part=part,
        )
        for part, words in enumerate(parts, 1)
    ]


class _Sender:
    """Gathers items into batches and counts what the vault says became of them."""

    def __init__(
        self,
        remember_many: RememberMany,
        report: Report,
        namespace: str,
        *,
        dry_run: bool,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._remember_many = remember_many
        self._report = report
        self._namespace = namespace
        self._dry_run = dry_run
        self._progress = progress
        self._held: list[ImportedMemory] = []
        self._held_bytes = 0

    def send(self, memory: ImportedMemory) -> None:
        self._held.append(memory)
        self._held_bytes += len(memory.text)
        if len(self._held) >= BATCH_ITEMS or self._held_bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        batch, self._held, self._held_bytes = self._held, [], 0
        if not batch:
            return
        self._report.sent += len(batch)
        if not self._dry_run:
            self._remember(batch)
        if self._progress is not None:
            self._progress(self._report.sent)

    def _remember(self, batch: list[ImportedMemory]) -> None:
        """Send a batch; where the vault refuses it, halve it until the item at fault is alone."""
        items = [memory.to_item(self._namespace) for memory in batch]
        try:
            results = self._remember_many(items)
        except (OperationReusedError, ErasedError, InputError) as error:
            if len(batch) == 1:
                self._note_refusal(batch[0], error)
                return
            half = len(batch) // 2
            self._remember(batch[:half])
            self._remember(batch[half:])
            return
        for memory, result in zip_longest(batch, islice(results, len(batch))):
            self._note_result(memory, result)

    def _note_result(self, memory: ImportedMemory, result: object) -> None:
        report = self._report
        if getattr(result, "erased", False):
            self._note_erased(memory)
        elif getattr(result, "created", True):
            report.added += 1
        else:
            report.already_there += 1

    def _note_erased(self, memory: ImportedMemory) -> None:
        self._report.erased += 1
        self._give_back(memory, ERASED_BEFORE)

    def _note_refusal(
        self, memory: ImportedMemory, error: OperationReusedError | ErasedError | InputError
    ) -> None:
        report = self._report
        if isinstance(error, ErasedError):
            self._note_erased(memory)
        elif isinstance(error, OperationReusedError):
            # Imported before with other details, such as a title changed since: the first stays.
            report.already_there += 1
            report.differing += 1
        else:
            report.refused += 1
            if report.refused >= REFUSALS_MAX and not report.added + report.already_there:
                raise error
            self._give_back(memory, REFUSED)
            report.note_problem(Problem("", memory.place, f"{REFUSED}: {error.message}"))

    def _give_back(self, memory: ImportedMemory, reason: str) -> None:
        """Count a memory as left out after all; further parts of one text count with its first."""
        if memory.part == 1:
            self._report.taken -= 1
            self._report.left_out[reason] += 1
