"""Documents: typed values with a version each, compared before they are set, and their history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from haulout.errors import (
    ConflictError,
    DamagedError,
    InputError,
    StaleStateError,
    VaultVersionError,
)
from haulout.state.book import Book
from haulout.state.book import Document as Kept
from haulout.state.events import Event, Kind, json_text, name_text
from haulout.state.secrets import refuse_secrets
from haulout.state.tape import Past, named

if TYPE_CHECKING:
    from haulout.state.writing import Writing

Value = TypeVar("Value")
Migrate = Callable[[Any], Any]
"""Turns what an older schema wrote (JSON's kinds of values) into the next one's."""


class Versioned(msgspec.Struct, Generic[Value], frozen=True, kw_only=True):
    """A document as it stood.

    Attributes:
        value: what it says; version: from 1, one more with each change.
        at: when it was set, microseconds by the agent's clock; age: how long ago that was.
    """

    value: Value
    version: int
    at: int
    age: timedelta


class Document(Generic[Value]):
    """One document of a state.

    Args:
        state: whose; name: its name.
        type: what it holds: a type that msgspec knows, such as a `msgspec.Struct`, a dataclass or
            ``dict[str, float]``; JSON's own kinds of values by default.
        schema: which form the type has; migrate: from each older schema to the next.
    """

    def __init__(
        self,
        state: Writing,
        name: str,
        type: type[Value] | Any = Any,  # noqa: A002 - the word for it
        *,
        schema: int = 1,
        migrate: Mapping[int, Migrate] | None = None,
    ) -> None:
        self._state, self.name, self._type = state, name_text(name, "A document's name"), type
        self._schema, self._migrate = schema, migrate or {}

    # ------------------------------------------------------------------ reading

    def read(self, *, max_age: timedelta | None = None) -> Versioned[Value] | None:
        """The document with its version and age, or None where there is none.

        Raises:
            StaleStateError: it is older than ``max_age``; VaultVersionError: a later schema wrote
            it; DamagedError: it does not have the type's form.
        """
        return self._versioned(self._kept(), max_age)

    def get(self, default: Any = None, *, max_age: timedelta | None = None) -> Any:
        """What it says, or ``default`` where there is none. Raises as `read`."""
        found = self.read(max_age=max_age)
        return default if found is None else found.value

    def history(self) -> list[Versioned[Value | None]]:
        """Every version, oldest first; a value of None was deleted."""

        def look(past: Past) -> list[Kept]:
            return [
                Kept(event.body["version"], event.body["schema"], event.at, event.body.get("value"))
                for _, event in past.of(named(Kind.DOCUMENT, self.name))
            ]

        return [
            Versioned(
                value=None if kept.value is None else self._opened(kept),
                version=kept.version, at=kept.at, age=self._age(kept),
            )
            for kept in self._state.tape.look_back(look)
        ]  # fmt: skip

    def _age(self, kept: Kept) -> timedelta:
        return timedelta(microseconds=max(0, self._state.now() - kept.at))

    def _versioned(self, kept: Kept | None, max_age: timedelta | None) -> Versioned[Value] | None:
        if kept is None or kept.value is None:
            return None
        age = self._age(kept)
        if max_age is not None and age > max_age:
            message = (
                f"{self.name} of {self._state.name} is {age} old; at most {max_age} is allowed."
            )
            raise StaleStateError(message)
        return Versioned(value=self._opened(kept), version=kept.version, at=kept.at, age=age)

    def _opened(self, kept: Kept) -> Any:
        where = f"{self.name} of {self._state.name}"
        if kept.schema > self._schema:
            message = (
                f"{where} was written under schema {kept.schema}; this program reads"
                f" {self._schema}."
            )
            raise VaultVersionError(message, hint="Use the program's newer version.")
        value = msgspec.json.decode(kept.value or "null")
        for schema in range(kept.schema, self._schema):
            if schema not in self._migrate:
                message = (
                    f"{where} was written under schema {kept.schema}, and nothing brings it on"
                    f" from {schema}."
                )
                raise VaultVersionError(message, hint="Give the document `migrate`.")
            value = self._migrate[schema](value)
        try:
            return msgspec.convert(value, self._type, strict=False)
        except msgspec.ValidationError as error:
            message = f"{where} does not have the form of its type ({error})."
            raise DamagedError(
                message, hint="Change the type, or set the document anew."
            ) from error

    # ------------------------------------------------------------------ writing

    def set(self, value: Value, *, expected: int | None = None) -> int:
        """Set the document; durable when this returns. The answer is its version.

        Args:
            value: what it says from now on.
            expected: the version that must stand; 0 where there must be none.

        Raises:
            ConflictError: another version stands; InputError: the value is no JSON, or a secret;
            ActionRefusedError: the lease was lost; StorageError: it is not kept.
        """
        try:
            given = msgspec.to_builtins(value)
        except (TypeError, ValueError, RecursionError) as error:
            message = f"{self.name} cannot hold {value!r:.60} ({error})."
            raise InputError(message) from error
        refuse_secrets(given, self.name)
        return self._put(json_text(given, self.name), expected)

    def change(self, how: Callable[[Value | None], Value], *, attempts: int = 20) -> int:
        """Set the document to what ``how`` makes of it, again if another was faster.

        Raises:
            ConflictError: another was faster every time; otherwise as `set`.
        """
        for attempt in range(attempts):
            kept = self._kept()  # value and version of one moment
            found = self._versioned(kept, None)
            try:
                return self.set(
                    how(found.value if found else None), expected=kept.version if kept else 0
                )
            except ConflictError:
                if attempt == attempts - 1:
                    raise
        message = "A change takes at least one attempt."
        raise InputError(message)

    def delete(self, *, expected: int | None = None) -> int:
        """Take the document away; its history stays. Raises as `set`."""
        return self._put(None, expected)

    def _kept(self) -> Kept | None:
        return self._state.tape.read(lambda book, _past: book.documents.get(self.name))

    def _put(self, text: str | None, expected: int | None) -> int:
        now, epoch = self._state.now(), self._state.epoch

        def decide(book: Book, _past: Past) -> tuple[list[Event], int]:
            self._state.require_lease(book, now)
            kept = book.documents.get(self.name)
            stands = kept.version if kept else 0
            if expected is not None and expected != stands:
                message = f"{self.name} of {self._state.name} has version {stands}, not {expected}."
                raise ConflictError(message)
            body: dict[str, Any] = {
                "name": self.name,
                "version": stands + 1,
                "schema": self._schema,
            }
            if text is not None:
                body["value"] = text
            if self._state.by:
                body["by"] = self._state.by
            return [Event(Kind.DOCUMENT, now, epoch, body)], stands + 1

        return self._state.append(decide)
