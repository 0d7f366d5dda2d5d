"""Where something stands in a text, told as editors tell it."""

from __future__ import annotations

from haulout.errors import InputError

BOM = "\ufeff"


def problem(text: str, at: int, what: str) -> InputError:
    """The error for what stands at a place: line, column, and what is wrong there."""
    before = text[:at].removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return InputError(f"line {line}, column {column}: {what}")
