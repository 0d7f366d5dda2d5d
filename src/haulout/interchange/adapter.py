"""What one foreign format offers to the import: to be recognised, and to be read."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from haulout.interchange.archive import Source
from haulout.interchange.records import Portion


@dataclass(frozen=True, slots=True)
class Adapter:
    """One format.

    Attributes:
        name: the word that stands in operation IDs, reports and ``--format``.
        understands: the forms it reads, for people.
        recognise: the form found in an open source, in words; "" when it is none of these.
        read: the source's portions, one at a time. Broken parts become problems in them.
        round: when it is asked. A later round is asked only when no format of an earlier one
            is recognised: 1 for marks that no other form has, 2 for fields that many forms
            share, 3 for content that says little.
    """

    name: str
    understands: str
    recognise: Callable[[Source], str]
    read: Callable[[Source], Generator[Portion, None, None]]
    round: int = 1
