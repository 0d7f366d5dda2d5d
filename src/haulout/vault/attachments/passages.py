"""Text inside attachments: how it is known, and where it is cut (docs/spec/attachment.md).

Bytes in, numbers out; nothing here reads or writes. `passagewriting` makes memories of it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final, Self

from haulout.log.attachment import SEARCHED_BYTES

PROBED_BYTES: Final = 64 * 1024
LEAST_BYTES: Final = 1000
MOST_BYTES: Final = 2000
_SLICE_BYTES: Final = 64 * 1024
_NO_TEXT: Final = (b"%PDF-", b"%!PS", b"{\\rtf")
_FORBIDDEN: Final = re.compile(rb"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")
_ENDS: Final = tuple(
    re.compile(pattern.encode())
    for pattern in (
        r"\n[ \t\r]*\n+",
        r"\n",
        "(?:[.!?]|\u061f)[\"')\\]]*\\s|\u3002|\uff01|\uff1f",
        r"[ \t\f\v]",
    )
)
"""Where a passage ends best: after a paragraph, a line, a sentence, a word."""


class TextMeasure:
    """How much of a content's beginning is text, found as its bytes go by.

    Args:
        known: so many bytes before what is fed are text; 0 at a content's beginning.
    """

    def __init__(self, known: int = 0) -> None:
        self._known, self._seen = known, known
        self._over = known >= SEARCHED_BYTES
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.text = known

    @classmethod
    def ended(cls, text: int) -> Self:
        """One for a content of which no more is text than so many bytes."""
        measure = cls(text)
        measure._over = True
        return measure

    def feed(self, data: bytes) -> None:
        """The next bytes of the content."""
        if self._seen == 0 and data.startswith(_NO_TEXT):
            self._over = True
        view = memoryview(data)
        for start in range(0, len(data), _SLICE_BYTES):
            if self._over:
                return
            self._measure(bytes(view[start : start + _SLICE_BYTES][: SEARCHED_BYTES - self._seen]))

    def _measure(self, piece: bytes) -> None:
        bad = _FORBIDDEN.search(piece)
        end = len(piece) if bad is None else bad.start()
        held = len(self._decoder.getstate()[0])
        try:
            self._decoder.decode(piece[:end])
        except UnicodeDecodeError as error:
            self._stop(self._seen - held + error.start)
            return
        valid = self._seen + end - len(self._decoder.getstate()[0])
        if bad is not None:
            self._stop(valid)
            return
        self._seen += len(piece)
        self.text = valid
        self._over = self._seen >= SEARCHED_BYTES

    def _stop(self, at: int) -> None:
        """Text ends here; a content that stops being text within the probe is none."""
        self._over = True
        self.text = at if self._known or at >= PROBED_BYTES else 0


def ends(text: bytes, *, last: bool) -> Iterator[int]:
    """Where the passages of a text end, in bytes from its beginning.

    Args:
        text: UTF-8 that begins where a passage does.
        last: whether the text ends with it; otherwise only ends are given that no further byte
            would change.
    """
    start = 0
    while len(text) - start > MOST_BYTES:
        start = _end(text, start)
        yield start
    if last and start < len(text):
        yield len(text)


def _end(text: bytes, start: int) -> int:
    low, high = start + LEAST_BYTES, start + MOST_BYTES
    for pattern in _ENDS:
        found = 0
        for match in pattern.finditer(text, low, high):
            found = match.end()
        if found:
            return found
    while text[high] & 0xC0 == 0x80:  # noqa: PLR2004 - inside a character
        high -= 1
    return high
