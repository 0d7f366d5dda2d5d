"""The formats that can be imported, and telling them apart by what they hold."""

from __future__ import annotations

import os
from typing import IO

from haulout.errors import ImportFormatError
from haulout.interchange import (
    chatgpt,
    claude,
    claudecode,
    codex,
    copilot,
    gemini,
    grok,
    jsonl,
    markdown,
    transfer,
)
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import LIMITS, Limits, Source, open_source

ADAPTERS: tuple[Adapter, ...] = (
    chatgpt.ADAPTER,
    claude.ADAPTER,
    gemini.ADAPTER,
    grok.ADAPTER,
    copilot.ADAPTER,
    claudecode.ADAPTER,
    codex.ADAPTER,
    jsonl.ADAPTER,
    transfer.ADAPTER,
    markdown.ADAPTER,
)


def detect(path: str | os.PathLike[str] | IO[bytes], limits: Limits = LIMITS) -> Adapter:
    """The one adapter whose format stands at ``path`` (or comes in), by content alone.

    Raises:
        ImportFormatError: none fits, or more than one does.
    """
    with open_source(path, limits) as source:
        return recognise(source)[0]


def recognise(source: Source) -> tuple[Adapter, str]:
    """The adapter for an open source, and the form it found there."""
    for round_ in sorted({adapter.round for adapter in ADAPTERS}):
        asked = (adapter for adapter in ADAPTERS if adapter.round == round_)
        found = [(adapter, form) for adapter in asked if (form := adapter.recognise(source))]
        if len(found) == 1:
            return found[0]
        if found:
            forms = " and ".join(form for _, form in found)
            raise ImportFormatError(
                f"{source.name} holds more than one format ({forms}).",
                hint="Import them one at a time.",
            )
    known = "; ".join(adapter.understands for adapter in ADAPTERS)
    refused = {problem.what for problem in source.problems[:100]}
    because = f" Parts of it were {', '.join(sorted(refused))}." if refused else ""
    raise ImportFormatError(f"{source.name} is of no known form.{because} Understood are: {known}.")
