"""Which texts of a memory are indexed: the words that are counted and the passages embedded.

A memory's forms hold its own words, its speaker's name and its date, and nothing of its
neighbours: conversation context comes in when a question is ranked, so that forgetting a memory
leaves no form of another to be made again.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import IntFlag
from typing import Final

from haulout.language.dates import spoken_day, tells_time
from haulout.language.mentions import states_rule

PASSAGE_PIECES: Final = 180
"""Word pieces in a passage: with date and speaker below the model's 256, and specific."""
PASSAGES_KEPT: Final = 16
"""A text of more than about 2,000 words is embedded by its beginning; words find the rest."""

_LOOKED_AT: Final = 32_768  # characters: more than the passages kept hold; a text may have 1 MiB

_WORD: Final = re.compile(r"[^\W_]+|[^\w\s]|_")
_PIECE_LETTERS: Final = 5.5  # letters to one word piece, a little too few: passages stay short
_FULL_WIDTH: Final = "\u3002\uff01\uff1f"  # stop, exclamation, question: no space follows them
_QUESTION_ENDS: Final = ("?", "\uff1f", "\u061f")
_ENDS: Final = rf".!?{_FULL_WIDTH}\u061f"
_BREAK: Final = re.compile(rf"(?<=[{_ENDS}])\s+|\n+|(?<=[{_FULL_WIDTH}])")
_SENTENCE: Final = re.compile(rf"[^{_ENDS}\n]+[{_ENDS}]*")
_OF_ASKER: Final = re.compile(
    r"\b(?:i|my|mine|me|we|our|i['\u2019]\w+|we['\u2019]\w+)\b", re.IGNORECASE
)
_UNSPACED: Final = "\u0e00"  # from Thai on, scripts have about one piece a character
_ANNOTATION: Final = re.compile(r"\[[^\[\]]*\]")
_ASSISTANTS: Final = frozenset({"assistant", "ai", "agent", "bot", "model", "system", "tool"})


class Trait(IntFlag):
    """What kind of statement a text makes; kept as a number beside the index row."""

    TELLS_TIME = 1
    STATES_RULE = 2


def traits(text: str) -> Trait:
    """The kinds of statement found in a text."""
    looked_at = text[:_LOOKED_AT]
    time = Trait.TELLS_TIME if tells_time(looked_at) else Trait(0)
    return time | (Trait.STATES_RULE if states_rule(looked_at) else Trait(0))


def word_form(text: str, occurred_at: datetime | None) -> str:
    """The text whose terms are counted: the memory's words and those of its date."""
    return text if occurred_at is None else f"{text}\n{spoken_day(occurred_at)}"


def passages(
    text: str, speaker: str | None = None, occurred_at: datetime | None = None
) -> list[str]:
    """The texts to embed: one for a short memory, several for a long one."""
    day = f"[{spoken_day(occurred_at)}] " if occurred_at is not None else ""
    said = f"{day}{speaker}: " if speaker else day
    return [said + part for part in _parts(text[:_LOOKED_AT])[:PASSAGES_KEPT]]


def asking(text: str) -> float:
    """The share of a text, 0 to 1, in sentences that ask and say nothing of who asks.

    "How was the trip?" tells nothing that a memory is for; "Could you help me with my move to
    Oslo?" does. An annotation in brackets is not part of what was said.
    """
    asked = total = 0
    said = _ANNOTATION.sub("", text[:_LOOKED_AT])
    for sentence in map(str.strip, _SENTENCE.findall(said)):
        total += len(sentence)
        if sentence.endswith(_QUESTION_ENDS) and not _OF_ASKER.search(sentence):
            asked += len(sentence)
    return asked / total if total else 0.0


def is_assistant(speaker: str | None) -> bool:
    """Whether the speaker is an AI, by the role names that chat protocols use."""
    return speaker is not None and speaker.strip().lower() in _ASSISTANTS


def _pieces(text: str) -> int:
    """About how many word pieces the text has, without the model's vocabulary."""
    return sum(
        len(word) if word[0] >= _UNSPACED else max(1, -int(-len(word) // _PIECE_LETTERS))
        for word in _WORD.findall(text)
    )


def _parts(text: str) -> list[str]:
    """The text cut at sentence ends into parts of at most ``PASSAGE_PIECES``, roughly."""
    if _pieces(text) <= PASSAGE_PIECES * 1.15:
        return [text]
    parts: list[str] = []
    current, filled = "", 0
    for sentence in filter(str.strip, _BREAK.split(text)):
        for stretch in _stretches(sentence):
            size = _pieces(stretch)
            if current and filled + size > PASSAGE_PIECES:
                parts.append(current)
                current, filled = "", 0
            current, filled = f"{current} {stretch}".strip(), filled + size
    if current:
        parts.append(current)
    return parts


def _stretches(sentence: str) -> list[str]:
    """A sentence longer than a passage, cut evenly; scripts without spaces by characters."""
    size = _pieces(sentence)
    if size <= PASSAGE_PIECES:
        return [sentence]
    width = max(1, len(sentence) * PASSAGE_PIECES // size)
    stretches: list[str] = []
    while sentence:
        cut = sentence.rfind(" ", width // 2, width) if len(sentence) > width else len(sentence)
        cut = cut if cut > 0 else width
        stretches.append(sentence[:cut].strip())
        sentence = sentence[cut:]
    return [stretch for stretch in stretches if stretch]
