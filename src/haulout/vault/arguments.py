"""Arguments that several verbs share, checked and brought into one form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from haulout.errors import InputError, LimitError
from haulout.log.clock import to_microseconds
from haulout.log.memory import (
    GIVEN,
    Content,
    checked_content,
    checked_namespace,
    checked_operation_id,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Progress = Callable[[int, int | None], None]
"""Called with how many are done, and of how many where that is known."""


def silent(_done: int, _total: int | None) -> None:
    """Report to nobody."""


def time_argument(value: datetime | str | None, name: str) -> int | None:
    """Microseconds of a time, or None where none is given."""
    return None if value is None else to_microseconds(value, name)


def floats(vector: ArrayLike) -> NDArray[np.float32]:
    """A caller's vector as float32, checked as one that is remembered would be."""
    import numpy as np

    content = checked_content("a vector", vector=vector)
    return np.frombuffer(content.vector or b"", "<f4")


def checked_count(value: int, name: str, most: int) -> int:
    """A whole number from 1 to ``most``.

    Raises:
        InputError: it is no whole number; LimitError: it is outside the range.
    """
    if type(value) is not int:
        message = f"{name} must be a whole number, not {type(value).__name__}."
        raise InputError(message)
    if not 1 <= value <= most:
        message = f"{name} must be 1 to {most}, not {value}."
        raise LimitError(message)
    return value


def checked_query(query: str | None) -> str | None:
    """A question that has the form of one.

    Raises:
        InputError: it is not text.
    """
    if query is not None and not isinstance(query, str):  # pyright: ignore[reportUnnecessaryIsInstance] callers
        message = f"query must be text, not {type(query).__name__}."
        raise InputError(message)
    return query


def request_body(target: Mapping[str, Any], namespace: str | None) -> bytes:
    """What a forget by filter asked for, in one form: a repetition has the same."""
    asked = {"filter": target, "namespace": namespace}
    return json.dumps(asked, sort_keys=True, default=str).encode()


def conditions(given: Mapping[str, Any] | None, tags: Sequence[str]) -> Mapping[str, Any] | None:
    """A filter and wanted tags as one filter, or None where there is neither."""
    if isinstance(tags, str) or not isinstance(tags, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance] callers
        message = f"tags must be a list of texts, not {type(tags).__name__}."
        raise InputError(message)
    wanted: list[Mapping[str, Any]] = [{"tags": {"contains": tag}} for tag in tags]
    if given is not None:
        wanted.append(given)
    if not wanted:
        return None
    return wanted[0] if len(wanted) == 1 else {"AND": wanted}


def checked_item(number: int, item: Mapping[str, Any]) -> tuple[str, Content, str | None]:
    """One item of a batch: its namespace, content and operation ID.

    Raises:
        InputError, LimitError: as `remember`; the message names the item.
    """
    try:
        if not isinstance(item, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] callers
            message = f"it must be a mapping of remember's arguments, not {type(item).__name__}."
            raise InputError(message)
        fields = dict(item)
        place = checked_namespace(fields.pop("namespace", "default"))
        op_id = fields.pop("op_id", None)
        operation = None if op_id is None else checked_operation_id(op_id)
        unknown = fields.keys() - set(GIVEN)
        if unknown or "text" not in fields:
            message = f"its arguments are not remember's: {sorted(map(str, unknown)) or 'no text'}."
            raise InputError(message)
        return place, checked_content(fields.pop("text"), **fields), operation
    except InputError as error:
        message = f"Item {number}: {error.message}"
        raise type(error)(message, hint=error.hint) from error
